"""Jobs as tasks of Ray Core, on the nodes of a cluster or on this machine alone.

Every node has this package installed and sees the folder of the results. What jobs share is put into Ray's object store
once. Messages go through an actor on this machine's node, so that a node that dies takes none of them along.
"""

import contextlib
import logging
import os
import pickle
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from data.common.extras import needs_extra
from data.common.sweep.carry import outcome
from data.common.sweep.job import Begun, Ended, Event, Job, JobError, Lost, Said, SweepError, Work

SIGNALS = (signal.SIGINT, signal.SIGTERM)
POLL_S = 0.05  # seconds between two looks at Ray while waiting for news
FLUSH_S = 0.5  # seconds that messages are collected for before they travel
LATEST = 20  # batches that come once more with a task's result: the last ten seconds
LOOK_S = 10.0  # seconds between two looks at whether waiting jobs can still be placed
_loaded: dict[str, Any] = {}  # in a worker: the function and what jobs share, by the sweep's name


@dataclass(frozen=True)
class Batch:
    """Messages of one attempt at a job that travel together; `number` counts them."""

    attempt: int
    number: int
    events: list[Event]


class Mailbox:
    """Where running jobs leave messages."""

    def __init__(self) -> None:
        self._held: list[Batch] = []

    def put(self, batch: Batch) -> None:
        """Leave messages."""
        self._held.append(batch)

    def take(self) -> list[Batch]:
        """All messages since the last call."""
        held, self._held = self._held, []
        return held


class _Post:
    """Collects a job's messages and sends them to the mailbox now and then.

    It never waits for them to arrive: while a task waits, Ray gives its cores to another one. The latest batches come
    once more with the task's result, so that none is missed that is still under way.
    """

    def __init__(self, mailbox: Any, attempt: int, name: str) -> None:
        self._mailbox, self._attempt, self._name = mailbox, attempt, name
        self._held: list[Event] = [Begun(name)]
        self._number = 0
        self.latest: deque[Batch] = deque(maxlen=LATEST)
        self.flush()

    def tell(self, message: Any) -> None:
        self._held.append(Said(self._name, message))
        if time.monotonic() - self._sent >= FLUSH_S:
            self.flush()

    def flush(self) -> None:
        self._number += 1
        batch = Batch(self._attempt, self._number, self._held)
        self.latest.append(batch)
        self._mailbox.put.remote(batch)
        self._held, self._sent = [], time.monotonic()


