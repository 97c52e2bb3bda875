"""The price of certainty as a table and a picture: sensors carried if inference times are planned for a risk."""

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from rich.box import SIMPLE_HEAD
from rich.table import Table

from optimizer.evaluation.canvas import Drawn, Rows, new_figure
from optimizer.evaluation.capacity import CapacityFile, RiskPoint, SchemeCapacity


def carried_words(scheme: SchemeCapacity) -> str:
    """Number of sensors of a scheme, as a table shows it."""
    if not scheme.sensors:
        return "none"
    return f"{'at least ' if scheme.at_least else ''}{scheme.sensors:,}"


def price_table(found: CapacityFile) -> Table:
    """One row per risk: how much longer inference is planned, and the sensors that each scheme carries."""
    risks, limit = found.risks, found.limit
    table = Table(
        box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1), collapse_padding=True,
        title=f"Sensors, {100 * limit:g} % lost by the plan", title_justify="left",
    )  # fmt: skip
    table.add_column("risk", justify="right", no_wrap=True)
    table.add_column("inference", justify="right", no_wrap=True)
    for scheme in risks[0].schemes.values():
        table.add_column(scheme.label, justify="right")
    usual = [carried_words(found.schemes[name]) for name in risks[0].schemes]
    table.add_row("as given", "x 1.00", *usual)
    for point in risks:
        table.add_row(
            f"{100 * point.risk:g} %", f"x {point.longer:.2f}", *(carried_words(s) for s in point.schemes.values())
        )
    return table


def price_line(risks: Sequence[RiskPoint]) -> str:
    """The price in a sentence, for the scheme that carries most at the largest risk."""
    ends = max(risks, key=lambda p: p.risk), min(risks, key=lambda p: p.risk)
    name = max(ends[0].schemes, key=lambda n: ends[0].schemes[n].sensors)
    most, least = (p.schemes[name] for p in ends)
    told = f"At a risk of {100 * ends[0].risk:g} % {most.label} carries {carried_words(most)} sensors"
    told += f", at {100 * ends[1].risk:g} % {carried_words(least)}"
    if most.sensors and least.sensors:
        told += f": certainty costs {100 * (1 - least.sensors / most.sensors):.0f} % of them"
    return f"{told}."


def price_figure(found: CapacityFile) -> Drawn:
    """Sensors against risk for every scheme, with intervals over slots."""
    figure, axes = new_figure(1)
    figure.set_size_inches(7.2, 4.2)
    axis = axes[0]
    points = sorted(found.risks, key=lambda p: -p.risk)
    rows: Rows = []
    colours = mpl.colormaps["tab10"](np.arange(10))
    for i, (name, first) in enumerate(points[0].schemes.items()):
        own = [(p.risk, p.schemes[name]) for p in points]
        at = [risk for risk, _ in own]
        axis.plot(at, [s.sensors for _, s in own], marker="o", color=colours[i % 10], label=first.label)
        axis.fill_between(
            at, [s.low for _, s in own], [s.high for _, s in own], color=colours[i % 10], alpha=0.15, linewidth=0
        )
        rows += [{"scheme": name, "risk": risk, "sensors": s.sensors, "low": s.low, "high": s.high} for risk, s in own]
    axis.set_xscale("log")
    axis.invert_xaxis()
    axis.set_ylim(bottom=0)
    axis.set_xticks([p.risk for p in points], [f"{100 * p.risk:g}" for p in points])
    axis.set_xticks([], minor=True)
    axis.set_xlabel("risk: share of tasks that may be late because times scatter, %")
    axis.set_ylabel(f"sensors with at most {100 * found.limit:g} % lost")
    axis.legend(fontsize=7)
    caption = (
        f"The price of certainty: sensors carried against the risk that is planned for, {found.slots:.0f} slots at "
        "each number of sensors; the bands are 95 % intervals over slots."
    )
    return Drawn("price", caption, figure, rows)
