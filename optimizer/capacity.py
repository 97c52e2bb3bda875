"""`python -m optimizer.capacity`: how many sensors a network carries with each scheme."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console

from data.common.command import run_command
from data.common.console import make_console, say
from data.common.extras import needs_extra
from data.common.options import check_least, comma_separated
from optimizer.errors import OptimizerError
from optimizer.evaluation.capacity import (
    CapacityFile,
    Make,
    Point,
    RiskPoint,
    SchemeCapacity,
    scheme_capacity,
    times_longer,
)
from optimizer.learning.deployed import LearnedPolicy
from optimizer.learning.manifest import find_policies
from optimizer.network.certainty import check_risk
from optimizer.network.options import NetworkConfig, build_scenario
from optimizer.network.scenario import MOST_SENSORS, Scenario
from optimizer.schemes.registry import find_scheme, make_scheme, schemes_of

with needs_extra(__name__):
    from optimizer.evaluation.capacity_figure import capacity_figure, capacity_table, first_line
    from optimizer.evaluation.price import price_figure, price_line, price_table

Makers = dict[str, tuple[str, Make]]  # label and maker of each scheme by its name
LAST = "optimum"  # slow where a network is full, so its search begins where the best of the others ends


@dataclass(frozen=True)
class CapacityConfig:
    """Find how many sensors a network carries: the most that lose at most a given share of their tasks, by scheme.

    Sensors are added in proportion to the gateways' groups. Lost is every task that was not answered in time by a model
    that is accurate enough. All schemes see the same slots.
    """

    network: Annotated[NetworkConfig, tyro.conf.arg(name="")] = field(default_factory=NetworkConfig)
    """The network."""
    limit: float = 0.001
    """Share of the tasks that may be lost."""
    schemes: Annotated[tuple[str, ...], comma_separated(str, "schemes", "NAME")] = ("all",)
    """Schemes, separated by commas; or all that the network allows."""
    policy: Annotated[tuple[str, ...], comma_separated(str, "policy", "DIR")] = ()
    """Folders of trained policies to look at too, separated by commas."""
    alone: bool = False
    """Also let each gateway grow alone, while the others stay as they are."""
    risks: Annotated[tuple[float, ...], comma_separated(float, "risks", "R")] = ()
    """Also find what is carried if inference times are planned for these risks (see --risk), separated by commas, e.g.
    0.5,0.1,0.01,0.001: the price of certainty. Needs --gateway and --edge."""
    slots: int = 100
    """Number of slots at each number of sensors."""
    most: int = 20_000
    """Largest number of sensors to try."""
    seconds: float = 120.0
    """Time for each scheme's search. When it is up, the most sensors that were found to pass are told as `at least`."""
    seed: int = 0
    """Random seed for drawing slots, and for schemes that draw anything."""
    json: Path | None = None
    """JSON file to write, with every number of sensors that was tried."""
    out: Path | None = None
    """Folder to write the figure to, as PNG, SVG and CSV."""

    def __post_init__(self) -> None:
        check_least(OptimizerError, "slots", self.slots, 2)
        check_least(OptimizerError, "seed", self.seed, 0)
        if not self.seconds > 0:
            raise OptimizerError(f"--seconds: expected a time above 0; got {self.seconds:g}.")
        if not 0 <= self.limit < 1:
            raise OptimizerError(f"--limit: expected a share of lost tasks from 0 to below 1; got {self.limit:g}.")
        if not 1 <= self.most <= MOST_SENSORS:
            raise OptimizerError(f"--most: expected from 1 to {MOST_SENSORS:,} sensors; got {self.most}.")
        for risk in self.risks:
            check_risk(risk, "--risks")
            _ = self.at(risk)
        if len(set(self.risks)) < len(self.risks):
            raise OptimizerError("--risks holds a number twice.", "Give each number once.")
        if self.risks and self.network.risk is not None:
            raise OptimizerError("--risk and --risks both say which risks to look at.", "Give one of them.")
        for name in self.schemes if self.schemes != ("all",) else ():
            find_scheme(name)

    def at(self, risk: float) -> NetworkConfig:
        """The network with times that are planned for a risk. Raises OptimizerError."""
        return replace(self.network, risk=risk)


