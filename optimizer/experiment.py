"""`python -m optimizer.experiment`: the paper's evaluation on any network, saved and drawn."""

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console

from data.common.command import run_command
from data.common.files import write_json
from data.common.options import comma_separated
from optimizer.errors import OptimizerError
from optimizer.evaluation.drawing import print_claims, write_figures
from optimizer.evaluation.section_v import capacity, evaluation
from optimizer.network.options import NetworkConfig, build_scenario
from profiling.profile.profile import Profile


@dataclass(frozen=True)
class ExperimentConfig:
    """Section V's evaluation: schemes and trained policies at every size.

    Saves the results, draws the figures and checks the paper's claims.
    """

    network: Annotated[NetworkConfig, tyro.conf.arg(name="")] = field(default_factory=NetworkConfig)
    """The network."""
    sensors: Annotated[tuple[int, ...], comma_separated(int, "sensors", "N")] = (100, 125, 150, 175, 200)
    """Numbers of sensors."""
    slots: int = 1000
    """Held-out slots of each."""
    seed: int = 0
    """Of the slots."""
    policies: Path | None = None
    """Folder of policies trained on this network with all models."""
    single: Path | None = None
    """Folder of policies trained with the one middle model (--models 0.7)."""
    small: Path | None = None
    """Folder of policies trained on 3 gateways and 6 sensors."""
    out: Path = Path("runs/experiment")
    """Folder of results.json and figures."""

    def __post_init__(self) -> None:
        if self.slots < 2 or not self.sensors or min(self.sensors) < 1:
            raise OptimizerError("--slots: expected at least 2; --sensors: at least 1.")


def run(config: ExperimentConfig) -> None:
    """Evaluate, save, draw, print."""
    console = Console() if sys.stdout.isatty() else Console(width=100)
    scenario = build_scenario(config.network, config.sensors[0])
    with console.status("evaluating") as status:
        results = evaluation(
            scenario, config.sensors, config.slots, config.seed, config.policies, config.single, config.small,
            say=lambda text: status.update(text),
        )  # fmt: skip
        points = [m.latency_s[-1][0] for m in scenario.models if m.latency_s is not None]
        status.update("how much the network can carry")
        results["capacity"] = capacity(scenario, min([*points, 120]), 100, config.seed)
        write_json(config.out / "results.json", results)
        gateway = Profile.load(config.network.gateway) if config.network.gateway else None
        status.update("figures")
        claims = write_figures(results, config.out / "figures", gateway)
    print_claims(claims, console)
    console.print(f"results and figures: {config.out}", highlight=False, markup=False)


def main() -> None:
    """Entry point of `python -m optimizer.experiment`."""
    run_command(ExperimentConfig, run, "optimizer.experiment", resume="Nothing is lost; run it again.")


if __name__ == "__main__":
    main()
