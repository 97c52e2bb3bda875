"""Rewards are objects: a new one is solved, paid and checked like those of the paper."""

import dataclasses

import numpy as np
import paper_model
import pytest
from paper_model import best_by_brute_force, random_scenario

from optimizer import OptimizerError, Scenario, draw_states, optimum
from optimizer.network.outcome import evaluate
from optimizer.network.rewards import DELAY, GOODPUT, LITERAL, REWARDS, UTILIZATION, Reward

TOY = Reward("toy", "half the time used, the square of the accuracy, and little patience", 0.5, np.square, -0.3)


@pytest.fixture
def toy(monkeypatch):
    """The recipe for a new reward: an object and a line in the registry."""
    monkeypatch.setitem(REWARDS, TOY.name, TOY)
    monkeypatch.setitem(
        paper_model.GAINS,
        TOY.name,
        lambda busy, delay, accuracy, tasks, slot: 0.5 * busy / slot + (accuracy**2 - 0.3 * delay / slot) / tasks,
    )
    return TOY


@pytest.mark.parametrize("seed", range(12))
def test_a_toy_reward_is_solved_exactly(toy, seed):
    """Brute force over every decision, in plain Python."""
    rng = np.random.default_rng(seed)
    scenario = random_scenario(rng, toy.name, [(2, 2, 2), (3, 1, 2), (4, 2)][seed % 3])
    state = draw_states(scenario, 2, seed)
    found = optimum(scenario, state, 7)
    assert evaluate(scenario, state, found.action).reward == pytest.approx(found.reward, abs=1e-9)
    for b in range(2):
        levels = [[int(k) for k in row[:m]] for row, m in zip(state.level[b], scenario.groups, strict=True)]
        assert found.reward[b] == pytest.approx(
            best_by_brute_force(scenario, state.channel[b].tolist(), levels, 7), abs=1e-9
        )


def test_a_toy_reward_needs_a_penalty_that_makes_serving_pay(toy):
    assert Scenario.load("paper").change(reward="toy").reward == "toy"
    with pytest.raises(OptimizerError, match=r"reward = 'toy' expected at least 0.3, or dropping a task pays; got 0.2"):
        Scenario.load("paper").change(reward="toy", penalty=0.2)


def test_an_unknown_reward_is_told_with_the_registry():
    with pytest.raises(OptimizerError, match=r"reward: expected one of 'utilization', .*REWARDS.*got 'profit'"):
        Scenario.load("paper").change(reward="profit")


def test_a_reward_that_pays_for_delay_is_refused():
    for wrong in ({"busy": -1.0}, {"delay": 0.1}):
        with pytest.raises(ValueError, match="expected busy >= 0 and delay <= 0"):
            dataclasses.replace(TOY, **wrong)


def test_what_the_learner_is_told_of_a_reward():
    """A gain of busy time stands as it is; a mean over tasks is learned per task. Time at the edge pays or costs."""
    assert [r.unit(50) for r in (UTILIZATION, LITERAL, GOODPUT, DELAY)] == [1, 1, 1 / 50, 1 / 50]
    assert [r.edge_sign(50) for r in (UTILIZATION, LITERAL, GOODPUT, DELAY)] == [1, 1, 0, -1]
    assert [r.solvable for r in (UTILIZATION, LITERAL, GOODPUT, DELAY)] == [True, False, True, True]
    assert [r.least_penalty for r in (UTILIZATION, GOODPUT, DELAY)] == [0, 0, 1]
