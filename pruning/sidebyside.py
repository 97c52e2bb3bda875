"""Jobs that do not need each other, done at the same time: small batches keep one core busy and two hardly more.

Threads suffice, because PyTorch computes outside Python's lock. Every job has the same number of cores whatever else is
done beside it, so its result is the same.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager
from threading import Event
from typing import TypeVar

import torch

MOST_AT_ONCE = 4  # each holds a model, its gradients and its momentum: 0.2 GB and its batch

Item = TypeVar("Item")


class StoppedBesideError(Exception):
    """Another job failed or the command was stopped: this one ends at its next update and goes on when called again."""


def at_once(threads: int, jobs: int) -> int:
    """How many jobs are done at the same time with so many threads."""
    return max(1, min(threads, MOST_AT_ONCE, jobs))


@contextmanager
def _computing_with(threads: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def side_by_side(items: Sequence[Item], work: Callable[[Item, Event], None], threads: int, count: int) -> None:
    """Do all items, `count` at the same time, on `threads` threads in all.

    Args:
        items: What is to be done, in order.
        work: Does one; it looks at the event often and raises `StoppedBesideError` once it is set.
        threads: Threads of all together.
        count: How many at the same time.

    Raises:
        Exception: The first that an item raised.
    """
    each = max(1, threads // count)
    stop = Event()
    with _computing_with(each), ThreadPoolExecutor(count, initializer=torch.set_num_threads, initargs=(each,)) as pool:
        futures = [pool.submit(work, item, stop) for item in items]
        try:
            done, _ = wait(futures, return_when=FIRST_EXCEPTION)
            failed = [error for future in futures if future in done and (error := future.exception()) is not None]
            if failed:
                raise next((e for e in failed if not isinstance(e, StoppedBesideError)), failed[0])
        finally:  # also after Ctrl-C
            stop.set()
            pool.shutdown(cancel_futures=True)
