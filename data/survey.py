"""What a folder of recordings holds, which splits it allows, and what stands in the way, before an hour is spent."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from data.checks import check, find_flaws
from data.common.stats import wilson
from data.config import DataConfig
from data.errors import DataError
from data.folds import FEW_WINDOWS, MOST_FOLDS, plan_folds
from data.gather import (
    check_classes,
    check_windows,
    default_split,
    rate_notes,
    read_recordings,
    step_s,
    windows_rate_hz,
)
from data.images import resample
from data.recording import Recording, class_name
from data.sources import DATASETS
from data.splits import GUARD_S, SPLITS, Part, SplitPlan, plan_split, window_starts

MEANING = {
    "load": "tests on a motor load that was never seen",
    "severity": "tests on a fault size that was never seen",
    "blocked": "tests on the next minutes of the same bearings, not on other ones",
    "random": "LEAKS: overlapping windows lie on both sides, so the accuracy says nothing",
}


@dataclass(frozen=True)
class RecordingFacts:
    """One recording: lengths in seconds, rates in Hz, `windows` of its whole length at the window and hop."""

    name: str
    label: str
    channel: str
    sampling_rate_hz: float
    duration_s: float
    windows: int
    load: float | None
    size_mm: float | None
    rpm: float | None
    flaws: tuple[str, ...]


@dataclass(frozen=True)
class SplitFacts:
    """One split.

    Attributes:
        name: One of `data.splits.SPLITS`.
        possible: Whether it can be made.
        why: What it tests, or why it cannot be made and what to do.
        held_out: Load or fault size of the test part.
        windows: Windows of each class by part ("train", "validation", "test"); empty if it cannot be made.
        independent: Test windows that share no sample.
        notes: What a reader of its results must know.
    """

    name: str
    possible: bool
    why: str
    held_out: float | None
    windows: dict[str, dict[str, int]]
    independent: int
    notes: tuple[str, ...]


@dataclass(frozen=True)
class GroupFacts:
    """The groups of a cross-validation of the default split.

    Attributes:
        possible: Whether there can be one.
        groups: Number of groups.
        folds: Number of folds, if nobody asks for another; a large network gets fewer of them.
        automatic: Whether `python -m pruning.run` does it unasked, because the test part is small.
        why: What would be done, or why it cannot be.
    """

    possible: bool
    groups: int
    folds: int
    automatic: bool
    why: str


@dataclass(frozen=True)
class Problem:
    """What would stop the training, and what to do about it."""

    problem: str
    remedy: str


@dataclass(frozen=True)
class Survey:
    """What is there and what can be done with it.

    Attributes:
        data: Name of the data set.
        rate_hz: Sampling rate of the windows that would be cut.
        classes: Names of the classes.
        recordings: All recordings.
        splits: All splits, possible or not.
        default: The split that is used where none is named.
        cross_validation: What groups a cross-validation of that split would test; None if the split is impossible.
        problems: What would stop the training as it was asked for.
        notes: What must be known of any result.
    """

    data: str
    rate_hz: float
    classes: tuple[str, ...]
    recordings: tuple[RecordingFacts, ...]
    splits: tuple[SplitFacts, ...]
    default: str
    cross_validation: GroupFacts | None
    problems: tuple[Problem, ...]
    notes: tuple[str, ...]

    def dump(self) -> dict[str, Any]:
        """As plain JSON values."""
        return asdict(self)


def _facts(recording: Recording, label: str, config: DataConfig) -> RecordingFacts:
    channel = next(iter(recording.channels))
    spare = recording.duration_s - config.window_s
    return RecordingFacts(
        name=recording.name,
        label=label,
        channel=channel,
        sampling_rate_hz=recording.sampling_rate_hz,
        duration_s=recording.duration_s,
        windows=int(spare / config.hop_s + 1e-6) + 1 if spare >= -1e-9 else 0,
        load=recording.load,
        size_mm=recording.fault.diameter_mm if recording.fault else None,
        rpm=60 * recording.shaft_speed_hz if recording.shaft_speed_hz else None,
        flaws=tuple(map(str, find_flaws(recording, channel))),
    )


def _counts(plan: SplitPlan, labels: Sequence[str], config: DataConfig) -> tuple[dict[str, dict[str, int]], int]:
    """Windows of each part by class, and the test windows that share no sample."""
    found = {str(part): dict.fromkeys(sorted(set(labels)), 0) for part in Part}
    tested: dict[int, list[float]] = {}
    for segment in plan.segments:
        starts = window_starts(segment, config.window_s, step_s(config, segment.part))
        found[str(segment.part)][labels[segment.recording]] += len(starts)
        if segment.part is Part.TEST:
            tested.setdefault(segment.recording, []).extend(starts)
    return found, sum(_apart(sorted(starts), config.window_s) for starts in tested.values())


def _apart(starts: list[float], window_s: float) -> int:
    """How many windows of one recording share no sample, taken one after another."""
    count, free_at = 0, -window_s
    for start in starts:
        if start >= free_at - 1e-6:
            count, free_at = count + 1, start + window_s
    return count


def _missing(windows: dict[str, dict[str, int]]) -> str | None:
    for part in ("train", "test"):
        none = [label for label, count in windows[part].items() if count == 0]
        if none:
            return f"no {part} window of class {', '.join(none)}. Give longer recordings."
    return None


def _split(name: str, recordings: Sequence[Recording], config: DataConfig) -> SplitFacts:
    """What a split would be, by the very code that makes it."""
    labels = [class_name(r, config.labels or ("location" if name == "severity" else "fault")) for r in recordings]
    held_out = config.held_out if name == (config.split or name) else None
    try:
        check_classes(labels)
        plan = plan_split(
            recordings, labels, name, window_s=config.window_s, hop_s=config.hop_s, held_out=held_out,
            seed=config.data_seed,
        )  # fmt: skip
    except DataError as error:
        return SplitFacts(name, False, f"{error.problem} {error.remedy}".strip(), None, {}, 0, ())
    windows, independent = _counts(plan, labels, config)
    missing = _missing(windows)
    if missing:
        return SplitFacts(name, False, missing, plan.held_out, {}, 0, plan.notes)
    notes = list(plan.notes) if name != "random" else []
    if independent < FEW_WINDOWS:
        low = wilson(1.0, independent)[0]
        notes.append(
            f"only {independent} test windows share no sample: even if all are right, the 95 % interval begins at "
            f"{100 * low:.0f} %"
        )
    return SplitFacts(name, True, MEANING[name], plan.held_out, windows, independent, tuple(notes))


def _group_facts(recordings: Sequence[Recording], split: SplitFacts, config: DataConfig) -> GroupFacts | None:
    """What a cross-validation would be, by the very code that plans it."""
    if not split.possible:
        return None
    labels = [class_name(r, config.labels_kind) for r in recordings]
    try:
        found = plan_folds(recordings, labels, split.name, folds=MOST_FOLDS, window_s=config.window_s)
    except DataError as error:
        return GroupFacts(False, 0, 0, False, f"cross-validation: impossible: {error.problem} {error.remedy}")
    automatic = split.independent < FEW_WINDOWS
    folds = len(found.plans)
    how = (
        f"done by python -m pruning.run, because the {split.name} split tests {split.independent} windows that share "
        f"no sample, fewer than {FEW_WINDOWS} (--folds 1: not)"
        if automatic
        else f"possible with --folds {folds}"
    )
    said = f"cross-validation over {found.words} in {'up to ' if automatic else ''}{folds} folds: {how}"
    return GroupFacts(True, len(found.groups), folds, automatic, "; ".join([said, *found.notes]))


def _problems(recordings: list[Recording], labels: list[str], config: DataConfig) -> list[Problem]:
    """What the training would refuse, by the very checks that refuse it."""
    checks: list[Callable[[], object]] = [
        lambda: check_classes(labels),
        lambda: rate_notes(config, recordings, labels),
        lambda: check(recordings, None, config.accept),
    ]
    slowest = min(recordings, key=lambda r: r.sampling_rate_hz)
    rate_hz = windows_rate_hz(config, recordings)
    checks.append(lambda: resample(slowest.signal()[:1], slowest.sampling_rate_hz, rate_hz))
    found = []
    for own in checks:
        try:
            own()
        except DataError as error:
            found.append(Problem(error.problem, error.remedy))
    return found


def _notes(recordings: list[Recording], labels: list[str], config: DataConfig) -> list[str]:
    """What limits any result."""
    found = []
    alone = [label for label in sorted(set(labels)) if labels.count(label) == 1]
    if alone:
        found.append(
            f"one recording only of {', '.join(alone)}: a model may learn that recording (its machine, day or "
            "mounting) instead of the class, and no split can show it"
        )
    if len({r.sampling_rate_hz for r in recordings}) > 1 and (config.resample or DATASETS[config.data].trusted_rates):
        found += rate_notes(config, recordings, labels)
    recordings = [r for r in recordings if not r.only_test] or recordings
    lengths = [r.duration_s for r in recordings]
    if max(lengths) > 3 * min(lengths):
        found.append(
            f"lengths differ from {min(lengths):.2f} to {max(lengths):.2f} s: long recordings give most of the windows"
        )
    short = [r.name for r in recordings if r.duration_s < 2 * config.window_s + GUARD_S]
    if short:
        longest = (min(lengths) - GUARD_S) / 2
        said = f"; --window-s {int(100 * longest) / 100:g} would fit" if longest >= 0.02 else ""
        found.append(
            f"too short to be split in time with windows of {config.window_s:g} s: {', '.join(short[:5])}"
            f"{f' and {len(short) - 5} more' if len(short) > 5 else ''}{said}"
        )
    return found


def survey(config: DataConfig) -> Survey:
    """Look at the recordings that a configuration names, without training or refusing anything that can be read.

    Raises:
        DataError: The recordings cannot be read.
    """
    recordings = read_recordings(config)
    rate_hz = windows_rate_hz(config, recordings)
    config = replace(config, rate_hz=rate_hz)
    check_windows(config, recordings)
    labels = [class_name(r, config.labels_kind) for r in recordings]
    splits = tuple(_split(name, recordings, config) for name in SPLITS)
    default = config.split or default_split(recordings)
    chosen = next(own for own in splits if own.name == default)
    return Survey(
        data=config.data,
        rate_hz=rate_hz,
        classes=tuple(sorted(set(labels))),
        recordings=tuple(_facts(r, label, config) for r, label in zip(recordings, labels, strict=True)),
        splits=splits,
        default=default,
        cross_validation=_group_facts(recordings, chosen, config),
        problems=tuple(_problems(recordings, labels, config)),
        notes=tuple(_notes(recordings, labels, config)),
    )
