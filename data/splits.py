"""Which part of which recording is for training, validation and testing: splits by name.

Windows are cut inside segments, so no test window shares a sample with a training window. Only the split `random`, kept
to show how much it flatters, lets them overlap.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from data.errors import DataError
from data.recording import Recording

TEST_FRACTION = 0.3
VALIDATION_FRACTION = 0.15
GUARD_S = 0.1  # many times the 10 ms over which polyphase resampling mixes neighbours
SPLITS = ("load", "severity", "blocked", "random")


class Part(StrEnum):
    """What a segment is used for."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"


@dataclass(frozen=True)
class Segment:
    """A stretch of one recording for one part: index of the recording, part, start and stop in seconds."""

    recording: int
    part: Part
    start_s: float
    stop_s: float


@dataclass(frozen=True)
class SplitPlan:
    """The segments of all recordings, and what a reader of the results must know.

    Attributes:
        name: One of `SPLITS`.
        held_out: Load or fault size that only the test part holds; None for splits in time.
        segments: Segments in the order of the recordings.
        notes: Sentences for the bundle and the screen.
    """

    name: str
    held_out: float | None
    segments: tuple[Segment, ...]
    notes: tuple[str, ...]


def too_short(recording: Recording, needed_s: float) -> DataError:
    """The error of a recording that is shorter than a split needs."""
    return DataError(
        f"{recording.where}: {recording.duration_s:.2f} s long; this split needs at least {needed_s:.2f} s.",
        "Use longer recordings, a shorter window (--window-s), or leave this one out.",
    )


def in_time(index: int, recording: Recording, window_s: float, with_test: bool) -> list[Segment]:
    """Parts of one recording, one after another with guard gaps: training, validation, and test if asked for."""
    duration = recording.duration_s
    test = max(TEST_FRACTION * duration, window_s) if with_test else 0.0
    train_stop = duration - (test + GUARD_S if with_test else 0.0)
    if train_stop < window_s:
        raise too_short(recording, (2 * window_s + GUARD_S) if with_test else window_s)
    segments = []
    validation = max(VALIDATION_FRACTION * duration, window_s)
    if train_stop - validation - GUARD_S >= window_s:  # else too short to spare any for validation
        segments.append(Segment(index, Part.VALIDATION, train_stop - validation, train_stop))
        train_stop -= validation + GUARD_S
    segments.insert(0, Segment(index, Part.TRAIN, 0.0, train_stop))
    if with_test:
        segments.append(Segment(index, Part.TEST, duration - test, duration))
    return segments


def _blocked(recordings: Sequence[Recording], window_s: float) -> list[Segment]:
    return [s for i, r in enumerate(recordings) if not r.only_test for s in in_time(i, r, window_s, with_test=True)]


def _random(recordings: Sequence[Recording], window_s: float, hop_s: float, seed: int) -> list[Segment]:
    rng = np.random.default_rng(seed)
    parts = (Part.TRAIN, Part.VALIDATION, Part.TEST)
    chances = (1 - TEST_FRACTION - VALIDATION_FRACTION, VALIDATION_FRACTION, TEST_FRACTION)
    segments = []
    for i, recording in enumerate(recordings):
        if recording.only_test:
            continue
        if recording.duration_s < window_s:
            raise too_short(recording, window_s)
        starts = np.arange(0, recording.duration_s - window_s + 1e-9, hop_s).tolist()
        segments += [Segment(i, parts[rng.choice(3, p=chances)], start, start + window_s) for start in starts]
    return segments


def condition(recording: Recording, split: str) -> float | None:
    """What the split `load` or `severity` holds out of a recording: its load, or its fault size in mm."""
    if split == "load":
        return recording.load
    return recording.fault.diameter_mm if recording.fault else None


