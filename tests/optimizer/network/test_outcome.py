"""What becomes of every task, against a task-by-task reference."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from paper_model import random_scenario, slot_reward
from slots_by_hand import PAPER, action, at, small

from optimizer import Action, draw_states
from optimizer.network.outcome import evaluate

REWARDS = ["utilization", "goodput", "delay"]


def test_local_tasks_share_one_batch():
    scenario = small()
    outcome = evaluate(scenario, at(scenario, ("good", "good"), ((0, 0), (0, 0))), action(scenario, [0, 0, 0, 1]))
    assert outcome.local_s[0, :, 0] == pytest.approx([2 * 9e9 / 768e9, 9e9 / 768e9])
    assert outcome.local_utilization[0] == pytest.approx(3 * 9e9 / 768e9)


def test_a_task_offloaded_without_a_share_is_dropped_because_the_edge_is_slower():
    scenario = small()
    state = at(scenario, ("good", "good"), ((0, 0), (0, 0)))
    outcome = evaluate(scenario, state, action(scenario, [1, 0, 1, 0], share=(0.0, 1.0)))
    assert outcome.edge_slower[0].sum(axis=1).tolist() == [1, 0]
    assert outcome.drop_ratio[0] == 0.25
    assert outcome.edge_utilization[0] == pytest.approx(PAPER.constants.edge_task_s / (1 + PAPER.constants.epsilon))
    assert outcome.wasted[0] == pytest.approx(1.0 + scenario.constants.transmission_s[0, 2])


def test_causes_are_told_apart():
    slow = small(groups=(12, 2), gateway={"capacity_flop_per_s": 15e9}, link=dict(PAPER.link) | {"task_bits": 1e6})
    state = at(slow, ("bad", "bad"), ([5] * 12, (5, 0)))
    outcome = evaluate(slow, state, action(slow, [1] * 12 + [0, 0], model=5))
    assert outcome.late_at_edge[0, 0, 5] == 12
    assert outcome.unsent[0, 0, 5] == 12  # the mean position of twelve is past the slot
    assert outcome.late_locally[0, 1].tolist() == [0, 0, 0, 0, 0, 1]
    assert outcome.inaccurate[0, 1].tolist() == [0, 0, 0, 0, 0, 1]
    assert outcome.local_served[0, 1].tolist() == [1, 0, 0, 0, 0, 0]


def test_an_offloaded_task_has_the_complete_models_accuracy():
    """Errata row 11."""
    scenario = small()
    state = at(scenario, ("good", "good"), ((5, 5), (5, 5)))
    outcome = evaluate(scenario, state, action(scenario, [1, 1, 1, 1], model=5))
    assert (outcome.accuracy[0], outcome.drop_ratio[0]) == (1.0, 0.0)


def test_dropped_tasks_count_only_in_the_literal_reward():
    """Errata row 10: starving a gateway pays there."""
    scenario, literal = PAPER, PAPER.change(reward="literal")
    state = draw_states(scenario, 50, seed=0)
    starve = Action(state.level >= 0, np.zeros((50, 5), np.int64), np.tile([0.0, 0.25, 0.25, 0.25, 0.25], (50, 1)))
    honest, exploited = evaluate(scenario, state, starve), evaluate(literal, state, starve)
    assert honest.reward.mean() < -19
    assert exploited.reward.mean() > honest.reward.mean() + 19
    assert (exploited.reward - honest.reward) == pytest.approx(honest.wasted)


def test_the_literal_reward_is_exploited_by_starving_a_gateway_of_40():
    """Errata row 10: 20 % dropped and still more than the honest optimum's 2.9."""
    literal = PAPER.with_sensors(200).change(reward="literal")
    state = draw_states(literal, 50, seed=0)
    starve = Action(state.level >= 0, np.zeros((50, 5), np.int64), np.tile([0.0, 0.25, 0.25, 0.25, 0.25], (50, 1)))
    outcome = evaluate(literal, state, starve)
    assert outcome.drop_ratio.mean() == pytest.approx(0.2, abs=0.01)
    assert outcome.reward.mean() > 15


@pytest.mark.parametrize("reward", REWARDS)
@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_a_batch_of_slots_earns_what_the_equations_say_task_by_task(reward, seed):
    rng = np.random.default_rng(seed)
    groups = tuple(int(x) for x in rng.integers(1, 6, rng.integers(1, 4)))
    scenario = random_scenario(rng, reward, groups)
    state = draw_states(scenario, 4, seed)
    offload = (rng.random(state.level.shape) < 0.5) & (state.level >= 0)
    made = Action(
        offload, rng.integers(0, len(scenario.models), (4, len(groups))), rng.dirichlet(np.ones(len(groups)), 4)
    )
    outcome = evaluate(scenario, state, made)
    for b in range(4):
        levels = [[int(k) for k in row[:m]] for row, m in zip(state.level[b], groups, strict=True)]
        sent = [[bool(x) for x in row[:m]] for row, m in zip(offload[b], groups, strict=True)]
        expected = slot_reward(
            scenario, state.channel[b].tolist(), levels, sent, made.model[b].tolist(), made.share[b].tolist()
        )
        assert outcome.reward[b] == pytest.approx(expected, abs=1e-9)


def test_delays_and_fates_of_single_tasks_agree_with_the_counts():
    scenario = PAPER.change(groups=(5, 3, 1))
    state = draw_states(scenario, 20, seed=3)
    rng = np.random.default_rng(0)
    offload = (rng.random(state.level.shape) < 0.5) & (state.level >= 0)
    made = Action(offload, rng.integers(0, 6, (20, 3)), np.full((20, 3), 1 / 3))
    outcome = evaluate(scenario, state, made)
    served = outcome.served_tasks(state, made)
    delays = outcome.delay_of_tasks(state, made)
    assert served.sum(axis=(1, 2)) == pytest.approx(outcome.served)
    assert np.where(served, delays, 0).sum(axis=(1, 2)) == pytest.approx(outcome.total_delay)
    assert np.isnan(delays[state.level < 0]).all()
    assert outcome.delay_quantile(0.5) == pytest.approx(np.quantile(delays[served], 0.5, method="inverted_cdf"))
    assert outcome.delay_quantile(0.99) == pytest.approx(np.quantile(delays[served], 0.99, method="inverted_cdf"))
