"""Does the jobs of a sweep that are not finished, and shows how far it is."""

import time
from dataclasses import dataclass, replace
from threading import Event

from rich.console import Console

from data.common.console import say
from data.common.progress import work_bar
from pruning.budget import Cost
from pruning.errors import PruningError
from pruning.jobs import Job, JobContext, run_job
from pruning.sidebyside import StoppedBesideError
from pruning.state import EpochLog


class Reporter:
    """Progress of a sweep: a bar with the remaining time on a terminal, one line per model elsewhere.

    Work is counted in FLOP of training updates, so that a small model moves the bar as little as it costs.
    """

    def __init__(self, console: Console, total: float) -> None:
        self.console = console
        self.total = total
        self.done = 0.0
        self.skipped = 0.0  # done by an earlier process
        self.started = time.monotonic()
        self.progress = work_bar(console)
        self.task = self.progress.add_task("preparing", total=total)

    def begin(self, job: Job) -> None:
        """Name the job that began last."""
        self.progress.update(self.task, description=job.name)

    def tick(self, unit: float) -> None:
        """Count the FLOP of an update."""
        self.done += unit
        self.progress.advance(self.task, unit)

    def skip(self, amount: float) -> None:
        """Count FLOP that need not be spent."""
        self.done += amount
        self.skipped += amount
        self.progress.advance(self.task, amount)

    def epoch(self, job: Job, log: EpochLog) -> None:
        """Show an epoch of a job."""
        accuracy = "" if log.validation_accuracy is None else f", validation {log.validation_accuracy:.1%}"
        self.progress.update(
            self.task, description=f"{job.name} epoch {log.epoch}: loss {log.train_loss:.3f}{accuracy}"
        )

    def finished(self, job: Job, accuracy: float) -> None:
        """Print what a job reached."""
        line = f"{job.name:<24} test accuracy {accuracy:7.2%}"
        if not self.console.is_terminal:
            spent = time.monotonic() - self.started
            share = (self.done - self.skipped) / max(self.total - self.skipped, 1e-9)
            line += f"   {self.done / self.total:4.0%} done, about {spent / max(share, 1e-9) - spent:.0f} s left"
        say(self.console, line)


@dataclass(eq=False)
class Worker:
    """Does jobs that are not finished, and tells the reporter."""

    contexts: dict[Job, JobContext]
    costs: dict[str, Cost]
    reporter: Reporter

    def finished(self, job: Job) -> bool:
        """Whether a job has all files that it must have."""
        return self.contexts[job].folder(job.name).result(need_weights=not job.spent) is not None

    def chain(self, jobs: list[Job], stop: Event) -> None:
        """Jobs of which each starts from the one before."""
        for job in jobs:
            if self.finished(job):
                self.reporter.skip(self.costs[job.name].total)
            else:
                self._job(job, stop)
            if job.spent:
                self.contexts[job].folder(job.name).weights.unlink(missing_ok=True)

    def _job(self, job: Job, stop: Event) -> None:
        own, cost = self.contexts[job], self.costs[job.name]
        ticks = 0

        def tick() -> None:
            nonlocal ticks
            ticks += 1
            self.reporter.tick(cost.unit)
            if stop.is_set():
                raise StoppedBesideError

        self.reporter.begin(job)
        run_job(job, replace(own, tick=tick, say=self.reporter.epoch))
        self.reporter.skip(max(0.0, cost.total - ticks * cost.unit))  # an early stop spared the rest
        result = own.folder(job.name).result()
        if result is None:
            raise PruningError(f"{own.config.out / 'jobs' / job.name}: what was just written reads back otherwise.")
        self.reporter.finished(job, float((result.predictions["after.clean"] == own.dataset.test.labels).mean()))
