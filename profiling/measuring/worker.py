"""The process that measures: it opens sessions, runs them in turn, and reports to its parent in JSON lines.

It is a separate process so that a model too large for memory, or a runtime that crashes, costs one cell and not the
whole run. `profiling.measuring.measure` starts it; its job is one JSON object on standard input.
"""

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from io import TextIOBase
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file

from data.common.errors import UserError
from profiling.measuring.device import memory_bytes
from profiling.measuring.interference import disturbances, look
from profiling.measuring.turns import Turns
from profiling.profile.entries import Device, Precision, RuntimeName
from profiling.runtimes.registry import opener
from profiling.runtimes.service import Service
from profiling.runtimes.session import Images, Request, Session

STEADY = 0.02  # warm when the median of the last ten runs moves by less than this share
WARM_RUNS, WARM_S = 50, 1.0
NEVER_STEADY_S = 6.0
AGAIN_RUNS, AGAIN_S = 3, 0.03  # unrecorded runs before each visit: the caches hold another model by then
KEEP_FREE = 0.2  # share of the memory to keep free by closing the sessions that were opened first


@dataclass(frozen=True)
class Job:
    """Work for one measuring process.

    Attributes:
        runtime: Name of the runtime that executes all cells.
        session: Function that opens its sessions, as "module:function".
        device: Device that executes all cells.
        threads: Number of CPU threads; the process is pinned to as many cores.
        cells: One dictionary per cell with `key`, `precision`, `batch`, `shape`, `onnx`, `bundle`, `needs_bytes`.
        visits: (key, round) in the order to measure; round -1 asks for predictions instead.
        least_runs: Least number of runs per visit.
        least_s: Least seconds per visit.
        test: Safetensors file with the windows to predict.
        dynamic: Whether a session can take any batch size. Cells with `turns` set are run in turn, see `turns`.
    """

    runtime: RuntimeName
    session: str
    device: Device
    threads: int
    cells: list[dict[str, Any]]
    visits: list[tuple[str, int]]
    least_runs: int
    least_s: float
    test: str | None
    dynamic: bool = True


def warm_up(session: Session) -> tuple[int, bool]:
    """Run until the median of the last ten moves by less than 2 %, at least 50 runs or 1 s.

    Returns:
        Runs made, and whether it became steady within 6 s.
    """
    times: list[float] = []
    begun = time.monotonic()
    while True:
        times.append(session.sample()[0])
        elapsed = time.monotonic() - begun
        if len(times) >= 20 and (len(times) >= WARM_RUNS or elapsed >= WARM_S):
            last, before = np.median(times[-10:]), np.median(times[-20:-10])
            if abs(last / before - 1) < STEADY:
                return len(times), True
        if elapsed > NEVER_STEADY_S and len(times) >= 3:
            return len(times), False


def pin(threads: int) -> list[int]:
    """Pin this process to its first cores, one per thread; returns them (empty if the system cannot)."""
    if not hasattr(os, "sched_setaffinity"):
        return []
    cores = sorted(os.sched_getaffinity(0))[:threads]
    os.sched_setaffinity(0, cores)
    return cores


