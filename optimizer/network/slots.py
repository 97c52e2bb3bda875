"""What a slot shows (`State`) and what is decided for it (`Action`), in batches; and how states are drawn, eq. (20)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int8, Int64

from optimizer.network.scenario import Scenario

Counts = Int64[np.ndarray, "batch gateways levels"]

PADDING = -1  # the level where there is no task


@dataclass(frozen=True, eq=False)
class State:
    """Network states of a batch of slots, eq. (18).

    Attributes:
        channel: Index of each gateway's channel state.
        level: Index of each task's criticality level. It is -1 where a sensor is silent (it has no task in this slot)
            and where a smaller gateway has no sensor at all.
    """

    channel: Int8[np.ndarray, "batch gateways"]
    level: Int8[np.ndarray, "batch gateways width"]

    def __len__(self) -> int:
        return len(self.channel)

    def __getitem__(self, which: slice) -> "State":
        return State(self.channel[which], self.level[which])


@dataclass(frozen=True, eq=False)
class Action:
    """Decisions for a batch of slots, eq. (19).

    Attributes:
        offload: Which tasks go to the edge; False where there is no task.
        model: Index of each gateway's model, which runs all its tasks as one batch; or, where gateways work by level,
            the index of each level's model.
        share: Each gateway's share of the edge, at least 0, summing to 1 over gateways.
        refused: Which tasks are refused; None if none is. The paper's network has no such choice.
    """

    offload: Bool[np.ndarray, "batch gateways width"]
    model: Int64[np.ndarray, "batch gateways *levels"]
    share: Float64[np.ndarray, "batch gateways"]
    refused: Bool[np.ndarray, "batch gateways width"] | None = None

    def __len__(self) -> int:
        return len(self.model)

    def __getitem__(self, which: slice) -> "Action":
        refused = None if self.refused is None else self.refused[which]
        return Action(self.offload[which], self.model[which], self.share[which], refused)

    @property
    def by_level(self) -> bool:
        """Whether each level has a model and a batch of its own."""
        return self.model.ndim == 3


def concatenate(actions: Sequence[Action]) -> Action:
    """One batch from several, in order."""
    refused = None
    if any(a.refused is not None for a in actions):
        refused = np.concatenate([np.zeros_like(a.offload) if a.refused is None else a.refused for a in actions])
    return Action(
        np.concatenate([a.offload for a in actions]),
        np.concatenate([a.model for a in actions]),
        np.concatenate([a.share for a in actions]),
        refused,
    )


class StateSource:
    """Draws the states of a batch of independent networks, slot by slot, eq. (20).

    Channels start from their long-run frequencies and move by eq. (4); criticalities are drawn anew in each slot. No
    sensor is ever silent.

    Args:
        scenario: The network.
        batch: Number of independent networks.
        rng: Source of randomness.
    """

    def __init__(self, scenario: Scenario, batch: int, rng: np.random.Generator) -> None:
        constants = scenario.constants
        self._rng = rng
        self._shape = (batch, *constants.present.shape)
        self._absent = None if constants.present.all() else np.broadcast_to(~constants.present, self._shape)
        self._cumulative = np.cumsum(constants.transitions, axis=1)[:, :-1]
        self._levels = len(constants.level_probability)
        uniform = np.allclose(constants.level_probability, 1 / self._levels)
        self._level_cumulative = None if uniform else np.cumsum(constants.level_probability)[:-1]
        start = np.cumsum(constants.stationary)[:-1]
        self._channel = self._pick(rng.random(self._shape[:2]), start)

    @staticmethod
    def _pick(uniform: np.ndarray, cumulative: np.ndarray) -> np.ndarray:
        return (uniform[..., None] >= cumulative).sum(axis=-1).astype(np.int8)

    def draw(self) -> State:
        """The states of the current slot; the channels then move on."""
        if self._level_cumulative is None:
            level = self._rng.integers(0, self._levels, self._shape, dtype=np.int8)
        else:
            level = np.searchsorted(self._level_cumulative, self._rng.random(self._shape), side="right").astype(np.int8)
        if self._absent is not None:
            level[self._absent] = PADDING
        state = State(self._channel, level)
        self._channel = self._pick(self._rng.random(self._shape[:2]), self._cumulative[self._channel])
        return state


def draw_states(scenario: Scenario, slots: int, seed: int) -> State:
    """The states of consecutive slots of one network.

    Args:
        scenario: The network.
        slots: Number of slots; they are the batch.
        seed: Random seed.
    """
    source = StateSource(scenario, 1, np.random.default_rng(seed))
    drawn = [source.draw() for _ in range(slots)]
    return State(np.concatenate([s.channel for s in drawn]), np.concatenate([s.level for s in drawn]))


def count_tasks(state: State, offload: Bool[np.ndarray, "batch gateways width"], levels: int) -> tuple[Counts, Counts]:
    """Numbers of offloaded and of local tasks at [batch, gateway, level]."""
    batch, gateways, width = state.level.shape
    cell = np.arange(batch * gateways, dtype=np.int64)[:, None] * (2 * levels + 2) + 2
    index = cell + 2 * state.level.reshape(-1, width)
    index += offload.reshape(-1, width)
    # Where there is no task the level is -1, which falls into the first two bins of a gateway; they are cut off.
    counts = np.bincount(index.ravel(), minlength=batch * gateways * (2 * levels + 2))
    split = counts.reshape(batch, gateways, levels + 1, 2)[:, :, 1:]
    return split[..., 1], split[..., 0]


def send_first(
    level: Int8[np.ndarray, "batch gateways width"], sent: Int64[np.ndarray, "batch gateways levels"]
) -> Bool[np.ndarray, "batch gateways width"]:
    """An offloading mask that sends so many tasks of each level: the first ones, as those of a level are alike."""
    offload = np.zeros(level.shape, np.bool_)
    for k in range(sent.shape[2]):
        own = level == k
        offload |= own & (own.cumsum(axis=2) <= sent[:, :, k : k + 1])
    return offload
