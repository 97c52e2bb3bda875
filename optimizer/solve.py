"""`python -m optimizer.solve`: the exact optimum of many slots, and the schemes beside it, as a table and JSON."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro

from data.common.command import run_command
from data.common.console import make_console, say, told_if_slow
from data.common.files import write_json
from data.common.options import check_least, comma_separated, parse_list
from data.common.parse import read_json
from optimizer.errors import OptimizerError
from optimizer.evaluation.slower import Slower, is_fragile, print_slower, slower
from optimizer.evaluation.tables import print_gaps, print_summaries
from optimizer.evaluation.where import where_table
from optimizer.network.options import NetworkConfig, build_scenario
from optimizer.network.outcome import Outcome
from optimizer.network.readings import parse_states
from optimizer.network.scenario import Scenario
from optimizer.network.slots import PADDING, Action, State, draw_states
from optimizer.schemes.baselines import BestPossible
from optimizer.schemes.planner import Planner
from optimizer.schemes.registry import SCHEMES, find_scheme, make_scheme, schemes_of
from optimizer.schemes.rollout import carry_out
from optimizer.schemes.summary import Summary, summarise
from optimizer.solver.exact import check_gap

MOST_STEPS = 100_000  # of a grid of shares
COMPILING = "still at work; the first use compiles the solver: half a minute"


@dataclass(frozen=True)
class SolveConfig:
    """Solve slots exactly: offloading, models and shares of the edge with the highest reward.

    Prints a table of what the optimum (and any other scheme) does and, with --json, writes every decision.
    """

    network: Annotated[NetworkConfig, tyro.conf.arg(name="")] = field(default_factory=NetworkConfig)
    """The network."""
    sensors: Annotated[tuple[int, ...], comma_separated(int, "sensors", "N")] = ()
    """Numbers of sensors, separated by commas; by default the scenario's own."""
    slots: int = 1000
    """Number of slots of each network."""
    models: str = "all"
    """all, or pruning rates separated by commas, e.g. 0.7 for JOPAV1."""
    shares: str = "exact"
    """exact: continuous shares of the edge; or the number of steps of a grid (the paper's 20)."""
    gap: float | None = None
    """Share of the reward that the optimum may leave; 0 proves it. By default 0 up to 20 gateways, 0.001 with more."""
    schemes: Annotated[
        tuple[str, ...],
        comma_separated(str, "schemes", "NAME"),
        tyro.conf.arg(help=f"{', '.join(SCHEMES)}, separated by commas; or all."),
    ] = ("optimum",)
    seed: int = 0
    """Random seed for drawing slots, and for schemes that draw anything."""
    states: Path | None = None
    """JSON file of slots given by hand, instead of drawn ones: {"slots": [{"channel": ["good", ...], "criticality":
    [[0.2, null, ...], ...]}]}, where null stands for a sensor that is silent in the slot."""
    planner: Path | None = None
    """JSON file to write for deployment: `Planner.load(FILE).decide(state)` solves the first network's slots."""
    json: Path | None = None
    """JSON file to write: summaries, and the first network's and scheme's decisions slot by slot."""

    def __post_init__(self) -> None:
        check_least(OptimizerError, "slots", self.slots, 1)
        check_least(OptimizerError, "seed", self.seed, 0)
        if self.sensors:
            check_least(OptimizerError, "sensors", min(self.sensors), 1)
        if self.states is not None and len(self.sensors) > 1:
            raise OptimizerError("--states holds the slots of one network: give one number of --sensors.")
        for name in self.schemes if self.schemes != ("all",) else ():
            find_scheme(name)
        _ = self.steps, self.rates
        check_gap(self.gap)

    def names(self, scenario: Scenario) -> tuple[str, ...]:
        """The schemes; `all` leaves out those that a network does not allow."""
        return schemes_of(scenario) if self.schemes == ("all",) else self.schemes

    @property
    def steps(self) -> str | int:
        """`shares`, checked."""
        if self.shares == "exact":
            return "exact"
        if not self.shares.isdecimal() or not 1 <= int(self.shares) <= MOST_STEPS:
            raise OptimizerError(f"--shares: expected exact or a number from 1 to {MOST_STEPS}; got {self.shares!r}.")
        return int(self.shares)

    @property
    def rates(self) -> tuple[float, ...] | None:
        """`models`, checked; None for all."""
        return None if self.models == "all" else parse_list(self.models, float, "models")


