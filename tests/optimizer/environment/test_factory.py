"""The environments of a factory's network: refused tasks, a model for each level, and when each level was answered."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from optimizer import OptimizerError, Scenario, draw_states, evaluate
from optimizer.environment.env import OffloadingEnv, OffloadingVectorEnv
from optimizer.environment.spaces import action_space
from optimizer.network.codec import Codec, numbers_of
from optimizer.network.slots import PADDING

IDS = ["jopa/Offloading-v0", "jopa/OffloadingBox-v0"]
PAPER = Scenario.load("paper").change(groups=(3, 1, 2), reward="service")
KINDS = [("by level", "fifo"), ("by level", "none"), ("one batch", "fifo")]


def network(execution="by level", queue="fifo"):
    return PAPER.change(
        gateway=PAPER.gateway.model_copy(update={"execution": execution}),
        edge=PAPER.edge.model_copy(update={"queue": queue}),
    )


@pytest.mark.parametrize(("execution", "queue"), KINDS)
@pytest.mark.parametrize("name", IDS)
def test_gymnasiums_checker_passes(name, execution, queue):
    env = gym.make(name, scenario=network(execution, queue), render_mode="rgb_array")
    check_env(env.unwrapped)
    env.close()


def test_the_space_has_a_model_for_each_level_and_tasks_can_be_refused():
    space = action_space(network(), "dict")
    assert set(space) == {"offload", "refuse", "model", "share"}
    assert space["model"].shape == (3, 6)
    assert space["refuse"].shape == (6,)
    assert action_space(network("one batch"), "dict")["model"].shape == (3,)
    assert set(action_space(PAPER, "dict")) == {"offload", "model", "share"}
    assert action_space(network(), "box").shape == (6 + 18 + 3 + 6,)
    assert action_space(PAPER, "box").shape == (6 + 2 * 3,)


def test_a_refused_task_is_not_sent_and_nothing_is_decided_where_there_is_no_task():
    scenario = network()
    codec, state = Codec(scenario, "dict", "scaled"), draw_states(scenario, 1, 0)
    state.level[0, 0, 1] = PADDING
    every = {
        "offload": np.array([[1, 1, 0, 1, 0, 0]]),
        "refuse": np.array([[0, 1, 0, 1, 1, 0]]),
        "model": np.arange(18).reshape(1, 3, 6) % 6,
        "share": np.full((1, 3), 1 / 3),
    }
    action = codec.decode(every, state)
    assert action.offload[0].tolist() == [[True, False, False], [False, False, False], [False, False, False]]
    assert action.refused[0].tolist() == [[False, False, False], [True, False, False], [True, False, False]]
    assert (action.model == every["model"]).all()


def test_the_flat_action_refuses_with_its_last_numbers():
    scenario = network()
    codec, state = Codec(scenario, "box", "scaled"), draw_states(scenario, 1, 0)
    raw = np.full((1, numbers_of(scenario)), -1.0, np.float32)
    raw[0, [0, 6, -6, -1]] = 1.0  # send the first task, last model for the first level, refuse first and last task
    action = codec.decode(raw, state)
    assert not action.offload.any()
    assert action.refused[0].tolist() == [[True, False, False], [False, False, False], [False, True, False]]
    assert action.model[0].tolist() == [[5, 0, 0, 0, 0, 0], [0] * 6, [0] * 6]
    assert action.share[0] == pytest.approx(np.full(3, 1 / 3))


@pytest.mark.parametrize(("execution", "queue"), KINDS)
@pytest.mark.parametrize("encoding", ["dict", "box"])
def test_a_step_earns_what_the_system_model_says(encoding, execution, queue):
    scenario = network(execution, queue)
    env = OffloadingVectorEnv(20, scenario, action=encoding)
    env.reset(seed=1)
    env.action_space.seed(2)
    _, reward, _, _, info = env.step(env.action_space.sample())
    state, action, _ = env.last
    outcome = evaluate(scenario, state, action)
    assert np.array_equal(reward, outcome.reward)
    assert outcome.refused.sum() > 0
    delays, served = outcome.delay_of_tasks(state, action), outcome.served_tasks(state, action)
    for b, g, k in np.ndindex(20, 3, 6):
        own = state.level[b, g] == k
        sent, kept = own & action.offload[b, g], own & ~action.offload[b, g] & ~action.refused[b, g]
        assert (info["level_local_s"][b, g, k] > 0) == kept.any()
        assert (info["level_edge_first_s"][b, g, k] > 0) == sent.any()
        if kept.any():
            assert delays[b, g][kept] == pytest.approx(info["level_local_s"][b, g, k])
        if sent.any():
            assert delays[b, g][sent].min() == pytest.approx(info["level_edge_first_s"][b, g, k])
            assert delays[b, g][sent].max() == pytest.approx(info["level_edge_last_s"][b, g, k])
        assert served[b, g][kept].sum() == info["level_local_served"][b, g, k]
        assert served[b, g][sent].sum() == info["level_edge_served"][b, g, k]


def test_the_papers_environment_reports_no_levels():
    env = OffloadingEnv(PAPER)
    env.reset(seed=0)
    assert not [name for name in env.step(env.action_space.sample())[-1] if name.startswith("level_")]


def test_wrong_actions_are_told():
    env = OffloadingEnv(network())
    env.reset(seed=0)
    env.action_space.seed(0)
    good = env.action_space.sample()
    env.step(good)
    with pytest.raises(OptimizerError, match="refuse: expected 0 or 1"):
        env.step(good | {"refuse": np.full(6, 2)})
    with pytest.raises(OptimizerError, match=r"model: expected shape \(1, 3, 6\)"):
        env.step(good | {"model": np.zeros(3, np.int64)})
    with pytest.raises(OptimizerError, match="offload, model, share and refuse"):
        env.step({name: part for name, part in good.items() if name != "refuse"})


def test_the_picture_says_how_many_are_refused():
    env = OffloadingEnv(network(), render_mode="rgb_array")
    env.reset(seed=0)
    env.action_space.seed(0)
    env.step(env.action_space.sample())
    assert env.render().dtype == np.uint8
