"""The trial as a picture: predicted against measured delays."""

import io
from pathlib import Path

import numpy as np

from data.common.files import write_whole
from optimizer.evaluation.canvas import new_figure
from optimizer.trial.findings import mean_of_repeats
from optimizer.trial.results import TrialFile


def write_trial_figure(trial: TrialFile, path: str | Path) -> None:
    """Write a PNG: predicted against measured delays (mean over repetitions), and the distribution of the errors."""
    figure, axes = new_figure(2)
    rows = mean_of_repeats(trial.tasks)
    for local, colour, label in ((False, "#0b6bcb", "offloaded"), (True, "#d1730a", "on gateways")):
        tasks = [r for r in rows if (r.rate > 0) == local]
        if not tasks:
            continue
        measured = np.array([r.measured_s for r in tasks])
        predicted = np.array([r.predicted_s for r in tasks])
        axes[0].plot(1e3 * measured, 1e3 * predicted, ".", markersize=3, alpha=0.35, color=colour, label=label)
        off = np.sort(np.abs(predicted / measured - 1))
        axes[1].plot(100 * off, np.arange(1, len(off) + 1) / len(off), color=colour, label=label)
    both = [r.measured_s for r in rows]
    ends = np.array([1e3 * min(both), 1e3 * max(both)])
    axes[0].plot(ends, ends, color="#222222", linewidth=0.8)
    axes[0].set_xscale("log")
    axes[0].set_yscale("log")
    axes[0].set_xlabel("measured delay, ms")
    axes[0].set_ylabel("predicted delay, ms")
    axes[0].legend(fontsize=7)
    axes[1].set_xlim(0, 60)
    axes[1].axvline(15, color="red", linewidth=0.8, linestyle=":")
    axes[1].axvline(30, color="red", linewidth=0.8, linestyle=":")
    axes[1].set_xlabel("error of the predicted delay, %")
    axes[1].set_ylabel("share of tasks below")
    held = io.BytesIO()
    figure.savefig(held, format="png", dpi=110)
    write_whole(Path(path), held.getvalue())
