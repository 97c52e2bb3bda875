"""`python -m optimizer.train`: train the offloading policy."""

import sys
from collections.abc import Sequence
from dataclasses import replace

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from data.common.command import run_command
from data.common.extras import needs_extra
from optimizer.network.options import build_scenario
from optimizer.network.scenario import Scenario
from optimizer.network.world import world_of_trial

with needs_extra(__name__):
    from optimizer.learning.job import Job, Row
    from optimizer.learning.options import TrainConfig
    from optimizer.learning.run import train


def plan(config: TrainConfig) -> list[Job]:
    """The policies to train: one a number of sensors (or one for all) and seed."""
    scenarios = [_network(config, n) for n in config.sensors or (None,)]
    each = [(f"n{s.sensors}", (s,)) for s in scenarios]
    courses: Sequence[tuple[str, tuple[Scenario, ...]]] = [("mixed", tuple(scenarios))] if config.mixed else each
    return [Job(f"{name}-seed{seed}", networks, seed) for name, networks in courses for seed in config.seeds]


def _network(config: TrainConfig, sensors: int | None) -> Scenario:
    scenario = build_scenario(config.network, sensors)
    return scenario if config.rates is None else scenario.with_models(config.rates)


def describe(row: Row) -> str:
    """A row of history in words."""
    gap = row["validation_gap"]
    distance = "" if gap is None else f", {100 * gap:.1f} % from the optimum"
    slots, seconds = row["slots"] or 0, row["seconds"] or 1e-9
    return (
        f"reward {row['validation_reward']:.3f}{distance}, {100 * (row['validation_drop_ratio'] or 0):.2f} % dropped, "
        f"{slots / seconds:,.0f} slots/s"
    )


class Reporter:
    """A bar with the time left on a terminal, a line at each tenth elsewhere."""

    def __init__(self, console: Console, jobs: Sequence[Job]) -> None:
        self._console = console
        self._tenth: dict[str, int] = {}
        self.progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._tasks = {job.name: self.progress.add_task(job.name, total=1.0) for job in jobs}

    def __call__(self, job: Job, done: int, total: int, row: Row) -> None:
        """A block is done."""
        text = describe(row)
        self.progress.update(self._tasks[job.name], completed=done / total, description=f"{job.name}: {text}")
        tenth = 10 * done // total
        if not self._console.is_terminal and tenth > self._tenth.get(job.name, 0):
            self._tenth[job.name] = tenth
            self._console.print(f"{job.name} {100 * done / total:4.0f} %: {text}", highlight=False, markup=False)

    def finish(self, job: Job) -> None:
        """Fill a job's bar."""
        self.progress.update(self._tasks[job.name], completed=1.0)


def run(config: TrainConfig) -> None:
    """Train every policy, and say how they do on validation slots."""
    console = Console() if sys.stdout.isatty() else Console(width=100)
    if config.trial is not None:
        config = replace(config, trial=None, world=world_of_trial(config.trial))
    jobs = plan(config)
    reporter = Reporter(console, jobs)
    lines = []
    with reporter.progress:
        for job in jobs:
            manifest = train(job, config, reporter)
            reporter.finish(job)
            took = manifest.training["seconds"]
            last = describe(manifest.history[-1]) if manifest.history else "no updates"
            lines.append(f"{job.name}: {last.rsplit(', ', 1)[0]}; {took:.0f} s of training")
    for line in lines:
        console.print(line, highlight=False, markup=False)
    console.print(
        f"policies: {config.out}   held-out slots: python -m optimizer.evaluate --policy {config.out}",
        highlight=False, markup=False, soft_wrap=True,
    )  # fmt: skip


def main() -> None:
    """Entry point of `python -m optimizer.train`."""
    run_command(TrainConfig, run, "optimizer.train", resume="The same command goes on from the last checkpoint.")


if __name__ == "__main__":
    main()
