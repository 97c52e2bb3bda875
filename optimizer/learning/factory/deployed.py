"""The policy of a factory's network as it is deployed: its laws from a file, and the search; without torch."""

from pathlib import Path

from safetensors.numpy import load_file

from optimizer.learning.factory.laws import FactoryLaws
from optimizer.learning.factory.policy import decide, to_action
from optimizer.network.scenario import Scenario
from optimizer.network.slots import Action, State
from optimizer.schemes.base import Policy

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
    """The policy whose laws are in a file of weights."""
    arrays = {name.removeprefix(PREFIX): array for name, array in load_file(weights).items()}
    return FactoryPolicy(FactoryLaws(**arrays), scenario)
