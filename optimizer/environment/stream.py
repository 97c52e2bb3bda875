"""The slots that an environment steps through: states are drawn, shown and decided, and decisions carried out."""

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from jaxtyping import Float32

from optimizer.environment.spaces import action_space, observation_space
from optimizer.errors import OptimizerError
from optimizer.network.codec import Codec, Encoding
from optimizer.network.outcome import Outcome, evaluate
from optimizer.network.scenario import Scenario
from optimizer.network.slots import Action, State, StateSource
from optimizer.network.world import World, play

EPISODE = 1000


def open_scenario(scenario: Scenario | Path | str, sensors: int | None, reward: str | None) -> Scenario:
    """A scenario from an object, a shipped name or a file, with another size or reward if one is given.

    Raises:
        OptimizerError: No such scenario, or a size or reward that it cannot have.
    """
    found = scenario if isinstance(scenario, Scenario) else Scenario.load(scenario)
    if sensors is not None:
        found = found.with_sensors(sensors)
    return found if reward is None else found.change(reward=reward)


class SlotStream:
    """Independent networks of one scenario, stepped together slot by slot.

    Args:
        scenario: A `Scenario`, a shipped name, or a TOML file.
        networks: Number of independent networks, the batch.
        sensors: Number of sensors, N; by default the scenario's.
        reward: A name in `network.rewards.REWARDS`; by default the scenario's.
        observation: "scaled" shows channel gains as fractions of the best one, "raw" as they are.
        episode_length: Number of slots in an episode.
        action: Encoding of actions, "dict" or "box".
        world: What really happens where it differs from the scenario; by default nothing differs.

    Attributes:
        last: State, action and outcome of the last slot; None before the first one.

    Raises:
        OptimizerError: An option that cannot be used.
    """

    def __init__(
        self,
        scenario: Scenario | Path | str = "paper",
        networks: int = 1,
        *,
        sensors: int | None = None,
        reward: str | None = None,
        observation: str = "scaled",
        episode_length: int = EPISODE,
        action: Encoding = "dict",
        world: World | None = None,
    ) -> None:
        if not isinstance(episode_length, int) or episode_length < 1:
            raise OptimizerError(f"episode_length: expected at least 1 slot; got {episode_length!r}.")
        self.scenario = open_scenario(scenario, sensors, reward)
        self.networks, self.encoding, self.world = networks, action, world
        self.action_space: gym.Space[Any] = action_space(self.scenario, action)
        self.observation_space = observation_space(self.scenario, observation)
        self.last: tuple[State, Action, Outcome] | None = None
        self._codec = Codec(self.scenario, action, observation)
        self._episode_length, self._time = episode_length, 0
        self._source: StateSource | None = None
        self._shown: State | None = None
        self._true: State | None = None
        self._rng = np.random.default_rng()

    @property
    def state(self) -> State | None:
        """The current slot as it is shown; None before the first episode.

        With a world of stale channels, it shows the channel states of the slot before.
        """
        return self._shown

    @state.setter
    def state(self, state: State) -> None:
        self._shown = self._true = state

    @property
    def true_state(self) -> State | None:
        """The current slot as it really is, with its true channel states; None before the first episode."""
        return self._true

    @property
    def ended(self) -> bool:
        """Whether the episode is over."""
        return self._time >= self._episode_length

    def restart(self, rng: np.random.Generator) -> Float32[np.ndarray, "networks numbers"]:
        """Begin an episode with this source of randomness; the observations of its first slot."""
        self._rng = rng
        self._source, self._true = StateSource(self.scenario, self.networks, rng), None
        self._draw(self._source)
        self.last, self._time = None, 0
        return self.observe()

    def step(self, action: Any) -> Outcome:
        """Carry out a batch of members of the action space in the current slot, and go on to the next one.

        Raises:
            OptimizerError: Before the first episode, or an action outside the space; the part is named.
        """
        if self._source is None or self._shown is None or self._true is None:
            raise OptimizerError("step was called before reset.")
        decoded = self._codec.decode(action, self._shown)
        if self.world is None:
            outcome = evaluate(self.scenario, self._shown, decoded)
        else:
            outcome = play(self.scenario, self._true, decoded, self.world, self._rng)
        self.last = self._shown, decoded, outcome
        self._draw(self._source)
        self._time += 1
        return outcome

    def observe(self) -> Float32[np.ndarray, "networks numbers"]:
        """The observations of the current slot."""
        assert self._shown is not None
        return self._codec.observe(self._shown)

    def _draw(self, source: StateSource) -> None:
        """Draw the next slot; a world of stale channels shows it with the channel states of the slot before."""
        before, self._true = self._true, source.draw()
        stale = self.world is not None and self.world.stale and before is not None
        self._shown = State(before.channel, self._true.level) if stale and before is not None else self._true
