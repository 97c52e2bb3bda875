"""All runs that a profile was made from, as they lie beside it, and how long a run is that hardly any exceeds."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from data.common.files import sha256
from data.common.guard import is_file
from data.common.tensors import read_tensors
from profiling.errors import ProfilingError
from profiling.profile.entries import Precision
from profiling.profile.profile import Profile

Runs = Float64[np.ndarray, "_"]
Cell = tuple[float, Precision, int, int]  # rate, precision, batch and threads
LONGEST = 256  # most runs in a row whose mean is looked at; longer means scatter less
MEASURE_AGAIN = "Copy the folder {folder} beside the profile, or measure again with `python -m profiling.run`."


@dataclass(frozen=True)
class Tail:
    """How long a run is that hardly any exceeds.

    Attributes:
        seconds: So long.
        runs: Number of runs that it rests on.
        enough: Whether they are enough for it: with n runs, the largest is exceeded in 1 of n + 1 cases.
    """

    seconds: float
    runs: int
    enough: bool


@dataclass(frozen=True, eq=False)
class Samples:
    """The runs of a profile.

    Attributes:
        visits: Seconds of each run of a cell, one array per visit, in the order in which they were measured.
    """

    visits: dict[Cell, list[Runs]]

    def relative(self) -> Runs:
        """All runs of all cells, each over its cell's median, ascending."""
        found = []
        for visits in self.visits.values():
            runs = np.concatenate(visits)
            found.append(runs / np.median(runs))
        return np.sort(np.concatenate(found))

    def tail(self, cell: Cell, share: float, relative: Runs) -> Tail:
        """The time that at most a share of a cell's runs exceeds.

        Of n runs that could have come in any order, the next one exceeds the k-th smallest with probability
        1 - k / (n + 1), whatever their distribution. Where even the largest is too small for the share, the runs of
        all cells, each over its median, say how far beyond its median a cell may go; the longer of both is taken.

        Args:
            cell: Rate, precision, batch and threads.
            share: Share of the runs that may take longer, above 0.
            relative: What `relative` gave.
        """
        runs = np.sort(np.concatenate(self.visits[cell]))
        own, enough = _order(runs, share)
        if enough:
            return Tail(own, len(runs), True)
        pooled, _ = _order(relative, share)
        return Tail(max(own, pooled * float(np.median(runs))), len(runs), False)

    def queue_tail(self, cell: Cell, share: float) -> Tail:
        """A time for a task of a queue, such that at most a share of the tasks waits longer than planned with it.

        A queue delays a task by the runs before it, as many as there are since it was last empty. None of them is late
        if no mean of runs in a row that end with the task's own exceeds the time. So this is the tail of the largest of
        these means, found in the visits as they were measured: runs that are slow together are seen together.
        """
        worst = np.sort(np.concatenate([_largest_means(runs) for runs in self.visits[cell]]))
        seconds, enough = _order(worst, share)
        return Tail(seconds, len(worst), enough)

    def left_out(self, cells: Iterable[Cell], share: float) -> tuple[int, int]:
        """How many runs of a round exceed the tails of the other rounds, and of how many; (0, 0) with one round only.

        If runs were independent this were at most `share`; that it is more shows that runs of one visit resemble each
        other, and how little the runs of one day may say about another.

        Args:
            cells: Cells to look at. Their visits of equal number were made in the same round.
            share: Share of the runs that may exceed a tail.
        """
        beyond = total = 0
        chosen = {cell: self.visits[cell] for cell in cells if len(self.visits[cell]) > 1}
        for i in range(max((len(v) for v in chosen.values()), default=0)):
            others = Samples({cell: [*visits[:i], *visits[i + 1 :]] for cell, visits in chosen.items()})
            relative = others.relative()
            for cell, visits in chosen.items():
                if i < len(visits):
                    beyond += int((visits[i] > others.tail(cell, share, relative).seconds).sum())
                    total += len(visits[i])
        return beyond, total


def _order(ascending: Runs, share: float) -> tuple[float, bool]:
    """The order statistic that the next run exceeds with a probability of at most `share`; the largest if none is."""
    k = int(np.ceil((len(ascending) + 1) * (1 - share) - 1e-9))
    return float(ascending[min(k, len(ascending)) - 1]), k <= len(ascending)


def _largest_means(runs: Runs) -> Runs:
    """For each run the largest mean of runs in a row that end with it."""
    total = np.concatenate([[0.0], np.cumsum(runs)])
    found = runs.copy()
    for length in range(2, min(LONGEST, len(runs)) + 1):
        means = (total[length:] - total[:-length]) / length
        found[length - 1 :] = np.maximum(found[length - 1 :], means)
    return found


def read_samples(path: Path | str, profile: Profile) -> Samples:
    """The runs of a profile, from the file beside it.

    Args:
        path: Where the profile is.
        profile: Its content.

    Raises:
        ProfilingError: The profile was not measured, has no such file, or has another one than it names.
    """
    path = Path(path)
    if profile.measurement is None or profile.kind == "datasheet":
        raise ProfilingError(f"{path}: a datasheet; no run was measured.", "Measure with `python -m profiling.run`.")
    if profile.measurement.samples is None:
        raise ProfilingError(
            f"{path}: names no file with its runs; it is of an older version.",
            "Measure again with `python -m profiling.run`.",
        )
    file = path.parent / profile.measurement.samples
    remedy = MEASURE_AGAIN.format(folder=Path(profile.measurement.samples).parent)
    if not file.resolve().is_relative_to(path.parent.resolve()):
        raise ProfilingError(f"{path}: names runs outside its folder ({profile.measurement.samples!r}).", remedy)
    if not is_file(file):
        raise ProfilingError(f"{path}: its runs are missing ({file}).", remedy)
    if profile.measurement.samples_sha256 not in (None, sha256(file)):
        raise ProfilingError(f"{file}: not the runs that {path.name} was made from.", remedy)
    tensors = read_tensors(file, ProfilingError, remedy=remedy)
    try:
        return _cells(tensors)
    except ValueError as error:
        raise ProfilingError(f"{file}: cannot be read as runs ({error}).", remedy) from None


def _cells(tensors: dict[str, np.ndarray]) -> Samples:
    """Visits by cell, from tensors that are named rate/precision/batch/threads/visit."""
    found: dict[Cell, list[tuple[int, Runs]]] = {}
    for name, runs in tensors.items():
        rate, precision, batch, threads, visit = name.split("/")
        if rate.replace(".", "", 1).isdigit() and runs.size:  # not the matrix product that the peak was measured with
            if runs.ndim != 1 or runs.dtype.kind != "f" or not (np.isfinite(runs).all() and runs.min() > 0):
                raise ValueError(f"{name}: expected seconds above 0")
            cell: Cell = (float(rate), _precision(precision), int(batch), int(threads))
            found.setdefault(cell, []).append((int(visit), runs.astype(np.float64)))
    if not found:
        raise ValueError("it holds none")
    return Samples({cell: [runs for _, runs in sorted(own, key=lambda v: v[0])] for cell, own in found.items()})


def _precision(text: str) -> Precision:
    for known in ("fp32", "bf16", "int8"):
        if text == known:
            return known
    raise ValueError(f"unknown precision {text!r}")


def cells_of(samples: Samples, profile: Profile) -> list[Cell]:
    """The cells with the profile's number of threads."""
    return [cell for cell in samples.visits if cell[3] == profile.threads]
