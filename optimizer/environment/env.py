"""The network as Gymnasium environments, single and natively batched.

    import gymnasium as gym
    import optimizer.environment  # registers the ids

    env = gym.make("jopa/Offloading-v0", scenario="paper", sensors=100)
    envs = gym.make_vec("jopa/OffloadingBox-v0", num_envs=4096, vectorization_mode="vector_entry_point")

`jopa/Offloading-v0` takes a dictionary: `offload` (0 or 1 for each task), `model` (an index for each gateway) and
`share` (on the simplex). In a factory's network it takes `refuse` too (0 or 1 for each task), and by level a model for
each gateway and level. `jopa/OffloadingBox-v0` takes a flat array that is decoded as in section IV-A. The observation
holds G channel gains and N criticalities, eq. (18). The next state does not depend on the action, eq. (20), so nothing
ever terminates; episodes are truncated. `info` carries every metric of section V, and what each gateway adds to the
reward and drops; in a factory's network also when the tasks of each gateway and level were answered.
"""

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from optimizer.environment.stream import SlotStream
from optimizer.errors import OptimizerError
from optimizer.network.metrics import METRICS
from optimizer.network.outcome import Outcome
from optimizer.network.scenario import Scenario
from optimizer.network.slots import Action, State


def slot_metrics(outcome: Outcome) -> dict[str, np.ndarray]:
    """Every metric of `network.metrics.METRICS`, one number per slot."""
    return {name: metric.each_slot(outcome) for name, metric in METRICS.items()}


def gateway_reports(outcome: Outcome) -> dict[str, np.ndarray]:
    """What each gateway adds to the reward, and how many of its tasks were dropped: at [batch, gateway]."""
    served = (outcome.local_served + outcome.edge_served).sum(axis=2)
    tasks = outcome.tasks_of_level.sum(axis=2)
    reports = {"gateway_reward": outcome.worth, "gateway_dropped": tasks - served}
    return reports | (level_reports(outcome) if outcome.scenario.can_refuse else {})


def level_reports(outcome: Outcome) -> dict[str, np.ndarray]:
    """When the tasks of each level were answered, and how many were served: at [batch, gateway, level].

    A gateway sees this of its own tasks: `level_local_s` is the delay of a level's local tasks, `level_edge_first_s`
    and `level_edge_last_s` are the delays of the first and the last one that it sent; 0 where there was none.
    """
    sent = outcome.offloaded
    last = outcome.edge_path_s + outcome.edge_spacing_s[..., None] * (sent - 1)
    return {
        "level_local_s": np.where(outcome.local > 0, outcome.local_s, 0.0),
        "level_edge_first_s": np.where(sent > 0, outcome.edge_path_s, 0.0),
        "level_edge_last_s": np.where(sent > 0, last, 0.0),
        "level_local_served": outcome.local_served,
        "level_edge_served": outcome.edge_served,
    }


class _Streaming:
    """What the single and the batched environment show of their slots."""

    slots: SlotStream

    @property
    def scenario(self) -> Scenario:
        """The network."""
        return self.slots.scenario

    @property
    def state(self) -> State | None:
        """The current slot of every network (a batch of one in the single environment); None before the first episode.

        Set it to put the networks in states of your own.
        """
        return self.slots.state

    @state.setter
    def state(self, state: State) -> None:
        self.slots.state = state

    @property
    def last(self) -> tuple[State, Action, Outcome] | None:
        """State, action and outcome of the last slot; None before the first step."""
        return self.slots.last


