"""Processes that use one mutant after the other; memory and time of each are measured, and a hung one is killed."""

import contextlib
import faulthandler
import multiprocessing
import os
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from benchmarks.hostile.targets import TARGETS, Target
from benchmarks.hostile.uses import Place
from data.common.errors import UserError

MOST_S, MOST_BYTES = 20.0, 1 << 30
START_S = 300.0  # to import what a target uses, on a busy machine


@dataclass(frozen=True)
class Ended:
    """How one mutant ended.

    Attributes:
        target: Kind of file.
        number: Which of its mutants; with the seed it says which bytes.
        status: "refused", "used", or "failed".
        detail: First line of the error.
        seconds: How long it took.
        peak: Most memory of the process and of its reader, in bytes.
    """

    target: str
    number: int
    status: str
    detail: str
    seconds: float
    peak: int

    @property
    def passed(self) -> bool:
        """Whether it ended as it should, within the limits."""
        return self.status != "failed" and self.seconds <= MOST_S and self.peak <= MOST_BYTES


def mutant(target: Target, seeds: Sequence[bytes], seed: int, number: int) -> bytes:
    """The bytes of one mutant: the first ones are the sound files themselves."""
    if number < len(seeds):
        return seeds[number]
    rng = np.random.default_rng([seed, TARGETS.index(target), number])
    return target.damage(seeds[int(rng.integers(len(seeds)))], rng)


def _processes() -> list[str]:
    """This process and the one that reads recordings for it."""
    child = sys.modules.get("data.readers.child")
    process = child._reader._process if child is not None else None
    return ["self", *([] if process is None or process.poll() is not None else [str(process.pid)])]


def _reset_peak() -> None:
    for name in _processes():
        with contextlib.suppress(OSError):
            Path(f"/proc/{name}/clear_refs").write_text("5")


def _peak() -> int:
    found = 0
    for name in _processes():
        with contextlib.suppress(OSError):
            lines = Path(f"/proc/{name}/status").read_text().splitlines()
            found += next((1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM")), 0)
    return found


def try_one(target: Target, content: bytes, place: Place, number: int) -> Ended:
    """Use one mutant here."""
    _reset_peak()
    begun = time.monotonic()
    try:
        target.use(content, place)
        status, detail = "used", ""
    except UserError as error:
        status, detail = "refused", str(error).splitlines()[0][:300]
    except BaseException as error:  # noqa: BLE001 - that is what is looked for
        status = "failed"
        where = traceback.extract_tb(error.__traceback__)[-1]
        detail = f"{type(error).__name__}: {str(error)[:200]!r} at {Path(where.filename).name}:{where.lineno}"
    return Ended(target.name, number, status, detail, time.monotonic() - begun, _peak())


def _work(pipe: Connection, name: str, run: Path, seed: int) -> None:
    """Answer numbers of mutants with how they ended."""
    faulthandler.enable()
    warnings.simplefilter("ignore")
    target = next(t for t in TARGETS if t.name == name)
    with tempfile.TemporaryDirectory(prefix="hostile-") as scratch:
        place = Place(run, Path(scratch))
        seeds = target.seeds(place)
        first = [try_one(target, content, place, i) for i, content in enumerate(seeds)]  # imports what is used
        pipe.send("ready" if first[0].status == "used" else f"its sound file is refused: {first[0].detail}")
        while (number := pipe.recv()) is not None:
            pipe.send(try_one(target, mutant(target, seeds, seed, number), place, number))


def try_target(target: Target, numbers: Sequence[int], run: Path, seed: int) -> Iterator[Ended]:
    """How mutants of one kind end, each within a process that is replaced if one of them kills or hangs it."""
    context = multiprocessing.get_context("spawn")
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"
    left = list(numbers)
    while left:
        here, there = context.Pipe()
        process = context.Process(target=_work, args=(there, target.name, run, seed), daemon=True)
        process.start()
        there.close()
        try:
            told = here.recv() if here.poll(START_S) else "its process does not start"
            if told != "ready":
                raise RuntimeError(f"{target.name}: {told}")
            while left:
                number, begun = left.pop(0), time.monotonic()
                here.send(number)
                try:
                    answer = here.recv() if here.poll(MOST_S + 1) else None
                except EOFError:
                    yield Ended(target.name, number, "failed", "its process died", time.monotonic() - begun, 0)
                    break
                if answer is None:
                    yield Ended(
                        target.name, number, "failed", f"no answer in {MOST_S:g} s", time.monotonic() - begun, 0
                    )
                    break
                yield answer
            else:
                here.send(None)
        finally:
            process.join(2) if not left else None
            process.kill()
            process.join()
