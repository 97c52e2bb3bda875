"""What a slot shows (`State`) and what is decided for it (`Action`), in batches; both checked against a scenario."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64, Int8, Int64

from optimizer.errors import OptimizerError
from optimizer.network.scenario import Scenario

PADDING = -1


@dataclass(frozen=True, eq=False)
class State:
    """Network states of a batch of slots, eq. (18).

    Attributes:
        channel: Index of each gateway's channel state.
        level: Index of each task's criticality level; -1 where a smaller gateway has no sensor.
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
        offload: Which tasks go to the edge; False where a smaller gateway has no sensor.
        model: Index of each gateway's model.
        share: Each gateway's share of the edge, at least 0, summing to 1 over gateways.
    """

    offload: Bool[np.ndarray, "batch gateways width"]
    model: Int64[np.ndarray, "batch gateways"]
    share: Float64[np.ndarray, "batch gateways"]

    def __len__(self) -> int:
        return len(self.model)

    def __getitem__(self, which: slice) -> "Action":
        return Action(self.offload[which], self.model[which], self.share[which])


def concatenate(actions: Sequence[Action]) -> Action:
    """One batch from several, in order."""
    return Action(
        np.concatenate([a.offload for a in actions]),
        np.concatenate([a.model for a in actions]),
        np.concatenate([a.share for a in actions]),
    )


class StateSource:
    """Draws the states of a batch of independent networks, slot by slot, eq. (20).

    Channels start from their long-run frequencies and move by eq. (4); criticalities are drawn anew each slot.
    """

    def __init__(self, scenario: Scenario, batch: int, rng: np.random.Generator) -> None:
        tables = scenario.tables
        self._rng = rng
        self._shape = (batch, *tables.present.shape)
        self._absent = None if tables.present.all() else np.broadcast_to(~tables.present, self._shape)
        self._cumulative = np.cumsum(tables.transitions, axis=1)[:, :-1]
        self._levels = len(tables.level_probability)
        uniform = np.allclose(tables.level_probability, 1 / self._levels)
        self._level_cumulative = None if uniform else np.cumsum(tables.level_probability)[:-1]
        start = np.cumsum(tables.stationary)[:-1]
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
        slots: How many; they are the batch.
        seed: Of the random generator.
    """
    source = StateSource(scenario, 1, np.random.default_rng(seed))
    drawn = [source.draw() for _ in range(slots)]
    return State(np.concatenate([s.channel for s in drawn]), np.concatenate([s.level for s in drawn]))


def parse_states(content: Any, scenario: Scenario, name: str) -> State:
    """States given by hand: `{"slots": [{"channel": ["good", ...], "criticality": [[0.2, 1.0, ...], ...]}, ...]}`.

    Args:
        content: Parsed JSON.
        scenario: Whose channel states, criticality levels and groups they must fit.
        name: For messages.

    Raises:
        OptimizerError: A missing or unknown key, a wrong number of gateways or tasks, an unknown state or level; the
            place is named.
    """
    slots = content.get("slots") if isinstance(content, dict) else None
    if not isinstance(slots, list) or not slots or set(content) != {"slots"}:
        raise OptimizerError(f'{name}: expected {{"slots": [...]}} with at least one slot.')
    channel = np.zeros((len(slots), scenario.gateways), np.int8)
    level = np.full((len(slots), scenario.gateways, scenario.width), PADDING, np.int8)
    for i, slot in enumerate(slots):
        where = f"{name}: slots.{i}"
        if not isinstance(slot, dict) or set(slot) != {"channel", "criticality"}:
            raise OptimizerError(f"{where}: expected the keys channel and criticality.")
        for key in ("channel", "criticality"):
            if not isinstance(slot[key], list) or len(slot[key]) != scenario.gateways:
                raise OptimizerError(f"{where}.{key}: expected one entry for each of {scenario.gateways} gateways.")
        for g in range(scenario.gateways):
            channel[i, g] = _channel_index(slot["channel"][g], scenario, f"{where}.channel.{g}")
            tasks = slot["criticality"][g]
            if not isinstance(tasks, list) or len(tasks) != scenario.groups[g]:
                raise OptimizerError(
                    f"{where}.criticality.{g}: expected {scenario.groups[g]} tasks, "
                    f"got {len(tasks) if isinstance(tasks, list) else tasks!r}.",
                    "Set the number of sensors with --sensors.",
                )
            for m, value in enumerate(tasks):
                level[i, g, m] = _level_index(value, scenario, f"{where}.criticality.{g}.{m}")
    return State(channel, level)


