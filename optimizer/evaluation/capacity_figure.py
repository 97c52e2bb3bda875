"""The capacity as a picture and as a table: lost tasks against sensors, all schemes."""

from collections.abc import Mapping

import matplotlib as mpl
import numpy as np
from rich.box import SIMPLE_HEAD
from rich.table import Table

from optimizer.evaluation.canvas import Drawn, Rows, new_figure
from optimizer.evaluation.capacity import CapacityFile, SchemeCapacity
from optimizer.evaluation.price import carried_words

FEW_TIMES = 1.5  # a smaller ratio is told in percent
FLOOR = 1e-5  # lost shares below are drawn here: the axis is logarithmic


def capacity_figure(found: CapacityFile) -> Drawn:
    """Lost tasks against sensors for every scheme, with the limit."""
    figure, axes = new_figure(1)
    figure.set_size_inches(7.2, 4.2)
    axis = axes[0]
    rows: Rows = []
    colours = mpl.colormaps["tab10"](np.arange(10))
    for i, (name, scheme) in enumerate(best_first(found.schemes)):
        points = sorted(scheme.points, key=lambda p: p.sensors)
        sensors = np.array([p.sensors for p in points])
        lost = np.array([max(p.drop_ratio, FLOOR) for p in points])
        low = np.array([max(p.low, FLOOR) for p in points])
        high = np.array([max(p.high, FLOOR) for p in points])
        colour = colours[i % 10]
        axis.plot(sensors, 100 * lost, marker=".", color=colour, label=f"{scheme.label}: {carried_words(scheme)}")
        seen = np.array([p.drop_ratio > 0 for p in points])  # a band below a loss of nothing would only be noise
        axis.fill_between(sensors, 100 * low, 100 * high, where=seen, color=colour, alpha=0.15, linewidth=0)
        rows += [
            {"scheme": name, "sensors": p.sensors, "drop_ratio": p.drop_ratio, "low": p.low, "high": p.high}
            for p in points
        ]
    axis.axhline(100 * max(found.limit, FLOOR), color="black", linewidth=0.9, linestyle=":")
    axis.set_xscale("log")
    axis.set_yscale("log")
    axis.set_xlabel("sensors")
    axis.set_ylabel("lost tasks, %")
    axis.legend(
        fontsize=7, loc="upper left", title=f"sensors with at most {100 * found.limit:g} % lost", title_fontsize=7
    )
    caption = (
        f"Lost tasks against the number of sensors, {found.slots:.0f} slots at each; the bands are 95 % intervals, the "
        f"dotted line is the limit of {100 * found.limit:g} %. Shares below {100 * FLOOR:g} % are drawn there."
    )
    return Drawn("capacity", caption, figure, rows)


def best_first(schemes: Mapping[str, SchemeCapacity]) -> list[tuple[str, SchemeCapacity]]:
    """Schemes by the sensors that they carry, the most first."""
    return sorted(schemes.items(), key=lambda item: -item[1].sensors)


def capacity_table(schemes: Mapping[str, SchemeCapacity], title: str | None = None) -> Table:
    """Sensors of each scheme with their interval, best first, and how many times the weakest's they are."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1), collapse_padding=True, title=title)
    table.add_column("scheme", no_wrap=True)
    for head in ("sensors", "95 % interval", "lost %", "of the best"):
        table.add_column(head, justify="right", no_wrap=True)
    table.add_column("")
    best = max((s.sensors for s in schemes.values()), default=0)
    for _, scheme in best_first(schemes):
        table.add_row(
            scheme.label,
            carried_words(scheme),
            f"{scheme.low:,} to {scheme.high:,}",
            "-" if scheme.drop_ratio is None else f"{100 * scheme.drop_ratio:.3f}",
            f"{100 * scheme.sensors / best:.0f} %" if best else "-",
            "in portions" if scheme.extrapolated else "",
        )
    return table


def first_line(found: CapacityFile) -> str:
    """The answer in one sentence."""
    text = _first_line(found)
    return text[0].upper() + text[1:]


def _times(ratio: float) -> str:
    """How many times as many, in percent where it is little more."""
    return f"{ratio:.1f} times as many as" if ratio >= FEW_TIMES else f"{100 * (ratio - 1):.0f} % more than"


def _first_line(found: CapacityFile) -> str:
    ranked = best_first(found.schemes)
    _, best = ranked[0]
    if not best.sensors:
        return f"No scheme carries any number of sensors with at most {100 * found.limit:g} % of the tasks lost."
    text = f"{carried_words(best)} sensors lose at most {100 * found.limit:g} % of their tasks with {best.label}"
    simple = found.schemes.get("local")
    if simple is not None and simple is not best:
        if simple.sensors >= best.low:
            return f"{text}; {simple.label}, with {simple.sensors:,}, does as well within the interval."
        if simple.sensors:
            return f"{text}, {_times(best.sensors / simple.sensors)} with {simple.label} ({simple.sensors:,})."
        return f"{text}; with {simple.label} none does."
    return f"{text}."
