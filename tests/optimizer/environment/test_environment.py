"""The Gymnasium environments: their contract, the same numbers as the system model, and learning by others' code."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from optimizer import OptimizerError, Scenario, draw_states, optimum
from optimizer.environment.env import OffloadingEnv, OffloadingVectorEnv
from optimizer.environment.spaces import Simplex
from optimizer.network.codec import Codec, box_parts
from optimizer.network.outcome import evaluate

IDS = ["jopa/Offloading-v0", "jopa/OffloadingBox-v0"]
LEVELS = [0.5, 0.2, 0.1, 0.1, 0.05, 0.05]  # probabilities of the criticality levels
SMALL = {"sensors": 10, "episode_length": 5}


def as_dict(scenario, action, b=0):
    return {
        "offload": action.offload[b][scenario.constants.present].astype(np.int8),
        "model": action.model[b],
        "share": action.share[b],
    }


@pytest.mark.parametrize("scenario", ["paper", "paper-heavy"])
@pytest.mark.parametrize("name", IDS)
def test_gymnasiums_checker_passes(name, scenario):
    env = gym.make(name, scenario=scenario, render_mode="rgb_array")
    check_env(env.unwrapped)
    env.close()


@pytest.mark.parametrize("name", IDS)
def test_unequal_groups_pass_the_checker_too(name):
    check_env(gym.make(name, scenario=Scenario.load("paper").change(groups=(3, 1, 2))).unwrapped)


def test_the_observation_is_the_gains_and_criticalities():
    env = OffloadingEnv(sensors=10)
    seen, _ = env.reset(seed=0)
    scenario, state = env.scenario, env.state
    assert seen[:5] == pytest.approx(np.array(scenario.link.gains)[state.channel[0]] / 6e-13)
    assert seen[5:] == pytest.approx(state.level[0].ravel() / 5)
    raw = OffloadingEnv(sensors=10, observation="raw")
    assert raw.reset(seed=0)[0][:5] == pytest.approx(np.array(scenario.link.gains)[state.channel[0]])


def test_a_step_earns_what_the_system_model_says():
    env = gym.make(IDS[0], scenario="paper-heavy", sensors=20)
    env.reset(seed=3)
    inner = env.unwrapped
    for _ in range(10):
        state = inner.state
        found = optimum(inner.scenario, state)
        _, reward, terminated, truncated, info = env.step(as_dict(inner.scenario, found.action))
        outcome = evaluate(inner.scenario, state, found.action)
        assert reward == pytest.approx(found.reward[0], abs=1e-9)
        assert (terminated, truncated) == (False, False)
        assert info["utilization"] == pytest.approx(outcome.overall_utilization[0])
        assert info["delay_s"] == pytest.approx(outcome.delay[0])
        assert info["drop_ratio"] == 0


def test_the_next_state_does_not_depend_on_the_action():
    """Eq. (20)."""
    seen = []
    for choice in range(2):
        env = gym.make(IDS[1], sensors=10)
        env.reset(seed=4)
        action = np.full(env.action_space.shape, 2.0 * choice - 1, np.float32)
        seen.append(np.array([env.step(action)[0] for _ in range(20)]))
    assert np.array_equal(*seen)


@pytest.mark.parametrize("name", IDS)
def test_batched_and_single_steps_earn_the_same(name):
    single = gym.make(name, sensors=15).unwrapped
    batched = gym.make_vec(name, num_envs=6, vectorization_mode="vector_entry_point", sensors=15)
    batched.reset(seed=0)
    batched.action_space.seed(0)
    for _ in range(3):
        actions, states = batched.action_space.sample(), batched.state
        seen, rewards, _, _, info = batched.step(actions)
        for b in range(6):
            one = {k: v[b] for k, v in actions.items()} if isinstance(actions, dict) else actions[b]
            single.reset(seed=0)
            single.state = states[b : b + 1]
            _, reward, _, _, alone = single.step(one)
            assert rewards[b] == pytest.approx(reward)
            for key, value in alone.items():
                assert info[key][b] == pytest.approx(value, nan_ok=True)
                assert info[f"_{key}"].all()
        assert batched.observation_space.contains(seen)


def test_one_batched_network_draws_the_same_slots_as_the_single_one():
    single, batched = OffloadingEnv(sensors=10), OffloadingVectorEnv(1, sensors=10)
    assert np.array_equal(single.reset(seed=5)[0], batched.reset(seed=5)[0][0])
    for _ in range(5):
        action = single.action_space.sample()
        seen = single.step(action)[0]
        together = batched.step({name: part[None] for name, part in action.items()})[0]
        assert np.array_equal(seen, together[0])


def test_a_drawn_slot_follows_the_scenarios_probabilities():
    """Levels by their probabilities and channels by eq. (4), over many slots of many networks."""
    scenario = Scenario.load("paper").change(groups=(3, 3))
    qos = [level.model_copy(update={"probability": p}) for level, p in zip(scenario.qos, LEVELS, strict=True)]
    env = OffloadingVectorEnv(400, scenario.change(qos=tuple(qos)))
    env.reset(seed=0)
    levels, moves = np.zeros(6), np.zeros((3, 3))
    for _ in range(30):
        before = env.state.channel
        levels += np.bincount(env.state.level.ravel(), minlength=6)
        env.step(env.action_space.sample())
        np.add.at(moves, (before, env.state.channel), 1)
    assert levels / levels.sum() == pytest.approx(LEVELS, abs=0.01)
    expected = np.array([[0.3, 0.7, 0.0], [0.25, 0.5, 0.25], [0.0, 0.7, 0.3]])
    assert moves / moves.sum(axis=1, keepdims=True) == pytest.approx(expected, abs=0.02)


def test_episodes_are_truncated_and_the_next_step_resets():
    env = gym.make(IDS[1], **SMALL)
    env.reset(seed=0)
    ends = [env.step(env.action_space.sample())[3] for _ in range(5)]
    assert ends == [False] * 4 + [True]
    batched = gym.make_vec(IDS[1], num_envs=3, vectorization_mode="vector_entry_point", **SMALL)
    batched.reset(seed=0)
    actions = batched.action_space.sample()
    ends = [batched.step(actions)[3].all() for _ in range(5)]
    assert ends == [False] * 4 + [True]
    _, rewards, _, truncated, _ = batched.step(actions)
    assert not rewards.any()
    assert not truncated.any()


def test_gymnasiums_own_vector_environments_accept_it():
    env = gym.make_vec(IDS[0], num_envs=2, vectorization_mode="sync", sensors=10)
    env.reset(seed=0)
    _, rewards, *_ = env.step(env.action_space.sample())
    assert rewards.shape == (2,)


def test_the_flat_action_is_decoded_by_sigmoid_rounding_and_softmax():
    """Section IV-A."""
    scenario = Scenario.load("paper").change(groups=(2, 1))
    codec = Codec(scenario, "box", "scaled")
    raw = np.array([[0.2, -0.2, 1.0, -1.0, 1.0, 0.5, 0.5]], np.float32)
    action = codec.decode(raw, draw_states(scenario, 1, 0))
    assert action.offload[0].tolist() == [[True, False], [True, False]]
    assert action.model[0].tolist() == [0, 5]
    assert action.share[0] == pytest.approx([0.5, 0.5])
    assert [p.shape[1] for p in box_parts(raw, 3, 2)] == [3, 2, 2]
    state = draw_states(scenario, 101, 0)
    raw = np.zeros((101, 7), np.float32)
    raw[:, 3] = np.linspace(-1, 1, 101)
    reachable = set(codec.decode(raw, state).model[:, 0].tolist())
    assert reachable == set(range(6))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"share": np.array([0.5, np.nan])}, "share"),
        ({"share": np.array([0.5, 0.6])}, "sum of 1.1"),
        ({"share": np.array([-0.5, 1.5])}, "share"),
        ({"share": np.ones(3) / 3}, "share: expected shape"),
        ({"model": np.array([0, 6])}, "model: expected whole numbers from 0 to 5"),
        ({"model": np.array([0.5, 1])}, "model"),
        ({"offload": np.array([0, 2, 0])}, "offload: expected 0 or 1"),
        ({"offload": np.zeros(4)}, "offload: expected shape"),
        ({"offload": "all"}, "offload"),
        ({"more": 1}, "offload, model and share"),
    ],
)
def test_dictionary_actions_outside_the_space_are_told(change, message):
    env = OffloadingEnv(Scenario.load("paper").change(groups=(2, 1)))
    env.reset(seed=0)
    good = {"offload": np.zeros(3, np.int8), "model": np.zeros(2, np.int64), "share": np.array([0.5, 0.5])}
    env.step(good)
    with pytest.raises(OptimizerError, match=message):
        env.step(good | change)
    with pytest.raises(OptimizerError, match="dictionary"):
        env.step(np.zeros(7))


@pytest.mark.parametrize(
    ("raw", "message"),
    [(np.full(7, np.nan), "NaN"), (np.full(7, 1.5), "got 1.5"), (np.zeros(6), "expected shape"), ("x", "numbers")],
)
def test_flat_actions_outside_the_space_are_told(raw, message):
    env = OffloadingEnv(Scenario.load("paper").change(groups=(2, 1)), action="box")
    env.reset(seed=0)
    with pytest.raises(OptimizerError, match=message):
        env.step(raw)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"observation": "log"}, "observation"),
        ({"episode_length": 0}, "episode_length"),
        ({"render_mode": "human"}, "render_mode"),
        ({"scenario": "nope"}, "Shipped are"),
        ({"sensors": 2}, "cannot serve 5 gateways"),
    ],
)
def test_wrong_options_are_told(options, message):
    with pytest.raises(OptimizerError, match=message):
        OffloadingEnv(**options)


def test_a_step_before_reset_is_told():
    for env in (OffloadingEnv(action="box"), OffloadingVectorEnv(2, action="box")):
        with pytest.raises(OptimizerError, match="before reset"):
            env.step(env.action_space.sample())
    with pytest.raises(OptimizerError, match="num_envs"):
        OffloadingVectorEnv(0)
    with pytest.raises(OptimizerError, match="draws nothing"):
        OffloadingVectorEnv(2, render_mode="rgb_array")


def test_the_simplex_holds_its_samples_and_little_else():
    space = Simplex((4, 3), seed=0)
    assert all(space.contains(space.sample()) for _ in range(20))
    assert not space.contains(np.full((4, 3), 0.5))
    assert not space.contains(np.full((4, 3), np.nan))
    assert not space.contains([1, 0, 0])


def test_the_picture_shows_the_slot():
    env = OffloadingEnv(Scenario.load("paper").change(groups=(3, 3)), render_mode="rgb_array")
    env.reset(seed=0)
    empty = env.render()
    found = optimum(env.scenario, env.state)
    env.step(as_dict(env.scenario, found.action))
    drawn = env.render()
    assert drawn.shape == empty.shape
    assert drawn.dtype == np.uint8
    assert len(np.unique(drawn.reshape(-1, 3), axis=0)) > len(np.unique(empty.reshape(-1, 3), axis=0)) > 1


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_stable_baselines3_trains_on_the_flat_environment_unchanged():
    from stable_baselines3 import SAC
    from stable_baselines3.common.env_checker import check_env as check_for_sb3

    env = gym.make(IDS[1], sensors=10, episode_length=50)
    check_for_sb3(env)
    learner = SAC("MlpPolicy", env, learning_starts=50, batch_size=32, buffer_size=500, seed=0)
    learner.learn(120)
    seen, _ = env.reset(seed=1)
    action, _ = learner.predict(seen, deterministic=True)
    _, reward, *_ = env.step(action)
    assert np.isfinite(reward)
