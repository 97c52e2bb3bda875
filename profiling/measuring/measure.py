"""Runs jobs in worker processes and keeps their events in a journal."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from data.common.files import append_whole, unwritable
from data.common.guard import open_own
from data.common.parse import parse_json
from profiling.errors import ProfilingError
from profiling.measuring.worker import Job

Event = dict[str, Any]
WORKER = (sys.executable, "-m", "profiling.measuring.worker")


class Journal:
    """Every event of a measurement, one JSON line each, kept until the profile is written.

    A last line that a killed process left incomplete is dropped and overwritten.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.events: list[Event] = []
        whole = 0
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = open_own(path)
            for line in self._file:
                try:
                    event = parse_json(line) if line.endswith(b"\n") else None
                except ValueError:
                    event = None
                if not isinstance(event, dict) or not isinstance(event.get("event"), str):
                    break
                self.events.append(event)
                whole += len(line)
            self._file.truncate(whole)
            self._end = whole
        except OSError as error:
            raise unwritable(path, error, needed=0) from None

    def add(self, event: Event) -> None:
        """Write an event; it is on the disk when this returns. Of one that finds no room nothing is left."""
        line = json.dumps(event).encode() + b"\n"
        self._end = append_whole(self._file, self.path, self._end, line)
        self.events.append(event)

    def of(self, kind: str) -> list[Event]:
        """Events of one kind, in order."""
        return [e for e in self.events if e["event"] == kind]

    def close(self) -> None:
        """Close the file without deleting it."""
        self._file.close()


@dataclass(frozen=True)
class _Ended:
    status: int
    said: str


def _converse(job: Job, hear: Callable[[Event], None], command: Sequence[str]) -> _Ended:
    """Run one worker to its end and pass its events on."""
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
    """Run a job in a worker process. If it dies, record the current cell as failed and continue in a new worker.

    Args:
        job: Visits that are still to be made.
        hear: Called with every event except "done".
        command: Command that starts a worker.

    Raises:
        ProfilingError: The worker ended before it could begin.
    """
    left = list(job.visits)
    ready, opening = False, ""

    def take(event: Event) -> None:
        nonlocal ready, opening
        kind = event["event"]
        if kind in ("visit", "predictions"):
            left.pop(0)
        elif kind == "failed":
            left[:] = [v for v in left if v[0] != event["key"]]
        ready |= kind == "ready"
        opening = event["key"] if kind == "open" else ""
        if kind != "done":
            hear(event)

    while left:
        ready, opening = False, ""
        ended = _converse(Job(**{**asdict(job), "visits": list(left)}), take, command)
        if not left:
            return
        last = (ended.said.strip().splitlines() or ["it said nothing"])[-1]
        if not ready:
            raise ProfilingError(f"the measuring process could not begin: {last}", "Is the installation complete?")
        key = opening or left[0][0]
        if ended.status < 0:
            reason = f"killed by signal {-ended.status}"
            reason = (
                f"out of memory: {reason}, as the system does when memory runs out" if ended.status == -9 else reason
            )
        else:
            reason = f"the measuring process ended with status {ended.status}: {last}"
        take({"event": "failed", "key": key, "reason": reason})