def describe_slot(state: State, index: int, scenario: Scenario) -> dict[str, Any]:
    """One slot as `parse_states` reads it."""
    levels = [x.criticality for x in scenario.qos]
    return {
        "channel": [scenario.link.states[int(c)] for c in state.channel[index]],
        "criticality": [
            [levels[int(k)] for k in state.level[index, g, :size]] for g, size in enumerate(scenario.groups)
        ],
    }


def _channel_index(value: Any, scenario: Scenario, where: str) -> int:
    if value not in scenario.link.states:
        raise OptimizerError(f"{where}: expected one of {', '.join(scenario.link.states)}; got {value!r}.")
    return scenario.link.states.index(value)


def _level_index(value: Any, scenario: Scenario, where: str) -> int:
    levels = [x.criticality for x in scenario.qos]
    if isinstance(value, int | float) and not isinstance(value, bool):
        near = [i for i, x in enumerate(levels) if abs(x - value) < 1e-9]
        if near:
            return near[0]
    raise OptimizerError(f"{where}: expected a criticality of {', '.join(f'{x:g}' for x in levels)}; got {value!r}.")


def check_state(state: State, scenario: Scenario) -> None:
    """Refuse a state that does not fit the scenario. Raises OptimizerError."""
    want = (len(state), *scenario.tables.present.shape)
    if state.level.shape != want or state.channel.shape != want[:2]:
        raise OptimizerError(
            f"state: expected level of shape {want} and channel of shape {want[:2]}; "
            f"got {state.level.shape} and {state.channel.shape}."
        )
    if state.channel.size and not (state.channel.min() >= 0 and state.channel.max() < len(scenario.link.states)):
        raise OptimizerError(f"state: channel states are indices below {len(scenario.link.states)}.")
    if not np.array_equal(state.level != PADDING, np.broadcast_to(scenario.tables.present, want)):
        raise OptimizerError("state: level must be -1 exactly where a gateway has no sensor.")
    if state.level.size and not (state.level.min() >= PADDING and state.level.max() < len(scenario.qos)):
        raise OptimizerError(f"state: criticality levels are indices below {len(scenario.qos)}.")


def check_action(action: Action, state: State, scenario: Scenario) -> None:
    """Refuse an action outside its space: wrong shapes, NaN, shares that do not sum to 1. Raises OptimizerError."""
    want = state.level.shape
    for name, got, shape in (
        ("offload", action.offload.shape, want),
        ("model", action.model.shape, want[:2]),
        ("share", action.share.shape, want[:2]),
    ):
        if got != shape:
            raise OptimizerError(f"action: {name}: expected shape {shape}, got {got}.")
    if not np.isfinite(action.share).all():
        raise OptimizerError("action: share: NaN or infinite.")
    if action.share.size and (action.share.min() < 0 or np.abs(action.share.sum(axis=1) - 1).max() > 1e-6):
        worst = float(action.share.sum(axis=1)[np.abs(action.share.sum(axis=1) - 1).argmax()])
        raise OptimizerError(
            f"action: share: expected at least 0 and a sum of 1 over gateways, (17d) and (17e); got a smallest of "
            f"{action.share.min():g} and a sum of {worst:g}."
        )
    if action.model.size and not (action.model.min() >= 0 and action.model.max() < len(scenario.models)):
        raise OptimizerError(f"action: model: expected indices from 0 to {len(scenario.models) - 1}.")
    if (action.offload & (state.level == PADDING)).any():
        raise OptimizerError("action: offload: set where a gateway has no sensor.")


def send_first(
    level: Int8[np.ndarray, "batch gateways width"], sent: Int64[np.ndarray, "batch gateways levels"]
) -> Bool[np.ndarray, "batch gateways width"]:
    """An offloading mask that sends so many tasks of each level: the first ones (tasks of a level are exchangeable)."""
    offload = np.zeros(level.shape, np.bool_)
    for k in range(sent.shape[2]):
        own = level == k
        offload |= own & (own.cumsum(axis=2) <= sent[:, :, k : k + 1])
    return offload
