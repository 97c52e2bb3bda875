"""Whether a dense model is worth pruning: is it better than always naming the most frequent class?"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Int64

from data import Dataset
from data.common.stats import wilson
from pruning.baseline import Baseline
from pruning.errors import PruningError

DENSE_ENOUGH_S = 0.05  # a smaller step between windows gives hardly any new images
ACCURATE = 0.9  # picked by hand: a baseline above it shows that the classes can be told apart


def _most_frequent(labels: Int64[np.ndarray, " n"]) -> tuple[int, float]:
    """The most frequent class and its share."""
    counts = np.bincount(labels)
    return int(counts.argmax()), float(counts.max() / counts.sum())


def _trials(apart: Bool[np.ndarray, " n"]) -> tuple[int, str]:
    return int(apart.sum()), f"{int(apart.sum())} windows that share no sample"


def weakness(
    called: Int64[np.ndarray, " n"],
    dataset: Dataset,
    apart: Bool[np.ndarray, " n"],
    trials: tuple[int, str] | None = None,
) -> str | None:
    """In what way a model is not better, by its interval, than always naming the most frequent class of the test part.

    Args:
        called: Class that the model names for each test window.
        dataset: What it was tested on.
        apart: Test windows of which no two overlap; the interval rests on them.
        trials: Trials that the interval rests on instead, and their name: the groups of a cross-validation.

    Returns:
        A sentence for the error, the bundle, the profile and the page; None if the model is better.
    """
    labels = dataset.test.labels
    common, share = _most_frequent(labels)
    right = float((called == labels).mean())
    count, words = trials or _trials(apart)
    low, high = wilson(right, count)
    if low > share:
        return None
    return (
        f"The dense model is not better than always naming {dataset.classes[common]!r}, the most frequent class of the "
        f"test part: {100 * right:.1f} % of {len(labels)} windows are right (95 % interval {100 * low:.1f} to "
        f"{100 * high:.1f} % from {words}) against {100 * share:.1f} %."
    )


def by_class(called: Int64[np.ndarray, " n"], dataset: Dataset) -> list[str]:
    """One line for each class: how many of its windows are right, and what the others are called."""
    lines = []
    for index, name in enumerate(dataset.classes):
        own = called[dataset.test.labels == index]
        if not len(own):
            continue
        wrong = [
            f"{int((own == other).sum())} called {dataset.classes[other]}" for other in np.unique(own[own != index])
        ]
        lines.append(", ".join([f"{name}: {int((own == index).sum())} of {len(own)} right", *wrong]))
    return lines


def _advice(dataset: Dataset, trials: tuple[int, str], baselines: Sequence[Baseline], updates: int) -> list[str]:
    """What to try, the most promising first."""
    labels = dataset.test.labels
    count, words = trials
    found = []
    if wilson(1.0, count)[0] <= _most_frequent(labels)[1]:
        found.append(
            f"Even if all were right, {words} could not show it: give more or longer recordings, or a shorter "
            "--window-s."
        )
    best = max(baselines, key=lambda own: float((own.called["clean"] == labels).mean()), default=None)
    if best is not None:
        accuracy = float((best.called["clean"] == labels).mean())
        told = f"A {best.words} on {best.numbers} numbers gets {100 * accuracy:.1f} %: "
        found.append(
            told + "the classes can be told apart, and the network needs more training or more windows."
            if accuracy >= ACCURATE
            else told + "check the classes, the channel and the split, and what python -m data.inspect says of them."
        )
    ways = [f"train longer (--updates {2 * updates}; there were {updates})"]
    if dataset.config.hop_s > DENSE_ENOUGH_S:
        ways.append(f"cut more windows (--hop-s {max(DENSE_ENOUGH_S, dataset.config.hop_s / 4):g})")
    ways += ["give more recordings", "try another --split"]
    found.append(
        f"In a new --out: {', '.join(ways)}. Or go on with --accept weak: bundle, profile and page then say so."
    )
    return found


def check_strength(
    called: Int64[np.ndarray, " n"],
    dataset: Dataset,
    apart: Bool[np.ndarray, " n"],
    baselines: Sequence[Baseline],
    updates: int,
    trials: tuple[int, str] | None = None,
) -> None:
    """Refuse to prune a dense model that is not better than a constant answer.

    Args:
        called: Class that the dense model names for each test window.
        dataset: What it was trained and tested on.
        apart: Test windows of which no two overlap.
        baselines: The simplest detectors on the same windows.
        updates: Updates that it was trained for.
        trials: See `weakness`.

    Raises:
        PruningError: It is not; the message says what was seen of each class, and what to try.
    """
    problem = weakness(called, dataset, apart, trials)
    if problem is not None:
        seen = "\n  ".join([problem, *by_class(called, dataset)])
        raise PruningError(
            f"{seen}\n  Nothing more was pruned.",
            "\n  ".join(_advice(dataset, trials or _trials(apart), baselines, updates)),
        )
