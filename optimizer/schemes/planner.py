"""The exact optimum as something to deploy: it decides like a learned policy, and is loaded from one file.

from optimizer import Planner, Scenario

Planner(Scenario.load("network.toml")).save("planner.json")
planner = Planner.load("planner.json")  # on the gateway: no PyTorch, no training
action = planner.decide(state)
"""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from data.common.files import write_json
from data.common.schema import Strict, read_model
from optimizer.errors import OptimizerError
from optimizer.network.scenario import Scenario
from optimizer.network.slots import Action, State
from optimizer.solver.exact import check_solvable, optimum

SCHEMA = 1


class PlannerFile(Strict):
    """The file of a planner.

    Attributes:
        schema_version: Version of the file's layout, written as `schema`.
        kind: Says that this is a planner's file.
        scenario: The network that it plans for.
    """

    schema_version: int = Field(default=SCHEMA, alias="schema")
    kind: Literal["planner"] = "planner"
    scenario: dict[str, Any]


class Planner:
    """Decides every slot by solving it exactly. The thing to deploy where the network's model is right.

    Args:
        scenario: The network. Its `reward` says what is maximised.
        gap: Share of the reward that may be left, as in `optimum`.

    Attributes:
        largest_gap: The largest `Optimum.gap` of all slots decided so far: 0 if all decisions are the optimum.

    Raises:
        OptimizerError: A reward that has no exact optimum.
    """

    name = "planner"

    def __init__(self, scenario: Scenario, gap: float | None = None) -> None:
        check_solvable(scenario)
        self.scenario = scenario
        self.largest_gap = 0.0
        self._gap = gap

    def decide(self, state: State) -> Action:
        """The best decision for each slot of a batch. Raises OptimizerError for a state that does not fit."""
        found = optimum(self.scenario, state, gap=self._gap)
        self.largest_gap = max(self.largest_gap, float(found.gap.max(initial=0.0)))
        return found.action

    def save(self, path: str | Path) -> None:
        """Write the planner as one JSON file, whole or not at all."""
        write_json(Path(path), PlannerFile(scenario=self.scenario.dump()).model_dump(mode="json", by_alias=True))

    @classmethod
    def load(cls, path: str | Path) -> "Planner":
        """Read a planner.

        Raises:
            OptimizerError: No such file, not a planner's file, or a wrong field; it is named.
        """
        path = Path(path)
        remedy = "`Planner(scenario).save(path)` and `python -m optimizer.solve --planner` write such a file."
        found = read_model(path, PlannerFile, SCHEMA, OptimizerError, what="a planner's file", remedy=remedy)
        return cls(Scenario.parse(found.scenario, str(path)))
