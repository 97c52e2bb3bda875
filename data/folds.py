"""Grouped cross-validation: which seconds of which recording each fold tests.

A group is what stands and falls together: all recordings of one machine, one motor load or one fault size, one whole
recording, or, where a class has nothing else, a stretch of a recording. Every group is tested once, by models that
learned from other groups alone. Windows are never dealt out one by one.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from data.errors import DataError
from data.recording import Recording
from data.splits import GUARD_S, Part, Segment, SplitPlan, condition, in_time, too_short

FEW_WINDOWS = 30  # picked by hand: fewer windows that share no sample leave an interval of 11 points or more
MOST_FOLDS = 5  # folds that "auto" makes at most
KINDS = {"load": "loads", "severity": "fault sizes", "blocked": "machines"}
RECORDINGS, BLOCKS = "recordings", "time blocks"


@dataclass(frozen=True)
class Group:
    """What one fold tests as a whole.

    Attributes:
        name: The machine, load, fault size or recording, for the table.
        kind: "machines", "loads", "fault sizes", "recordings" or "time blocks".
        pieces: Index of a recording, start and stop in seconds of each of its stretches.
    """

    name: str
    kind: str
    pieces: tuple[tuple[int, float, float], ...]


@dataclass(frozen=True)
class Folds:
    """A cross-validation.

    Attributes:
        groups: All groups.
        fold_of: The fold that tests each group.
        plans: The training, validation and test segments of each fold.
        notes: What a reader of the results must know.
    """

    groups: tuple[Group, ...]
    fold_of: tuple[int, ...]
    plans: tuple[SplitPlan, ...]
    notes: tuple[str, ...]

    @property
    def words(self) -> str:
        """How many groups of what there are: "14 recordings"."""
        counts = {kind: sum(g.kind == kind for g in self.groups) for kind in dict.fromkeys(g.kind for g in self.groups)}
        return " and ".join(f"{n} {kind}" for kind, n in counts.items())

    def group_of(self, recording: int, start_s: float) -> int:
        """The group that a test window belongs to."""
        begun = [
            (start, i)
            for i, group in enumerate(self.groups)
            for r, start, _ in group.pieces
            if r == recording and start <= start_s + 1e-3  # a window's start is rounded to a sample
        ]
        return max(begun)[1]


def _keys(split: str) -> list[tuple[str, Callable[[Recording], str | None]]]:
    """What may be a group, the coarsest first."""

    def coarse(recording: Recording) -> str | None:
        if split == "blocked":
            return recording.machine
        value = condition(recording, split)
        return None if value is None else f"{KINDS[split][:-1]} {value:g}"

    return [(KINDS[split], coarse), (RECORDINGS, lambda recording: recording.name)]


def _blocks(index: int, recording: Recording, folds: int, window_s: float) -> list[Group]:
    """A recording in equal stretches, one after another; each keeps a window when a guard gap is taken off."""
    duration = recording.duration_s
    count = min(folds, int((duration + 1e-9) / (window_s + GUARD_S)))
    if count < 2:
        raise too_short(recording, 2 * (window_s + GUARD_S))
    return [
        Group(
            f"{recording.name}, part {b + 1} of {count}",
            BLOCKS,
            ((index, b * duration / count, (b + 1) * duration / count),),
        )
        for b in range(count)
    ]


def find_groups(
    recordings: Sequence[Recording], labels: Sequence[str], split: str, folds: int, window_s: float
) -> tuple[list[Group], list[str]]:
    """Groups of all recordings, and what to note about them.

    Each class is grouped by machine, load or fault size if it has two or more of them, otherwise by recording, and
    only a class of one recording by time.

    Raises:
        DataError: The only recording of a class is too short to be cut.
    """
    found: dict[tuple[str, str], list[int]] = {}
    blocks: list[Group] = []
    alone = []
    for label in dict.fromkeys(labels):
        own = [i for i, other in enumerate(labels) if other == label]
        for kind, key in _keys(split):
            keys = [key(recordings[i]) for i in own]
            if None not in keys and len(set(keys)) > 1:
                for i, name in zip(own, keys, strict=True):
                    found.setdefault((kind, str(name)), []).append(i)
                break
        else:
            blocks += _blocks(own[0], recordings[own[0]], folds, window_s)
            alone.append(label)
    whole = [
        Group(name, kind, tuple((i, 0.0, recordings[i].duration_s) for i in sorted(own)))
        for (kind, name), own in found.items()
    ]
    note = (
        f"one recording only of {', '.join(alone)}: cross-validation cuts it in time, so its figures say nothing of "
        "another recording"
    )
    return [*whole, *blocks], [note] if alone else []


def deal(groups: Sequence[Group], labels: Sequence[str], folds: int) -> list[int]:
    """A fold for each group: the longest first, each into the fold that has the least of its classes so far."""
    seconds: list[dict[str, float]] = [{} for _ in range(folds)]

    def lengths(group: Group) -> dict[str, float]:
        total: dict[str, float] = {}
        for i, start, stop in group.pieces:
            total[labels[i]] = total.get(labels[i], 0.0) + stop - start
        return total

    own = [lengths(group) for group in groups]
    chosen = [0] * len(groups)
    for i in sorted(range(len(groups)), key=lambda i: (-round(sum(own[i].values()), 3), i)):
        best = min(
            range(folds),
            key=lambda f: (
                round(sum(seconds[f].get(label, 0.0) for label in own[i]), 3),
                round(sum(seconds[f].values()), 3),
                f,
            ),
        )
        chosen[i] = best
        for label, length in own[i].items():
            seconds[best][label] = seconds[best].get(label, 0.0) + length
    return chosen


def _most_of_a_class(groups: Sequence[Group], labels: Sequence[str]) -> int:
    """Groups of the class that has the most: with more folds than these, some would test a part of the classes."""
    owned = [label for group in groups for label in {labels[i] for i, _, _ in group.pieces}]
    return max(owned.count(label) for label in set(owned))


def _untaught(groups: Sequence[Group], fold_of: Sequence[int], labels: Sequence[str]) -> list[str]:
    """Classes that some fold would not learn, because it tests all groups that have them."""
    folds_of: dict[str, set[int]] = {label: set() for label in labels}
    for group, fold in zip(groups, fold_of, strict=True):
        for i, _, _ in group.pieces:
            folds_of[labels[i]].add(fold)
    return sorted(label for label, folds in folds_of.items() if len(folds) < 2)


def _plan(groups: Sequence[Group], tested: set[int], recordings: Sequence[Recording], window_s: float) -> SplitPlan:
    """Segments of one fold: the tested groups whole, and what is left of every recording for training."""
    held: dict[int, list[tuple[float, float]]] = {}
    for i in tested:
        for index, start, stop in groups[i].pieces:
            held.setdefault(index, []).append((start, stop))
    segments: list[Segment] = []
    for i, recording in enumerate(recordings):
        if i not in held:
            segments += in_time(i, recording, window_s, with_test=False)
            continue
        begin = 0.0
        for start, stop in sorted(held[i]):
            if start - GUARD_S - begin >= window_s - 1e-9:
                segments.append(Segment(i, Part.TRAIN, begin, start - GUARD_S))
            segments.append(Segment(i, Part.TEST, start, stop))
            begin = stop + GUARD_S
        if recording.duration_s - begin >= window_s - 1e-9:
            segments.append(Segment(i, Part.TRAIN, begin, recording.duration_s))
    return SplitPlan("grouped", None, tuple(segments), ())


def plan_folds(
    recordings: Sequence[Recording], labels: Sequence[str], split: str, *, folds: int, window_s: float
) -> Folds:
    """Deal the groups of all recordings into folds, or into fewer where there are too few groups.

    Args:
        recordings: All recordings.
        labels: Class of each recording.
        split: What the groups are: "load" and "severity" make one of each load or size, "blocked" of each machine that
            the recordings name, otherwise of each recording.
        folds: Number of folds, at least 2; at most as many are made as the class of most groups has groups.
        window_s: Window length in seconds.

    Raises:
        DataError: The split is "random", a recording is too short, or a class has no two groups to deal.
    """
    if split not in KINDS:
        raise DataError(
            f"the split {split!r} has no groups to cross-validate.", f"Use --split {' or '.join(KINDS)}, or --folds 1."
        )
    for recording in recordings:
        if recording.duration_s < window_s * (1 - 1e-9):
            raise too_short(recording, window_s)
    missing: list[str] = []
    for count in range(folds, 1, -1):
        groups, notes = find_groups(recordings, labels, split, count, window_s)
        fold_of = deal(groups, labels, min(count, _most_of_a_class(groups, labels)))
        missing = _untaught(groups, fold_of, labels)
        if not missing:
            break
    else:
        raise DataError(
            f"no two groups to test class {', '.join(missing)} with: a fold would test all of it and learn none.",
            "Give recordings of more machines, leave out the column machine of recordings.csv, or use --folds 1.",
        )
    used = sorted(set(fold_of))
    dealt = tuple(used.index(fold) for fold in fold_of)
    plans = tuple(
        _plan(groups, {i for i, f in enumerate(dealt) if f == fold}, recordings, window_s) for fold in range(len(used))
    )
    return Folds(tuple(groups), dealt, plans, tuple(notes))