class OffloadingEnv(_Streaming, gym.Env[np.ndarray, Any]):
    """One network, slot by slot.

    Args:
        scenario: A `Scenario`, a shipped name, or a TOML file.
        render_mode: "rgb_array" draws the last slot as in Fig. 5.
        options: The other options of `SlotStream`: `sensors`, `reward`, `observation`, `episode_length`, `action` (the
            two ids set it) and `world`.

    Raises:
        OptimizerError: A scenario, option or action that cannot be used.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 1}  # noqa: RUF012 - Gymnasium's own attribute

    def __init__(
        self, scenario: Scenario | Path | str = "paper", *, render_mode: str | None = None, **options: Any
    ) -> None:
        if render_mode not in (None, "rgb_array"):
            raise OptimizerError(f"render_mode: expected None or 'rgb_array'; got {render_mode!r}.")
        self.slots = SlotStream(scenario, 1, **options)
        self.render_mode = render_mode
        self.action_space = self.slots.action_space
        self.observation_space = self.slots.observation_space

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begin an episode."""
        super().reset(seed=seed, options=options)
        return self.slots.restart(self.np_random)[0], {}

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Carry out one slot."""
        outcome = self.slots.step(self._batched(action))
        info: dict[str, Any] = {name: float(value[0]) for name, value in slot_metrics(outcome).items()}
        info |= {name: value[0] for name, value in gateway_reports(outcome).items()}
        return self.slots.observe()[0], float(outcome.reward[0]), False, self.slots.ended, info

    def _batched(self, action: Any) -> Any:
        if self.slots.encoding == "dict" and isinstance(action, dict):
            return {name: np.asarray(part)[None] for name, part in action.items()}
        return np.asarray(action)[None] if self.slots.encoding == "box" else action

    def render(self) -> Any:
        """The last slot as an RGB array of (height, width, 3) bytes; an empty page before the first step."""
        if self.render_mode is None:
            return None
        from optimizer.environment.picture import empty_image, slot_image  # matplotlib is slow to import

        return slot_image(*self.last) if self.last else empty_image(self.scenario)


class OffloadingVectorEnv(_Streaming, VectorEnv[np.ndarray, Any, np.ndarray]):
    """Many independent networks of one scenario, stepped together.

    All episodes are truncated together; the step after that resets (`AutoresetMode.NEXT_STEP`) and ignores its action.

    Args:
        num_envs: Number of networks.
        scenario: A `Scenario`, a shipped name, or a TOML file.
        render_mode: None; only the single environment draws.
        options: The other options of `SlotStream`, as for `OffloadingEnv`.

    Raises:
        OptimizerError: A scenario, option or action that cannot be used.
    """

    metadata = {"render_modes": [], "autoreset_mode": AutoresetMode.NEXT_STEP}  # noqa: RUF012 - Gymnasium's own

    def __init__(
        self,
        num_envs: int = 1,
        scenario: Scenario | Path | str = "paper",
        *,
        render_mode: str | None = None,
        **options: Any,
    ) -> None:
        if num_envs < 1:
            raise OptimizerError(f"num_envs: expected at least 1; got {num_envs}.")
        if render_mode is not None:
            raise OptimizerError("render_mode: the batched environment draws nothing; use the single one.")
        self.slots = SlotStream(scenario, num_envs, **options)
        self.num_envs, self.render_mode = num_envs, None
        self.single_action_space = self.slots.action_space
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.single_observation_space = self.slots.observation_space
        self.observation_space = batch_space(self.single_observation_space, num_envs)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begin an episode of every network."""
        super().reset(seed=seed, options=options)
        return self.slots.restart(self.np_random), {}

    def step(self, actions: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Carry out one slot of every network."""
        no = np.zeros(self.num_envs, np.bool_)
        if self.slots.state is not None and self.slots.ended:
            return self.slots.restart(self.np_random), np.zeros(self.num_envs), no, no.copy(), {}
        outcome = self.slots.step(actions)
        info: dict[str, Any] = slot_metrics(outcome) | gateway_reports(outcome)
        info |= {f"_{name}": ~no for name in tuple(info)}
        truncated = np.full(self.num_envs, self.slots.ended)
        return self.slots.observe(), outcome.reward, no, truncated, info


for _name, _encoding in (("jopa/Offloading-v0", "dict"), ("jopa/OffloadingBox-v0", "box")):
    if _name not in gym.registry:
        gym.register(
            _name,
            entry_point="optimizer.environment.env:OffloadingEnv",
            vector_entry_point="optimizer.environment.env:OffloadingVectorEnv",
            kwargs={"action": _encoding},
        )