@dataclass(frozen=True, eq=False)
class Solved:
    """What one scheme did on one network's slots.

    Attributes:
        scenario: The network.
        scheme: Name of the scheme in tables.
        state: The slots.
        action: Its decisions.
        outcome: What became of every task.
        summary: Figures over all slots.
        slower: Lost tasks where inference takes longer than planned.
        gap: Largest share of a slot's reward that may be left between the decision and the optimum; None for schemes
            that prove nothing.
    """

    scenario: Scenario
    scheme: str
    state: State
    action: Action
    outcome: Outcome
    summary: Summary
    slower: list[Slower]
    gap: float | None = None

    def slots(self) -> list[dict[str, Any]]:
        """Reward and decision of every slot, as JSON would hold them."""
        groups, rewards, drops = self.scenario.groups, self.outcome.reward, self.outcome.drop_ratio
        places = self._places()
        return [
            {
                "reward": float(rewards[i]),
                "drop_ratio": float(drops[i]),
                "offload": [[int(x) for x in self.action.offload[i, g, :m]] for g, m in enumerate(groups)],
                "place": [places[i, g, :m].tolist() for g, m in enumerate(groups)],
                "model": self.action.model[i].tolist(),
                "share": [float(c) for c in self.action.share[i]],
            }
            for i in range(len(rewards))
        ]

    def _places(self) -> np.ndarray:
        """What is decided for each task: gateway, edge, refused, or None for a silent sensor."""
        found = np.where(self.action.offload, "edge", "gateway").astype(object)
        if self.action.refused is not None:
            found[self.action.refused] = "refused"
        found[self.state.level == PADDING] = None
        return found

    def head(self) -> dict[str, Any]:
        """Network, scheme and summary, as JSON would hold them."""
        longer = {f"{x.factor:g}": x.drop_ratio for x in self.slower}
        return {
            "sensors": self.scenario.sensors,
            "scheme": self.scheme,
            "summary": self.summary.dump(),
            "drop_ratio_if_slower": longer,
            "gap": self.gap,
        }


def solve(
    scenario: Scenario,
    state: State,
    scheme: str,
    shares: str | int = "exact",
    seed: int = 0,
    gap: float | None = None,
) -> Solved:
    """One scheme on one network's slots.

    Args:
        scenario: The network.
        state: Its slots.
        scheme: A name in `schemes.registry.SCHEMES`.
        shares: "exact" for continuous shares of the edge, or the number of steps of a grid.
        seed: Random seed, for schemes that draw anything.
        gap: Share of the reward that the optimum may leave; None for its default.

    Raises:
        OptimizerError: A state that does not fit, or a scheme that cannot be used here.
    """
    policy = make_scheme(scheme, scenario, shares, seed, gap)
    action, outcome = carry_out(scenario, state, policy)
    longer = slower(scenario, state, action)
    proven = policy.largest_gap if isinstance(policy, BestPossible) and shares == "exact" else None
    return Solved(scenario, policy.name, state, action, outcome, summarise(outcome), longer, proven)


def read_states(path: str | Path, scenario: Scenario) -> State:
    """Slots given by hand, from a JSON file.

    Raises:
        OptimizerError: No such file, or slots that do not fit the scenario; the place is named.
    """
    path = Path(path)
    content = read_json(path, OptimizerError, missing="--states takes a JSON file of slots.")
    return parse_states(content, scenario, str(path))


def run(config: SolveConfig) -> None:
    """Solve, print the tables, and write the file."""
    console = make_console()
    solved = []
    for sensors in config.sensors or (None,):
        scenario = build_scenario(config.network, sensors)
        if config.rates is not None:
            scenario = scenario.with_models(config.rates)
        if config.states is not None:
            state = read_states(config.states, scenario)
        else:
            state = draw_states(scenario, config.slots, config.seed)
        for name in config.names(scenario):
            doing = f"{scenario.sensors} sensors, {len(state)} slots: {name}"
            with console.status(doing), told_if_slow(console, f"{doing} ({COMPILING})"):
                solved.append(solve(scenario, state, name, config.steps, config.seed, config.gap))
    losses = [(str(s.scenario.sensors), s.scheme, s.summary.drop_ratio, s.slower) for s in solved]
    if is_fragile(losses):  # then it is the first thing to know
        print_slower(losses, console)
    console.print(where_table(solved[0].scheme, solved[0].outcome))
    print_summaries([(s.scenario, s.scheme, s.summary) for s in solved], config.shares, console)
    if not is_fragile(losses):
        print_slower(losses, console)
    print_gaps([(s.scenario.sensors, s.scheme, s.gap or 0.0) for s in solved], console)
    if config.planner is not None:
        Planner(solved[0].scenario).save(config.planner)
        say(console, f"planner: {config.planner}")
    if config.json is not None:
        first = solved[0]
        content = {
            "scenario": first.scenario.dump(),
            "shares": config.steps,
            "seed": None if config.states else config.seed,
            "models": [m.rate for m in first.scenario.models],
            "precisions": [m.precision for m in first.scenario.models],
            **first.head(),
            "slots": first.slots(),
            "runs": [s.head() for s in solved],
        }
        write_json(config.json, content)
        say(console, f"decisions: {config.json}")


def main() -> None:
    """Entry point of `python -m optimizer.solve`."""
    run_command(SolveConfig, run, "optimizer.solve", resume="Nothing is lost; run it again.")


if __name__ == "__main__":
    main()
