"""Figures of policies and schemes as tables on the terminal, at most 100 columns wide."""

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from data.common.console import say
from optimizer.evaluation.results import Evaluation
from optimizer.network.metrics import METRICS, legend
from optimizer.network.scenario import Scenario
from optimizer.schemes.summary import Summary

Rows = Sequence[tuple[Scenario, str, Summary]]
_USE = legend("utilization", "wasted", "offloading_ratio")
REWARD = f"+-: half of the reward's 95 % interval over slots; {_USE}."
CAUSES = {  # field of a summary: head of its column, and its meaning
    "late_locally": ("late", "too late on the gateway"),
    "inaccurate": ("inacc.", "not accurate enough there"),
    "late_at_edge": ("e.late", "too late at the edge"),
    "edge_slower": ("e.slow", "edge slower than the link, (17f)"),
    "unsent": ("unsent", "not sent in the slot"),
    "refused": ("refused", "served nowhere"),
}
COMPARED = (
    "gap: 1 - reward / the optimum's reward, +- half of its paired 95 % interval; "
    f"{legend('utilization', 'accuracy', 'delay_s')}; p99: 99th percentile of the delay."
)


def _heads(*names: str) -> list[str]:
    """Heads of the columns of metrics."""
    return [METRICS[name].head for name in names]


def _table(columns: Sequence[str]) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1), collapse_padding=True)
    table.add_column("N", justify="right", no_wrap=True)
    table.add_column("scheme", no_wrap=True)
    for name in columns:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _percent(value: float) -> str:
    return "0" if value <= 0 else f"{100 * value:.2f}" if value < 0.1 else f"{100 * value:.1f}"


def _or_dash(value: float | None, scale: float, digits: int) -> str:
    return "-" if value is None else f"{scale * value:.{digits}f}"


def reward_table(rows: Rows) -> Table:
    """Table of rewards, their parts, and what was wasted."""
    parts = _heads(
        "utilization", "local_utilization", "bandwidth_utilization", "edge_utilization", "wasted",
        "offloading_ratio",
    )  # fmt: skip
    table = _table([*_heads("reward"), "+-", *parts])
    for scenario, scheme, s in rows:
        table.add_row(
            str(scenario.sensors),
            scheme,
            f"{s.reward:.3f}",
            f"{s.reward_interval:.3f}",
            *(f"{x:.3f}" for x in (s.utilization, s.local, s.bandwidth, s.edge, s.wasted)),
            _percent(s.offloading_ratio),
        )
    return table


def service_table(rows: Rows) -> Table:
    """Table of what became of the tasks."""
    causes = _causes(rows)
    table = _table(
        [*_heads("drop_ratio"), *(CAUSES[c][0] for c in causes), *_heads("accuracy", "delay_s"), "p99", "GFLOP"]
    )
    for scenario, scheme, s in rows:
        table.add_row(
            str(scenario.sensors),
            scheme,
            _percent(s.drop_ratio),
            *(_percent(getattr(s, cause)) for cause in causes),
            _or_dash(s.accuracy, METRICS["accuracy"].scale, 4),
            _or_dash(s.delay_s, 1e3, 1),
            _or_dash(s.delay_p99_s, 1e3, 0),
            _or_dash(s.flops, 1e-9, 2),
        )
    return table


def _causes(rows: Rows) -> tuple[str, ...]:
    """The causes that tasks can be dropped for in these networks; an unsent task that can be refused is late too."""
    scenarios = [scenario for scenario, _, _ in rows]
    wall = () if all(s.fifo for s in scenarios) else ("edge_slower",)
    last = "refused" if any(s.can_refuse for s in scenarios) else "unsent"
    return ("late_locally", "inaccurate", "late_at_edge", *wall, last)


def service_legend(rows: Rows) -> str:
    """What the columns of `service_table` mean."""
    causes = "; ".join(": ".join(CAUSES[cause]) for cause in _causes(rows))
    return (
        f"{legend('drop_ratio')}, and its causes, of which a task can have several: {causes}. "
        f"{legend('accuracy', 'delay_s')}; p99: 99th percentile of the delay; GFLOP: computed per served task, a "
        "multiply-accumulate is 2 FLOP."
    )


def print_summaries(rows: Rows, shares: str, console: Console) -> None:
    """Print both tables, with the network above and the meaning of the columns below."""
    scenario, _, first = rows[0]
    rates = ", ".join(f"{m.rate:g}" for m in scenario.models)
    grid = "continuous shares" if shares == "exact" else f"{shares} shares"
    say(console, f"{scenario.name}: {scenario.gateways} gateways, models {rates}")
    say(console, f"{first.slots} slots, {grid}, reward = {scenario.reward}")
    for note in scenario.notes:
        say(console, note)
    widest = max(found.width for found, _, _ in rows)
    if scenario.portion is not None and widest > scenario.portion:
        say(console, f"batches of more than {scenario.portion} tasks run in portions of the largest measured batch")
    console.print(reward_table(rows))
    console.print(REWARD, highlight=False, markup=False)
    console.print(service_table(rows))
    console.print(service_legend(rows), highlight=False, markup=False)


def comparison_table(found: Evaluation) -> Table:
    """Table of a comparison: policies and schemes beside the optimum."""
    table = Table(
        box=SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1),
        title=f"{found.scenario.name}, {found.sensors} sensors, {found.slots} held-out slots",
        caption=COMPARED,
    )
    table.add_column("policy", overflow="fold")
    figures = _heads("drop_ratio", "offloading_ratio", "utilization", "accuracy", "delay_s")
    for name in (*_heads("reward"), "gap %", *figures, "p99"):
        table.add_column(name, justify="right", no_wrap=True)

    def add(name: str, s: Summary, gap: str, style: str | None = None) -> None:
        table.add_row(
            name,
            f"{s.reward:.3f}",
            gap,
            f"{100 * s.drop_ratio:.2f}",
            f"{100 * s.offloading_ratio:.1f}",
            f"{s.utilization:.3f}",
            _or_dash(s.accuracy, 1, 4),
            _or_dash(s.delay_s, 1e3, 0),
            _or_dash(s.delay_p99_s, 1e3, 0),
            style=style,
        )

    add("optimum", found.optimum, "0", "bold")
    for name, row in found.policies.items():
        gap = f"{100 * row.gap:.2f} +- {100 * row.gap_interval:.2f}" if abs(row.gap) < 1 else f"{100 * row.gap:.0f}"
        add(name, row.summary, gap)
    return table


def print_gaps(rows: Sequence[tuple[int, str, float]], console: Console) -> None:
    """Say how far decisions may be from the optimum, where that is not proven to be nothing.

    Args:
        rows: Number of sensors, name of the scheme, and the largest `Optimum.gap` of all slots.
        console: Where to print.
    """
    for sensors, scheme, gap in rows:
        if gap > 0:
            within = f"within {100 * gap:.3g} % of the best reward in every slot"
            say(console, f"N = {sensors}, {scheme}: {within} (proven; see --gap).")
