"""The exact optimum of networks that can refuse tasks, against brute force, grids and random decisions."""

import numpy as np
import pytest
from factory_model import COEFFICIENTS, GROUPS, best_by_brute_force, random_factory, slot_reward

from optimizer import State, draw_states, optimum
from optimizer.network.checks import check_action
from optimizer.network.outcome import evaluate
from optimizer.network.rewards import REWARDS, Reward

NETWORKS = [("by level", "fifo"), ("by level", "none"), ("one batch", "fifo")]
KINDS = [(*network, reward) for network in NETWORKS for reward in COEFFICIENTS]
EVERY_SEED = range(20)  # for each of the 18 kinds: 360 networks


@pytest.fixture(autouse=True)
def _toys(monkeypatch):
    for name, (busy, answer, delay) in COEFFICIENTS.items():
        if name not in REWARDS:
            monkeypatch.setitem(REWARDS, name, Reward(name, "a toy", busy, answer, delay))


def random_slot(execution, queue, reward, seed):
    """A random network of this kind, and a slot of it in which some sensors may be silent."""
    rng = np.random.default_rng([seed, *map(ord, execution + queue + reward)])
    scenario = random_factory(rng, reward, execution, queue, GROUPS[int(rng.integers(len(GROUPS)))])
    state = draw_states(scenario, 1, seed)
    silent = rng.random(state.level.shape) < rng.choice([0, 0, 0.3, 0.7])
    return rng, scenario, State(state.channel, np.where(silent, np.int8(-1), state.level))


def levels_of(scenario, state):
    return [[int(k) for k in row[:m]] for row, m in zip(state.level[0], scenario.groups, strict=True)]


def earned(scenario, state, found):
    """The reward of an optimum's action, by `evaluate` and by the reference; both must agree."""
    check_action(found.action, state, scenario)
    outcome = evaluate(scenario, state, found.action)
    action, level = found.action, state.level[0]
    fates = [
        ["E" if o else "R" if r else "L" for o, r, k in zip(*rows, strict=True) if k >= 0]
        for rows in zip(action.offload[0], action.refused[0], level, strict=True)
    ]
    alone = slot_reward(
        scenario, state.channel[0].tolist(), levels_of(scenario, state), fates, action.model[0].tolist(),
        action.share[0].tolist(),
    )  # fmt: skip
    assert alone == pytest.approx(outcome.reward[0], abs=1e-9)
    return outcome.reward[0]


def check_network(execution, queue, reward, seed):
    rng, scenario, state = random_slot(execution, queue, reward, seed)
    channel, levels = state.channel[0].tolist(), levels_of(scenario, state)
    steps = int(rng.integers(1, 9))
    on_grid = optimum(scenario, state, steps, threads=1)
    expected = best_by_brute_force(scenario, channel, levels, steps)
    assert on_grid.reward[0] == pytest.approx(expected, abs=1e-9)
    assert on_grid.bound[0] == pytest.approx(expected, abs=2e-9)
    assert earned(scenario, state, on_grid) == pytest.approx(on_grid.reward[0], abs=1e-9)
    exact = optimum(scenario, state, threads=1)
    assert earned(scenario, state, exact) == pytest.approx(exact.reward[0], abs=1e-9)
    assert -1e-12 <= exact.bound[0] - exact.reward[0] <= 2e-9
    assert exact.action.share[0].sum() == pytest.approx(1, abs=1e-9)
    for more in (steps, 40, 600):
        assert optimum(scenario, state, more, threads=1).reward[0] <= exact.reward[0] + 1e-9
    share = rng.dirichlet(np.ones(len(levels)))
    fixed = optimum(scenario, state, fixed=share, threads=1)
    assert (fixed.action.share == share).all()
    assert earned(scenario, state, fixed) == pytest.approx(fixed.reward[0], abs=1e-9)
    assert fixed.reward[0] <= exact.reward[0] + 1e-9
    assert fixed.bound[0] == pytest.approx(fixed.reward[0], abs=1e-9)


@pytest.mark.parametrize("kind", KINDS, ids=", ".join)
def test_small_networks_agree_with_brute_force(kind):
    for seed in (1000, 1001):
        check_network(*kind, seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", EVERY_SEED)
@pytest.mark.parametrize("kind", KINDS, ids=", ".join)
def test_360_small_networks_agree_with_brute_force(kind, seed):
    check_network(*kind, seed)
