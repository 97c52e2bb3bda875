"""A sensor without a task in a slot: it is neither served nor dropped, and the optimum is still the optimum."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from paper_model import best_by_brute_force, random_scenario, slot_reward

from optimizer import Action, Scenario, State, draw_states, make_scheme, optimum, summarise
from optimizer.environment import OffloadingEnv
from optimizer.network.checks import check_action
from optimizer.network.outcome import evaluate
from optimizer.schemes.registry import SCHEMES

PAPER = Scenario.load("paper")
REWARDS = ["utilization", "goodput", "delay"]


def silenced(state, rng, share=0.4):
    """The same slots with some sensors silent."""
    return State(state.channel, np.where(rng.random(state.level.shape) < share, np.int8(-1), state.level))


def levels_of(scenario, state, b):
    return [[int(k) for k in row[:m]] for row, m in zip(state.level[b], scenario.groups, strict=True)]


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), reward=st.sampled_from(REWARDS))
def test_the_optimum_with_silent_sensors_agrees_with_brute_force(seed, reward):
    """A gateway may be silent altogether, and so may a whole slot."""
    rng = np.random.default_rng(seed)
    scenario = random_scenario(rng, reward, [(2, 2, 2), (3, 1, 2), (4, 2)][seed % 3])
    state = silenced(draw_states(scenario, 2, seed), rng, rng.choice([0.3, 0.7, 1.0]))
    found = optimum(scenario, state, 6, threads=1)
    check_action(found.action, state, scenario)
    outcome = evaluate(scenario, state, found.action)
    assert outcome.reward == pytest.approx(found.reward, abs=1e-9)
    exact = optimum(scenario, state, threads=1)
    assert (exact.reward >= found.reward - 1e-9).all()
    assert evaluate(scenario, state, exact.action).reward == pytest.approx(exact.reward, abs=1e-9)
    for b in range(2):
        channel, levels = state.channel[b].tolist(), levels_of(scenario, state, b)
        assert found.reward[b] == pytest.approx(best_by_brute_force(scenario, channel, levels, 6), abs=1e-9)
        offload = [[bool(x) for x in row[:m]] for row, m in zip(found.action.offload[b], scenario.groups, strict=True)]
        alone = slot_reward(
            scenario, channel, levels, offload, found.action.model[b].tolist(), found.action.share[b].tolist()
        )
        assert alone == pytest.approx(found.reward[b], abs=1e-9)


@pytest.mark.parametrize("reward", REWARDS)
def test_no_scheme_beats_the_optimum_with_silent_sensors(reward):
    scenario = PAPER.change(groups=(3, 2), reward=reward)
    state = silenced(draw_states(scenario, 8, seed=0), np.random.default_rng(0))
    best = optimum(scenario, state).reward
    for name in SCHEMES:
        action = make_scheme(name, scenario, 20 if name == "exhaustive" else "exact").decide(state)
        check_action(action, state, scenario)
        assert (evaluate(scenario, state, action).reward <= best + 1e-9).all(), name


def test_a_silent_gateway_leaves_the_others_as_they_are_without_it():
    """The link's shares are fixed by the sensors, so a gateway of silent sensors changes nothing for the others."""
    scenario = PAPER.change(groups=(4, 4))
    state = draw_states(scenario, 10, seed=1)
    level = state.level.copy()
    level[:, 1] = -1
    quiet = State(state.channel, level)
    share = np.tile([1.0, 0.0], (10, 1))
    action = Action(np.zeros(level.shape, bool), np.full((10, 2), 2), share)
    outcome = evaluate(scenario, quiet, action)
    both = evaluate(scenario, state, action)
    assert outcome.tasks.tolist() == [4.0] * 10
    assert (outcome.local_served[:, 0] == both.local_served[:, 0]).all()
    assert (outcome.local[:, 1] == 0).all()
    assert outcome.drop_ratio == pytest.approx(1 - both.local_served[:, 0].sum(axis=1) / 4)


def test_a_slot_without_any_task_is_worth_nothing_and_has_ratios_of_0():
    state = State(np.zeros((3, 5), np.int8), np.full((3, 5, 20), -1, np.int8))
    found = optimum(PAPER, state)
    outcome = evaluate(PAPER, state, found.action)
    for figure in (found.reward, outcome.reward, outcome.drop_ratio, outcome.offloading_ratio, outcome.flops):
        assert figure.tolist() == [0.0] * 3
    assert outcome.dropped_by(outcome.late_locally).tolist() == [0.0] * 3
    summary = summarise(outcome)
    assert (summary.reward, summary.drop_ratio, summary.delay_s) == (0, 0, None)


def test_the_environment_sees_a_silent_sensor_as_the_least_critical_and_ignores_what_is_decided_for_it():
    scenario = PAPER.change(groups=(2, 1))
    env = OffloadingEnv(scenario)
    env.reset(seed=0)
    level = np.array([[[5, -1], [3, -1]]], np.int8)
    env.state = State(np.zeros((1, 2), np.int8), level)
    assert env.slots.observe()[0, 2:] == pytest.approx([1.0, 0.0, 0.6])
    everything = {"offload": np.ones(3, np.int8), "model": np.zeros(2, np.int64), "share": np.array([0.5, 0.5])}
    _, _, _, _, info = env.step(everything)
    assert env.last[1].offload.tolist() == [[[True, False], [True, False]]]
    assert info["offloading_ratio"] == 1
    assert info["drop_ratio"] == 0
    assert info["served"] == 2
