"""Latency laws against made-up devices, scipy's optimiser and brute force."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from profiling.profile.laws import Cell, capacity_flop_per_s, fit_capacity, fit_law

FLOPS = {0.0: 6.25e8, 0.5: 3.1e8, 0.9: 6.2e7}
ACTIVATIONS = {0.0: 4.7e6, 0.5: 3.3e6, 0.9: 1.5e6}
BATCHES = (1, 2, 4, 8, 16, 32)


def device(seconds):
    """Cells of a device whose latency is a function of (rate, batch)."""
    return [Cell(r, b, FLOPS[r], ACTIVATIONS[r], seconds(r, b)) for r in FLOPS for b in BATCHES]


def noisy_device(seed=0):
    rng = np.random.default_rng(seed)
    return device(lambda r, b: (2e-4 + b * FLOPS[r] / 4e11) * float(np.exp(0.1 * rng.standard_normal())))


def test_a_device_that_follows_the_affine_law_is_found_exactly():
    fit = fit_law(device(lambda r, b: 2e-4 + b * FLOPS[r] / 4e11), "affine")
    assert fit.overhead_s == pytest.approx(2e-4)
    assert fit.capacity_flop_per_s == pytest.approx(4e11)
    assert fit.worst_error < 1e-9
    assert fit.left_out_median_error < 1e-9


def test_a_term_in_activation_bytes_is_found():
    fit = fit_law(device(lambda r, b: 1e-4 + b * FLOPS[r] / 4e11 + b * ACTIVATIONS[r] / 2e10), "affine_bytes")
    assert (fit.capacity_flop_per_s, fit.bandwidth_byte_per_s) == (pytest.approx(4e11), pytest.approx(2e10))


def test_a_pair_for_each_model_is_found():
    fit = fit_law(device(lambda r, b: (1 + r) * 1e-4 + b * (2 - r) * 1e-3), "per_model")
    assert fit.per_model["0.5"] == pytest.approx((1.5e-4, 1.5e-3))


@pytest.mark.parametrize("law", ["proportional", "affine", "affine_bytes"])
def test_the_fit_is_the_least_relative_error_that_an_optimiser_finds(law):
    cells = noisy_device()
    fit = fit_law(cells, law)

    def loss(logs):
        overhead, per_flop, per_byte = np.exp(logs)
        total = 0.0
        for c in cells:
            t = c.batch * c.flops * per_flop
            t += overhead if law != "proportional" else 0.0
            t += c.batch * c.activation_bytes * per_byte if law == "affine_bytes" else 0.0
            total += (t / c.seconds - 1) ** 2
        return total

    best = minimize(
        loss, np.log([1e-4, 1 / 4e11, 1e-12]), method="Nelder-Mead", options={"maxiter": 5000, "xatol": 1e-9}
    )
    assert sum(r.relative_error**2 for r in fit.residuals) <= best.fun * (1 + 1e-6)


def test_left_out_errors_are_those_of_refitting_without_the_batch_size():
    cells = noisy_device()
    for law in ("affine", "per_model"):
        fit = fit_law(cells, law)
        for batch in BATCHES:
            refit = fit_law([c for c in cells if c.batch != batch], law)
            for r in fit.residuals:
                if r.batch == batch:
                    overhead, slope = (
                        refit.per_model[f"{r.rate:g}"]
                        if law == "per_model"
                        else (refit.overhead_s, FLOPS[r.rate] / refit.capacity_flop_per_s)
                    )
                    assert r.left_out == pytest.approx((overhead + batch * slope) / r.measured_s - 1)


def test_measured_points_are_themselves_and_left_out_ones_lie_between_neighbours():
    cells = device(lambda r, b: 1e-3 * b**0.8)
    fit = fit_law(cells, "measured")
    assert fit.worst_error == 0
    between = next(r for r in fit.residuals if (r.rate, r.batch) == (0.0, 8))
    expected = np.interp(8, [4, 16], [1e-3 * 4**0.8, 1e-3 * 16**0.8])
    assert between.left_out == pytest.approx(expected / (1e-3 * 8**0.8) - 1)


def test_absolute_least_squares_is_wrong_where_ours_is_not():
    """Why we fit relative error: a high R^2 beside a useless fit of the small models."""
    cells = device(lambda r, b: 2e-4 + b * FLOPS[r] / 4e11 * (1.3 if b > 8 else 1.0))
    rows = np.array([[1.0, c.batch * c.flops] for c in cells])
    seconds = np.array([c.seconds for c in cells])
    absolute = rows @ np.linalg.lstsq(rows, seconds, rcond=None)[0]
    r_squared = 1 - ((seconds - absolute) ** 2).sum() / ((seconds - seconds.mean()) ** 2).sum()
    assert r_squared > 0.99
    assert np.abs(absolute / seconds - 1).max() > 2 * fit_law(cells, "affine").worst_error


def test_the_law_that_predicts_left_out_sizes_best_is_chosen():
    fit = fit_capacity(device(lambda r, b: 2e-4 + b * FLOPS[r] / 4e11), "fp32", 2, 5e11)
    assert min(f.left_out_median_error for f in fit.laws) == next(
        f.left_out_median_error for f in fit.laws if f.law == fit.chosen
    )
    assert capacity_flop_per_s(fit) == pytest.approx(4e11)


def test_one_cell_fixes_the_papers_one_number_and_nothing_more():
    fit = fit_capacity([Cell(0.0, 4, 1e9, 1e6, 0.02)], "fp32", 1, None)
    assert capacity_flop_per_s(fit) == pytest.approx(4e9 / 0.02)
    assert {"affine", "affine_bytes", "per_model"} <= set(fit.skipped)
    assert fit.chosen == "measured"


def test_masked_models_of_equal_flops_are_fitted():
    cells = [Cell(r, b, 1e9, 1e6, 1e-3 + b * 2e-3) for r in (0.0, 0.5, 0.9) for b in BATCHES]
    fit = fit_capacity(cells, "fp32", 1, None)
    assert capacity_flop_per_s(fit) == pytest.approx(5e11)
    assert "affine_bytes" in fit.skipped  # bytes and FLOPs cannot be told apart


@given(st.integers(0, 10_000), st.floats(0.01, 0.8))
def test_no_term_is_ever_negative(seed, noise):
    rng = np.random.default_rng(seed)
    cells = device(lambda r, b: b * FLOPS[r] / 4e11 * float(np.exp(noise * rng.standard_normal())))
    for law in ("affine", "affine_bytes"):
        fit = fit_law(cells, law)
        assert fit.overhead_s >= 0
        assert all(r.fitted_s >= 0 for r in fit.residuals)
        assert capacity_flop_per_s(fit_capacity(cells, "fp32", 1, None)) > 0
