"""The command `python -m optimizer.experiment`: the paper's evaluation on any network, saved and drawn."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console

from data.common.command import run_command
from data.common.console import make_console, say
from data.common.device import usable_cores
from data.common.extras import needs_extra
from data.common.options import check_least, comma_separated
from data.common.sweep.options import Execution
from data.common.sweep.sweep import Sweep
from optimizer.errors import OptimizerError
from optimizer.evaluation.results import Results
from optimizer.network.options import NetworkConfig, build_scenario
from optimizer.network.scenario import Scenario
from profiling.profile.profile import Profile

with needs_extra(__name__):
    from optimizer.evaluation.drawing import print_claims, write_figures
    from optimizer.evaluation.parts import Setting, do_part, part_jobs, results_of
    from optimizer.evaluation.section_v import network_of_policies

LARGEST_GATEWAY = 120  # picked by hand: sensors per gateway up to which the network's capacity is looked for
PARTS = "parts"  # folder of the parts' files, below --out
CAPACITY_SLOTS = 100  # picked by hand


@dataclass(frozen=True)
class ExperimentConfig:
    """Repeat the evaluation of section V: schemes and trained policies at every number of sensors.

    Saves the results, draws the figures and checks the paper's claims.
    """

    network: Annotated[NetworkConfig, tyro.conf.arg(name="")] = field(default_factory=NetworkConfig)
    """The network. Without an option that names one, it is the network that --policies were trained on."""
    sensors: Annotated[tuple[int, ...], comma_separated(int, "sensors", "N")] = (100, 125, 150, 175, 200)
    """Numbers of sensors, separated by commas."""
    slots: int = 1000
    """Number of held-out slots at each number of sensors."""
    seed: int = 0
    """Random seed for drawing slots."""
    policies: Path | None = None
    """Folder of policies trained on this network with all models."""
    single: Path | None = None
    """Folder of policies trained with the one middle model (--models 0.7 of `optimizer.train`)."""
    small: Path | None = None
    """Folder of policies trained on 3 gateways and 6 sensors."""
    threads: int = 0
    """Number of CPU cores to use; 0 uses all."""
    execution: Annotated[Execution, tyro.conf.arg(name="")] = field(default_factory=Execution)
    """Who evaluates; each number of sensors is a job."""
    out: Path = Path("runs/experiment")
    """Folder for results.json and the figures."""

    def __post_init__(self) -> None:
        check_least(OptimizerError, "slots", self.slots, 2)
        check_least(OptimizerError, "seed", self.seed, 0)
        check_least(OptimizerError, "threads", self.threads, 0)
        if not self.sensors or min(self.sensors) < 1:
            raise OptimizerError("--sensors: expected numbers of at least 1.")


def find_network(config: ExperimentConfig) -> Scenario:
    """The network: as the options name it, or the one that the policies were trained on. Raises OptimizerError."""
    unnamed = replace(config.network, extrapolate=False) == NetworkConfig()
    if not unnamed or config.policies is None:
        return build_scenario(config.network, config.sensors[0], papers=True)
    trained = network_of_policies(config.policies)
    return trained.change(extrapolate=trained.extrapolate or config.network.extrapolate)


def evaluate_parts(config: ExperimentConfig, scenario: Scenario, console: Console) -> Results:
    """Do all parts of the evaluation that are not done, and put them together."""
    policies = tuple(None if p is None else p.absolute() for p in (config.policies, config.single, config.small))
    largest = min(scenario.portion or LARGEST_GATEWAY, LARGEST_GATEWAY)
    setting = Setting(
        scenario, config.sensors, largest, config.slots, CAPACITY_SLOTS, config.seed,
        (policies[0], policies[1], policies[2]), (config.out / PARTS).absolute(),
    )  # fmt: skip
    with console.status("evaluating") as status:
        cores = config.threads or usable_cores()
        with Sweep(do_part, setting, config.execution, cores=cores, hear=lambda _, said: status.update(said)) as sweep:
            sweep.run(part_jobs(setting), lambda job: setting.read(job.arguments) is not None)
    for line in sweep.summary.lines():
        say(console, line, "yellow")
    return results_of(setting)


def run(config: ExperimentConfig) -> None:
    """Evaluate, save the results, draw the figures and print the verdicts."""
    console = make_console()
    scenario = find_network(config)
    results = evaluate_parts(config, scenario, console)
    results.save(config.out / "results.json")
    gateway = Profile.load(config.network.gateway) if config.network.gateway else None
    with console.status("figures"):
        claims = write_figures(results, config.out / "figures", gateway)
    print_claims(claims, console)
    say(console, f"network: {scenario.name}")
    say(console, f"results and figures: {config.out}")


def main() -> None:
    """Entry point of `python -m optimizer.experiment`."""
    run_command(
        ExperimentConfig,
        run,
        "optimizer.experiment",
        resume="Finished parts are kept; the same command goes on from here.",
    )


if __name__ == "__main__":
    main()
