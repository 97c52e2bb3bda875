"""What a trial found: each task as predicted and measured, percentiles of the errors, and how inference scattered."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from rich.console import Console

from profiling.profile.profile import Profile

QUANTILES = 200


@dataclass(frozen=True)
class TaskRow:
    """What became of one task: predicted by the environment, and measured.

    Attributes:
        slot: Number of the slot.
        repeat: Number of its carrying out.
        probe: Whether the slot's decisions were random.
        gateway: Index.
        task: Index in the gateway.
        level: Of criticality.
        rate: Of the model that ran it; 0 at the edge.
        batch: Of the local batch; 1 at the edge.
        predicted_s: D of eq. (16), with the mean wait of its equals, eq. (7).
        predicted_in_order_s: The same with its place in the queue as drawn.
        measured_s: What it took.
        factor: How many times as long inference took (the batch, or the task at the edge) as predicted.
        correct: Whether its class was right.
        served: Whether it met deadline, accuracy and (17f) by the measured times.
        predicted_served: Whether the environment says so.
        cause: Why it was lost by the measured times: "late", "inaccurate", "edge slower than link, (17f)" or "".
    """

    slot: int
    repeat: int
    probe: bool
    gateway: int
    task: int
    level: int
    rate: float
    batch: int
    predicted_s: float
    predicted_in_order_s: float
    measured_s: float
    factor: float
    correct: bool
    served: bool
    predicted_served: bool
    cause: str


def wilson(share: float, n: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a proportion."""
    z = 1.959963984540054
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(0.0, float(middle - half)), min(1.0, float(middle + half))


def mean_of_repeats(rows: list[TaskRow]) -> list[TaskRow]:
    """Each task once, with the mean of what it took: what eq. (7) predicts."""
    groups: dict[tuple[int, int, int], list[TaskRow]] = {}
    for row in rows:
        groups.setdefault((row.slot, row.gateway, row.task), []).append(row)
    return [replace(g[0], measured_s=float(np.mean([r.measured_s for r in g]))) for g in groups.values()]


def factors(rows: list[TaskRow]) -> dict[str, list[float]]:
    """How inference times scatter about the predicted ones, as evenly spaced quantiles: a world to train in."""
    batches = {(r.slot, r.repeat, r.gateway): r.factor for r in rows if r.rate > 0}
    at = (np.arange(QUANTILES) + 0.5) / QUANTILES
    found = {"local": list(batches.values()), "edge": [r.factor for r in rows if r.rate == 0]}
    return {k: [round(float(x), 5) for x in np.quantile(v, at)] if v else [] for k, v in found.items()}


def errors(rows: list[TaskRow], field: str = "predicted_s") -> dict[str, float]:
    """Percentiles of |predicted / measured - 1|, and the median ratio; empty without rows."""
    if not rows:
        return {}
    ratio = np.array([getattr(r, field) / r.measured_s for r in rows])
    off = np.abs(ratio - 1)
    return {
        "tasks": float(len(rows)),
        "p50": float(np.quantile(off, 0.5)),
        "p90": float(np.quantile(off, 0.9)),
        "p99": float(np.quantile(off, 0.99)),
        "median_ratio": float(np.median(ratio)),
    }


def summarise_trial(rows: list[TaskRow], accuracies: list[dict[str, float]], gateway: Profile) -> dict[str, Any]:
    """The trial's figures."""
    decided = [r for r in rows if not r.probe]
    local, sent = [r for r in rows if r.rate > 0], [r for r in rows if r.rate == 0]
    for entry in accuracies:
        said = gateway.model(entry["rate"]).accuracy
        entry["predicted"] = entry["measured"] if said is None else float(said)
    return {
        "errors": errors(mean_of_repeats(decided)),
        "errors_once": errors(decided),
        "errors_all": errors(rows),
        "errors_local": errors(local),
        "errors_edge": errors(sent),
        "errors_in_order": errors(rows, "predicted_in_order_s"),
        "drop_ratio": {
            "measured": 1 - float(np.mean([r.served for r in decided])),
            "predicted": 1 - float(np.mean([r.predicted_served for r in decided])),
            "same_fate": float(np.mean([r.served == r.predicted_served for r in rows])),
            "causes": {
                c: sum(r.cause == c for r in decided) / len(decided) for c in sorted({r.cause for r in decided} - {""})
            },
        },
        "correct": float(np.mean([r.correct for r in decided])),
        "accuracies": accuracies,
    }


def print_trial(content: dict[str, Any], console: Console) -> None:
    """The figures in words."""
    summary = content["summary"]
    if content["disturbed"]:
        said = " and ".join(f"{s:.2f}" for s in content["speed"])
        console.print(
            f"WARNING: the complete model took {said} times as long as in the profile, before and after the slots. Is "
            "other work running here? Is it the machine of the profile? Delays below say little.",
            style="bold red", highlight=False, soft_wrap=True,
        )  # fmt: skip
    for name, key in (
        ("tasks of the policy's slots, mean of repeats", "errors"), ("each carried out once", "errors_once"),
        ("with the random slots", "errors_all"),
        ("run on gateways", "errors_local"), ("offloaded", "errors_edge"),
        ("offloaded, order of equals as drawn", "errors_in_order"),
    ):  # fmt: skip
        e = summary[key]
        if e:
            console.print(
                f"{name}: {e['tasks']:.0f}; predicted delay is off by {100 * e['p50']:.1f} % at the median, "
                f"{100 * e['p90']:.1f} % at p90 (median predicted / measured {e['median_ratio']:.3f})",
                highlight=False, soft_wrap=True,
            )  # fmt: skip
    drops = summary["drop_ratio"]
    console.print(
        f"dropped: {100 * drops['measured']:.2f} % measured, {100 * drops['predicted']:.2f} % predicted; same fate for "
        f"{100 * drops['same_fate']:.1f} % of all tasks"
        + "".join(f"; {cause}: {100 * share:.2f} %" for cause, share in drops["causes"].items()),
        highlight=False, soft_wrap=True,
    )  # fmt: skip
    for entry in summary["accuracies"]:
        inside = entry["low"] <= entry["predicted"] <= entry["high"]
        console.print(
            f"p = {entry['rate']:g}: accuracy {entry['measured']:.4f} ({entry['low']:.4f} to {entry['high']:.4f}), "
            f"predicted {entry['predicted']:.4f}{'' if inside else ' OUTSIDE'}",
            highlight=False, soft_wrap=True,
        )  # fmt: skip
