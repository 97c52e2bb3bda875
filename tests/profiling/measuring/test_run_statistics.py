"""Percentiles, intervals and warnings; no clock is read here."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from profiling.measuring.run_statistics import Visits, bootstrap_median, drift, is_noisy, order_interval, summarise


def visits(rounds, disturbed=(), host=()):
    made = Visits()
    for i, samples in enumerate(rounds):
        made.add(
            {
                "samples": list(samples),
                "host": list(host),
                "disturbed": ["other processes took 40% of the cores"] if i in disturbed else [],
                "memory": 1000,
                "steady": True,
            }
        )
    return made


def steady(rounds=8, runs=100, seed=0, centre=1e-3):
    rng = np.random.default_rng(seed)
    return [centre * np.exp(0.02 * rng.standard_normal(runs)) for _ in range(rounds)]


def test_percentiles_are_numpys_over_all_runs():
    rounds = steady()
    entry = summarise(visits(rounds), batch=4, threads=2)
    everything = np.concatenate(rounds)
    assert (entry.p50_s, entry.p90_s, entry.p99_s) == tuple(np.quantile(everything, [0.5, 0.9, 0.99]))
    assert entry.mean_s == pytest.approx(everything.mean())
    assert (entry.count, entry.batch, entry.threads, len(entry.round_p50_s)) == (800, 4, 2, 8)
    assert not entry.noisy


def test_outliers_are_counted_and_kept():
    rounds = steady()
    rounds[3][:7] = 0.5
    entry = summarise(visits(rounds), 1, 1)
    assert entry.outliers >= 7
    assert entry.count == 800
    assert entry.mean_s > 4e-3


def test_order_intervals_hold_the_percentile_in_95_of_100_draws():
    rng = np.random.default_rng(1)
    for share, n in ((0.5, 30), (0.9, 100), (0.99, 500)):
        held = 0
        for _ in range(400):
            interval = order_interval(np.sort(rng.random(n)), share)
            held += interval.low <= share <= interval.high
        assert held / 400 > 0.93


@pytest.mark.parametrize(("n", "exists"), [(30, False), (367, False), (368, True), (1024, True)])
def test_p99_has_no_interval_under_368_runs_and_the_entry_says_so(n, exists):
    assert (order_interval(np.sort(np.random.default_rng(0).random(n)), 0.99) is not None) == exists
    entry = summarise(visits([steady(1, n)[0]]), 1, 1)
    assert ("p99" in entry.intervals) == exists
    assert any("low n" in note for note in entry.notes) != exists


def test_the_bootstrap_interval_knows_that_runs_of_a_visit_resemble_one_another():
    rng = np.random.default_rng(0)
    shifts = np.exp(0.05 * rng.standard_normal(8))
    rounds = [s * r for s, r in zip(shifts, steady(), strict=True)]
    low, high = bootstrap_median(rounds, 0)
    together = np.concatenate(rounds)
    naive = order_interval(np.sort(together), 0.5)
    assert high - low > 3 * (naive.high - naive.low)


def test_the_bootstrap_interval_covers_the_median_of_many_devices():
    held = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        rounds = [np.exp(0.03 * rng.standard_normal() + 0.02 * rng.standard_normal(60)) for _ in range(12)]
        low, high = bootstrap_median(rounds, seed)
        held += low <= 1 <= high
    assert held / 60 > 0.85


def test_rounds_that_disagree_make_a_cell_noisy():
    rounds = [r * (1.3 if i % 2 else 1.0) for i, r in enumerate(steady())]
    entry = summarise(visits(rounds), 1, 1)
    assert entry.noisy
    assert any("known within" in note for note in entry.notes)


def test_a_third_of_disturbed_visits_makes_a_cell_noisy():
    assert not is_noisy(visits(steady(), disturbed=(0, 1)))
    assert is_noisy(visits(steady(), disturbed=(0, 1, 2)))
    assert "2 of 8 visits disturbed" in " ".join(summarise(visits(steady(), disturbed=(0, 1)), 1, 1).notes)


def test_a_host_that_throttles_all_cells_together_is_seen():
    """F14: every cell alone may look steady enough."""
    slow = [1.0, 1.0, 1.0, 1.0, 1.08, 1.08, 1.08, 1.08]
    cells = [visits([s * r for s, r in zip(slow, steady(seed=k), strict=True)]) for k in range(10)]
    assert drift(cells, 8) == pytest.approx(0.08, abs=0.02)
    assert drift([visits(steady(seed=k)) for k in range(10)], 8) < 0.02
    assert drift([], 8) == 0


@settings(max_examples=30)
@given(st.lists(st.lists(st.floats(1e-6, 10.0), min_size=1, max_size=20), min_size=1, max_size=5))
def test_any_runs_make_a_valid_entry(rounds):
    entry = summarise(visits([np.array(r) for r in rounds], host=[1.0]), 1, 0)
    assert entry.p50_low_s <= entry.p50_s <= entry.p50_high_s
    assert entry.p50_s <= entry.p90_s <= entry.p99_s
    assert entry.host_p50_s == 1.0
