"""Does the jobs of a sweep: who does them, what is heard of them, and what happens if one dies or hangs."""

import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any

from data.common.device import gpu_count
from data.common.errors import UserError
from data.common.sweep.carry import do
from data.common.sweep.job import Ended, Event, Executor, Job, JobError, Lost, Said, Summary, SweepError, Tell, Work
from data.common.sweep.local import LocalExecutor
from data.common.sweep.options import Execution

TICK_S = 0.5  # how long to wait for news before looking for jobs that hang
MOST_AT_ONCE = 8  # picked by hand: a training process needs about 1 GB

Hear = Callable[[str, Any], None]
"""Called with the name of a job and what it said."""


def at_once(threads: int, jobs: int) -> int:
    """How many of so many jobs share a machine's threads, each with an equal part.

    It depends on nothing but these two numbers, so that a sweep gives each job the same threads wherever it runs.
    """
    return max(1, min(threads, MOST_AT_ONCE, jobs))


class Sweep:
    """Does lists of jobs that share something; what is finished is not done again. Use it as a context manager.

    With room for one job at a time, local jobs are done in this process; otherwise, in processes that are started when
    they are first needed and kept until the end. Leaving the context ends them all, also after Ctrl-C.

    Args:
        work: Does a job.
        shared: What all jobs share; picklable.
        execution: Who does the jobs.
        cores: Cores of this machine that local jobs share.
        hear: Called with what jobs say.

    Attributes:
        summary: How it went so far.
    """

    def __init__(self, work: Work, shared: Any, execution: Execution, *, cores: int, hear: Hear) -> None:
        if work.__module__ == "__main__":
            raise ValueError("the function that does a job must be of a module that other processes can import")
        self._work, self._shared, self._execution = work, shared, execution
        self._cores, self._hear = cores, hear
        self._executor: Executor | None = None
        self.summary = Summary()

    def __enter__(self) -> "Sweep":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._executor is not None:
            self._executor.close()
            self._executor = None

    def run(self, jobs: Sequence[Job], finished: Callable[[Job], bool]) -> None:
        """Do all jobs that are not finished.

        Args:
            jobs: The jobs; they are begun in this order.
            finished: Whether a job's result is there and whole.

        Raises:
            UserError: What a job raised, once all others are finished.
            SweepError: Jobs died or hung more often than is allowed; all others are finished.
            JobError: A job failed in a way that its user cannot mend.
        """
        todo = [job for job in jobs if not finished(job)]
        self.summary.finished_before += len(jobs) - len(todo)
        if self._execution.executor == "local" and self._executor is None and self._one_by_one(todo):
            errors = self._here(todo, finished)
        else:
            errors = _Watch(self._started(), todo, finished, self._hear, self._execution, self.summary).run()
        for error in errors:
            raise error
        if self.summary.failed:
            told = "; ".join(f"{name}: {why}" for name, why in self.summary.failed.items())
            raise SweepError(
                f"{len(self.summary.failed)} of {len(jobs)} jobs could not be finished: {told}.",
                "The others are finished. The same command tries these again.",
            )

    def _one_by_one(self, todo: Sequence[Job]) -> bool:
        """Whether there is no room for two jobs at a time."""
        if len(todo) < 2:
            return True
        first, second = todo[:2]
        crowded = first.threads + second.threads > self._cores
        return crowded or (first.gpus > 0 and first.gpus + second.gpus > gpu_count())

    def _here(self, todo: Sequence[Job], finished: Callable[[Job], bool]) -> list[UserError]:
        """Do jobs in this process; what those raised that failed."""
        errors: list[UserError] = []
        for job in todo:
            try:
                do(self._work, self._shared, job, self._teller(job))
            except UserError as error:
                errors.append(error)
                continue
            check_left(job, finished)
            self.summary.finished += 1
        return errors

    def _teller(self, job: Job) -> Tell:
        return lambda message: self._hear(job.name, message)

    def _started(self) -> Executor:
        """The executor, which is made when it is first needed."""
        if self._executor is None:
            self._executor = self._made()
        return self._executor

    def _made(self) -> Executor:
        if self._execution.executor == "ray":
            from data.common.sweep.ray_executor import RayExecutor

            return RayExecutor(self._work, self._shared, self._execution.address, self._cores)
        return LocalExecutor(self._work, self._shared, self._cores, gpu_count())


def check_left(job: Job, finished: Callable[[Job], bool]) -> None:
    """Check that a job that ended has left its result. Raises SweepError."""
    if not finished(job):
        raise SweepError(
            f"{job.name} was done, but its result is not here, or reads back otherwise.",
            "Does every node of the cluster see the folder of the results, and is its disk sound?",
        )


class _Watch:
    """Jobs under way at an executor: begins them, hears them, and begins those again that died or hang."""

    def __init__(
        self, executor: Executor, todo: Sequence[Job], finished: Callable[[Job], bool], hear: Hear,
        execution: Execution, summary: Summary,
    ) -> None:  # fmt: skip
        self._executor, self._finished, self._hear = executor, finished, hear
        self._execution, self._summary = execution, summary
        self._waiting = deque(todo)
        self._running: dict[str, Job] = {}
        self._heard: dict[str, float] = {}  # when each gave its last sign of life; infinite before its first
        self._errors: list[UserError] = []

    def run(self) -> list[UserError]:
        """Until no job is left; what those raised that failed."""
        while self._waiting or self._running:
            while self._waiting and self._executor.fits(self._waiting[0]):
                job = self._waiting.popleft()
                self._running[job.name], self._heard[job.name] = job, math.inf
                self._executor.start(job)
            for event in self._executor.events(TICK_S):
                self._note(event)
            for name in [n for n in self._running if time.monotonic() - self._heard[n] > self._execution.hang_s]:
                self._executor.stop(name)
                self._again(name, f"no sign of life for {self._execution.hang_s:g} s")
        return self._errors

    def _note(self, event: Event) -> None:
        if event.name not in self._running:
            return
        self._heard[event.name] = time.monotonic()
        if isinstance(event, Said):
            self._hear(event.name, event.message)
        elif isinstance(event, Lost):
            self._again(event.name, event.why)
        elif isinstance(event, Ended):
            self._ended(event)

    def _ended(self, event: Ended) -> None:
        job = self._running.pop(event.name)
        if isinstance(event.error, UserError):
            self._errors.append(event.error)
        elif event.error is not None:
            raise event.error if isinstance(event.error, JobError) else JobError(str(event.error))
        else:
            check_left(job, self._finished)
            self._summary.finished += 1

    def _again(self, name: str, why: str) -> None:
        """Begin a job again, unless it was begun too often."""
        job = self._running.pop(name)
        before = self._summary.repeated.get(name, [])
        if len(before) < self._execution.retries:
            self._summary.repeated[name] = [*before, why]
            self._waiting.appendleft(job)
        else:
            self._summary.failed[name] = f"{why} (attempt {len(before) + 1} of {self._execution.retries + 1})"
