"""Laws of latency: a device's capacity from its measured times, eq. (2) and (3).

All are fitted to *relative* error, sum of (fitted / measured - 1)^2 with non-negative terms, because absolute least
squares gives its attention to the largest batches and is wrong many times over on the small models, at an R^2 of 0.99.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy.optimize import nnls

from data.common.interpolation import piecewise_linear
from profiling.profile.entries import Capacity, Law, LawFit, Precision, Residual

FORMULAS: dict[Law, str] = {
    "proportional": "batch * FLOP / C",
    "affine": "overhead + batch * FLOP / C",
    "affine_bytes": "overhead + batch * FLOP / C + batch * activation bytes / bandwidth",
    "per_model": "overhead(model) + batch * slope(model)",
    "measured": "linear between measured batch sizes",
}


@dataclass(frozen=True)
class Cell:
    """A model's median seconds for one batch; FLOP and activation bytes are those of one input."""

    rate: float
    batch: int
    flops: float
    activation_bytes: float
    seconds: float


Cells = Sequence[Cell]
Terms = Callable[[Cell], list[float]]
_TERMS: dict[str, Terms] = {
    "proportional": lambda c: [c.batch * c.flops],
    "affine": lambda c: [1.0, c.batch * c.flops],
    "affine_bytes": lambda c: [1.0, c.batch * c.flops, c.batch * c.activation_bytes],
    "per_model": lambda c: [1.0, float(c.batch)],
}


def _relative_least_squares(cells: Cells, terms: Terms) -> np.ndarray | None:
    """Non-negative factors of the terms; None if the cells do not determine them."""
    rows = np.array([terms(c) for c in cells]) / np.array([[c.seconds] for c in cells])
    scale = np.linalg.norm(rows, axis=0)
    if not np.all(scale > 0) or np.linalg.matrix_rank(rows / scale) < rows.shape[1]:
        return None
    return np.asarray(nnls(rows / scale, np.ones(len(rows)))[0] / scale)


def _predict_terms(name: str, train: Cells, test: Cells) -> list[float] | None:
    factors = _relative_least_squares(train, _TERMS[name])
    return None if factors is None else [float(factors @ _TERMS[name](c)) for c in test]


def _predict_per_model(train: Cells, test: Cells) -> list[float] | None:
    found = []
    for cell in test:
        one = _predict_terms("per_model", [c for c in train if c.rate == cell.rate] or [cell], [cell])
        if one is None:
            return None
        found += one
    return found


def _predict_measured(train: Cells, test: Cells) -> list[float] | None:
    """Linear between the nearest batch sizes below and above; beyond the last, along the last two."""
    found = []
    for cell in test:
        own = sorted((c for c in train if c.rate == cell.rate), key=lambda c: c.batch)
        if not own or (len(own) == 1 and own[0].batch != cell.batch):
            return None
        found.append(float(piecewise_linear(cell.batch, [c.batch for c in own], [c.seconds for c in own])))
    return found


_PREDICT: dict[Law, Callable[[Cells, Cells], list[float] | None]] = {
    "proportional": partial(_predict_terms, "proportional"),
    "affine": partial(_predict_terms, "affine"),
    "affine_bytes": partial(_predict_terms, "affine_bytes"),
    "per_model": _predict_per_model,
    "measured": _predict_measured,
}


def _left_out(cells: Cells, law: Law) -> dict[tuple[float, int], float]:
    """Seconds that the law predicts for each cell when all cells of its batch size are left out of the fit."""
    found: dict[tuple[float, int], float] = {}
    for batch in sorted({c.batch for c in cells}):
        test = [c for c in cells if c.batch == batch]
        train = [c for c in cells if c.batch != batch]
        predicted = _PREDICT[law](train, test) if train else None
        if predicted is not None:
            found |= {(c.rate, c.batch): p for c, p in zip(test, predicted, strict=True)}
    return found


def _inverse(value: float) -> float | None:
    return 1 / value if value > 0 else None


