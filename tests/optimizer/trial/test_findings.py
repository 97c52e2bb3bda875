"""Errors, intervals and the sentence that says who lost least."""

import numpy as np
import pytest

from optimizer.trial.findings import delay_errors, delay_intervals, share_interval
from optimizer.trial.results import SchemeResult, TrialFile
from optimizer.trial.sentences import brink_lines, least_lost, simplest, work_line
from profiling.profile.entries import Interval


def scheme(label, lost, low, high):
    names = SchemeResult.model_fields
    numbers = dict.fromkeys((n for n in names if n not in ("label", "learned", "intervals", "models", "points")), 0.0)
    optional = dict.fromkeys(n for n in names if "delay" in n or "accuracy" in n or n in ("lost_near", "lost_again"))
    return SchemeResult.model_validate(
        numbers
        | optional
        | {
            "label": label, "learned": False, "lost": lost, "lost_predicted": 0.25, "models": [], "points": [],
            "intervals": {"lost": Interval(low=low, high=high), "broken": Interval(low=0.0, high=0.01)},
        }
    )  # fmt: skip


def test_errors_are_relative_to_what_was_measured():
    found = delay_errors(np.array([0.9, 1.0, 1.1, 1.5]), np.ones(4))
    assert found.p50 == pytest.approx(0.1)
    assert found.median_ratio == pytest.approx(1.05)
    assert delay_errors(np.zeros(0), np.zeros(0)) is None


def test_the_first_line_says_who_lost_least_and_who_is_equal():
    found = least_lost(
        {"a": scheme("alpha", 0.02, 0.01, 0.03), "b": scheme("beta", 0.01, 0.005, 0.015),
         "c": scheme("gamma", 0.2, 0.1, 0.3), "d": scheme("delta", 0.5, 0.4, 0.6)}
    )  # fmt: skip
    assert found == (
        "beta lost least: 1.00 % (0.50 to 1.50) of the tasks (25.00 % were predicted); equal within the interval: "
        "alpha; then gamma with 20.00 % (10.00 to 30.00)."
    )


def test_who_ends_tasks_close_to_their_deadlines_is_named():
    near = scheme("alpha", 0.2, 0.1, 0.3).model_copy(update={"lost_near": Interval(low=0.19, high=0.38)})
    sure = scheme("beta", 0.2, 0.1, 0.3).model_copy(update={"lost_near": Interval(low=0.25, high=0.26)})
    assert brink_lines({"a": near, "b": sure, "c": scheme("older file", 0.2, 0.1, 0.3)}) == [
        "alpha ends many tasks close to their deadlines: 25.00 % predicted lost; 19.0 to 38.0 if inference takes 2 % "
        "less or more."
    ]


def test_an_interval_covers_the_truth_in_most_trials():
    """Slots differ from one another: an interval that took all tasks as independent would be too narrow."""
    rng = np.random.default_rng(0)
    inside = 0
    for _ in range(200):
        chance = rng.beta(2, 18, 60)  # mean 0.1
        count = rng.binomial(50, chance)
        draws = rng.integers(0, 60, (300, 60))
        own = share_interval(count, np.full(60, 50.0), draws)
        inside += own.low <= 0.1 <= own.high
    assert 0.88 <= inside / 200 <= 1.0


def test_nothing_lost_is_not_known_for_certain():
    own = share_interval(np.zeros(10), np.full(10, 20.0), np.zeros((5, 10), int))
    assert own.low == 0.0
    assert 0.0 < own.high < 0.05


def test_a_delay_s_interval_holds_its_value():
    rng = np.random.default_rng(1)
    delay, slot = rng.exponential(1.0, 2000), np.repeat(np.arange(20), 100)
    found = delay_intervals(delay, slot, rng.integers(0, 20, (200, 20)))
    assert found["delay_s"].low <= delay.mean() <= found["delay_s"].high
    assert found["delay_s"].high - found["delay_s"].low < 0.3
    assert found["delay_p99_s"].low <= np.quantile(delay, 0.99) <= found["delay_p99_s"].high


def test_the_simplest_scheme_that_does_as_well_is_named():
    def told(**schemes):
        return simplest(TrialFile.model_construct(schemes=schemes, speed=(1.0, 1.0), disturbed=False))

    optimum = scheme("optimum", 0.0, 0.0, 0.01)
    local, greedy = scheme("all local", 0.0005, 0.0, 0.01), scheme("greedy", 0.0, 0.0, 0.01)
    assert told(optimum=optimum, greedy=greedy, local=local) == (
        "The simplest scheme that lost at most 0.1 % more: all local (everything on the gateways, level by level), "
        "0.05 %."
    )
    assert told(optimum=optimum, greedy=greedy, local=scheme("all local", 0.0015, 0.0, 0.01)).startswith(
        "The simplest scheme that lost at most 0.1 % more: greedy"
    )
    assert told(optimum=optimum, local=scheme("all local", 0.2, 0.0, 0.3)) is None
    assert told(local=local) is None


def test_where_a_schemes_tasks_went_is_told():
    made = scheme("optimum", 0.0, 0.0, 0.01)
    assert work_line(made.model_copy(update={"offloaded": 0.25})) == (
        "optimum keeps 75 % of the tasks on the gateways and sends 25 % to the edge."
    )
    assert work_line(made.model_copy(update={"offloaded": 0.25, "refused": 0.05})).endswith(
        "keeps 70 % of the tasks on the gateways and sends 25 % to the edge; it refuses 5.0 %."
    )
