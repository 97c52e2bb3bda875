"""The file of a trial, `trial.json`: its models, and reading it with a check of every field."""

from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field

from data.common.schema import Count, Fraction, NonNegative, Positive, Rate, Strict, read_model
from optimizer.errors import OptimizerError
from optimizer.network.world import TRIAL_SCHEMA

SCHEMA = TRIAL_SCHEMA


class TaskRow(Strict):
    """One task of a trial, as predicted by the system model and as measured. Times are in seconds.

    Attributes:
        slot: Index of the slot.
        repeat: Index of the repetition of the slot.
        probe: Whether the slot's decisions were random instead of the policy's.
        gateway: Index of the gateway.
        task: Index of the task at its gateway.
        level: Index of the task's criticality level.
        rate: Pruning rate of the model that ran it; 0 for the complete model at the edge.
        batch: Size of the local batch; 1 at the edge.
        predicted_s: Predicted delay D of eq. (16), with the mean wait among equally critical tasks, eq. (7).
        predicted_in_order_s: Predicted delay with the place in the queue that was drawn.
        measured_s: Measured delay.
        factor: Measured inference time (of the batch, or of the task at the edge) divided by the predicted one.
        correct: Whether the predicted class was right.
        served: Whether the task met its deadline, its accuracy and (17f) by the measured times.
        predicted_served: Whether the system model says that it is served.
        cause: Why it was lost by the measured times: "late", "inaccurate", "edge slower than link, (17f)"; "" if not.
    """

    slot: Count
    repeat: Count
    probe: bool
    gateway: Count
    task: Count
    level: Count
    rate: Rate
    batch: Annotated[int, Field(ge=1)]
    predicted_s: Positive
    predicted_in_order_s: Positive
    measured_s: Positive
    factor: Positive
    correct: bool
    served: bool
    predicted_served: bool
    cause: str


class ErrorSummary(Strict):
    """How far predicted delays are off: quantiles of |predicted / measured - 1| over tasks.

    Attributes:
        tasks: Number of tasks.
        p50: Median error, as a fraction.
        p90: 90th percentile.
        p99: 99th percentile.
        median_ratio: Median of predicted / measured.
    """

    tasks: Positive
    p50: NonNegative
    p90: NonNegative
    p99: NonNegative
    median_ratio: Positive


class Drops(Strict):
    """Share of tasks that were lost.

    Attributes:
        measured: By the measured times.
        predicted: By the system model.
        same_fate: Share of all tasks for which both agree.
        causes: Share of tasks lost for each cause, by the measured times.
    """

    measured: Fraction
    predicted: Fraction
    same_fate: Fraction
    causes: dict[str, Fraction]


class AccuracyRow(Strict):
    """Accuracy of one model on the whole test part, as it runs in service.

    Attributes:
        rate: Pruning rate; 0 is the complete model.
        measured: Accuracy in the trial.
        low: Lower end of its 95 % interval.
        high: Upper end.
        independent: Number of independent windows behind the interval.
        predicted: Accuracy that the profile states.
    """

    rate: Rate
    measured: Fraction
    low: Fraction
    high: Fraction
    independent: Count
    predicted: Fraction


Errors = Annotated[ErrorSummary | None, BeforeValidator(lambda value: value or None)]  # schema 2 began with {} for None


class TrialSummary(Strict):
    """The figures of a trial.

    Attributes:
        errors: Tasks of the policy's slots, each with the mean of its repetitions.
        errors_once: Tasks of the policy's slots, each repetition by itself.
        errors_all: All tasks, random slots included.
        errors_local: All tasks that ran on gateways.
        errors_edge: All offloaded tasks.
        errors_in_order: All tasks, predicted with the order of equals that was drawn.
        drop_ratio: Share of tasks lost in the policy's slots.
        correct: Share of correct answers in the policy's slots.
        accuracies: Accuracy of each model on the whole test part.

    A group without tasks has no errors: None.
    """

    errors: ErrorSummary
    errors_once: ErrorSummary
    errors_all: ErrorSummary
    errors_local: Errors
    errors_edge: Errors
    errors_in_order: ErrorSummary
    drop_ratio: Drops
    correct: Fraction
    accuracies: list[AccuracyRow]


class Factors(Strict):
    """Measured over predicted inference times as evenly spaced quantiles: a world that a policy can be trained in."""

    local: list[Positive]
    edge: list[Positive]


class TrialFile(Strict):
    """`trial.json`.

    Attributes:
        schema_version: Version of the format, written as `schema`.
        policy: Name of the policy.
        slots: Number of slots that the policy decided.
        repeats: Repetitions of each of them.
        probes: Number of slots with random decisions.
        seed: Random seed of slots, windows and orders.
        clock: What the times mean.
        edge_factor: Time of a task at the edge divided by its time on this machine.
        speed: Time of the complete model before and after the slots, divided by its profiled time.
        disturbed: Whether the machine was much slower or faster than when it was profiled.
        factors: How inference times scatter about the predicted ones.
        summary: The figures.
        tasks: Every task.
    """

    schema_version: int = Field(alias="schema")
    policy: str
    slots: Count
    repeats: Count
    probes: Count
    seed: Count
    clock: str
    edge_factor: Positive
    speed: tuple[Positive, Positive]
    disturbed: bool
    factors: Factors
    summary: TrialSummary
    tasks: list[TaskRow]


def read_trial(path: str | Path) -> TrialFile:
    """A trial's file, validated.

    Raises:
        OptimizerError: No such file, not JSON, of another schema, or with a wrong field (its path is named).
    """
    remedy = "`python -m optimizer.trial` writes such a file."
    return read_model(
        Path(path), TrialFile, SCHEMA, OptimizerError, what="a trial's file", remedy=remedy, oldest=SCHEMA
    )
