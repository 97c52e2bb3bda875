"""The system model against the paper's own numbers and a task-by-task reference."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from paper_model import random_scenario, slot_reward

from optimizer import Action, OptimizerError, Scenario, State, draw_states
from optimizer.network.checks import check_action, check_state
from optimizer.network.constants import uplink_rate
from optimizer.network.equations import queueing_delay, tasks_ahead
from optimizer.network.outcome import evaluate
from optimizer.network.readings import parse_states
from optimizer.network.slots import send_first

PAPER = Scenario.load("paper")
REWARDS = ["utilization", "goodput", "delay"]


def action(scenario, offload, model=0, share=None):
    """One slot's action: flat offloading decisions, one model, equal or given shares."""
    mask = np.zeros((1, scenario.gateways, scenario.width), bool)
    mask[0][scenario.constants.present] = offload
    shares = np.full((1, scenario.gateways), 1 / scenario.gateways) if share is None else np.array([share], float)
    return Action(mask, np.full((1, scenario.gateways), model), shares)


def small(groups=(2, 2), **changes):
    return PAPER.change(groups=groups, **changes)


def at(scenario, channel, levels):
    """One slot's state: a channel name a gateway, level indices a gateway."""
    level = np.full((1, scenario.gateways, scenario.width), -1, np.int8)
    for g, row in enumerate(levels):
        level[0, g, : len(row)] = row
    return State(np.array([[scenario.link.states.index(c) for c in channel]], np.int8), level)


# The paper's numbers and errata.


def test_the_whole_bands_rate_is_the_papers_5_68_mbit_per_s():
    assert PAPER.constants.max_rate == pytest.approx(5.68e6, rel=2e-3)


def test_the_printed_noise_gives_0_817_mbit_per_s_instead():
    """Errata row 1."""
    one = np.ones(1)
    assert uplink_rate(6e-13 * one, one, one, 5e6, 1e-18)[0] == pytest.approx(0.817e6, rel=1e-3)


def test_a_mini_slot_takes_2_88_ms_and_347_fill_a_slot():
    """Errata rows 2 and 5; with 64,000 bit it would be 89."""
    assert PAPER.constants.minislot_s == pytest.approx(2.881e-3, rel=1e-3)
    assert 1 / PAPER.constants.minislot_s == pytest.approx(347.1, abs=0.1)
    assert PAPER.constants.max_rate / 64_000 == pytest.approx(88.9, abs=0.1)


def test_rates_sending_times_and_holds_of_the_three_channel_states():
    tables = PAPER.constants
    assert tables.rate[0] == pytest.approx([1.585e6, 2.322e6, 2.807e6], rel=1e-3)
    assert tables.transmission_s[0] * 1e3 == pytest.approx([10.3, 7.1, 5.8], abs=0.06)
    assert tables.hold_s[0] * 1e3 == pytest.approx([11.5, 8.6, 8.6], abs=0.06)
    assert tables.minislots[0].tolist() == [4, 3, 3]


def test_no_share_of_the_edge_means_a_whole_slot_a_task():
    """Errata row 4: the printed epsilon of 5e-13 is a lost giga."""
    assert PAPER.constants.epsilon == pytest.approx(4.92e-4, rel=1e-3)
    assert PAPER.constants.edge_task_s / PAPER.constants.epsilon == 1.0


def test_channel_states_settle_where_the_markov_chain_leaves_them_alone():
    pi = PAPER.constants.stationary
    assert pi @ PAPER.constants.transitions == pytest.approx(pi)
    states = draw_states(PAPER, 4000, seed=0)
    assert np.bincount(states.channel.ravel(), minlength=3) / states.channel.size == pytest.approx(pi, abs=0.02)
    assert np.bincount(states.level.ravel(), minlength=6) / states.level.size == pytest.approx([1 / 6] * 6, abs=0.01)


def test_bad_channels_never_turn_good_in_one_slot():
    channel = draw_states(PAPER, 3000, seed=1).channel
    assert not ((channel[:-1] == 0) & (channel[1:] == 2)).any()
    moved = channel[1:][channel[:-1] == 1]
    assert np.bincount(moved, minlength=3) / len(moved) == pytest.approx([0.25, 0.5, 0.25], abs=0.02)


# Queueing.


def test_single_offloaded_task_waits_for_nobody():
    """Errata row 7: the printed eq. (11) would give -delta * tau / 2."""
    waits = queueing_delay(np.array([[[0, 0, 1]]]), np.array([[0.01]]))
    assert waits[0, 0].tolist() == [0, 0, 0]


def test_equals_share_the_mean_of_their_positions_behind_the_more_critical():
    offloaded = np.array([[[2, 3, 1]]])
    assert tasks_ahead(offloaded)[0, 0].tolist() == [4, 1, 0]
    assert queueing_delay(offloaded, np.array([[0.01]]))[0, 0] == pytest.approx([0.045, 0.02, 0.0])


