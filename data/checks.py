"""Checks of signals, before anything is learned from them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from data.errors import DataError
from data.recording import Recording, usable

KINDS = ("nan", "infinite", "huge", "zero", "constant", "clipped")
ONE_STEP = 2.0**-11  # a 12-bit converter's range is one step longer below zero than above
PIECE = 1 << 22  # samples that are checked at a time
STUCK_S = 0.05  # a healthy accelerometer never repeats one value this long


@dataclass(frozen=True)
class Flaw:
    """A flaw of one channel.

    Attributes:
        kind: One of `KINDS`.
        channel: Name of the channel.
        start: First flawed sample.
        stop: Index after the last flawed sample.
        samples: Number of flawed samples between them.
    """

    kind: str
    channel: str
    start: int
    stop: int
    samples: int

    def __str__(self) -> str:
        return f"channel {self.channel}: {self.kind} ({self.samples} samples, first {self.start}, last {self.stop - 1})"


def _flaw(kind: str, channel: str, flawed: Bool[np.ndarray, " samples"]) -> list[Flaw]:
    where = np.flatnonzero(flawed)
    return [Flaw(kind, channel, int(where[0]), int(where[-1]) + 1, len(where))] if len(where) else []


def _repeats(x: Float[np.ndarray, " samples"], at_least: int) -> Bool[np.ndarray, " samples"]:
    """Samples that belong to a run of at least `at_least` equal values."""
    edges = np.flatnonzero(np.concatenate([[True], x[1:] != x[:-1], [True]]))
    lengths = np.diff(edges)
    return np.repeat(lengths >= at_least, lengths)


def _pieces(x: Float[np.ndarray, " samples"]) -> Iterator[Float[np.ndarray, " piece"]]:
    """A signal in pieces that bound the memory of a check; none ends within a run of equal values."""
    start = 0
    while start < len(x):
        stop = min(start + PIECE, len(x))
        while stop < len(x):
            changes = np.flatnonzero(x[stop : stop + PIECE] != x[stop - 1 : stop + PIECE - 1][: len(x) - stop])
            if len(changes):
                stop += int(changes[0])
                break
            stop = min(stop + PIECE, len(x))
        yield x[start:stop]
        start = stop


def _where(
    x: Float[np.ndarray, " samples"], test: Callable[[Float[np.ndarray, " piece"]], Bool[np.ndarray, " piece"]]
) -> Bool[np.ndarray, " samples"]:
    """A check of every sample, piece by piece: an hour at 100 kHz is 360 million samples."""
    return np.concatenate([test(piece) for piece in _pieces(x)]) if len(x) else np.zeros(0, dtype=bool)


def find_flaws(recording: Recording, channel: str) -> list[Flaw]:
    """NaN, infinite, huge (beyond `recording.LARGEST`), all-zero, stuck and clipped samples of one channel.

    A signal counts as clipped if its largest value occurs at least three times in a row, or if its largest and smallest
    values are opposites, as the ends of a converter's range are, and occur at least three times (CWRU's recordings 200,
    236 and 237).
    """
    x = recording.signal(channel)
    flaws = _flaw("nan", channel, np.isnan(x)) + _flaw("infinite", channel, np.isinf(x))
    flaws += _flaw("huge", channel, np.isfinite(x) & ~usable(x))
    if flaws or len(x) == 0:
        return flaws
    if not x.any():
        return _flaw("zero", channel, np.ones(len(x), dtype=bool))
    longest = max(16, round(STUCK_S * recording.sampling_rate_hz))
    stuck = _where(x, lambda piece: _repeats(piece, longest))
    if stuck.any():
        return _flaw("constant", channel, stuck)
    highest, lowest = float(x.max()), float(x.min())
    top = (x == highest) | (x == lowest)
    flat = top & _where(x, lambda piece: _repeats(piece, 3))
    symmetric = abs(highest + lowest) < ONE_STEP * highest and top.sum() >= 3
    return _flaw("clipped", channel, top if symmetric else flat)


def check(recordings: Sequence[Recording], channel: str | None, accept: Sequence[str] = ()) -> dict[str, list[Flaw]]:
    """Look for flaws in all recordings, and return those that the user accepts, by the recording's name.

    Args:
        recordings: The recordings to check.
        channel: The channel that is used; None takes each recording's only one.
        accept: Kinds of flaws that do not stop the work.

    Raises:
        DataError: A recording has a flaw that is not accepted; all of them are named.
    """
    accepted: dict[str, list[Flaw]] = {}
    refused: list[str] = []
    kinds: set[str] = set()
    for recording in recordings:
        name = channel or next(iter(recording.channels))
        for flaw in find_flaws(recording, name):
            if flaw.kind in accept or flaw.kind in recording.known_flaws:
                accepted.setdefault(recording.name, []).append(flaw)
            else:
                refused.append(f"{recording.where}: {flaw}")
                kinds.add(flaw.kind)
    if refused:
        more = f"\n  and {len(refused) - 5} more" if len(refused) > 5 else ""
        raise DataError(
            "flawed signals:\n  " + "\n  ".join(refused[:5]) + more,
            f"Remove or mend these recordings, or go on with --accept {','.join(sorted(kinds))} "
            "(windows with NaN, infinite or huge samples are left out, and the bundle says so).",
        )
    return accepted


def sampling_rate_tells(recordings: Sequence[Recording], labels: Sequence[str]) -> tuple[float, float]:
    """How far the sampling rate alone tells the classes apart.

    Returns:
        Accuracy over recordings of the best guess from the sampling rate alone, and of the best constant guess.
    """
    by_rate: dict[float, list[str]] = {}
    for recording, label in zip(recordings, labels, strict=True):
        by_rate.setdefault(recording.sampling_rate_hz, []).append(label)
    best = sum(max(group.count(c) for c in set(group)) for group in by_rate.values())
    blind = max(list(labels).count(c) for c in set(labels))
    return best / len(labels), blind / len(labels)
