"""A trial on the terminal: who lost least, what became of the tasks, and how good the predictions were."""

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from data.common.console import say
from optimizer.trial.results import SchemeResult, TrialFile
from optimizer.trial.sentences import brink_lines, disturbance, repeats_lines, risk_lines, simplest, verdict

LOST = (
    "lost: late, not accurate enough for the level, or refused; pred.: as the system model predicted on the same "
    "slots; wrong: answered in time, with the wrong class; (17f): what the paper would call lost because the edge is "
    "slower than the link, counted for nothing here. Intervals: 95 %, over slots."
)
DELAYS = (
    "delay: mean over served tasks, p99 their 99th percentile; acc.: share of served tasks with the right class; "
    "error: of the predicted delay of single tasks, |predicted / measured - 1|."
)


def _table(*columns: str) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1), collapse_padding=True)
    table.add_column("scheme")
    for name in columns:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _percent(value: float) -> str:
    return "0" if value <= 0 else f"{100 * value:.2f}" if value < 0.1 else f"{100 * value:.1f}"


def _or_dash(value: float | None, scale: float, digits: int = 1) -> str:
    return "-" if value is None else f"{scale * value:.{digits}f}"


def fates_table(schemes: dict[str, SchemeResult]) -> Table:
    """What became of the tasks of each scheme."""
    table = _table("lost %", "interval", "pred.", "late", "pred.", "inacc.", "refused", "wrong", "(17f)")
    for s in schemes.values():
        own = s.intervals["lost"]
        table.add_row(
            s.label, _percent(s.lost), f"{_percent(own.low)}-{_percent(own.high)}", _percent(s.lost_predicted),
            _percent(s.late), _percent(s.late_predicted), _percent(s.inaccurate), _percent(s.refused),
            _percent(s.wrong), _percent(s.edge_slower),
        )  # fmt: skip
    return table


def delays_table(schemes: dict[str, SchemeResult]) -> Table:
    """Delays and accuracies of each scheme, measured beside predicted."""
    table = _table("delay ms", "pred.", "p99 ms", "pred.", "acc. %", "pred.", "error p50 %", "p90 %")
    for s in schemes.values():
        error = s.delay_error
        table.add_row(
            s.label, _or_dash(s.delay_s, 1e3), _or_dash(s.delay_s_predicted, 1e3), _or_dash(s.delay_p99_s, 1e3),
            _or_dash(s.delay_p99_s_predicted, 1e3), _or_dash(s.accuracy, 100), _or_dash(s.accuracy_predicted, 100),
            _or_dash(error.p50 if error else None, 100), _or_dash(error.p90 if error else None, 100),
        )  # fmt: skip
    return table


def print_trial(trial: TrialFile, console: Console) -> None:
    """Print the figures: first who lost least, in words, or that the machine was too busy to tell."""
    if trial.disturbed:
        say(console, f"WARNING: {disturbance(trial.speed)}", style="bold red")
    say(console, verdict(trial), style="bold")
    simple = simplest(trial)
    for line in [*([simple] if simple else []), *risk_lines(trial), *repeats_lines(trial)]:
        say(console, line)
    console.print(fates_table(trial.schemes))
    for line in brink_lines(trial.schemes):
        say(console, line)
    say(console, LOST, style="dim")
    console.print(delays_table(trial.schemes))
    say(console, DELAYS, style="dim")
    for title, error in (
        ("all tasks", trial.delay_error),
        ("on gateways", trial.delay_error_local),
        ("offloaded", trial.delay_error_edge),
    ):
        if error is not None:
            say(
                console,
                f"{title}: {error.tasks}; predicted delay is off by {100 * error.p50:.1f} % at the median, "
                f"{100 * error.p90:.1f} % at p90 (median predicted / measured {error.median_ratio:.3f})",
            )
    for entry in trial.accuracies:
        inside = entry.low <= entry.predicted <= entry.high
        say(
            console,
            f"p = {entry.rate:g} {entry.precision}: accuracy {entry.measured:.4f} ({entry.low:.4f} to "
            f"{entry.high:.4f}, {entry.windows} windows), profile {entry.predicted:.4f}{'' if inside else ' OUTSIDE'}",
        )
