"""Accuracy, recall and missed faults with intervals that respect how few independent windows there are."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int64

from data.common.stats import wilson


@dataclass(frozen=True)
class Rate:
    """A proportion with its 95 % interval.

    Attributes:
        value: The proportion, mean over seeds.
        low: Lower end of the Wilson score interval (Wilson 1927).
        high: Upper end.
        count: Trials that the interval rests on: windows that share no sample, or in a cross-validation groups. Seeds
            do not add to it.
    """

    value: float
    low: float
    high: float
    count: int


def _rate(value: float, count: int) -> Rate:
    """A proportion with the Wilson interval of `count` independent windows."""
    return Rate(value, *wilson(value, count), count)


def independent(
    recordings: Int64[np.ndarray, " n"], starts_s: Float[np.ndarray, " n"], window_s: float
) -> Bool[np.ndarray, " n"]:
    """Windows of which no two share a sample: from each recording's first, the next that begins after it ended."""
    chosen = np.zeros(len(recordings), dtype=bool)
    for recording in np.unique(recordings):
        last = -np.inf
        for i in sorted(np.flatnonzero(recordings == recording), key=lambda i: float(starts_s[i])):
            if starts_s[i] >= last + window_s - 1e-6:
                chosen[i], last = True, float(starts_s[i])
    return chosen


def equal_groups(groups: Int64[np.ndarray, " n"]) -> int:
    """How many groups of equal size would say as much: the number of groups, or fewer if some are much larger.

    This is Kish's effective sample size, rounded down. An interval that counts each group as one trial is right even
    if all windows of a group stand and fall together. The bootstrap over groups is not used for it: where every group
    is right, it says that nothing is uncertain (`tests/pruning/test_metrics.py` compares them).
    """
    sizes = np.unique(groups, return_counts=True)[1].astype(float)
    return int(sizes.sum() ** 2 / (sizes**2).sum() + 1e-9) if len(sizes) else 0


@dataclass(frozen=True)
class Scores:
    """How well a model classifies one version of the test part.

    Attributes:
        accuracy: Share of windows that are classified correctly.
        balanced_accuracy: Mean of the classes' recalls.
        recall: Recall of each class.
        missed_faults: Share of faulty windows classified as normal; None if no class is known to be normal.
        false_alarms: Share of normal windows classified as faulty; None if no class is known to be normal.
        confusion: Number of windows by true class (row) and predicted class (column), mean over seeds.
    """

    accuracy: Rate
    balanced_accuracy: float
    recall: tuple[Rate, ...]
    missed_faults: Rate | None
    false_alarms: Rate | None
    confusion: tuple[tuple[float, ...], ...]


def score(
    predictions: Int64[np.ndarray, "seeds n"],
    labels: Int64[np.ndarray, " n"],
    apart: Bool[np.ndarray, " n"],
    classes: int,
    normal: int | None,
    groups: Int64[np.ndarray, " n"] | None = None,
) -> Scores:
    """Scores of one model over its seeds.

    Args:
        predictions: Predicted class of each window, one row per seed.
        labels: True class of each window.
        apart: Windows of which no two overlap (`independent`). Values are over all windows, intervals rest on these.
        classes: Number of classes.
        normal: Index of the healthy class; None if unknown.
        groups: Group of each window, if intervals are to count each group as one trial (`equal_groups`).
    """

    def trials(chosen: Bool[np.ndarray, " n"]) -> int:
        return int((apart & chosen).sum()) if groups is None else equal_groups(groups[chosen])

    confusion = np.zeros((classes, classes))
    for row in predictions:
        np.add.at(confusion, (labels, row), 1 / len(predictions))
    totals = confusion.sum(axis=1)
    recalls = tuple(
        _rate(float(confusion[c, c] / totals[c]) if totals[c] else 0.0, trials(labels == c)) for c in range(classes)
    )
    missed = alarms = None
    if normal is not None:
        faulty = labels != normal
        if faulty.any():
            missed = _rate(float((predictions[:, faulty] == normal).mean()), trials(faulty))
        if not faulty.all():
            alarms = _rate(float((predictions[:, ~faulty] != normal).mean()), trials(~faulty))
    return Scores(
        accuracy=_rate(float((predictions == labels).mean()), trials(np.ones(len(labels), dtype=bool))),
        balanced_accuracy=float(np.mean([r.value for r, t in zip(recalls, totals, strict=True) if t])),
        recall=recalls,
        missed_faults=missed,
        false_alarms=alarms,
        confusion=tuple(tuple(round(float(v), 6) for v in row) for row in confusion),
    )


def difference(
    correct: Sequence[Bool[np.ndarray, "seeds n"]] | Bool[np.ndarray, "2 seeds n"],
    recordings: Int64[np.ndarray, " n"],
    draws: int = 2000,
) -> tuple[float, float, float]:
    """How much more accurate the first model is than the second, paired, with a 95 % bootstrap interval.

    Whole recordings and whole seeds are drawn, because windows of one recording are not independent.

    Args:
        correct: For each of the two models and each seed, whether each window is classified correctly.
        recordings: Recording of each window.
        draws: Bootstrap draws (from a fixed seed).

    Returns:
        Difference of accuracies, lower and upper end.
    """
    gain = correct[0].astype(float) - correct[1].astype(float)
    groups = [gain[:, recordings == r] for r in np.unique(recordings)]
    sums = np.stack([g.sum(axis=1) for g in groups])  # recordings x seeds
    sizes = np.array([g.shape[1] for g in groups], dtype=float)
    rng = np.random.default_rng(0)
    values = np.empty(draws)
    for i in range(draws):
        drawn = rng.integers(len(groups), size=len(groups))
        seeds = rng.integers(gain.shape[0], size=gain.shape[0])
        values[i] = sums[drawn][:, seeds].sum() / (sizes[drawn].sum() * len(seeds))
    low, high = np.percentile(values, [2.5, 97.5])
    return float(gain.mean()), float(low), float(high)
