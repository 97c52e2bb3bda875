"""The parts of a network that a scenario file describes, each checked when it is built.

A part is one table of the file: the link, a criticality level, a pruned model, the task, the gateways and the edge.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from data.common.schema import Fraction, Many, Positive, Rate, Strict
from profiling.profile.entries import Precision

PositiveFraction = Annotated[float, Field(gt=0, le=1)]
Execution = Literal["one batch", "by level"]
Queue = Literal["none", "fifo"]
AtLeastOne = Annotated[int, Field(ge=1, le=1_000_000)]
Point = Annotated[tuple[AtLeastOne, Positive], Field(strict=False)]  # batch size and seconds
Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]
MOST_LEVELS, MOST_STATES, MOST_MODELS = 32, 32, 256  # their indices are kept as int8 (levels, states) in every slot


class Link(Strict):
    """The uplink that all gateways share, eq. (4) and (5).

    Attributes:
        bandwidth_hz: Width of the band in hertz, W. Each gateway holds a part in proportion to its sensors.
        transmit_power_w: Transmit power in watts, z: one number for all gateways, or one number per gateway.
        noise_w_per_hz: Noise density in watts per hertz, N0.
        task_bits: Size of one task's input in bits.
        states: Names of the channel states.
        gains: Channel gain in each state.
        transitions: `transitions[i][j]` is the probability that state i is followed by state j.
    """

    bandwidth_hz: Positive
    transmit_power_w: Positive | Many[Positive]
    noise_w_per_hz: Positive
    task_bits: Positive
    states: Many[Name]
    gains: Many[Positive]
    transitions: Many[Many[Fraction]]

    @model_validator(mode="after")
    def _square(self) -> "Link":
        count = len(self.states)
        if not count or len(set(self.states)) < count:
            raise ValueError(f"states must be different names, at least one; got {list(self.states)}")
        if count > MOST_STATES:
            raise ValueError(f"states: expected at most {MOST_STATES}; got {count}")
        if len(self.gains) != count:
            raise ValueError(f"gains: expected one for each of the {count} states; got {len(self.gains)}")
        if len(self.transitions) != count or any(len(row) != count for row in self.transitions):
            raise ValueError(f"transitions: expected {count} rows of {count} probabilities")
        for i, row in enumerate(self.transitions):
            if abs(sum(row) - 1) > 1e-9:
                raise ValueError(f"transitions: row {i} ({self.states[i]}) must sum to 1; it sums to {sum(row):g}")
        return self


class Level(Strict):
    """A criticality level and what its tasks require, Table II(b).

    Attributes:
        criticality: How critical the level's tasks are, from 0 to 1.
        min_accuracy: Accuracy that a task needs, relative to the complete model, (17b).
        max_delay_s: Longest delay in seconds that a task allows, (17a).
        probability: Probability that a task has this level; without any, all levels are equally likely.
    """

    criticality: Fraction
    min_accuracy: PositiveFraction
    max_delay_s: Positive
    probability: Fraction | None = None


class LocalModel(Strict):
    """A pruned model that gateways can run.

    Attributes:
        rate: Pruning rate, as a fraction; 0 is the complete model.
        accuracy: Accuracy relative to the complete model.
        flops: FLOP of one task; by default 1 - rate of the complete model's.
        latency_s: Points (batch size, seconds), joined by straight lines; a larger batch runs in portions of the
            largest of them. Without them, a batch takes its FLOP divided by the gateway's capacity, eq. (2).
        precision: Precision that it runs at; None where there is only the profile's first one.
    """

    rate: Rate
    accuracy: PositiveFraction
    flops: Positive | None = None
    latency_s: Annotated[Many[Point], Field(max_length=10_000)] | None = None
    precision: Precision | None = None

    @property
    def label(self) -> str:
        """Name in tables and figures, e.g. "p = 0.7" or "p = 0.7 int8"."""
        return f"p = {self.rate:g}" + (f" {self.precision}" if self.precision else "")

    @property
    def portion(self) -> int | None:
        """The largest measured batch; larger ones run in portions of it. None without measured latencies."""
        return None if self.latency_s is None else self.latency_s[-1][0]

    def slower(self, factor: float) -> "LocalModel":
        """The same model with its measured latencies multiplied by a factor."""
        if self.latency_s is None:
            return self
        return self.model_copy(update={"latency_s": tuple((n, factor * seconds) for n, seconds in self.latency_s)})

    @model_validator(mode="after")
    def _ascending(self) -> "LocalModel":
        if self.latency_s is not None:
            sizes = [n for n, _ in self.latency_s]
            if not sizes or sizes[0] != 1 or sorted(set(sizes)) != sizes:
                raise ValueError(f"latency_s: batch sizes must ascend from 1; got {sizes}")
        return self


class Task(Strict):
    """The work in one task.

    Attributes:
        flops: FLOP that the complete model needs for one task, H * I; a multiply-accumulate is 2.
    """

    flops: Positive


class Gateway(Strict):
    """The gateways' processors.

    Attributes:
        capacity_flop_per_s: C_g of eq. (2) in FLOP per second: one number for all gateways, or one number per gateway.
            It may be left out where every model has a measured latency.
        execution: "one batch" as in the paper: a gateway's tasks run as one batch on one model. "by level": level by
            level, the most critical first, each level as one batch on a model of its own.
    """

    capacity_flop_per_s: Positive | Many[Positive] | None = None
    execution: Execution = "one batch"


class Edge(Strict):
    """The edge server, described by one of two numbers, and what happens where it is slower than the link.

    Attributes:
        capacity_flop_per_s: C_e of eq. (3), in FLOP per second.
        task_s: Seconds that one task takes on the whole server.
        queue: "none" as in the paper: every task of a gateway is lost whose part of the edge is slower than its link,
            (17f). "fifo": tasks wait for each other at the edge, and only those that are late are lost.
    """

    capacity_flop_per_s: Positive | None = None
    task_s: Positive | None = None
    queue: Queue = "none"

    @model_validator(mode="after")
    def _one(self) -> "Edge":
        if (self.capacity_flop_per_s is None) == (self.task_s is None):
            raise ValueError("give either capacity_flop_per_s or task_s")
        return self


def check_levels(qos: Sequence[Level], slot_s: float) -> None:
    """Refuse levels that are not in order of criticality, or whose requirements do not tighten with it.

    Args:
        qos: The levels.
        slot_s: Length of a slot in seconds; no deadline may be longer.

    Raises:
        ValueError: The level and the field are named.
    """
    if not qos:
        raise ValueError("qos: expected at least one level")
    if len(qos) > MOST_LEVELS:
        raise ValueError(f"qos: expected at most {MOST_LEVELS} levels; got {len(qos)}")
    for i, (a, b) in enumerate(pairwise(qos)):
        if not a.criticality < b.criticality:
            raise ValueError(
                f"qos.{i + 1}.criticality: levels must ascend; got {b.criticality:g} after {a.criticality:g}"
            )
        if b.min_accuracy < a.min_accuracy or b.max_delay_s > a.max_delay_s:
            raise ValueError(f"qos.{i + 1}: a more critical level must ask for at least as much as the one before")
    if qos[0].max_delay_s > slot_s:
        raise ValueError(f"qos.0.max_delay_s: {qos[0].max_delay_s:g} s is longer than the slot of {slot_s:g} s")
    given = [level.probability for level in qos if level.probability is not None]
    if given and (len(given) < len(qos) or abs(sum(given) - 1) > 1e-9):
        raise ValueError("qos: give a probability to every level, summing to 1, or to none")


def check_models(models: Sequence[LocalModel], gateway: Gateway, width: int, *, extrapolate: bool) -> None:
    """Refuse models whose latency is not known for every batch that a gateway can have.

    Args:
        models: The pruned models.
        gateway: The gateways' processors.
        width: Tasks of the largest gateway.
        extrapolate: Whether batches beyond the last measured one are allowed; they run in portions.

    Raises:
        ValueError: The model is named.
    """
    if not models:
        raise ValueError("models: expected at least one")
    if len(models) > MOST_MODELS:
        raise ValueError(f"models: expected at most {MOST_MODELS}; got {len(models)}")
    kinds = [m.label for m in models]
    if len(set(kinds)) < len(kinds):
        raise ValueError(f"models: expected different rates; a rate is given twice in {', '.join(kinds)}")
    for model in models:
        if model.portion is None:
            if gateway.capacity_flop_per_s is None:
                raise ValueError(
                    f"models: rate {model.rate:g} has no latency_s, so gateway.capacity_flop_per_s must be given"
                )
            continue
        if model.portion < width and not extrapolate:
            raise ValueError(
                f"models: rate {model.rate:g} was measured up to a batch of {model.portion}, but a gateway has {width} "
                "sensors: profile again with larger --batches, or allow portions of the largest batch with "
                "--extrapolate (`extrapolate = true`)"
            )
