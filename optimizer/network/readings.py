"""Slots given by hand: named channel states and criticalities, as JSON holds them."""

from typing import Any

import numpy as np

from optimizer.errors import OptimizerError
from optimizer.network.scenario import Scenario
from optimizer.network.slots import PADDING, State


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
