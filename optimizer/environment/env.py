"""The network as Gymnasium environments, single and natively batched.

    import gymnasium as gym
    import optimizer.environment.env  # registers the ids

    env = gym.make("jopa/Offloading-v0", scenario="paper", sensors=100)
    envs = gym.make_vec("jopa/OffloadingBox-v0", num_envs=4096, vectorization_mode="vector_entry_point")

`jopa/Offloading-v0` takes a dictionary {offload: 0 or 1 a task, model: index a gateway, share: on the simplex};
`jopa/OffloadingBox-v0` a flat array that is decoded as in section IV-A. The observation holds G channel gains and N
criticalities, eq. (18). The next state does not depend on the action, eq. (20), so nothing ever terminates; episodes
are truncated. `info` carries every metric of section V, and what each gateway adds to the reward and drops.
"""

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from optimizer.environment.spaces import action_space, observation_space
from optimizer.errors import OptimizerError
from optimizer.network.codec import Codec, Encoding
from optimizer.network.outcome import Outcome, evaluate
from optimizer.network.scenario import Scenario
from optimizer.network.slots import Action, State, StateSource
from optimizer.network.world import World, play

EPISODE = 1000


def open_scenario(scenario: Scenario | Path | str, sensors: int | None, reward: str | None) -> Scenario:
    """A scenario from an object, a shipped name or a file. Raises OptimizerError."""
    found = scenario if isinstance(scenario, Scenario) else Scenario.load(scenario)
    if sensors is not None:
        found = found.with_sensors(sensors)
    return found if reward is None else found.change(reward=reward)


def slot_metrics(outcome: Outcome) -> dict[str, np.ndarray]:
    """Every metric of section V, one number a slot: ratios are fractions, times seconds, utilizations slots a slot."""
    local, bandwidth, edge = (u.sum(axis=1) for u in outcome.utilization)
    overall = local + bandwidth + edge
    return {
        "local_utilization": local,
        "bandwidth_utilization": bandwidth,
        "edge_utilization": edge,
        "utilization": overall,
        "wasted": sum(u.sum(axis=1) for u in outcome.occupied) - overall,
        "offloading_ratio": outcome.offloading_ratio,
        "drop_ratio": outcome.drop_ratio,
        "late_locally": outcome.dropped_by(outcome.late_locally),
        "inaccurate": outcome.dropped_by(outcome.inaccurate),
        "late_at_edge": outcome.dropped_by(outcome.late_at_edge),
        "edge_slower": outcome.dropped_by(outcome.edge_slower),
        "unsent": outcome.dropped_by(outcome.unsent),
        "accuracy": outcome.accuracy,
        "delay_s": outcome.delay,
        "served": outcome.served,
        "flops": outcome.flops,
    }


def gateway_reports(outcome: Outcome) -> dict[str, np.ndarray]:
    """What each gateway adds to the reward, and how many of its tasks were dropped: at [batch, gateway]."""
    served = (outcome.local_served + outcome.edge_served).sum(axis=2)
    tasks = (outcome.local + outcome.offloaded).sum(axis=2)
    return {"gateway_reward": outcome.worth, "gateway_dropped": tasks - served}


def _check_length(episode_length: int) -> None:
    if not isinstance(episode_length, int) or episode_length < 1:
        raise OptimizerError(f"episode_length: expected at least 1 slot; got {episode_length!r}.")


class _Slots:
    """Drawing states and playing decisions, in the scenario or in another world: what both environments share."""

    scenario: Scenario
    _source: StateSource | None
    _world: World | None
    _true: State | None
    state: State | None
    np_random: np.random.Generator

    def _draw(self) -> State:
        """The next slot as it is shown; `_true` holds its true channel states."""
        assert self._source is not None
        before = self._true
        self._true = self._source.draw()
        stale = self._world is not None and self._world.stale and before is not None
        return State(before.channel, self._true.level) if stale and before is not None else self._true

    def _play(self, action: Action) -> Outcome:
        assert self.state is not None
        assert self._true is not None
        if self._world is None:
            return evaluate(self.scenario, self.state, action)
        return play(self.scenario, self._true, action, self._world, self.np_random)


