"""Jobs in processes of this machine, which share its cores and GPUs."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from multiprocessing.connection import Connection, Pipe, wait
from typing import Any

from data.common.sweep.job import Ended, Event, Job, Lost, Work
from data.common.sweep.payload import pack

CODE = (  # the worker finds modules where its parent does
    "import sys, json; sys.path[:] = json.loads(sys.argv[1]); "
    "from data.common.sweep.worker import main; main(*map(int, sys.argv[2:]))"
)


@dataclass(eq=False)
class _Worker:
    """A process, its connection, and the job that it does."""

    process: "subprocess.Popen[bytes]"
    connection: Connection
    gpu: int | None
    job: Job | None = None

    def end(self) -> int:
        """Kill it, with whatever it started; its exit status."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.connection.close()
        return self.process.wait()


def visible_gpus(count: int) -> list[str]:
    """What `CUDA_VISIBLE_DEVICES` calls the GPUs that this process may use.

    Args:
        count: How many there are.
    """
    said = os.environ.get("CUDA_VISIBLE_DEVICES")
    return said.split(",")[:count] if said else [str(i) for i in range(count)]


class LocalExecutor:
    """Processes on this machine; each does one job at a time, and is kept for the next.

    A new process is started for every job, not forked: threads of numerical libraries do not survive a fork.

    Args:
        work: Does a job.
        shared: What all jobs share.
        cores: Cores that running jobs use in all.
        gpus: Number of GPUs.
    """

    def __init__(self, work: Work, shared: Any, cores: int, gpus: int = 0) -> None:
        self._cores, self._gpus = cores, visible_gpus(gpus)
        self._workers: list[_Worker] = []
        self._lifeline = os.pipe()
        self._payload = pack((work, shared))

    def _running(self) -> list[Job]:
        return [worker.job for worker in self._workers if worker.job is not None]

    def _gpu_for(self, job: Job) -> int | None:
        """A GPU with room for a job; None if there is none."""
        for gpu in range(len(self._gpus)):
            used = sum(w.job.gpus for w in self._workers if w.job is not None and w.gpu == gpu)
            if used + job.gpus <= 1 + 1e-9:
                return gpu
        return None

    def fits(self, job: Job) -> bool:
        """Whether its cores and its share of a GPU are free; a job that wants more than there is gets all."""
        running = self._running()
        free = self._cores - sum(other.threads for other in running)
        return not running or (free >= job.threads and (not job.gpus or self._gpu_for(job) is not None))

    def start(self, job: Job) -> None:
        """Give a job to an idle process, or to a new one."""
        gpu = self._gpu_for(job) if job.gpus else None
        idle = [worker for worker in self._workers if worker.job is None and worker.gpu == gpu]
        worker = idle[0] if idle else self._new(job, gpu)
        worker.job = job
        with contextlib.suppress(OSError):  # it is dead: `events` will notice
            worker.connection.send(job)

    def _new(self, job: Job, gpu: int | None) -> _Worker:
        ours, theirs = Pipe()
        handles = (theirs.fileno(), self._payload.fileno(), self._lifeline[0])
        environment = {**os.environ, "OMP_NUM_THREADS": str(job.threads)}
        if gpu is not None:
            environment["CUDA_VISIBLE_DEVICES"] = self._gpus[gpu]
        process = subprocess.Popen(
            [sys.executable, "-c", CODE, json.dumps(sys.path), str(os.getpid()), *map(str, handles)],
            stdin=subprocess.DEVNULL,
            pass_fds=handles,
            env=environment,
            process_group=0,  # Ctrl-C on the terminal reaches this process alone, which ends the others
        )
        worker = _Worker(process, ours, gpu)
        self._workers.append(worker)
        theirs.close()
        return worker

    def events(self, timeout: float) -> list[Event]:
        """What running jobs said, which ended, and whose process died."""
        found: list[Event] = []
        ready = wait([worker.connection for worker in self._workers if worker.job is not None], timeout)
        for worker in [w for w in self._workers if w.connection in ready]:
            job = worker.job
            assert job is not None
            try:
                while worker.connection.poll():
                    found.append(worker.connection.recv())
            except (EOFError, OSError):
                found.append(Lost(job.name, self._drop(worker)))
            if isinstance(found[-1], Ended):
                worker.job = None
        return found

    def _drop(self, worker: _Worker) -> str:
        """Forget a process that died; how it ended."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            worker.process.wait(timeout=5)  # its end of the connection is closed a moment before it is gone
        code = worker.end()
        self._workers.remove(worker)
        if code >= 0:
            return f"its process ended with status {code}"
        name = signal.Signals(-code).name
        return f"its process was ended by {name}" + (", perhaps for lack of memory" if name == "SIGKILL" else "")

    def stop(self, name: str) -> None:
        """Kill the process that does a job."""
        for worker in [w for w in self._workers if w.job is not None and w.job.name == name]:
            worker.end()
            self._workers.remove(worker)

    def close(self) -> None:
        """Kill all processes."""
        for worker in self._workers:
            worker.end()
        self._workers.clear()
        self._payload.close()
        for handle in self._lifeline:
            with contextlib.suppress(OSError):
                os.close(handle)
