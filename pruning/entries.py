"""Parts of `models.json`: scores with their intervals, the cross-validation and the learning curve."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from data.common.schema import Count, Finite, Fraction, NonNegative, Strict

WORDS = {"line": "straight line", "forest": "random forest"}  # the kinds of baselines


class RateEntry(Strict):
    """A proportion, its 95 % Wilson interval, and the number of independent windows that the interval rests on."""

    value: Fraction
    low: Fraction
    high: Fraction
    count: Count

    @model_validator(mode="after")
    def _ordered(self) -> "RateEntry":
        if self.low > self.high:
            raise ValueError(f"an interval's low end is above its high end: {self.low}, {self.high}")
        return self


class ScoresEntry(Strict):
    """Scores of a model on one version of the test part; see `pruning.metrics.Scores`."""

    accuracy: RateEntry
    balanced_accuracy: Fraction
    recall: list[RateEntry]
    missed_faults: RateEntry | None
    false_alarms: RateEntry | None
    confusion: list[list[NonNegative]]

    @model_validator(mode="after")
    def _square(self) -> "ScoresEntry":
        classes = len(self.recall)
        if len(self.confusion) != classes or any(len(row) != classes for row in self.confusion):
            raise ValueError(f"confusion: expected {classes} rows of {classes} numbers, as many as in recall")
        return self


def _with_clean(scores: dict[str, ScoresEntry]) -> dict[str, ScoresEntry]:
    if "clean" not in scores:
        raise ValueError("expected the scores of the windows as recorded, under clean")
    return scores


ScoresByNoise = Annotated[dict[str, ScoresEntry], AfterValidator(_with_clean)]


class DifferenceEntry(Strict):
    """Accuracy minus the dense model's on the same windows, with a 95 % bootstrap interval (recordings, seeds)."""

    value: Finite
    low: Finite
    high: Finite


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
    scores: ScoresByNoise

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

    @model_validator(mode="after")
    def _of_dense(self) -> "GroupEntry":
        if "dense" not in self.right or any(count > self.windows for count in self.right.values()):
            raise ValueError(f"right: expected dense, and at most {self.windows} windows of each")
        return self


class CrossValidation(Strict):
    """The grouped cross-validation: every group was tested once, by models that learned from other groups alone.

    The models in the bundle are not these. They learned from the training part, which holds a stretch of every group.
    """

    folds: Count = Field(ge=2)
    words: str
    seed: Count
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
    groups: NonNegative = Field(gt=0)
    draws: Count = Field(gt=0)
    accuracy: RateEntry


class GainEntry(Strict):
    """What a model gained from `fewer` to `more` groups, with an interval from whole groups of the test."""

    kind: Literal["dense", "line", "forest"]
    fewer: NonNegative
    more: NonNegative
    gain: DifferenceEntry


class LearningCurve(Strict):
    """Accuracy over the number of groups (recordings, machines, ...) that were learned from, cross-validated."""

    words: str
    points: list[CurvePoint] = Field(min_length=1)
    gains: list[GainEntry] = Field(min_length=1)

    @property
    def unit(self) -> str:
        """What a group is, in words: "recordings", "machines" and so on."""
        return "groups" if " and " in self.words else self.words.split(" ", 1)[1]
