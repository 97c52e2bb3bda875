"""Parts of `models.json`: scores with their intervals, the cross-validation and the learning curve."""

from typing import Literal

from pydantic import Field

from data.common.schema import Count, Fraction, Strict

WORDS = {"line": "straight line", "forest": "random forest"}  # the kinds of baselines


class RateEntry(Strict):
    """A proportion, its 95 % Wilson interval, and the number of independent windows that the interval rests on."""

    value: Fraction
    low: Fraction
    high: Fraction
    count: Count


class ScoresEntry(Strict):
    """Scores of a model on one version of the test part; see `pruning.metrics.Scores`."""

    accuracy: RateEntry
    balanced_accuracy: Fraction
    recall: list[RateEntry]
    missed_faults: RateEntry | None
    false_alarms: RateEntry | None
    confusion: list[list[float]]


class DifferenceEntry(Strict):
    """Accuracy minus the dense model's on the same windows, with a 95 % bootstrap interval (recordings, seeds)."""

    value: float
    low: float
    high: float


class CrossEntry(Strict):
    """One model or baseline, cross-validated.

    `rate` is None for baselines. `before` is a pruned model's accuracy before it is retrained. `difference` is the
    accuracy minus the dense model's, with an interval from whole groups. Every interval in `scores` counts a group as
    one trial.
    """

    kind: Literal["dense", "pruned", "line", "forest"]
    rate: Fraction | None
    before: Fraction | None
    difference: DifferenceEntry
    scores: dict[str, ScoresEntry]

    @property
    def accuracy(self) -> RateEntry:
        """Accuracy on the windows as recorded."""
        return self.scores["clean"].accuracy


class GroupEntry(Strict):
    """One group: which fold tested it, its windows, and how many each of dense, line and forest called rightly."""

    name: str
    kind: str
    fold: Count
    windows: Count
    right: dict[str, Count]


class CrossValidation(Strict):
    """The grouped cross-validation: every group was tested once, by models that learned from other groups alone.

    The models in the bundle are not these. They learned from the training part, which holds a stretch of every group.
    """

    folds: int = Field(ge=2)
    words: str
    seed: int
    windows: Count
    windows_independent: Count
    groups: list[GroupEntry]
    entries: list[CrossEntry]
    notes: list[str]

    def entry(self, kind: str, rate: float | None = None) -> CrossEntry | None:
        """The figures of a baseline, or of the model of a rate; None if it was not cross-validated."""
        same = (e for e in self.entries if e.kind == kind)
        return next((e for e in same if rate is None or (e.rate is not None and abs(e.rate - rate) < 1e-9)), None)


class CurvePoint(Strict):
    """Accuracy of a model that learned from `groups` groups, on the average of the folds; mean over `draws` of them."""

    kind: Literal["dense", "line", "forest"]
    groups: float = Field(gt=0)
    draws: int = Field(gt=0)
    accuracy: RateEntry


class GainEntry(Strict):
    """What a model gained from `fewer` to `more` groups, with an interval from whole groups of the test."""

    kind: Literal["dense", "line", "forest"]
    fewer: float
    more: float
    gain: DifferenceEntry


class LearningCurve(Strict):
    """Accuracy over the number of groups (recordings, machines, ...) that were learned from, cross-validated."""

    words: str
    points: list[CurvePoint]
    gains: list[GainEntry]

    @property
    def unit(self) -> str:
        """What a group is, in words: "recordings", "machines" and so on."""
        return "groups" if " and " in self.words else self.words.split(" ", 1)[1]
