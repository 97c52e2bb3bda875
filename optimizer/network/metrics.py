"""What is measured of a policy, once: each metric's name, unit, meaning and formula.

Summaries, tables, figures and the environment's `info` share this table. To add a metric: write one entry here.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from data.common.stats import half_interval
from optimizer.network.outcome import Outcome, Slots


@dataclass(frozen=True)
class Metric:
    """One number that tells how a policy does.

    Attributes:
        name: Name in files and code.
        title: Name in figures.
        unit: Unit in tables and figures; "" for a plain number.
        scale: Factor from the stored number (a plain number, seconds or FLOP) to that unit.
        meaning: What it is.
        total: Its amount in each slot.
        tasks: Number of tasks that the amount is divided by, in each slot; None for a mean over slots.
        column: Short name in the heads of tables; by default the title.
    """

    name: str
    title: str
    unit: str
    scale: float
    meaning: str
    total: Callable[[Outcome], Slots]
    tasks: Callable[[Outcome], Slots] | None = None
    column: str = ""

    @property
    def head(self) -> str:
        """Short name with its unit, for the head of a table's column."""
        return f"{self.column or self.title} {self.unit}".rstrip()

    @property
    def label(self) -> str:
        """Title with its unit, for the axis of a figure."""
        return f"{self.title}, {self.unit}" if self.unit else self.title

    def each_slot(self, outcome: Outcome) -> Slots:
        """The metric of each slot by itself; NaN where there is nothing to divide by."""
        total = self.total(outcome)
        if self.tasks is None:
            return total
        tasks = self.tasks(outcome)
        return np.divide(total, tasks, out=np.full(len(total), np.nan), where=tasks > 0)

    def mean(self, outcomes: Sequence[Outcome]) -> tuple[float | None, float]:
        """Mean over all slots of all outcomes (over slots, or over tasks), and half of its 95 % interval.

        The interval is over slots. A mean over tasks is a ratio of two means over slots; its interval is that of the
        linearised ratio. The mean is None where no task was served.
        """
        total = np.concatenate([self.total(o) for o in outcomes])
        if self.tasks is None:
            return float(total.mean()), half_interval(total)
        tasks = np.concatenate([self.tasks(o) for o in outcomes])
        if not tasks.sum():
            return None, 0.0
        ratio = float(total.sum() / tasks.sum())
        return ratio, half_interval((total - ratio * tasks) / tasks.mean())


def _served(outcome: Outcome) -> Slots:
    return outcome.served


def _cause(name: str, title: str, meaning: str) -> Metric:
    """Share of the tasks that one cause of being dropped affected; `name` is the cause's field of an outcome."""
    return Metric(name, title, "%", 100, f"Share of tasks {meaning}.", lambda o: o.dropped_by(getattr(o, name)))


def _part(part: str, meaning: str, column: str) -> Metric:
    """One part of the overall utilization: an outcome has it as `<part>_utilization`."""
    name = f"{part}_utilization"
    return Metric(name, f"{part} utilization", "", 1, meaning, lambda o: getattr(o, name), column=column)


_ALL = (
    Metric("reward", "reward", "", 1, "Reward of a slot, eq. (21) or the scenario's own.", lambda o: o.reward),
    Metric(
        "utilization", "overall utilization", "", 1,
        "Busy time of processors, link and edge for served tasks, divided by the slot length; summed over gateways.",
        lambda o: o.overall_utilization, column="util.",
    ),
    _part("local", "The part of the gateways' processors, eq. (12).", "local"),
    _part("bandwidth", "The part of the link, eq. (13).", "band"),
    _part("edge", "The part of the edge server, eq. (14).", "edge"),
    Metric(
        "wasted", "wasted", "", 1, "Busy time for tasks that were dropped, divided by the slot length.",
        lambda o: o.wasted,
    ),
    Metric(
        "offloading_ratio", "offloaded", "%", 100, "Share of tasks offloaded.", lambda o: o.offloading_ratio,
        column="off.",
    ),
    Metric(
        "drop_ratio", "dropped", "%", 100, "Share of tasks dropped, eq. (21).", lambda o: o.drop_ratio, column="drop"
    ),
    _cause("refused", "refused", "that were refused: neither gateway nor edge took them"),
    _cause("late_locally", "late on the gateway", "that missed their deadline on the gateway, (17a)"),
    _cause("inaccurate", "not accurate enough", "whose model on the gateway was not accurate enough, (17b)"),
    _cause("late_at_edge", "late by way of the edge", "that missed their deadline by way of the edge, (17a)"),
    _cause("edge_slower", "edge slower than the link", "sent to an edge slower than the link, (17f)"),
    _cause("unsent", "not sent in the slot", "that were not sent within the slot"),
    Metric(
        "accuracy", "accuracy of served tasks", "", 1,
        "Mean accuracy of the served tasks, relative to the complete model.", lambda o: o.correct, _served,
        column="acc.",
    ),
    Metric(
        "delay_s", "delay of served tasks", "ms", 1e3, "Mean delay of the served tasks, eq. (16).",
        lambda o: o.total_delay, _served, column="delay",
    ),
    Metric("served", "served tasks", "", 1, "Number of tasks served per slot.", _served),
    Metric(
        "served_per_s", "served tasks per second", "1/s", 1, "Number of tasks served per second.",
        lambda o: o.served / o.scenario.slot_s,
    ),
    Metric(
        "correct_per_s", "correct answers per second", "1/s", 1,
        "Expected number of correct answers per second, relative to the complete model.",
        lambda o: o.correct / o.scenario.slot_s,
    ),
    Metric(
        "flops", "computation per served task", "GFLOP", 1e-9,
        "FLOP spent per served task, on dropped tasks too; a multiply-accumulate is 2.", lambda o: o.flops, _served,
        column="computed",
    ),
)  # fmt: skip
METRICS = {metric.name: metric for metric in _ALL}


def legend(*names: str) -> str:
    """What the columns of a table mean: short name and meaning of each metric."""
    found = [METRICS[name] for name in names]
    return "; ".join(f"{m.column or m.title}: {m.meaning[0].lower()}{m.meaning[1:].rstrip('.')}" for m in found)
