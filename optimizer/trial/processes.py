"""The processes of a trial: started, asked to run models, and stopped."""

import contextlib
import multiprocessing
from collections.abc import Sequence
from multiprocessing.connection import Connection
from types import TracebackType

from optimizer.errors import OptimizerError
from optimizer.trial.worker import Job, Ran, Station, serve


class Worker:
    """One gateway or the edge server, as a process. Use it as a context manager: leaving it stops the process.

    Args:
        name: Name for messages.
        station: What it runs.
    """

    def __init__(self, name: str, station: Station) -> None:
        self._name = name
        context = multiprocessing.get_context("spawn")  # runtimes' threads do not survive a fork
        self._pipe: Connection
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=serve, args=(station, theirs), name=name, daemon=True)
        self._process.start()
        theirs.close()

    def run(self, jobs: Sequence[Job]) -> Ran:
        """Run windows through models, job after job without a pause.

        Args:
            jobs: A model, indices of test windows, and the size of the batches that they run in.

        Returns:
            For each job the seconds of each batch and the predicted class of each window; and what disturbed the
            machine while they ran.

        Raises:
            OptimizerError: The process died or its runtime failed.
        """
        try:
            self._pipe.send(list(jobs))
            answer = self._pipe.recv()
        except (EOFError, OSError):
            raise OptimizerError(
                f"{self._name}: the process ended (exit code {self._process.exitcode}).",
                "Is there enough memory for a process per gateway? Run the trial again.",
            ) from None
        if isinstance(answer, str):
            raise OptimizerError(f"{self._name}: {answer}")
        found: Ran = answer
        return found

    def __enter__(self) -> "Worker":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):
            self._pipe.send(None)
        self._process.join(timeout=5)
        if self._process.is_alive():
            self._process.terminate()
            self._process.join()
        self._pipe.close()