def makers(config: CapacityConfig, scenario: Scenario) -> Makers:
    """Every scheme and policy that is asked for."""
    names = schemes_of(scenario) if config.schemes == ("all",) else config.schemes
    found: Makers = {}
    for name in names:
        found[name] = find_scheme(name).label, partial(make_scheme, name, seed=config.seed)
    for folder in config.policy:
        for path in find_policies(Path(folder)):
            found[path.name] = path.name, partial(LearnedPolicy, path)
    return found


@dataclass(frozen=True)
class Search:
    """The search for what every scheme carries in a network.

    Attributes:
        config: What is asked.
        everyone: The schemes.
        console: Where progress is shown.
        show: Shows a line in place of the one before.
    """

    config: CapacityConfig
    everyone: Makers
    console: Console
    show: Callable[[str], None]

    def carried(self, scenario: Scenario, gateway: int | None = None, tell: bool = False) -> dict[str, SchemeCapacity]:
        """Sensors of each scheme, if all gateways grow or one of them alone."""
        config, found = self.config, dict[str, SchemeCapacity]()
        for name in sorted(self.everyone, key=lambda name: name == LAST):
            label, make = self.everyone[name]

            def show(point: Point, label: str = label) -> None:
                self.show(f"{label}: {point.sensors:,} sensors lose {100 * point.drop_ratio:.3f} %")

            best = max((own.sensors for own in found.values()), default=0)
            found[name] = scheme_capacity(
                scenario, label, make, limit=config.limit, slots=config.slots, seed=config.seed, most=config.most,
                seconds=config.seconds, gateway=gateway, start=best or None if name == LAST else None, say=show,
            )  # fmt: skip
            if tell and not self.console.is_terminal:
                say(self.console, f"{label}: {found[name].sensors:,} sensors")
        return {name: found[name] for name in self.everyone}

    def price(self, median: Scenario, risk: float) -> RiskPoint:
        """What every scheme carries if times are planned for a risk."""
        plan = build_scenario(self.config.at(risk))
        usual = build_scenario(self.config.network, keep=plan)
        return RiskPoint(
            risk=risk,
            longer=times_longer(plan, usual),
            schemes=self.carried(plan),
            notes=[note for note in plan.notes if note not in median.notes],
        )


def find_capacity(config: CapacityConfig, console: Console) -> CapacityFile:
    """Search for every scheme, and for every gateway if asked; batches may be larger than any that was measured."""
    config = replace(config, network=replace(config.network, extrapolate=True))
    scenario = build_scenario(config.network)
    begun = time.monotonic()
    with console.status("") as status:
        search = Search(config, makers(config, scenario), console, status.update)
        return CapacityFile(
            scenario=scenario, limit=config.limit, slots=config.slots, seed=config.seed, most=config.most,
            schemes=search.carried(scenario, tell=True),
            risks=[search.price(scenario, risk) for risk in sorted(config.risks, reverse=True)],
            gateways={
                f"gateway {g + 1}": search.carried(scenario, g)
                for g in (range(scenario.gateways) if config.alone else ())
            },
            warnings=list(scenario.notes),
            seconds=time.monotonic() - begun,
        )  # fmt: skip


def run(config: CapacityConfig) -> None:
    """Search, print the tables, and write file and figure."""
    console = make_console()
    found = find_capacity(config, console)
    say(console, first_line(found))
    console.print(capacity_table(found.schemes))
    if found.risks:
        say(console, price_line(found.risks))
        console.print(price_table(found))
        for note in found.risks[-1].notes:
            say(console, f"note: {note}", style="yellow")
    for name, schemes in found.gateways.items():
        console.print(capacity_table(schemes, f"{name} grows alone"))
    if any(s.extrapolated for s in found.schemes.values()):
        say(
            console,
            "note: in portions: a gateway has more sensors there than the largest measured batch; larger batches run "
            "in portions of that size, one after the other. `python -m optimizer.trial` shows how long that takes.",
            style="yellow",
        )
    if config.json is not None:
        found.save(config.json)
        say(console, f"figures: {config.json}")
    if config.out is not None:
        capacity_figure(found).write(config.out)
        say(console, f"figure: {config.out / 'capacity.png'}")
        if found.risks:
            price_figure(found).write(config.out)
            say(console, f"figure: {config.out / 'price.png'}")


def main() -> None:
    """Entry point of `python -m optimizer.capacity`."""
    run_command(CapacityConfig, run, "optimizer.capacity", resume="Nothing is lost; run it again.")


if __name__ == "__main__":
    main()
