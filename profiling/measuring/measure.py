"""The measuring side of the parent: what is still to do, the worker that does it, the journal that keeps it."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from data.common.errors import UserError
from profiling.errors import ProfilingError
from profiling.measuring.worker import Job

Event = dict[str, Any]
WORKER = (sys.executable, "-m", "profiling.measuring.worker")


class Journal:
    """Every event of a measurement, a JSON line each, kept until the profile is written.

    A line that was cut by a kill is left out when it is read back, and written over.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.events: list[Event] = []
        whole = 0
        if path.exists():
            for line in path.read_bytes().splitlines(keepends=True):
                try:
                    event = json.loads(line) if line.endswith(b"\n") else None
                except ValueError:
                    event = None
                if not isinstance(event, dict):
                    break
                self.events.append(event)
                whole += len(line)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("r+b" if path.exists() else "w+b")
            self._file.truncate(whole)
            self._file.seek(whole)
        except OSError as error:
            raise _unwritable(path, error) from None

    def add(self, event: Event) -> None:
        """Keep an event; it is on the disk when this returns."""
        try:
            self._file.write(json.dumps(event).encode() + b"\n")
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise _unwritable(self.path, error) from None
        self.events.append(event)

    def of(self, kind: str) -> list[Event]:
        """Events of one kind, in order."""
        return [e for e in self.events if e["event"] == kind]

    def close(self) -> None:
        """Close the file; it stays."""
        self._file.close()


def _unwritable(path: Path, error: OSError) -> UserError:
    return UserError(
        f"cannot write {path}: {error.strerror or error}.",
        "What was measured is kept. Free some space or give another --out, and run the command again.",
    )


@dataclass(frozen=True)
class _Ended:
    status: int
    said: str


def _converse(job: Job, hear: Callable[[Event], None], command: Sequence[str]) -> _Ended:
    """Run one worker to its end and pass on what it tells."""
    root = str(Path(__file__).parents[2])
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])]),
        "OMP_NUM_THREADS": str(job.threads),
    }
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=environment,
            start_new_session=True,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            with process.stdin as pipe:
                pipe.write(json.dumps(asdict(job)).encode())
            for line in process.stdout:
                hear(json.loads(line))
            status = process.wait()
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
            process.stdout.close()
        errors.seek(0)
        return _Ended(status, errors.read().decode(errors="replace"))


def measure(job: Job, hear: Callable[[Event], None], command: Sequence[str] = WORKER) -> None:
    """Do a job in a worker process; where it dies, the cell under way has failed and the rest goes on in a new one.

    Args:
        job: All visits that are still to do.
        hear: Gets every event but "done".
        command: Starts a worker.

    Raises:
        ProfilingError: The worker ended before it could begin.
    """
    left = list(job.visits)
    ready = False

    def take(event: Event) -> None:
        nonlocal ready
        kind = event["event"]
        if kind in ("visit", "predictions"):
            left.pop(0)
        elif kind == "failed":
            left[:] = [v for v in left if v[0] != event["key"]]
        ready |= kind == "ready"
        if kind != "done":
            hear(event)

    while left:
        ready = False
        ended = _converse(Job(**{**asdict(job), "visits": list(left)}), take, command)
        if not left:
            return
        last = (ended.said.strip().splitlines() or ["it said nothing"])[-1]
        if not ready:
            raise ProfilingError(f"the measuring process could not begin: {last}", "Is the installation complete?")
        key = left[0][0]
        if ended.status < 0:
            reason = f"killed by signal {-ended.status}"
            reason = (
                f"out of memory: {reason}, as the system does when memory runs out" if ended.status == -9 else reason
            )
        else:
            reason = f"the measuring process ended with status {ended.status}: {last}"
        take({"event": "failed", "key": key, "reason": reason})
