"""Jobs that take no time, for the tests of sweeps: they write a square, die, hang, or fail, as their arguments say."""

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from data.common.errors import UserError
from data.common.files import write_json
from data.common.sweep.job import Job, Tell


class ToyError(UserError):
    """A mistake of a toy job's user."""


@dataclass(frozen=True)
class Toy:
    """What a toy job does.

    Attributes:
        number: What its result is computed from.
        trouble: "dies", "hangs" or "stutters" at its first attempt; "wrong" or "broken" always.
        seconds: How long it takes.
    """

    number: int
    trouble: str = ""
    seconds: float = 0.0


def result_of(folder: Path, job: Job) -> Path:
    return folder / f"{job.name}.json"


def finished_in(folder: Path):
    return lambda job: result_of(folder, job).exists()


def work(folder: Path, toy: Toy, tell: Tell) -> None:
    """Leave a mark for the attempt, then the result."""
    marks = folder / "attempts" / str(toy.number)
    marks.mkdir(parents=True, exist_ok=True)
    attempt = len(list(marks.iterdir()))
    (marks / f"{attempt}-{os.getpid()}").touch()
    tell(f"attempt {attempt}")
    if toy.trouble == "wrong":
        raise ToyError(f"number {toy.number} cannot be.", "Give another.")
    if toy.trouble == "broken":
        raise KeyError(toy.number)
    if attempt == 0 and toy.trouble == "dies":
        os.kill(os.getpid(), signal.SIGKILL)
    if attempt == 0 and toy.trouble == "hangs":
        time.sleep(600)
    until = time.monotonic() + toy.seconds
    while time.monotonic() < until:
        time.sleep(0.05)
        tell("alive")
    content = {"number": toy.number, "square": toy.number**2, "gpus": os.environ.get("CUDA_VISIBLE_DEVICES", "")}
    write_json(folder / f"toy{toy.number}.json", content)


def toys(count: int, **changes) -> list[Job]:
    return [Job(f"toy{i}", Toy(i, **changes)) for i in range(count)]
