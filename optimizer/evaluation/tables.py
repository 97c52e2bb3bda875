"""Summaries of schemes on networks as tables on the terminal, at most 100 columns wide."""

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from optimizer.network.scenario import Scenario
from optimizer.schemes.summary import Summary

Rows = Sequence[tuple[Scenario, str, Summary]]
REWARD = (
    "Utilizations are sums over gateways in slots a slot, of served tasks; wasted: the same of dropped tasks. +-: 95 % "
    "over slots. off.: share offloaded."
)
SERVICE = (
    "Dropped, percent of all tasks, and why (there can be several causes): late or inaccurate on the gateway; by way "
    "of the edge late, the edge slower than the link, not sent within the slot. Accuracy, relative to the complete "
    "model, and delay are of served tasks. GFLOP: spent a served task, a multiply-accumulate is 2."
)


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
    """Reward, its parts, and what was wasted."""
    table = _table(["reward", "+-", "util.", "local", "band", "edge", "wasted", "off. %"])
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
    """What became of the tasks."""
    causes = ["late", "inacc.", "e.late", "e.slow", "unsent"]
    table = _table(["drop %", *causes, "acc. %", "ms", "p99 ms", "GFLOP"])
    for scenario, scheme, s in rows:
        table.add_row(
            str(scenario.sensors),
            scheme,
            _percent(s.drop_ratio),
            *(_percent(x) for x in (s.late_locally, s.inaccurate, s.late_at_edge, s.edge_slower, s.unsent)),
            _or_dash(s.accuracy, 100, 2),
            _or_dash(s.delay_s, 1e3, 1),
            _or_dash(s.delay_p99_s, 1e3, 0),
            _or_dash(s.flops, 1e-9, 2),
        )
    return table


def print_summaries(rows: Rows, shares: str, console: Console) -> None:
    """Both tables, with what they are of."""
    scenario, _, first = rows[0]
    rates = ", ".join(f"{m.rate:g}" for m in scenario.models)
    grid = "continuous shares" if shares == "exact" else f"{shares} shares"
    console.print(f"{scenario.name}: {scenario.gateways} gateways, models {rates}", highlight=False, markup=False)
    console.print(f"{first.slots} slots, {grid}, reward = {scenario.reward}", highlight=False, markup=False)
    for note in scenario.notes:
        console.print(note, highlight=False, markup=False)
    console.print(reward_table(rows))
    console.print(REWARD, highlight=False)
    console.print(service_table(rows))
    console.print(SERVICE, highlight=False)
