"""The command `python -m optimizer.train`: train the offloading policy."""

from collections.abc import Sequence
from dataclasses import replace

from rich.console import Console

from data.common.command import run_command
from data.common.console import make_console, say
from data.common.device import is_installed, usable_cores
from data.common.extras import needs_extra
from data.common.progress import work_bar
from data.common.sweep.sweep import Sweep
from optimizer.network.world import world_of_trial

with needs_extra(__name__):
    from optimizer.learning.job import Job, Row
    from optimizer.learning.options import TrainConfig
    from optimizer.learning.plan import plan
    from optimizer.learning.run import trained
    from optimizer.learning.sweep import do_job, sweep_jobs


def describe(row: Row) -> str:
    """The figures of a block in words."""
    gap = row["validation_gap"]
    distance = "" if gap is None else f", {100 * gap:.1f} % from the optimum"
    slots, seconds = row["slots"] or 0, row["seconds"] or 1e-9
    return (
        f"reward {row['validation_reward']:.3f}{distance}, {100 * (row['validation_drop_ratio'] or 0):.2f} % dropped, "
        f"{slots / seconds:,.0f} slots/s"
    )


class Reporter:
    """Shows progress: a bar with the time left on a terminal; elsewhere a line after each tenth of a training."""

    def __init__(self, console: Console, jobs: Sequence[Job]) -> None:
        self._console = console
        self._tenth: dict[str, int] = {}
        self.progress = work_bar(console, width=20)
        self._tasks = {job.name: self.progress.add_task(job.name, total=1.0) for job in jobs}

    def __call__(self, job: Job, done: int, total: int, row: Row) -> None:
        """Show that a block is done."""
        text = describe(row)
        self.progress.update(self._tasks[job.name], completed=done / total, description=f"{job.name}: {text}")
        tenth = 10 * done // total
        if not self._console.is_terminal and tenth > self._tenth.get(job.name, 0):
            self._tenth[job.name] = tenth
            say(self._console, f"{job.name} {100 * done / total:4.0f} %: {text}")

    def finish(self, job: Job) -> None:
        """Show that a job is done."""
        self.progress.update(self._tasks[job.name], completed=1.0)


def run(config: TrainConfig) -> None:
    """Train every policy, and print how each does on validation slots."""
    console = make_console()
    if config.trial is not None:
        config = replace(config, trial=None, world=world_of_trial(config.trial))
    if not is_installed("tensorboard"):
        say(console, "TensorBoard is not installed: no event files are written. policy.json will hold all figures.")
    jobs, cores = plan(config), config.threads or usable_cores()
    whole = replace(config, out=config.out.absolute())  # a node of a cluster may stand in another folder
    reporter = Reporter(console, jobs)
    sweep = Sweep(do_job, whole, config.execution, cores=cores, hear=lambda _, said: reporter(*said))
    with reporter.progress, sweep:
        sweep.run(sweep_jobs(jobs, config, cores), lambda job: trained(job.arguments, whole) is not None)
        for job in jobs:
            reporter.finish(job)
    for line in sweep.summary.lines():
        say(console, line, "yellow")
    for job in jobs:
        manifest = trained(job, whole)
        assert manifest is not None
        last = describe(manifest.history[-1]) if manifest.history else "no updates"
        say(console, f"{job.name}: {last.rsplit(', ', 1)[0]}; {manifest.training['seconds']:.0f} s of training")
    say(
        console,
        f"policies: {config.out}   compare them on held-out slots: python -m optimizer.evaluate --policy {config.out}",
    )


def main() -> None:
    """Entry point of `python -m optimizer.train`."""
    run_command(TrainConfig, run, "optimizer.train", resume="The same command goes on from the last checkpoint.")


if __name__ == "__main__":
    main()
