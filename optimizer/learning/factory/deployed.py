"""The policy of a factory's network as it is deployed: its laws from a file, and the search; without torch."""

from pathlib import Path

import numpy as np

from data.common.guard import printable
from data.common.tensors import check_finite, read_tensors
from optimizer.errors import OptimizerError
from optimizer.learning.factory.laws import FactoryLaws
from optimizer.learning.factory.policy import decide, to_action
from optimizer.network.scenario import Scenario
from optimizer.network.slots import Action, State
from optimizer.schemes.base import Policy

AGAIN = "Train the policy again with `python -m optimizer.train`."
PREFIX = "module.laws."  # as `checkpoint.pack_weights` names the tensors


class FactoryPolicy:
    """Decides for the slots of one network.

    Args:
        laws: What has been learned.
        scenario: The network.
    """

    name = "JOPA"

    def __init__(self, laws: FactoryLaws, scenario: Scenario) -> None:
        self.laws, self.scenario = laws, scenario

    def decide(self, state: State) -> Action:
        """Offloading, models, shares and refused tasks for each slot."""
        return to_action(decide(self.laws, self.scenario, state), self.scenario, state)


def load_policy(weights: Path, scenario: Scenario) -> Policy:
    """The policy whose laws are in a file of weights.

    Raises:
        OptimizerError: The file is damaged, or its laws are not those of this network or hold what cannot be.
    """
    tensors = read_tensors(weights, OptimizerError, remedy=AGAIN)
    check_finite(tensors, weights, OptimizerError, remedy=AGAIN)
    arrays = {name.removeprefix(PREFIX): array for name, array in tensors.items()}
    gateways, models, levels = scenario.gateways, len(scenario.models), len(scenario.qos)
    channels, knots = len(scenario.link.states), len(arrays.get("knots", ()))
    shapes = {
        "knots": (knots,), "seconds": (gateways, models, knots), "usable": (models, levels), "answer": (models,),
        "edge_answer": (1,), "sending_s": (gateways, channels), "hold_s": (gateways, channels), "edge": (2,),
        "margins": (2,),
    }  # fmt: skip
    wrong = sorted(set(shapes) ^ set(arrays))
    wrong += [
        name
        for name, shape in shapes.items()
        if name in arrays
        and (arrays[name].shape != shape or arrays[name].dtype != (np.bool_ if name == "usable" else np.float64))
    ]
    if wrong:
        raise OptimizerError(f"{weights}: {printable(wrong[0])}: not what a policy of this network has learned.", AGAIN)
    times = ("knots", "seconds", "sending_s", "hold_s", "edge")
    negative = [name for name in times if arrays[name].size and not 0 <= arrays[name].min() <= arrays[name].max() < 1e9]
    if negative or knots < 2 or (np.diff(arrays["knots"]) <= 0).any() or np.abs(arrays["margins"]).max() > 1e3:
        raise OptimizerError(f"{weights}: {(*negative, 'knots')[0]}: holds times that cannot be.", AGAIN)
    return FactoryPolicy(FactoryLaws(**arrays), scenario)
