"""The file of a trial, `trial.json`: its models, and reading it with a check of every field."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from data.common.schema import Count, Fraction, NonNegative, Pair, Positive, Rate, Strict, read_model
from optimizer.errors import OptimizerError
from optimizer.network.parts import Execution, Queue
from optimizer.network.world import TRIAL_SCHEMA
from profiling.profile.entries import Interval, Order, Precision

SCHEMA, OLDEST = TRIAL_SCHEMA, 3
Where = Literal["gateway", "edge"]
QUANTILES = 200  # evenly spaced quantiles that stand for a distribution of factors


class ErrorSummary(Strict):
    """How far predicted delays of single tasks are off: quantiles of |predicted / measured - 1|.

    Attributes:
        tasks: Number of tasks.
        p50: Median error, as a fraction.
        p90: 90th percentile.
        p99: 99th percentile.
        median_ratio: Median of predicted / measured.
    """

    tasks: Count
    p50: NonNegative
    p90: NonNegative
    p99: NonNegative
    median_ratio: Positive


class ModelUse(Strict):
    """How much a scheme used one model on its gateways.

    Attributes:
        rate: Pruning rate; 0 is the complete model.
        precision: Precision that it ran at.
        batches: Number of batches.
        tasks: Number of tasks in them.
    """

    rate: Rate
    precision: Precision
    batches: Count
    tasks: Count


class Point(Strict):
    """One task, for the figure: where it ran, and its delay in seconds."""

    where: Where
    predicted_s: Positive
    measured_s: Positive


class SchemeResult(Strict):
    """What one scheme did, and what the system model had predicted on the same slots.

    Shares are fractions of all tasks; a name with `_predicted` is the model's. A task is lost if it was refused, late,
    or run by a model that is less accurate than its level asks. What only (17f) would call lost is not.

    Attributes:
        label: Name in tables.
        learned: Whether it is a learned policy.
        lost: Share of tasks lost.
        lost_again: The same with the median of three for runs that stood out. None in files before schema 6.
        lost_near: What is predicted of it if all inference takes 2 % less or 2 % more. None in files before schema 5.
        late: Share answered after the deadline.
        broken: Share of the tasks that the plan serves which were answered after the deadline: what a risk is about.
            None in files of schema 3, and if the plan serves none.
        inaccurate: Share answered in time by a model that is not accurate enough.
        refused: Share refused.
        wrong: Share answered in time and accurately enough, but with the wrong class.
        edge_slower: Share that (17f) would have called lost. It counts for nothing here.
        offloaded: Share sent to the edge.
        delay_s: Mean delay of served tasks in seconds; None if none was served.
        delay_p99_s: 99th percentile of their delays.
        accuracy: Share of served tasks with the right class.
        same_fate: Share of tasks for which the model predicted what happened.
        delay_error: How far predicted delays of its tasks are off; None if none was run.
        intervals: 95 % intervals of measured figures, over slots.
        models: Use of models on gateways.
        points: Some of its tasks, evenly spaced, for the figure.
    """

    label: str
    learned: bool
    lost: Fraction
    lost_predicted: Fraction
    lost_again: Fraction | None = None
    lost_near: Interval | None = None
    late: Fraction
    late_predicted: Fraction
    inaccurate: Fraction
    inaccurate_predicted: Fraction
    refused: Fraction
    wrong: Fraction
    wrong_predicted: Fraction
    edge_slower: Fraction
    edge_slower_predicted: Fraction
    offloaded: Fraction
    delay_s: Positive | None
    delay_s_predicted: Positive | None
    delay_p99_s: Positive | None
    delay_p99_s_predicted: Positive | None
    accuracy: Fraction | None
    accuracy_predicted: Fraction | None
    same_fate: Fraction
    broken: Fraction | None = None
    delay_error: ErrorSummary | None
    intervals: dict[str, Interval]
    models: list[ModelUse]
    points: list[Point]

    @model_validator(mode="after")
    def _with_intervals(self) -> "SchemeResult":
        needed = ["lost"] if self.broken is None else ["lost", "broken"]
        missing = [name for name in needed if name not in self.intervals]
        if missing:
            raise ValueError(f"intervals: {', '.join(missing)} missing")
        if self.models and not sum(model.batches for model in self.models):
            raise ValueError("models: expected batches of at least one of them")
        return self


class AccuracyRow(Strict):
    """Accuracy of one model on the test windows that it answered in the trial.

    Attributes:
        rate: Pruning rate; 0 is the complete model.
        precision: Precision that it ran at.
        measured: Accuracy in the trial.
        low: Lower end of its 95 % interval.
        high: Upper end.
        windows: Number of different windows that it answered.
        independent: Number of independent ones among them, which the interval rests on.
        predicted: Accuracy that the profile states, on all test windows.
    """

    rate: Rate
    precision: Precision
    measured: Fraction
    low: Fraction
    high: Fraction
    windows: Count
    independent: Count
    predicted: Fraction


def _quantiles(values: list[float]) -> list[float]:
    if len(values) not in (0, QUANTILES) or sorted(values) != values:
        raise ValueError(f"expected {QUANTILES} ascending numbers, or none; got {len(values)}")
    return values


Quantiles = Annotated[list[Positive], AfterValidator(_quantiles)]


class Factors(Strict):
    """Measured over predicted inference times as evenly spaced quantiles: a world that a policy can be trained in."""

    local: Quantiles
    edge: Quantiles


class Network(Strict):
    """The network that was tried.

    Attributes:
        sensors: Number of sensors.
        groups: Sensors of each gateway.
        execution: How gateways work.
        queue: What happens at the edge.
        order: Order in which the gateway's profile was measured: "random" is that of service.
    """

    sensors: Count
    groups: list[Count] = Field(min_length=1)
    execution: Execution
    queue: Queue
    order: Order


class Repeated(Strict):
    """What was run again because other processes or the hypervisor took this machine's cores meanwhile.

    Attributes:
        runs: Runs of a gateway's batches of a slot, and of up to 25 windows at the edge.
        repeated: Those that were disturbed and run again.
        disturbed: Those whose last try, which counts, was disturbed too.
        reason: What disturbed the first of them; None if nothing did.
        outliers: Runs of a gateway that took over 1.15 times as long as the rest, by what was planned. They count as
            they were measured; they were run twice more for `SchemeResult.lost_again`.
    """

    runs: Count
    repeated: Count
    disturbed: Count
    reason: str | None
    outliers: Count


class TrialFile(Strict):
    """`trial.json`.

    Attributes:
        schema_version: Version of the format, written as `schema`.
        network: The network.
        slots: Number of slots.
        seed: Random seed of slots and windows.
        clock: What the times mean.
        edge_factor: Time of a task on the whole edge server divided by its time on this machine.
        speed: Time of the complete model before and after the slots, divided by its profiled time; measured in the
            profile's order, hot or taking turns with other models.
        disturbed: Whether the machine was much slower or faster than when it was profiled.
        delay_error: How far predicted delays of single tasks are off, over all schemes; None if no task was run.
        delay_error_local: The same, of tasks that ran on gateways.
        delay_error_edge: The same, of offloaded tasks.
        schemes: What each scheme did, by its name.
        accuracies: Accuracy of each model that was run.
        factors: How inference times scatter about the predicted ones.
        risk: Share of late tasks that was planned for; None if no risk was chosen.
        repeated: What was run again. None in files before schema 6.
        notes: What a reader should know.
    """

    schema_version: int = Field(alias="schema")
    network: Network
    slots: Count
    seed: Count
    clock: str
    edge_factor: Positive
    speed: Pair[Positive]
    disturbed: bool
    delay_error: ErrorSummary | None
    delay_error_local: ErrorSummary | None
    delay_error_edge: ErrorSummary | None
    schemes: dict[str, SchemeResult] = Field(min_length=1)
    accuracies: list[AccuracyRow]
    factors: Factors
    risk: Fraction | None = None
    repeated: Repeated | None = None
    notes: list[str]

    @property
    def slowed(self) -> bool:
        """Whether the machine was so much slower than in the profile that what was measured says little."""
        return self.disturbed and max(self.speed) > 1


def read_trial(path: str | Path) -> TrialFile:
    """A trial's file, validated.

    Raises:
        OptimizerError: No such file, not JSON, of another schema, or with a wrong field (its path is named).
    """
    remedy = "`python -m optimizer.trial` writes such a file; one of an older version must be made again."
    return read_model(
        Path(path), TrialFile, SCHEMA, OptimizerError, what="a trial's file", remedy=remedy, oldest=OLDEST
    )
