"""Does the models of a sweep that are not finished, where it is told to, and tells what was done."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from rich.console import Console

from data import Dataset
from data.common.console import say
from data.common.progress import work_bar
from data.common.sweep.job import Tell
from pruning.budget import Cost
from pruning.config import SweepConfig
from pruning.cross import Cross
from pruning.curve import fewer
from pruning.errors import PruningError
from pruning.jobfolder import JobFolder
from pruning.jobs import Job, JobContext, run_job
from pruning.parallel import ALONE, Team
from pruning.spec import VGGSpec
from pruning.state import EpochLog

TOLD_EVERY_S = 0.25  # seconds that updates are counted for before they are told


@dataclass(frozen=True)
class Began:
    """A model was begun; what was counted for it by an earlier attempt counts no more."""

    job: Job


@dataclass(frozen=True)
class Updated:
    """So many further updates of a model were made."""

    job: Job
    count: int


@dataclass(frozen=True)
class Logged:
    """An epoch of a model is over."""

    job: Job
    log: EpochLog


@dataclass(frozen=True)
class Done:
    """A model is finished, with this accuracy on the test windows; None if it was finished before."""

    job: Job
    accuracy: float | None


def _silent(*_: object) -> None:
    """Nobody is told."""


@dataclass(frozen=True, eq=False)
class Workshop:
    """What all models of a sweep share.

    Attributes:
        config: Settings of the sweep.
        dataset: The data set with its one test part.
        dense: Structure of the dense model.
        device: Where models are trained.
        cross: The cross-validation, if there is one.
        team: Who trains each model.
    """

    config: SweepConfig
    dataset: Dataset
    dense: VGGSpec
    device: torch.device
    cross: Cross | None
    team: Team = ALONE

    def folder(self, name: str) -> JobFolder:
        """The folder of a model's job."""
        return JobFolder(self.config.out / "jobs" / name)

    def context(self, job: Job) -> JobContext:
        """Settings and data of a job: its fold's data set, with as many epochs as that needs."""
        config, dataset = self.config, self.dataset
        if self.cross is not None and job.fold:
            fold = job.fold - 1
            dataset = fewer(self.cross, fold, job.groups) if job.groups else self.cross.datasets[fold]
            config = self.cross.settings(job, config, len(dataset.train))
        return JobContext(config, dataset, self.dense, self.device, self.folder, _silent, _silent, self.team)

    def finished(self, job: Job) -> bool:
        """Whether a job has all files that it must have."""
        return self.folder(job.name).result(need_weights=not job.spent) is not None


def do_chain(shop: Workshop, chain: Sequence[Job], tell: Tell) -> None:
    """Jobs of which each starts from the one before."""
    for job in chain:
        if shop.finished(job):
            tell(Done(job, None))
        else:
            tell(Done(job, _do_job(shop, job, tell)))
        if job.spent:
            shop.folder(job.name).weights.unlink(missing_ok=True)


def _do_job(shop: Workshop, job: Job, tell: Tell) -> float:
    """Do a job; its accuracy on the test windows."""
    held, told = 0, time.monotonic()

    def tick() -> None:
        nonlocal held, told
        held += 1
        if time.monotonic() - told >= TOLD_EVERY_S:
            tell(Updated(job, held))
            held, told = 0, time.monotonic()

    tell(Began(job))
    context = shop.context(job)
    run_job(job, replace(context, tick=tick, say=lambda job, log: tell(Logged(job, log))))
    result = shop.folder(job.name).result()
    if result is None:
        raise PruningError(f"{shop.config.out / 'jobs' / job.name}: what was just written reads back otherwise.")
    return float((result.predictions["after.clean"] == context.dataset.test.labels).mean())


class Reporter:
    """Progress of a sweep: a bar with the remaining time on a terminal, one line per model elsewhere.

    Work is counted in FLOP of training updates, so that a small model moves the bar as little as it costs.

    Args:
        console: Where it is shown.
        costs: What each job costs, by its name.
    """

    def __init__(self, console: Console, costs: dict[str, Cost]) -> None:
        self.console = console
        self.costs = costs
        self.total = sum(cost.total for cost in costs.values())
        self.counted: dict[str, float] = {}
        self.skipped = 0.0  # done by an earlier process
        self.started = time.monotonic()
        self.progress = work_bar(console)
        self.task = self.progress.add_task("preparing", total=self.total)

    @property
    def done(self) -> float:
        """FLOP that are done."""
        return sum(self.counted.values())

    def _count(self, job: Job, amount: float) -> None:
        self.counted[job.name] = min(amount, self.costs[job.name].total)
        self.progress.update(self.task, completed=self.done)

    def hear(self, _: str, message: Any) -> None:
        """Show what a chain of jobs said."""
        job = message.job
        before = self.counted.get(job.name, 0.0)
        if isinstance(message, Began):
            self._count(job, 0.0)
            self.progress.update(self.task, description=job.name)
        elif isinstance(message, Updated):
            self._count(job, before + message.count * self.costs[job.name].unit)
        elif isinstance(message, Logged):
            self._epoch(job, message.log)
        elif message.accuracy is None:
            self.skip(job)
        else:
            self._count(job, self.costs[job.name].total)  # an early stop spared the rest
            self._finished(job, message.accuracy)

    def skip(self, job: Job) -> None:
        """Count a job that was finished by an earlier process."""
        if job.name not in self.counted:
            self.skipped += self.costs[job.name].total
            self._count(job, self.costs[job.name].total)

    def _epoch(self, job: Job, log: EpochLog) -> None:
        accuracy = "" if log.validation_accuracy is None else f", validation {log.validation_accuracy:.1%}"
        self.progress.update(
            self.task, description=f"{job.name} epoch {log.epoch}: loss {log.train_loss:.3f}{accuracy}"
        )

    def _finished(self, job: Job, accuracy: float) -> None:
        """Print what a job reached."""
        line = f"{job.name:<24} test accuracy {accuracy:7.2%}"
        if not self.console.is_terminal:
            spent = time.monotonic() - self.started
            share = (self.done - self.skipped) / max(self.total - self.skipped, 1e-9)
            line += f"   {self.done / self.total:4.0%} done, about {spent / max(share, 1e-9) - spent:.0f} s left"
        say(self.console, line)


def chains_of(jobs: Iterable[Job]) -> list[list[Job]]:
    """Jobs that start from one another together, in the order of the first of each."""
    found: dict[tuple[object, ...], list[Job]] = {}
    for job in jobs:
        key = (job.fold, job.seed, job.groups, job.kind, job.final_rate)
        found.setdefault(key, []).append(job)
    return list(found.values())