@given(st.lists(st.integers(0, 6), min_size=1, max_size=6))
def test_the_positions_of_a_queue_add_up_to_those_of_its_places(counts):
    waits = queueing_delay(np.array([[counts]]), np.array([[1.0]]))[0, 0]
    sent = sum(counts)
    assert float(waits @ counts) == pytest.approx(sent * (sent - 1) / 2)


# What becomes of a slot.


def test_local_tasks_share_one_batch():
    scenario = small()
    outcome = evaluate(scenario, at(scenario, ("good", "good"), ((0, 0), (0, 0))), action(scenario, [0, 0, 0, 1]))
    assert outcome.local_s[0] == pytest.approx([2 * 9e9 / 768e9, 9e9 / 768e9])
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
    served = outcome.served_tasks(state, offload)
    delays = outcome.delay_of_tasks(state, offload)
    assert served.sum(axis=(1, 2)) == pytest.approx(outcome.served)
    assert np.where(served, delays, 0).sum(axis=(1, 2)) == pytest.approx(outcome.total_delay)
    assert np.isnan(delays[state.level < 0]).all()
    assert outcome.delay_quantile(0.5) == pytest.approx(np.quantile(delays[served], 0.5, method="inverted_cdf"))
    assert outcome.delay_quantile(0.99) == pytest.approx(np.quantile(delays[served], 0.99, method="inverted_cdf"))


def test_unequal_groups_share_the_band_in_proportion():
    scenario = PAPER.change(groups=(30, 10))
    share = np.array([0.75])
    expected = uplink_rate(np.array([6e-13]), share, np.ones(1), 5e6, 1e-19)[0]
    assert scenario.constants.rate[0, 2] == pytest.approx(expected)


# States and actions that do not fit.


def changed(made, **changes):
    return dataclasses.replace(made, **changes)


def test_actions_outside_their_space_are_refused():
    scenario = small()
    state = at(scenario, ("good", "bad"), ((0, 1), (2, 3)))
    good = action(scenario, [1, 0, 0, 0])
    check_action(good, state, scenario)
    nan = np.array([[np.nan, 1.0]])
    for bad, message in [
        (changed(good, share=nan), "NaN"),
        (changed(good, share=np.array([[0.5, 0.6]])), "sum of 1.1"),
        (changed(good, share=np.array([[-0.5, 1.5]])), "at least 0"),
        (changed(good, model=np.array([[0, 6]])), "from 0 to 5"),
        (action(small(groups=(3, 3)), [0] * 6), "offload: expected shape"),
    ]:
        with pytest.raises(OptimizerError, match=message):
            check_action(bad, state, scenario)


def test_states_that_do_not_fit_are_refused():
    scenario = PAPER.change(groups=(2, 1))
    good = draw_states(scenario, 3, 0)
    check_state(good, scenario)
    for bad, message in [
        (State(good.channel, good.level[:, :, :1]), "expected level of shape"),
        (State(np.full_like(good.channel, 3), good.level), "channel states"),
        (State(good.channel, np.zeros_like(good.level)), "must be -1 where"),
        (State(good.channel, np.where(good.level >= 0, np.int8(6), np.int8(-1))), "below 6"),
    ]:
        with pytest.raises(OptimizerError, match=message):
            check_state(bad, scenario)


def test_slots_given_by_hand_name_the_place_that_is_wrong():
    scenario = PAPER.change(groups=(2, 1))
    slot = {"channel": ["good", "bad"], "criticality": [[0.2, 1.0], [0]]}
    state = parse_states({"slots": [slot]}, scenario, "x")
    assert (state.channel.tolist(), state.level.tolist()) == ([[2, 0]], [[[1, 5], [0, -1]]])
    for content, message in [
        ([], "slots"),
        ({"slots": []}, "at least one"),
        ({"slots": [slot], "more": 1}, "slots"),
        ({"slots": [slot | {"x": 1}]}, "slots.0: expected the keys"),
        ({"slots": [slot | {"channel": ["good"]}]}, "slots.0.channel: expected one entry"),
        ({"slots": [slot | {"channel": ["good", "fair"]}]}, "slots.0.channel.1: expected one of bad"),
        ({"slots": [slot | {"channel": ["good", None]}]}, "slots.0.channel.1"),
        ({"slots": [slot | {"criticality": [[0.2], [0]]}]}, "slots.0.criticality.0: expected 2 tasks, got 1"),
        ({"slots": [slot | {"criticality": [[0.2, 0.3], [0]]}]}, "slots.0.criticality.0.1: expected a criticality"),
        ({"slots": [slot | {"criticality": [[0.2, True], [0]]}]}, "slots.0.criticality.0.1"),
    ]:
        with pytest.raises(OptimizerError, match=message):
            parse_states(content, scenario, "x")


def test_the_first_tasks_of_each_level_are_sent():
    level = np.array([[[1, 0, 1, 1, -1]]], np.int8)
    assert send_first(level, np.array([[[1, 2]]]))[0, 0].tolist() == [True, True, True, False, False]
