"""The trial as a picture: predicted against measured delays, and lost tasks of every scheme."""

import io
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from data.common.files import write_whole
from optimizer.evaluation.canvas import new_figure
from optimizer.trial.results import TrialFile

WIDE = 300.0  # ratio of the ends of an axis from which ticks between powers of ten would touch
COLOURS = {"edge": ("#0b6bcb", "offloaded"), "gateway": ("#d1730a", "on gateways")}


def _plain_ticks(ticks: Axis, ends: np.ndarray) -> None:
    """Ticks at 1, 2 and 5 times powers of ten, or at powers of ten alone over many decades, as plain numbers."""
    wide = ends[1] > WIDE * ends[0]
    ticks.set_major_locator(LogLocator(subs=(1.0,) if wide else (1.0, 2.0, 5.0)))
    ticks.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    ticks.set_minor_formatter(NullFormatter())


def _delays(axis: Axes, trial: TrialFile) -> None:
    points = [p for scheme in trial.schemes.values() for p in scheme.points]
    for where, (colour, label) in COLOURS.items():
        own = [p for p in points if p.where == where]
        if own:
            axis.plot(
                [1e3 * p.measured_s for p in own], [1e3 * p.predicted_s for p in own], ".", markersize=3, alpha=0.3,
                color=colour, label=label,
            )  # fmt: skip
    axis.set_xlabel("measured delay, ms")
    axis.set_ylabel("predicted delay, ms")
    if points:
        ends = 1e3 * np.array([min(p.measured_s for p in points), max(p.measured_s for p in points)])
        axis.plot(ends, ends, color="#222222", linewidth=0.8)
        for scale, ticks in ((axis.set_xscale, axis.xaxis), (axis.set_yscale, axis.yaxis)):
            scale("log")
            _plain_ticks(ticks, ends)
        axis.legend(fontsize=7)


def _lost(axis: Axes, trial: TrialFile) -> None:
    rows = sorted(trial.schemes.values(), key=lambda s: -s.lost)
    for y, scheme in enumerate(rows):
        own = scheme.intervals["lost"]
        axis.plot([100 * own.low, 100 * own.high], [y, y], color="#0b6bcb", linewidth=4, alpha=0.35)
        axis.plot([100 * scheme.lost], [y], "o", color="#0b6bcb", markersize=5, label="measured" if y == 0 else None)
        axis.plot(
            [100 * scheme.lost_predicted], [y], "|", color="#d1730a", markersize=13, markeredgewidth=2,
            label="predicted" if y == 0 else None,
        )  # fmt: skip
    axis.set_yticks(range(len(rows)), [s.label for s in rows], fontsize=8)
    axis.set_xlim(left=0)
    axis.set_xlabel("lost tasks, %")
    axis.legend(fontsize=7)


def write_trial_figure(trial: TrialFile, path: str | Path) -> None:
    """Write a PNG: predicted against measured delays of single tasks; lost tasks of each scheme with intervals."""
    figure, axes = new_figure(2)
    _delays(axes[0], trial)
    _lost(axes[1], trial)
    held = io.BytesIO()
    figure.savefig(held, format="png", dpi=110)
    write_whole(Path(path), held.getvalue())
