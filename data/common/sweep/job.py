"""The jobs of a sweep, what is heard of them while they are done, and how each ended."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from data.common.errors import UserError

Tell = Callable[[Any], None]
"""Sends a message from a job to whoever watches the sweep; every message is also a sign of life."""

Work = Callable[[Any, Any, Tell], None]
"""Does one job: called with what all jobs share, the job's arguments and `Tell`. It is a function of a module, since
other processes import it by its name. It goes on from what an earlier attempt left, and writes its result file last."""


@dataclass(frozen=True)
class Job:
    """One job of a sweep. It needs no other job of its list.

    Attributes:
        name: Name for messages, unique in its sweep.
        arguments: What `Work` is called with; small, and picklable.
        threads: Cores that it computes on. Results may depend on this number, so the caller fixes it; nothing else
            that an executor decides changes a result.
        gpus: Share of a GPU that it needs; 0 for none.
    """

    name: str
    arguments: Any = None
    threads: int = 1
    gpus: float = 0.0


@dataclass(frozen=True)
class Begun:
    """A job is being carried out: from now on it should give signs of life."""

    name: str


@dataclass(frozen=True)
class Said:
    """A message of a running job."""

    name: str
    message: Any


@dataclass(frozen=True)
class Ended:
    """A job has ended; `error` is what it raised, None if nothing."""

    name: str
    error: Exception | None


@dataclass(frozen=True)
class Lost:
    """What carried a job out has died; `why` says how it is known."""

    name: str
    why: str


Event = Begun | Said | Ended | Lost


@runtime_checkable
class Executor(Protocol):
    """Carries jobs out elsewhere."""

    def fits(self, job: Job) -> bool:
        """Whether a job can be begun now."""
        ...

    def start(self, job: Job) -> None:
        """Begin a job."""
        ...

    def events(self, timeout: float) -> list[Event]:
        """What happened since the last call; waits up to so many seconds for something to happen."""
        ...

    def stop(self, name: str) -> None:
        """End a running job by force; nothing more is heard of it."""
        ...

    def close(self) -> None:
        """End everything; no process is left."""
        ...


class SweepError(UserError):
    """A sweep cannot be carried out, or some of its jobs could not be finished."""


class JobError(RuntimeError):
    """A job raised something that is no mistake of its user; the text is its traceback."""


@dataclass
class Summary:
    """How a sweep went.

    Attributes:
        finished_before: Jobs whose results were there already.
        finished: Jobs that were done.
        repeated: For each job that was begun again, why, once for every time.
        failed: For each job that could not be finished, why.
    """

    finished_before: int = 0
    finished: int = 0
    repeated: dict[str, list[str]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    def lines(self) -> list[str]:
        """What a user is told at the end: nothing if every job was done at the first attempt."""
        told = [f"{name} was begun again: {'; '.join(reasons)}" for name, reasons in self.repeated.items()]
        return told + [f"{name} could not be finished: {why}" for name, why in self.failed.items()]