class OffloadingEnv(_Slots, gym.Env[np.ndarray, Any]):
    """One network, slot by slot.

    Args:
        scenario: A `Scenario`, a shipped name, or a TOML file.
        sensors: N, by default the scenario's.
        reward: "utilization", "goodput", "delay" or "literal", by default the scenario's.
        observation: "scaled" to [0, 1], or "raw" gains.
        episode_length: Slots until an episode is truncated.
        action: "dict" or "box"; the two ids set it.
        world: What really happens where it differs from the scenario, by default nothing.
        render_mode: "rgb_array" draws the last slot as in Fig. 5.

    Raises:
        OptimizerError: A scenario, option or action that cannot be used.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 1}  # noqa: RUF012 - Gymnasium's own attribute

    def __init__(
        self,
        scenario: Scenario | Path | str = "paper",
        sensors: int | None = None,
        reward: str | None = None,
        observation: str = "scaled",
        episode_length: int = EPISODE,
        action: Encoding = "dict",
        render_mode: str | None = None,
        world: World | None = None,
    ) -> None:
        _check_length(episode_length)
        if render_mode not in (None, "rgb_array"):
            raise OptimizerError(f"render_mode: expected None or 'rgb_array'; got {render_mode!r}.")
        self.scenario = open_scenario(scenario, sensors, reward)
        self.render_mode = render_mode
        self.action_space = action_space(self.scenario, action)
        self.observation_space = observation_space(self.scenario, observation)
        self._codec = Codec(self.scenario, action, observation)
        self._episode_length, self._time = episode_length, 0
        self._encoding = action
        self._source: StateSource | None = None
        self._world = world
        self._true: State | None = None
        self.state: State | None = None
        self.last: tuple[State, Action, Outcome] | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """A new episode."""
        super().reset(seed=seed, options=options)
        self._source, self._true = StateSource(self.scenario, 1, self.np_random), None
        self.state, self.last, self._time = self._draw(), None, 0
        return self._codec.observe(self.state)[0], {}

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """One slot."""
        if self._source is None or self.state is None:
            raise OptimizerError("step was called before reset.")
        decoded = self._codec.decode(self._batched(action), 1)
        outcome = self._play(decoded)
        self.last = self.state, decoded, outcome
        self.state = self._draw()
        self._time += 1
        info: dict[str, Any] = {name: float(value[0]) for name, value in slot_metrics(outcome).items()}
        info |= {name: value[0] for name, value in gateway_reports(outcome).items()}
        truncated = self._time >= self._episode_length
        return self._codec.observe(self.state)[0], float(outcome.reward[0]), False, truncated, info

    def _batched(self, action: Any) -> Any:
        if self._encoding == "dict" and isinstance(action, dict):
            return {name: np.asarray(part)[None] for name, part in action.items()}
        return np.asarray(action)[None] if self._encoding == "box" else action

    def render(self) -> Any:
        """The last slot as an RGB array of (height, width, 3) bytes; an empty page before the first step."""
        if self.render_mode is None:
            return None
        from optimizer.environment.picture import empty_image, slot_image  # matplotlib is slow to import

        return slot_image(*self.last) if self.last else empty_image(self.scenario)


class OffloadingVectorEnv(_Slots, VectorEnv[np.ndarray, Any, np.ndarray]):
    """Many independent networks of one scenario, stepped together.

    Takes the arguments of `OffloadingEnv` and `num_envs`. All episodes are truncated together; the step after that
    resets (`AutoresetMode.NEXT_STEP`) and ignores its action.
    """

    metadata = {"render_modes": [], "autoreset_mode": AutoresetMode.NEXT_STEP}  # noqa: RUF012 - Gymnasium's own

    def __init__(
        self,
        num_envs: int = 1,
        scenario: Scenario | Path | str = "paper",
        sensors: int | None = None,
        reward: str | None = None,
        observation: str = "scaled",
        episode_length: int = EPISODE,
        action: Encoding = "dict",
        render_mode: str | None = None,
        world: World | None = None,
    ) -> None:
        _check_length(episode_length)
        if num_envs < 1:
            raise OptimizerError(f"num_envs: expected at least 1; got {num_envs}.")
        if render_mode is not None:
            raise OptimizerError("render_mode: the batched environment draws nothing; use the single one.")
        self.scenario = open_scenario(scenario, sensors, reward)
        self.num_envs, self.render_mode = num_envs, None
        self.single_action_space = action_space(self.scenario, action)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.single_observation_space = observation_space(self.scenario, observation)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self._codec = Codec(self.scenario, action, observation)
        self._episode_length, self._time = episode_length, 0
        self._source: StateSource | None = None
        self._world = world
        self._true: State | None = None
        self.state: State | None = None
        self.last: tuple[State, Action, Outcome] | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """New episodes."""
        super().reset(seed=seed, options=options)
        return self._restart(), {}

    def _restart(self) -> np.ndarray:
        self._source, self._true = StateSource(self.scenario, self.num_envs, self.np_random), None
        self.state, self.last, self._time = self._draw(), None, 0
        return self._codec.observe(self.state)

    def step(self, actions: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """One slot of every network."""
        if self._source is None or self.state is None:
            raise OptimizerError("step was called before reset.")
        no = np.zeros(self.num_envs, np.bool_)
        if self._time >= self._episode_length:
            return self._restart(), np.zeros(self.num_envs), no, no.copy(), {}
        decoded = self._codec.decode(actions, self.num_envs)
        outcome = self._play(decoded)
        self.last = self.state, decoded, outcome
        self.state = self._draw()
        self._time += 1
        info: dict[str, Any] = dict(slot_metrics(outcome)) | gateway_reports(outcome)
        info |= {f"_{name}": ~no for name in tuple(info)}
        truncated = np.full(self.num_envs, self._time >= self._episode_length)
        return self._codec.observe(self.state), outcome.reward, no, truncated, info


for _name, _kind in (("jopa/Offloading-v0", "dict"), ("jopa/OffloadingBox-v0", "box")):
    if _name not in gym.registry:
        gym.register(
            _name,
            entry_point="optimizer.environment.env:OffloadingEnv",
            vector_entry_point="optimizer.environment.env:OffloadingVectorEnv",
            kwargs={"action": _kind},
        )