def _parameters(
    cells: Cells, law: Law
) -> tuple[float | None, float | None, float | None, dict[str, tuple[float, float]]]:
    """Overhead, capacity, bandwidth and the pair of each rate; None or empty if the law has none."""
    if law == "measured":
        return None, None, None, {}
    if law == "per_model":
        pairs = {}
        for rate in sorted({c.rate for c in cells}):
            pair = _relative_least_squares([c for c in cells if c.rate == rate], _TERMS[law])
            assert pair is not None
            pairs[f"{rate:g}"] = (float(pair[0]), float(pair[1]))
        return None, None, None, pairs
    factors = _relative_least_squares(cells, _TERMS[law])
    assert factors is not None
    if law == "proportional":
        return None, _inverse(float(factors[0])), None, {}
    bandwidth = _inverse(float(factors[2])) if law == "affine_bytes" else None
    return float(factors[0]), _inverse(float(factors[1])), bandwidth, {}


def fit_law(cells: Cells, law: Law) -> LawFit | None:
    """One law fitted to cells, with its errors and residuals; None if the cells do not determine it."""
    fitted = _PREDICT[law](cells, cells)
    if fitted is None:
        return None
    seconds = np.array([c.seconds for c in cells])
    values = np.array(fitted)
    relative = values / seconds - 1
    spread = float(((seconds - seconds.mean()) ** 2).sum())
    left_out = _left_out(cells, law)
    residuals = [
        Residual(
            rate=c.rate,
            batch=c.batch,
            measured_s=c.seconds,
            fitted_s=f,
            relative_error=float(e),
            left_out=left_out[c.rate, c.batch] / c.seconds - 1 if (c.rate, c.batch) in left_out else None,
        )
        for c, f, e in zip(cells, fitted, relative, strict=True)
    ]
    missed = [abs(r.left_out) for r in residuals if r.left_out is not None]
    overhead, capacity, bandwidth, pairs = _parameters(cells, law)
    return LawFit(
        law=law,
        formula=FORMULAS[law],
        overhead_s=overhead,
        capacity_flop_per_s=capacity,
        bandwidth_byte_per_s=bandwidth,
        per_model=pairs,
        mean_error=float(np.abs(relative).mean()),
        worst_error=float(np.abs(relative).max()),
        left_out_median_error=float(np.median(missed)) if missed else None,
        r_squared=1 - float(((seconds - values) ** 2).sum()) / spread if spread > 0 else 0.0,
        residuals=residuals,
    )


def fit_capacity(cells: Cells, precision: Precision, threads: int, peak_flop_per_s: float | None) -> Capacity:
    """All laws of latency, and which of them predicts a left-out batch size best.

    If there is only one batch size, none can be left out, and "measured" is named as the best.

    Args:
        cells: The measured medians of one precision and number of threads; at least one.
        precision: Precision of the cells.
        threads: CPU threads of the cells.
        peak_flop_per_s: FLOP/s of a matrix product on the same runtime, for comparison; None if it was not measured.
    """
    laws: list[LawFit] = []
    skipped: dict[str, str] = {}
    for law in FORMULAS:
        fit = fit_law(cells, law)
        if fit is None:
            skipped[law] = "too few models or batch sizes to determine its terms"
        else:
            laws.append(fit)
    judged = [f for f in laws if f.left_out_median_error is not None]
    chosen: Law = min(judged, key=lambda f: f.left_out_median_error or 0.0).law if judged else "measured"
    return Capacity(
        precision=precision,
        threads=threads,
        chosen=chosen,
        laws=laws,
        peak_flop_per_s=peak_flop_per_s,
        skipped=skipped,
    )


def capacity_flop_per_s(capacity: Capacity) -> float:
    """The capacity C in FLOP/s: that of the affine law, or else of the proportional law, which one cell determines."""
    for name in ("affine", "proportional"):
        for fit in capacity.laws:
            if fit.law == name and fit.capacity_flop_per_s is not None:
                return fit.capacity_flop_per_s
    raise AssertionError("the proportional law fits any cell")
