"""A computation that is stopped when its time is up, even inside compiled code."""

import multiprocessing
import signal
import warnings
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import TypeVar

Result = TypeVar("Result")


def within(seconds: float, compute: Callable[[], Result]) -> Result:
    """The result of a computation, carried out in a forked process that is killed when the time is up.

    Where processes cannot be forked, or without a limit, it is carried out here and never stopped.

    Args:
        seconds: The limit.
        compute: The computation; its result must be picklable. Compiled code that it needs should have run here once,
            or the child compiles it again.

    Raises:
        TimeoutError: The time was up.
        Exception: Whatever the computation raised.
    """
    if seconds == float("inf") or "fork" not in multiprocessing.get_all_start_methods():
        return compute()
    if seconds <= 0:
        raise TimeoutError
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    child = context.Process(target=_answer, args=(compute, theirs), daemon=True)
    with warnings.catch_warnings():
        # From Python 3.12 on: other threads of this process (the progress display) are not there in the child, and
        # nothing that it does waits for them.
        warnings.simplefilter("ignore", DeprecationWarning)
        child.start()
    theirs.close()
    try:
        if not ours.poll(seconds):
            raise TimeoutError
        result, error = ours.recv()
    except EOFError:
        raise MemoryError("the computation's process was killed") from None
    finally:
        child.kill()
        child.join()
        ours.close()
    if error is not None:
        raise error
    return result


def _answer(compute: Callable[[], Result], pipe: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent is told, and kills this process
    try:
        pipe.send((compute(), None))
    except Exception as error:  # noqa: BLE001 - whatever it is, the parent raises it
        pipe.send((None, error))
