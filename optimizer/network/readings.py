"""Slots given by hand: named channel states and criticalities, from Python or as JSON holds them."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from optimizer.errors import OptimizerError
from optimizer.network.scenario import Scenario
from optimizer.network.slots import PADDING, State


def make_state(
    scenario: Scenario, channel: Sequence[str], criticality: Sequence[Sequence[float | None]], *, name: str = "state"
) -> State:
    """The state of one slot from named readings: a batch of one.

    Args:
        scenario: The network that the readings must fit.
        channel: Name of each gateway's channel state, e.g. `["good", "bad"]`.
        criticality: Criticality of each sensor's task, one list per gateway; None for a sensor that is silent in this
            slot, which has no task.
        name: Where the readings came from, for error messages.

    Raises:
        OptimizerError: A wrong number of gateways or sensors, or an unknown channel state or criticality; the place is
            named.
    """
    return _read_slot(channel, criticality, scenario, name)


def parse_states(content: Any, scenario: Scenario, name: str) -> State:
    """States given by hand: `{"slots": [{"channel": ["good", ...], "criticality": [[0.2, null, ...], ...]}, ...]}`.

    Args:
        content: Parsed JSON. A criticality of `null` stands for a sensor that is silent in this slot.
        scenario: The network that the states must fit.
        name: Where the states came from, for error messages.

    Raises:
        OptimizerError: A missing or unknown key, a wrong number of gateways or tasks, an unknown channel state or
            criticality; the place is named.
    """
    slots = content.get("slots") if isinstance(content, dict) else None
    if not isinstance(slots, list) or not slots or set(content) != {"slots"}:
        raise OptimizerError(f'{name}: expected {{"slots": [...]}} with at least one slot.')
    made = []
    for i, slot in enumerate(slots):
        where = f"{name}: slots.{i}"
        if not isinstance(slot, dict) or set(slot) != {"channel", "criticality"}:
            raise OptimizerError(f"{where}: expected the keys channel and criticality.")
        made.append(_read_slot(slot["channel"], slot["criticality"], scenario, where))
    return State(np.concatenate([s.channel for s in made]), np.concatenate([s.level for s in made]))


def describe_slot(state: State, index: int, scenario: Scenario) -> dict[str, Any]:
    """One slot of a batch, as `parse_states` reads it."""
    levels = [x.criticality for x in scenario.qos]
    return {
        "channel": [scenario.link.states[int(c)] for c in state.channel[index]],
        "criticality": [
            [None if k == PADDING else levels[int(k)] for k in state.level[index, g, :size]]
            for g, size in enumerate(scenario.groups)
        ],
    }


def _read_slot(channel: Any, criticality: Any, scenario: Scenario, name: str) -> State:
    """A batch of one slot from readings of any type; everything about them is checked."""
    states = np.zeros((1, scenario.gateways), np.int8)
    level = np.full((1, scenario.gateways, scenario.width), PADDING, np.int8)
    for key, given in (("channel", channel), ("criticality", criticality)):
        if not isinstance(given, list | tuple) or len(given) != scenario.gateways:
            raise OptimizerError(f"{name}.{key}: expected one entry for each of {scenario.gateways} gateways.")
    for g in range(scenario.gateways):
        states[0, g] = _channel_index(channel[g], scenario, f"{name}.channel.{g}")
        tasks = criticality[g]
        if not isinstance(tasks, list | tuple) or len(tasks) != scenario.groups[g]:
            raise OptimizerError(
                f"{name}.criticality.{g}: expected {scenario.groups[g]} tasks, "
                f"got {len(tasks) if isinstance(tasks, list | tuple) else tasks!r}.",
                "Set the number of sensors with --sensors; give null (None) for a sensor that is silent.",
            )
        for m, value in enumerate(tasks):
            if value is not None:
                level[0, g, m] = _level_index(value, scenario, f"{name}.criticality.{g}.{m}")
    return State(states, level)


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
    raise OptimizerError(
        f"{where}: expected a criticality of {', '.join(f'{x:g}' for x in levels)}, or null (None) for a silent "
        f"sensor; got {value!r}."
    )
