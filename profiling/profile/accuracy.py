"""Accuracy against pruning rate: polynomials of degree 1 to 6, eq. (1), and a monotone curve beside them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.polynomial import polynomial
from scipy.optimize import isotonic_regression
from scipy.stats import t as student

from profiling.errors import ProfilingError
from profiling.profile.entries import AccuracyCurve, DegreeFit, Interval

PAPER_DEGREE = 3
HIGHEST = 6
PERFECT = 1e-9  # residuals below this (a fraction of one prediction in a billion) are rounding


def fit_degree(rates: Sequence[float], accuracies: Sequence[float], degree: int) -> DegreeFit:
    """Least squares of one degree, with its left-out error and information criteria.

    Args:
        rates: Pruning rates, fractions; at least degree + 1 different ones.
        accuracies: Accuracies, fractions.
        degree: Degree of the polynomial.

    Returns:
        Coefficients by ascending power. Intervals (Student's t), left-out error (root mean square of leave-one-out
        residuals) and AIC are None if the polynomial passes through all points, so that none is left to judge it by.
        AICc needs two points more.
    """
    x, y = np.asarray(rates, float), np.asarray(accuracies, float)
    n, k = len(x), degree + 1
    design = np.vander(x, k, increasing=True)
    q, r = np.linalg.qr(design)
    coefficients = np.linalg.solve(r, q.T @ y)
    residuals = y - design @ coefficients
    error = float(np.sqrt(np.mean(residuals**2)))
    fine = np.linspace(x.min(), x.max(), 501)
    slope = polynomial.polyval(fine, polynomial.polyder(coefficients)) if degree else np.zeros(1)
    rises = bool(np.any(slope > 1e-9))
    judged: dict[str, Any] = dict.fromkeys(("intervals", "left_out_error", "aic", "aicc"))
    if n > k:
        judged = _judged(coefficients, residuals, q, r)
    return DegreeFit(degree=degree, coefficients=coefficients.tolist(), error=error, rises=rises, **judged)


def _judged(coefficients: np.ndarray, residuals: np.ndarray, q: np.ndarray, r: np.ndarray) -> dict[str, Any]:
    """What only the residuals of more points than coefficients can say; q and r factorise the design matrix."""
    n, k = q.shape
    error = float(np.sqrt(np.mean(residuals**2)))
    leverage = np.clip((q**2).sum(axis=1), 0, 1 - 1e-12)
    variance = float(residuals @ residuals) / (n - k)
    inverse = np.linalg.inv(r)
    half = student.ppf(0.975, n - k) * np.sqrt(variance * (inverse**2).sum(axis=1))
    aic = n * np.log(max(error, PERFECT) ** 2) + 2 * (k + 1)
    spare = n - k - 2
    low, high = (coefficients - half).tolist(), (coefficients + half).tolist()
    return {
        "intervals": [Interval(low=a, high=b) for a, b in zip(low, high, strict=True)],
        "left_out_error": float(np.sqrt(np.mean((residuals / (1 - leverage)) ** 2))),
        "aic": float(aic),
        "aicc": float(aic + 2 * (k + 1) * (k + 2) / spare) if spare > 0 else None,
    }


def _verdict(fits: Sequence[DegreeFit], chosen: int, asked: int, points: int) -> str:
    judged = [f for f in fits if f.left_out_error is not None]
    words = []
    if chosen < asked:
        words.append(f"{points} points cannot carry degree {asked}; degree {chosen} is the highest that can be judged.")
    own = next(f for f in fits if f.degree == chosen)
    if not judged or own.left_out_error is None:
        words.append("No point is left to judge the fit by.")
    else:
        best = min(judged, key=lambda f: f.left_out_error or 0.0)
        assert best.left_out_error is not None
        if best.degree == chosen or own.left_out_error <= best.left_out_error + PERFECT:
            words.append(
                f"Degree {chosen} predicts a left-out rate best (off by {100 * own.left_out_error:.2f} points)."
            )
        else:
            words.append(
                f"Degree {best.degree} predicts a left-out rate better than degree {chosen}: off by "
                f"{100 * best.left_out_error:.2f} points instead of {100 * own.left_out_error:.2f}."
            )
    if own.rises:
        words.append("The curve rises somewhere between the rates; the monotone one does not.")
    return " ".join(words)


def fit_accuracy(rates: Sequence[float], accuracies: Sequence[float], degree: int = PAPER_DEGREE) -> AccuracyCurve:
    """The curve of eq. (1), by default the paper's cubic, with a table of other degrees to judge it by.

    With fewer than degree + 2 rates the degree is lowered, so that one point is always left to judge the fit by (with
    one or two rates: a constant). The monotone curve is the isotonic regression (never rising with the rate).

    Args:
        rates: Different pruning rates, fractions in [0, 1).
        accuracies: Their accuracies, fractions.
        degree: Degree of the polynomial that is asked for.

    Raises:
        ProfilingError: No points, unequal lengths, a rate twice, or values outside [0, 1].
    """
    if not len(rates) or len(rates) != len(accuracies):
        raise ProfilingError(f"a curve needs as many accuracies as rates; got {len(accuracies)} and {len(rates)}.")
    order = np.argsort(rates)
    x, y = np.asarray(rates, float)[order], np.asarray(accuracies, float)[order]
    if not (np.all((x >= 0) & (x < 1)) and np.all((y >= 0) & (y <= 1))):
        raise ProfilingError("rates lie in [0, 1) and accuracies in [0, 1], as fractions.", "Divide percent by 100.")
    if len(np.unique(x)) < len(x):
        raise ProfilingError("duplicate rate.", "Give each rate once.")
    highest = max(0, min(HIGHEST, len(x) - 1))
    chosen = max(0, min(degree, len(x) - 2))
    fits = [fit_degree(x.tolist(), y.tolist(), d) for d in range(min(1, chosen), highest + 1)]
    own = next(f for f in fits if f.degree == chosen)
    monotone = isotonic_regression(y, increasing=False).x
    return AccuracyCurve(
        degree=chosen,
        coefficients=own.coefficients,
        intervals=own.intervals,
        rates=x.tolist(),
        accuracies=y.tolist(),
        residuals=(y - polynomial.polyval(x, own.coefficients)).tolist(),
        degrees=fits,
        rises=own.rises,
        monotone=np.clip(monotone, 0, 1).tolist(),
        verdict=_verdict(fits, chosen, degree, len(x)),
    )
