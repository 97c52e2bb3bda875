"""States as observations, and members of the action space as actions: flat arrays and dictionaries of arrays.

Needs no Gymnasium, so that a deployed policy can use it; `environment.spaces` has the spaces themselves.
"""

import math
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float32
from scipy.special import expit, softmax

from optimizer.errors import OptimizerError
from optimizer.network.scenario import Scenario
from optimizer.network.slots import PADDING, Action, State

STEEPNESS = 5.0  # the flat action lies in [-1, 1]; sigmoid(5) = 0.993, so that every model can be chosen
SUM_TOLERANCE = 1e-5  # float32 shares
Encoding = Literal["dict", "box"]
Parts = tuple[np.ndarray, np.ndarray | None, np.ndarray, np.ndarray]  # to offload, to refuse, models, shares


class Codec:
    """Turns states into observations and members of the action space into actions, in batches.

    Args:
        scenario: The network.
        encoding: "dict" for dictionaries of arrays, "box" for flat arrays that are decoded as in section IV-A.
        observation: "scaled" shows channel gains as fractions of the best one, "raw" as they are.
    """

    def __init__(self, scenario: Scenario, encoding: Encoding, observation: str) -> None:
        self._scenario, self._encoding = scenario, encoding
        gains = np.array(scenario.link.gains)
        self._gains = (gains / gains.max() if observation == "scaled" else gains).astype(np.float32)
        # A silent sensor has level -1, the last entry: it is seen as the least critical.
        self._criticality = np.append(scenario.constants.criticality, 0.0).astype(np.float32)
        self._present = scenario.constants.present
        self._full = bool(self._present.all())
        self._model_shape = model_shape(scenario)

    def observe(self, state: State) -> Float32[np.ndarray, "batch numbers"]:
        """The observations of a batch of states: G channel gains, then N criticalities (0 for a silent sensor)."""
        gateways = self._scenario.gateways
        seen = np.empty((len(state), gateways + self._scenario.sensors), np.float32)
        seen[:, :gateways] = self._gains[state.channel]
        level = state.level.reshape(len(state), -1) if self._full else state.level[:, self._present]
        seen[:, gateways:] = self._criticality[level]
        return seen

    def decode(self, action: Any, state: State) -> Action:
        """A batch of members of the action space as an `Action` for these states.

        What is decided for a silent sensor is ignored, and a task that is refused is not sent.

        Raises:
            OptimizerError: A wrong shape, NaN, or a value outside the space; the part is named.
        """
        parts = self._box_parts if self._encoding == "box" else self._dict_parts
        offload, refuse, model, share = parts(action, len(state))
        task = state.level != PADDING
        sent = self._padded(offload) & task
        if refuse is None:
            return Action(sent, model, share)
        refused = self._padded(refuse) & task
        return Action(sent & ~refused, model, share, refused)

    def _padded(self, flat: Bool[np.ndarray, "batch sensors"]) -> Bool[np.ndarray, "batch gateways width"]:
        if self._full:
            return flat.reshape(len(flat), *self._present.shape)
        padded = np.zeros((len(flat), *self._present.shape), np.bool_)
        padded[:, self._present] = flat
        return padded

    def _box_parts(self, action: Any, batch: int) -> Parts:
        scenario = self._scenario
        raw = _array("action", action, (batch, numbers_of(scenario)))
        if not (np.abs(raw) <= 1).all():
            worst = "NaN" if np.isnan(raw).any() else f"{raw.ravel()[np.abs(raw).argmax()]:g}"
            raise OptimizerError(f"action: expected numbers in [-1, 1]; got {worst}.", "Clip it to the action space.")
        scaled = STEEPNESS * raw.astype(np.float64)
        refuse = None
        if scenario.can_refuse:
            refuse, scaled = scaled[:, -scenario.sensors :] > 0, scaled[:, : -scenario.sensors]
        offload, model, share = box_parts(scaled, scenario.sensors, scenario.gateways)
        # Section IV-A: sigmoid and rounding; a number above 0 offloads (or refuses).
        chosen = np.rint(expit(model) * (len(scenario.models) - 1)).astype(np.int64)
        return offload > 0, refuse, chosen.reshape(batch, *self._model_shape), softmax(share, axis=1)

    def _dict_parts(self, action: Any, batch: int) -> Parts:
        names = ["offload", "model", "share", *(["refuse"] if self._scenario.can_refuse else [])]
        if not isinstance(action, Mapping) or set(action) != set(names):
            got = sorted(action) if isinstance(action, Mapping) else type(action).__name__
            listed = f"{', '.join(names[:-1])} and {names[-1]}"
            raise OptimizerError(f"action: expected a dictionary of {listed}; got {got}.")
        models = len(self._scenario.models)
        offload = self._choices("offload", action, batch)
        refuse = self._choices("refuse", action, batch) if self._scenario.can_refuse else None
        model = _array("model", action["model"], (batch, *self._model_shape))
        if not ((model >= 0) & (model < models) & (model == np.rint(model))).all():
            raise OptimizerError(f"action: model: expected whole numbers from 0 to {models - 1}.")
        share = _array("share", action["share"], (batch, self._scenario.gateways)).astype(np.float64)
        total = share.sum(axis=1)
        if not ((share >= 0).all() and (np.abs(total - 1) <= SUM_TOLERANCE).all()):
            worst = total[np.argmax(np.abs(total - 1))] if np.isfinite(total).all() else np.nan
            raise OptimizerError(
                f"action: share: expected shares of at least 0 that sum to 1, (17d); got a sum of {worst:g}.",
                "The Box environment applies a softmax to what it is given.",
            )
        return offload, refuse, model.astype(np.int64), share / total[:, None]

    def _choices(self, name: str, action: Mapping[str, Any], batch: int) -> Bool[np.ndarray, "batch sensors"]:
        """A part of an action that says yes or no for each task."""
        found = _array(name, action[name], (batch, self._scenario.sensors))
        if not ((found == 0) | (found == 1)).all():
            raise OptimizerError(f"action: {name}: expected 0 or 1 for each task.")
        return found == 1


def model_shape(scenario: Scenario) -> tuple[int, ...]:
    """Shape of the models of one slot's decision: one per gateway, or one per gateway and level."""
    return (scenario.gateways, len(scenario.qos)) if scenario.by_level else (scenario.gateways,)


def numbers_of(scenario: Scenario) -> int:
    """Size of a flat action: N to offload, the models, G shares, and N to refuse where tasks can be refused."""
    refuse = scenario.sensors if scenario.can_refuse else 0
    return scenario.sensors + math.prod(model_shape(scenario)) + scenario.gateways + refuse


def _array(name: str, value: Any, shape: tuple[int, ...]) -> np.ndarray:
    try:
        found = np.asarray(value)
    except ValueError:
        raise OptimizerError(f"action: {name}: not an array of numbers.") from None
    if found.dtype == object or (not np.issubdtype(found.dtype, np.number) and found.dtype != np.bool_):
        raise OptimizerError(f"action: {name}: expected numbers; got {found.dtype}.")
    if found.shape != shape:
        raise OptimizerError(f"action: {name}: expected shape {shape}, got {found.shape}.")
    return found


def box_parts(raw: np.ndarray, sensors: int, gateways: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The numbers of flat actions that stand for offloading, models and shares, in this order."""
    return raw[:, :sensors], raw[:, sensors:-gateways], raw[:, -gateways:]