def resident_bytes() -> int:
    """Resident memory of this process in bytes."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


class Worker:
    """Keeps sessions open by cell and measures them."""

    def __init__(self, job: Job, out: TextIOBase) -> None:
        self._job, self._out = job, out
        self._open_session = opener(job.session)
        self._cells = {c["key"]: c for c in job.cells}
        self._open: dict[str, Session] = {}
        self._memory: dict[str, int] = {}
        self._warm: dict[str, tuple[int, bool]] = {}

    def tell(self, event: str, **fields: Any) -> None:
        """Send one event to the parent."""
        self._out.write(json.dumps({"event": event, **fields}) + "\n")
        self._out.flush()

    def _request(self, cell: dict[str, Any]) -> Request:
        precision: Precision = cell["precision"]
        return Request(
            self._job.runtime,
            self._job.device,
            precision,
            self._job.threads,
            cell["batch"],
            tuple(cell["shape"]),
            Path(cell["onnx"]) if cell["onnx"] else None,
            (Path(cell["bundle"][0]), cell["bundle"][1]) if cell["bundle"] else None,
        )

    def _room(self, needs: int) -> None:
        """Close the oldest sessions if memory is short; raise MemoryError if that is not enough."""
        if self._job.device == "cuda":
            return
        while self._open and memory_bytes("MemAvailable") - needs < KEEP_FREE * memory_bytes():
            self._open.pop(next(iter(self._open)))
        available = memory_bytes("MemAvailable")
        if available and needs > available:
            raise MemoryError(f"it needs about {needs / 2**30:.1f} GiB, {available / 2**30:.1f} GiB are free")

    def session(self, key: str) -> Session:
        """The session of a cell, opened and warmed up."""
        if key not in self._open:
            cell = self._cells[key]
            self._room(cell["needs_bytes"])
            self.tell("open", key=key)
            before = resident_bytes()
            session = self._open_session(self._request(cell))
            self._warm[key] = warm_up(session)
            self._memory[key] = max(0, resident_bytes() - before)
            self._open[key] = session
        return self._open[key]

    def visit(self, key: str, number: int) -> None:
        """Measure a cell once and report its samples."""
        session = self.session(key)
        begun = time.monotonic()
        for i in range(10_000):
            if i >= AGAIN_RUNS and time.monotonic() - begun >= AGAIN_S:
                break
            session.sample()
        before = look()
        samples: list[float] = []
        host: list[float] = []
        while len(samples) < self._job.least_runs or time.monotonic() - before.wall < self._job.least_s:
            one, whole = session.sample()
            samples.append(one)
            if whole is not None:
                host.append(whole)
        runs, steady = self._warm[key]
        self.tell(
            "visit",
            key=key,
            round=number,
            samples=samples,
            host=host,
            disturbed=disturbances(before, look(), os.cpu_count() or 1),
            memory=session.device_bytes() if self._job.device == "cuda" else self._memory[key],
            warm_runs=runs,
            steady=steady,
        )

    @cached_property
    def _images(self) -> Images:
        assert self._job.test is not None
        return load_file(self._job.test)["images.clean"]

    @cached_property
    def _turns(self) -> Turns:
        cells = {key: cell for key, cell in self._cells.items() if cell.get("turns")}
        return Turns(cells, self._open_model, self._images, self._job.least_runs, self._job.least_s)

    def _open_model(self, cell: dict[str, Any]) -> Service:
        available = memory_bytes("MemAvailable")
        if available and cell["needs_bytes"] > available:
            raise MemoryError(f"it needs about {cell['needs_bytes'] / 2**30:.1f} GiB")
        return Service(self._request(cell), self._open_session, dynamic=self._job.dynamic)

    def take_turns(self, keys: list[str], number: int) -> set[str]:
        """Measure cells in one round of turns and report their samples; returns those that failed."""
        failed = set()
        for key in keys:
            if self._turns.is_open(key):
                continue
            self.tell("open", key=key)
            before = resident_bytes()
            if not self._guarded(key, partial(self._turns.open, key)):
                failed.add(key)
            self._memory[key] = max(0, resident_bytes() - before)
        left = [key for key in keys if key not in failed]
        if not left:
            return failed
        samples, disturbed = self._turns.round(left, number)
        for key in left:
            self.tell(
                "visit", key=key, round=number, samples=samples[key], host=[], disturbed=disturbed,
                memory=self._memory[key], warm_runs=0, steady=True,
            )  # fmt: skip
        return failed

    def predict(self, key: str) -> None:
        """Report the classes that a cell's model predicts for all test windows."""
        images = self._images
        cell, session = self._cells[key], self.session(key)
        size = cell["batch"]
        called: list[int] = []
        for start in range(0, len(images), size):
            part = images[start : start + size]
            whole = np.concatenate([part, np.repeat(part[:1], size - len(part), axis=0)])  # a static batch is full
            called += np.argmax(session.logits(whole)[: len(part)], axis=1).tolist()
        self.tell("predictions", key=key, called=called)

    def run(self) -> None:
        """Make all visits; a cell that fails is reported and skipped from then on."""
        failed: set[str] = set()
        for (turns, number), group in groupby(self._job.visits, self._group):
            keys = [key for key, _ in group if key not in failed]
            if turns:
                failed |= self.take_turns(keys, number)
                continue
            for key in keys:
                if key not in failed and not self._guarded(key, partial(self._one, key, number)):
                    failed.add(key)
        self.tell("done")

    def _group(self, visit: tuple[str, int]) -> tuple[bool, int]:
        key, number = visit
        return number >= 0 and bool(self._cells.get(key, {}).get("turns")), number

    def _one(self, key: str, number: int) -> None:
        if number < 0:
            self.predict(key)
        else:
            self.visit(key, number)

    def _guarded(self, key: str, work: Callable[[], None]) -> bool:
        """Whether work on a cell went well; what went wrong is reported."""
        try:
            work()
        except UserError as error:
            self.tell("failed", key=key, reason=error.problem)
        except (MemoryError, RuntimeError, ValueError, OSError) as error:  # what runtimes raise
            self._open.pop(key, None)
            self.tell("failed", key=key, reason=_reason(error))
        else:
            return True
        return False


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    memory = isinstance(error, MemoryError) or any(w in text.lower() for w in ("alloc", "memory"))
    return f"out of memory: {text[:200]}" if memory else text[:240]


def main() -> None:
    """Read a job from standard input and do it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print must not mix with the events
    job = Job(**json.loads(sys.stdin.read()))
    worker = Worker(job, out)
    try:
        worker.tell("ready", cores=pin(job.threads) if job.device == "cpu" else [])
        worker.run()
    except BrokenPipeError:  # the parent is gone
        sys.exit(1)


if __name__ == "__main__":
    main()