def default_held_out(recordings: Sequence[Recording], labels: Sequence[str], split: str) -> float:
    """The load or fault size at which most classes were recorded; if there are several, the largest.

    Raises:
        DataError: The recordings do not say it, or all have the same.
    """
    seen: dict[float, set[str]] = {}
    for recording, label in zip(recordings, labels, strict=True):
        value = condition(recording, split)
        if value is not None:
            seen.setdefault(value, set()).add(label)
    shared = [value for value, classes in seen.items() if len(classes) > 1]
    if not shared or len(seen) < 2:
        what = "motor load" if split == "load" else "fault size"
        raise DataError(
            f"the split {split!r} needs recordings of two or more classes at two or more values of {what}; got "
            f"{', '.join(f'{v:g}' for v in sorted(seen)) or 'none'}.",
            "Use --split blocked, or give the values in recordings.csv.",
        )
    return max(shared, key=lambda value: (len(seen[value]), value))


def _held_out(
    recordings: Sequence[Recording], labels: Sequence[str], split: str, held_out: float, window_s: float
) -> tuple[list[Segment], list[str]]:
    outside = [c is not None and abs(c - held_out) < 1e-6 for c in (condition(r, split) for r in recordings)]
    if not any(outside):
        values = sorted({c for c in (condition(r, split) for r in recordings) if c is not None})
        raise DataError(
            f"no recording has {split} {held_out:g}.", f"Choose --held-out from {', '.join(f'{v:g}' for v in values)}."
        )
    both = {
        label
        for label in set(labels)
        if {out for out, own in zip(outside, labels, strict=True) if own == label} == {True, False}
    }
    notes = []
    for label in sorted(set(labels) - both):
        count = list(labels).count(label)
        notes.append(
            f"class {label!r} ({count} recording{'s' * (count != 1)}) is not on both sides of the {split} split: it is "
            "split in time with a guard gap instead, so its own figures are those of a blocked split"
        )
    segments: list[Segment] = []
    for i, (recording, label) in enumerate(zip(recordings, labels, strict=True)):
        if recording.duration_s < window_s:
            raise too_short(recording, window_s)
        if recording.only_test:
            if label in both and outside[i]:
                segments.append(Segment(i, Part.TEST, GUARD_S, recording.duration_s - GUARD_S))
        elif label in both and outside[i]:
            segments.append(Segment(i, Part.TEST, 0.0, recording.duration_s))
        else:
            segments += in_time(i, recording, window_s, with_test=label not in both)
    return segments, notes


def plan_split(
    recordings: Sequence[Recording],
    labels: Sequence[str],
    split: str,
    *,
    window_s: float,
    hop_s: float,
    held_out: float | None = None,
    seed: int = 0,
) -> SplitPlan:
    """Divide recordings into training, validation and test segments.

    Args:
        recordings: All recordings.
        labels: Class of each recording.
        split: "load" and "severity" hold out one motor load or fault size (mm); "blocked" cuts each recording in time;
            "random" distributes overlapping windows at random, which leaks.
        window_s: Window length in seconds.
        hop_s: Step between windows of the random split in seconds.
        held_out: The load or size to hold out; by default that of `default_held_out`.
        seed: Random seed of the random split.

    Raises:
        DataError: A recording is too short, there is nothing to hold out, or the split is unknown.
    """
    if split == "blocked":
        return SplitPlan(split, None, tuple(_blocked(recordings, window_s)), ())
    if split == "random":
        note = (
            "the random split leaks: overlapping windows of one recording lie on both sides, so its accuracy says "
            "nothing about another bearing, load or day"
        )
        return SplitPlan(split, None, tuple(_random(recordings, window_s, hop_s, seed)), (note,))
    if split not in SPLITS:
        raise DataError(f"unknown split {split!r}.", f"Expected one of {', '.join(SPLITS)}.")
    value = default_held_out(recordings, labels, split) if held_out is None else held_out
    segments, notes = _held_out(recordings, labels, split, value, window_s)
    return SplitPlan(split, value, tuple(segments), tuple(notes))


def window_starts(segment: Segment, window_s: float, hop_s: float) -> list[float]:
    """Start times in seconds of the windows that lie wholly inside a segment."""
    count = int(np.floor((segment.stop_s - segment.start_s - window_s) / hop_s + 1e-6)) + 1
    return [segment.start_s + i * hop_s for i in range(max(count, 0))]
