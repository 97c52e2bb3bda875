"""The accuracy curve against numpy, brute force and the paper's own table."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiling import ProfilingError, fit_accuracy
from profiling.profile.accuracy import fit_degree

TABLE_II = {0.1: 0.9976, 0.3: 0.9803, 0.5: 0.9752, 0.7: 0.9517, 0.8: 0.9477, 0.9: 0.9221}
RATES, ACCURACIES = list(TABLE_II), list(TABLE_II.values())


def test_the_papers_table_gives_the_least_squares_cubic_of_the_errata():
    curve = fit_accuracy(RATES, ACCURACIES)
    in_percent = [100 * c / 100**k for k, c in enumerate(curve.coefficients)]
    assert in_percent == pytest.approx([101.150, -0.17025, 3.127e-3, -2.583e-5], rel=2e-4)
    assert sum((100 * r) ** 2 for r in curve.residuals) == pytest.approx(0.597, abs=5e-4)


def test_the_papers_own_curve_29_fits_its_table_worse():
    percent = 100 * np.array(RATES)
    printed = -1.729e-5 * percent**3 + 0.001953 * percent**2 - 0.1313 * percent + 101.0
    assert ((printed - 100 * np.array(ACCURACIES)) ** 2).sum() == pytest.approx(0.753, abs=5e-4)


@pytest.mark.parametrize("degree", [1, 2, 3, 4])
def test_a_degree_is_numpys_and_its_left_out_error_is_that_of_refitting(degree):
    fit = fit_degree(RATES, ACCURACIES, degree)
    assert fit.coefficients == pytest.approx(np.polynomial.polynomial.polyfit(RATES, ACCURACIES, degree), rel=1e-6)
    missed = []
    for i, (rate, accuracy) in enumerate(TABLE_II.items()):
        others = [k for k in range(6) if k != i]
        refit = np.polyfit(np.array(RATES)[others], np.array(ACCURACIES)[others], degree)
        missed.append(accuracy - np.polyval(refit, rate))
    assert fit.left_out_error == pytest.approx(np.sqrt(np.mean(np.square(missed))), rel=1e-6)


def test_coefficient_intervals_are_those_of_linear_regression():
    from scipy.stats import linregress, t

    fit = fit_degree(RATES, ACCURACIES, 1)
    known = linregress(RATES, ACCURACIES)
    half = t.ppf(0.975, 4) * known.stderr
    assert (fit.intervals[1].low, fit.intervals[1].high) == pytest.approx((known.slope - half, known.slope + half))
    half = t.ppf(0.975, 4) * known.intercept_stderr
    assert fit.intervals[0].high == pytest.approx(known.intercept + half)


def test_aic_prefers_the_degree_that_made_the_points():
    rates = np.linspace(0, 0.95, 20)
    chosen = []
    for seed in range(40):
        noise = 0.002 * np.random.default_rng(seed).standard_normal(20)
        fits = fit_accuracy(rates.tolist(), (0.95 - 0.3 * rates**2 + noise).tolist()).degrees
        chosen.append(min(fits, key=lambda f: f.aicc).degree)
    assert chosen.count(2) > 25


def test_a_saturated_polynomial_is_not_judged():
    last = fit_accuracy(RATES, ACCURACIES).degrees[-1]
    assert (last.degree, last.left_out_error, last.aic, last.intervals) == (5, None, None, None)
    assert last.error < 1e-9


@pytest.mark.parametrize(("points", "degree"), [(1, 0), (2, 0), (3, 1), (4, 2), (5, 3), (6, 3)])
def test_too_few_points_lower_the_degree_so_that_one_is_left_to_judge_by(points, degree):
    """F16."""
    curve = fit_accuracy(RATES[:points], ACCURACIES[:points])
    assert curve.degree == degree == len(curve.coefficients) - 1
    assert (f"degree {degree} is the highest" in curve.verdict) == (degree < 3)


def test_a_curve_that_bends_the_wrong_way_says_so_and_has_a_monotone_one():
    """F16."""
    curve = fit_accuracy([0.0, 0.1, 0.3, 0.5, 0.7, 0.8, 0.9], [0.97, 0.96, 0.98, 0.99, 0.95, 0.99, 0.9])
    assert curve.rises
    assert "rises" in curve.verdict
    assert np.all(np.diff(curve.monotone) <= 1e-12)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=9))
def test_the_monotone_curve_never_rises_and_keeps_the_mean(accuracies):
    rates = np.linspace(0, 0.9, len(accuracies)).tolist()
    curve = fit_accuracy(rates, accuracies)
    assert np.all(np.diff(curve.monotone) <= 1e-9)
    assert np.mean(curve.monotone) == pytest.approx(np.mean(accuracies), abs=1e-9)
    assert all(np.isfinite(curve.coefficients))


@pytest.mark.parametrize(
    ("rates", "accuracies", "words"),
    [
        ([], [], "as many"),
        ([0.1, 0.2], [0.9], "as many"),
        ([0.1, 0.1], [0.9, 0.8], "duplicate"),
        ([10.0, 30.0], [0.9, 0.8], "fractions"),
        ([0.1, 0.3], [99.0, 98.0], "fractions"),
        ([0.1, 0.3], [float("nan"), 0.9], "fractions"),
    ],
)
def test_wrong_points_are_refused(rates, accuracies, words):
    with pytest.raises(ProfilingError, match=words):
        fit_accuracy(rates, accuracies)
