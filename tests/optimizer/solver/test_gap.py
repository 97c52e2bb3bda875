"""The certificate of the optimum: what is left is never more than what it says, and it is never above the optimum."""

import numpy as np
import pytest
from factory_model import random_factory
from paper_model import random_scenario

from optimizer import OptimizerError, Scenario, draw_states, optimum
from optimizer.network.outcome import evaluate

SAME = 2e-9
GAPS = [0.001, 0.02, 0.2]
KINDS = ["utilization", "goodput", "delay", "service"]
GROUPS = [(2, 2, 2), (3, 1, 2), (4, 3), (5, 2), (1, 1, 1, 2), (6, 5, 4, 3, 2, 1)]


def random_network(kind, seed):
    """A small random network of this kind, with slots."""
    rng = np.random.default_rng([seed, len(kind)])
    groups = GROUPS[int(rng.integers(len(GROUPS)))]
    if kind == "service":
        scenario = random_factory(rng, "service", "by level", "fifo", groups)
    else:
        scenario = random_scenario(rng, kind, groups)
    return scenario, draw_states(scenario, 3, seed)


def check_certificate(scenario, state, gap, **limits):
    exact, found = optimum(scenario, state, gap=0, threads=1), optimum(scenario, state, gap=gap, threads=1, **limits)
    assert evaluate(scenario, state, found.action).reward == pytest.approx(found.reward, abs=SAME)
    assert (found.reward <= exact.bound + SAME).all()
    assert (exact.reward <= found.bound + SAME).all()
    assert (exact.reward - found.reward <= found.gap * np.abs(found.reward) + SAME).all()
    return found


def check_networks(kind, seeds):
    for seed in seeds:
        scenario, state = random_network(kind, seed)
        found = check_certificate(scenario, state, GAPS[seed % 3])
        assert (found.gap <= GAPS[seed % 3] + 1e-9).all()


@pytest.mark.parametrize("kind", KINDS)
def test_small_networks_are_never_below_the_optimum_by_more_than_the_certificate(kind):
    check_networks(kind, range(25))


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_500_small_networks_are_never_below_the_optimum_by_more_than_the_certificate(kind):
    check_networks(kind, range(125))


@pytest.mark.parametrize("kind", KINDS)
def test_a_search_that_is_cut_off_says_so(kind):
    for seed in range(20):
        check_certificate(*random_network(kind, seed), 0, most_boxes=1)


@pytest.mark.parametrize(("reward", "gap"), [("utilization", 1e-3), ("goodput", 1e-2), ("delay", 1e-2)])
def test_two_hundred_overloaded_gateways_get_a_certificate(reward, gap):
    """Goodput and delay make a knapsack problem of it, whose bound stays above the optimum by up to a task's worth."""
    scenario = Scenario.parse({"base": "paper", "sensors": 4000, "gateways": 200, "reward": reward}, "x")
    state = draw_states(scenario, 1, 0)
    found = optimum(scenario, state)
    assert found.gap.max() <= gap
    assert evaluate(scenario, state, found.action).reward == pytest.approx(found.reward, abs=1e-6)


@pytest.mark.parametrize("gap", [-0.1, 1, float("nan")])
def test_a_gap_must_be_a_share(gap):
    scenario = Scenario.load("paper")
    with pytest.raises(OptimizerError, match="--gap"):
        optimum(scenario, draw_states(scenario, 1, 0), gap=gap)
