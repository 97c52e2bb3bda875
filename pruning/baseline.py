"""The simplest detectors beside VGG-16: a straight line and a random forest on a few numbers of each image.

What a network must beat to earn its place. They see the windows, the split and the images that the network sees, and
learn from the training part alone, as it does. The numbers are the mean and the deviation over time of each band.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Float32, Int64
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from data import Dataset, Examples
from pruning.entries import WORDS
from pruning.metrics import difference, score

SEED = 0  # of the forest: its bootstrap samples and the numbers that it looks at
TREES = 100  # scikit-learn's own default
ITERATIONS = 5000  # scikit-learn's 100 do not suffice on every set; it stops when it has converged


def straight_line() -> Any:
    """A logistic regression on standardised numbers."""
    return make_pipeline(StandardScaler(), LogisticRegression(C=1.0, max_iter=ITERATIONS))


def line_coefficients(
    examples: Examples, weight: float
) -> tuple[Float[np.ndarray, " numbers"], Float[np.ndarray, "numbers classes"], Float[np.ndarray, " classes"]]:
    """The straight line fitted on examples, times a weight, as offset, slope and bias (`line.BandLine.give`)."""
    scaler, line = straight_line().fit(band_numbers(examples.images), examples.labels).named_steps.values()
    slope, bias = line.coef_.T, line.intercept_
    if slope.shape[1] == 1:  # scikit-learn gives two classes one logit, that of the second
        slope, bias = slope @ [[-0.5, 0.5]], bias * [-0.5, 0.5]
    return scaler.mean_, weight * slope / scaler.scale_[:, None], weight * bias


def random_forest() -> Any:
    """A random forest from a fixed seed."""
    return RandomForestClassifier(TREES, random_state=SEED)


BASELINES: dict[str, Callable[[], Any]] = {"line": straight_line, "forest": random_forest}


@dataclass(frozen=True, eq=False)
class Baseline:
    """A fitted baseline.

    Attributes:
        kind: One of `BASELINES`.
        numbers: How many numbers of an image it looks at.
        flops: FLOP for one image, as a rule of thumb: those of the numbers, and 2 for each weight of the line or 1 for
            each comparison of the forest.
        called: Class that it names for each test window, by "clean", "10dB" and so on.
        fit_s: Seconds that fitting took.
    """

    kind: str
    numbers: int
    flops: int
    called: dict[str, Int64[np.ndarray, " n"]]
    fit_s: float

    @property
    def words(self) -> str:
        """What it is, in words."""
        return WORDS[self.kind]


def band_numbers(images: Float32[np.ndarray, "n 1 size size"]) -> Float[np.ndarray, "n numbers"]:
    """Mean and deviation over time of each band (row) of each image."""
    rows = images[:, 0].astype(np.float64)
    return np.concatenate([rows.mean(axis=2), rows.std(axis=2)], axis=1)


def _flops(model: Any, size: int, numbers: int, classes: int) -> int:
    statistics = 4 * size * size  # a sum; a difference, a square and a sum
    if isinstance(model, RandomForestClassifier):
        return statistics + sum(int(tree.get_depth()) for tree in model.estimators_)
    return statistics + 2 * numbers + 2 * numbers * classes


def fit_baselines(dataset: Dataset, *, noisy: bool = True) -> list[Baseline]:
    """Fit all baselines on the training part, and let them name the class of every test window, also the noisy ones."""
    learned = band_numbers(dataset.train.images)
    versions = {"clean": dataset.test.images}
    versions |= {f"{snr}dB": images for snr, images in dataset.noisy.items()} if noisy else {}
    tested = {name: band_numbers(images) for name, images in versions.items()}
    found = []
    for kind, make in BASELINES.items():
        model = make()
        begun = time.perf_counter()
        model.fit(learned, dataset.train.labels)
        spent = time.perf_counter() - begun
        called = {name: model.predict(numbers).astype(np.int64) for name, numbers in tested.items()}
        flops = _flops(model, dataset.test.images.shape[-1], learned.shape[1], len(dataset.classes))
        found.append(Baseline(kind, learned.shape[1], flops, called, spent))
    return found


def baseline_entries(
    baselines: Sequence[Baseline],
    dataset: Dataset,
    apart: Bool[np.ndarray, " n"],
    dense_correct: Bool[np.ndarray, "seeds n"],
) -> list[dict[str, Any]]:
    """What `models.json` says of the baselines; the time to fit is not in it, because equal sweeps give equal files.

    Args:
        baselines: The fitted baselines.
        dataset: What they were fitted and tested on.
        apart: Test windows of which no two overlap.
        dense_correct: Which test windows the dense model of each seed classifies correctly.
    """
    labels = dataset.test.labels
    entries = []
    for own in baselines:
        correct = np.broadcast_to(own.called["clean"] == labels, dense_correct.shape)
        gain, low, high = difference([correct, dense_correct], dataset.test.recordings)
        scores = {
            name: asdict(
                score(called[None], labels[: len(called)], apart[: len(called)], len(dataset.classes), dataset.normal)
            )
            for name, called in own.called.items()
        }
        entries.append(
            {
                "kind": own.kind,
                "numbers": own.numbers,
                "flops": own.flops,
                "difference": {"value": gain, "low": low, "high": high},
                "scores": scores,
            }
        )
    return entries
