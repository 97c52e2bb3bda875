"""What a trial found: percentiles of the prediction errors, lost tasks, and how inference times scattered."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from rich.console import Console

from data.common.console import say
from optimizer.trial.results import AccuracyRow, Drops, ErrorSummary, Factors, TaskRow, TrialFile, TrialSummary

QUANTILES = 200  # evenly spaced quantiles that stand for a distribution of factors
GROUPS = (  # fields of TrialSummary, with their titles
    ("errors", "tasks of the policy's slots, mean of repetitions"),
    ("errors_once", "each repetition by itself"),
    ("errors_all", "with the random slots"),
    ("errors_local", "run on gateways"),
    ("errors_edge", "offloaded"),
    ("errors_in_order", "all tasks, order of equals as drawn"),
)


def mean_of_repeats(rows: Sequence[TaskRow]) -> list[TaskRow]:
    """Each task once, with the mean of its measured delays over repetitions, which is what eq. (7) predicts."""
    groups: dict[tuple[int, int, int], list[TaskRow]] = {}
    for row in rows:
        groups.setdefault((row.slot, row.gateway, row.task), []).append(row)
    return [
        same[0].model_copy(update={"measured_s": float(np.mean([r.measured_s for r in same]))})
        for same in groups.values()
    ]


def factors(rows: Sequence[TaskRow]) -> Factors:
    """How inference times scatter about the predicted ones, as evenly spaced quantiles."""
    batches = {(r.slot, r.repeat, r.gateway): r.factor for r in rows if r.rate > 0}
    at = (np.arange(QUANTILES) + 0.5) / QUANTILES

    def quantiles(values: list[float]) -> list[float]:
        return [round(float(x), 5) for x in np.quantile(values, at)] if values else []

    return Factors(local=quantiles(list(batches.values())), edge=quantiles([r.factor for r in rows if r.rate == 0]))


def errors(rows: Sequence[TaskRow], *, in_order: bool = False) -> ErrorSummary:
    """Quantiles of |predicted / measured - 1|.

    Args:
        rows: Tasks, at least one.
        in_order: Take the prediction with the order of equals that was drawn, instead of their mean wait.
    """
    predicted = np.array([r.predicted_in_order_s if in_order else r.predicted_s for r in rows])
    ratio = predicted / np.array([r.measured_s for r in rows])
    p50, p90, p99 = (float(np.quantile(np.abs(ratio - 1), q)) for q in (0.5, 0.9, 0.99))
    return ErrorSummary(tasks=len(rows), p50=p50, p90=p90, p99=p99, median_ratio=float(np.median(ratio)))


def summarise_trial(rows: Sequence[TaskRow], accuracies: list[AccuracyRow]) -> TrialSummary:
    """The figures of a trial."""
    decided = [r for r in rows if not r.probe]
    local, sent = [r for r in rows if r.rate > 0], [r for r in rows if r.rate == 0]
    causes = Counter(r.cause for r in decided if r.cause)
    return TrialSummary(
        errors=errors(mean_of_repeats(decided)),
        errors_once=errors(decided),
        errors_all=errors(rows),
        errors_local=errors(local) if local else None,
        errors_edge=errors(sent) if sent else None,
        errors_in_order=errors(rows, in_order=True),
        drop_ratio=Drops(
            measured=1 - float(np.mean([r.served for r in decided])),
            predicted=1 - float(np.mean([r.predicted_served for r in decided])),
            same_fate=float(np.mean([r.served == r.predicted_served for r in rows])),
            causes={cause: causes[cause] / len(decided) for cause in sorted(causes)},
        ),
        correct=float(np.mean([r.correct for r in decided])),
        accuracies=accuracies,
    )


def print_trial(trial: TrialFile, console: Console) -> None:
    """Print the figures in words."""
    summary = trial.summary
    if trial.disturbed:
        times = " and ".join(f"{s:.2f}" for s in trial.speed)
        say(
            console,
            f"WARNING: the complete model took {times} times as long as in the profile, before and after the slots. Is "
            "other work running here? Is this the machine of the profile? The delays below say little.",
            style="bold red",
        )
    for field, title in GROUPS:
        found: ErrorSummary | None = getattr(summary, field)
        if found is not None:
            say(
                console,
                f"{title}: {found.tasks:.0f}; predicted delay is off by {100 * found.p50:.1f} % at the median, "
                f"{100 * found.p90:.1f} % at p90 (median predicted / measured {found.median_ratio:.3f})",
            )
    drops = summary.drop_ratio
    say(
        console,
        f"dropped: {100 * drops.measured:.2f} % measured, {100 * drops.predicted:.2f} % predicted; same fate for "
        f"{100 * drops.same_fate:.1f} % of all tasks"
        + "".join(f"; {cause}: {100 * share:.2f} %" for cause, share in drops.causes.items()),
    )
    for entry in summary.accuracies:
        inside = entry.low <= entry.predicted <= entry.high
        say(
            console,
            f"p = {entry.rate:g}: accuracy {entry.measured:.4f} ({entry.low:.4f} to {entry.high:.4f}), "
            f"predicted {entry.predicted:.4f}{'' if inside else ' OUTSIDE'}",
        )