def carry_out(
    payload: bytes, sweep: str, place: tuple[str, list[str]], pickled: bytes, attempt: int, mailbox: Any
) -> tuple[Exception | None, list[Batch]]:
    """The task: do a job on a node of the cluster.

    Args:
        payload: The function that does a job and what all jobs share, pickled.
        sweep: Name of the sweep, which tells whether this process has read them already.
        place: The folder in which the driver stands, and where it finds modules.
        pickled: The job; its arguments may be of a module that is found only there.
        attempt: Number of the attempt.
        mailbox: Where messages are left.

    Returns:
        What the job raised, None if nothing, and its latest messages.
    """
    with contextlib.suppress(OSError):  # paths that the user gave may be relative
        os.chdir(place[0])
    sys.path += [folder for folder in place[1] if folder not in sys.path]
    job: Job = pickle.loads(pickled)  # noqa: S301 - as below
    if sweep not in _loaded:
        _loaded.clear()
        _loaded[sweep] = pickle.loads(payload)  # noqa: S301 - from the driver, by Ray's own channel
    work, shared = _loaded[sweep]
    post = _Post(mailbox, attempt, job.name)
    error = outcome(work, shared, job, post.tell)
    post.flush()
    return error, list(post.latest)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Signals wait until a call of Ray is over: raised in the middle of one, an exception would become another one.

    Ray also answers SIGTERM itself once it is started; commands answer it in their own way (`data.common.command`).
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        came.append(number)
        for either in SIGNALS:  # a second one ends the process at once
            signal.signal(either, signal.SIG_DFL)

    before = {number: signal.signal(number, note) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if came:
        signal.raise_signal(came[0])


def connect(address: str | None, cores: int) -> bool:
    """Connect to a cluster, or start Ray here; whether it was this call that did.

    Raises:
        MissingExtraError: Ray is not installed.
        SweepError: There is no cluster at the address.
    """
    with needs_extra(__name__):
        import ray
    if ray.is_initialized():
        return False
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is reported to anybody
    own: dict[str, Any] = {"num_cpus": cores, "include_dashboard": False} if address is None else {"address": address}
    try:
        with _undisturbed():
            ray.init(**own, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, OSError, ValueError, RuntimeError) as error:
        where = "here" if address is None else f"at {address}"
        raise SweepError(
            f"no Ray cluster {where}: {str(error).splitlines()[0] if str(error) else type(error).__name__}.",
            "Start one with `ray start --head`, add nodes with `ray start --address HOST:6379`, and give --address.",
        ) from None
    return True


@dataclass
class _Attempt:
    job: Job
    number: int
    ref: Any


class RayExecutor:
    """Jobs as Ray tasks.

    Args:
        work: Does a job.
        shared: What all jobs share.
        address: Address of the cluster; None starts Ray on this machine.
        cores: Cores that it has then.
    """

    def __init__(self, work: Work, shared: Any, address: str | None, cores: int) -> None:
        self._began_ray = connect(address, cores)
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        self._ray: Any = ray
        with _undisturbed():
            here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
            self._mailbox: Any = ray.remote(Mailbox).options(num_cpus=0, scheduling_strategy=here).remote()
            self._payload = ray.put(pickle.dumps((work, shared)))
        self._name = f"{os.getpid()}-{id(self)}-{time.time_ns()}"
        self._attempts: dict[str, _Attempt] = {}
        self._begun: set[str] = set()
        self._seen: dict[int, int] = {}  # for each attempt, the last batch of messages that arrived
        self._number = 0
        self._looked = 0.0

    def fits(self, job: Job) -> bool:  # noqa: ARG002 - of the protocol
        """Always: Ray keeps what does not fit yet."""
        return True

    def start(self, job: Job) -> None:
        """Submit a job.

        Raises:
            SweepError: No node of the cluster is large enough for it.
        """
        with _undisturbed():
            self._check_room(job)
            self._submit(job)

    def _submit(self, job: Job) -> None:
        self._number += 1
        task = self._ray.remote(carry_out).options(
            num_cpus=job.threads, num_gpus=job.gpus, max_retries=0, name=job.name
        )
        ref = task.remote(
            self._payload, self._name, (str(Path.cwd()), sys.path), pickle.dumps(job), self._number, self._mailbox
        )
        self._attempts[job.name] = _Attempt(job, self._number, ref)
        self._begun.discard(job.name)

    def _check_room(self, job: Job) -> None:
        nodes = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        if any(n.get("CPU", 0) >= job.threads and n.get("GPU", 0) >= job.gpus for n in nodes):
            return
        most = max((int(n.get("CPU", 0)) for n in nodes), default=0)
        wanted = f"{job.threads} cores" + (f" and {job.gpus:g} of a GPU" if job.gpus else "")
        raise SweepError(
            f"{job.name} needs {wanted} on one node; the largest of {len(nodes)} nodes has {most} cores"
            f"{' and no node has a GPU' if job.gpus and not any(n.get('GPU') for n in nodes) else ''}.",
            "Give fewer --threads, or add a larger node to the cluster.",
        )

    def events(self, timeout: float) -> list[Event]:
        """What jobs left in the mailbox, which ended, and whose process or node died."""
        until = time.monotonic() + timeout
        while True:
            with _undisturbed():
                found = self._news()
            if found or time.monotonic() >= until:
                return found
            time.sleep(POLL_S)

    def _news(self) -> list[Event]:
        """What happened since the last call."""
        refs = {attempt.ref: name for name, attempt in self._attempts.items()}
        ended = self._ray.wait(list(refs), num_returns=len(refs), timeout=0)[0] if refs else []
        found = self._messages()
        for ref in ended:
            name = refs[ref]
            found += self._result(name, ref)
            del self._attempts[name]
        if self._attempts and time.monotonic() - self._looked > LOOK_S:
            self._looked = time.monotonic()
            for name in set(self._attempts) - self._begun:
                self._check_room(self._attempts[name].job)  # the node that it needs may be gone
        return found

    def _messages(self) -> list[Event]:
        """Messages of the attempts that are under way; not of those that were given up."""
        return [event for batch in self._ray.get(self._mailbox.take.remote()) for event in self._fresh(batch)]

    def _fresh(self, batch: Batch) -> list[Event]:
        """The messages of a batch that was not seen before, of an attempt that is under way."""
        known = {attempt.number for attempt in self._attempts.values()}
        if batch.attempt not in known or batch.number <= self._seen.get(batch.attempt, 0):
            return []
        self._seen[batch.attempt] = batch.number
        self._begun |= {event.name for event in batch.events}
        return batch.events

    def _result(self, name: str, ref: Any) -> list[Event]:
        """The last messages of an attempt and how it ended."""
        from ray.exceptions import NodeDiedError, OutOfMemoryError, RayError, RayTaskError

        try:
            error, latest = self._ray.get(ref)
        except RayTaskError as failed:  # not the job, but what is around it, e.g. a node without this package
            return [Ended(name, JobError(f"{name} could not be begun on a node of the cluster:\n{failed}"))]
        except NodeDiedError:
            return [Lost(name, "its node died")]
        except OutOfMemoryError:
            return [Lost(name, "its node ran out of memory")]
        except RayError as failed:
            return [Lost(name, f"its process died ({type(failed).__name__})")]
        return [*(event for batch in latest for event in self._fresh(batch)), Ended(name, error)]

    def stop(self, name: str) -> None:
        """Kill the process that does a job."""
        with _undisturbed():
            self._cancel(name)

    def _cancel(self, name: str) -> None:
        self._ray.cancel(self._attempts.pop(name).ref, force=True)

    def close(self) -> None:
        """Kill what still runs, and leave the cluster, or end the Ray that was started here."""
        with _undisturbed():
            for name in list(self._attempts):
                self._cancel(name)
            self._ray.kill(self._mailbox)
            if self._began_ray:
                self._ray.shutdown()
