"""Whether states and actions fit a network: shapes, ranges of values, and shares that sum to 1."""

import numpy as np

from optimizer.errors import OptimizerError
from optimizer.network.scenario import Scenario
from optimizer.network.slots import PADDING, Action, State


def check_state(state: State, scenario: Scenario) -> None:
    """Refuse a state that does not fit the scenario. Sensors may be silent.

    Raises:
        OptimizerError: A wrong shape, an index out of range, or a task where a gateway has no sensor.
    """
    want = (len(state), *scenario.constants.present.shape)
    if state.level.shape != want or state.channel.shape != want[:2]:
        raise OptimizerError(
            f"state: expected level of shape {want} and channel of shape {want[:2]}; "
            f"got {state.level.shape} and {state.channel.shape}."
        )
    if state.channel.size and not (state.channel.min() >= 0 and state.channel.max() < len(scenario.link.states)):
        raise OptimizerError(f"state: channel states are indices below {len(scenario.link.states)}.")
    if (state.level[:, ~scenario.constants.present] != PADDING).any():
        raise OptimizerError("state: level must be -1 where a gateway has no sensor.")
    if state.level.size and not (state.level.min() >= PADDING and state.level.max() < len(scenario.qos)):
        raise OptimizerError(
            f"state: criticality levels are indices below {len(scenario.qos)}, or -1 for a silent sensor."
        )


def check_action(action: Action, state: State, scenario: Scenario) -> None:
    """Refuse an action outside its space.

    Raises:
        OptimizerError: A wrong shape, shares that are not numbers of at least 0 with a sum of 1, (17d) and (17e), an
            unknown model, an offloaded task where there is no task, models by level or refused tasks where the network
            has none.
    """
    want = state.level.shape
    by_level = scenario.by_level and action.by_level
    for name, got, shape in (
        ("offload", action.offload.shape, want),
        ("model", action.model.shape, (*want[:2], len(scenario.qos)) if by_level else want[:2]),
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
        raise OptimizerError("action: offload: set where a gateway has no sensor, or where the sensor is silent.")
    if action.refused is not None:
        _check_refused(action, action.refused, state, scenario)


def _check_refused(action: Action, refused: np.ndarray, state: State, scenario: Scenario) -> None:
    if refused.shape != state.level.shape:
        raise OptimizerError(f"action: refused: expected shape {state.level.shape}, got {refused.shape}.")
    if refused.any() and not scenario.can_refuse:
        raise OptimizerError(
            "action: refused: the paper's network has no such choice: there a dropped task has taken its time.",
            'Refuse tasks in a network with [gateway] execution = "by level" or [edge] queue = "fifo".',
        )
    if (refused & (action.offload | (state.level == PADDING))).any():
        raise OptimizerError("action: refused: set for a task that is offloaded, or where there is no task.")
