"""Figures as files: an empty page, and a drawn figure that is written as PNG, SVG and CSV."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from data.common.files import write_whole

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Drawn:
    """A figure.

    Attributes:
        name: Name of its files.
        caption: What it shows.
        figure: The picture.
        rows: Its numbers, for the CSV file.
    """

    name: str
    caption: str
    figure: Figure
    rows: Rows

    def write(self, folder: Path) -> None:
        """Write it into a folder as PNG, SVG and CSV."""
        for kind in ("png", "svg"):
            held = io.BytesIO()
            with mpl.rc_context({"svg.hashsalt": "jopa"}):
                metadata = {"Date": None} if kind == "svg" else None
                self.figure.savefig(held, format=kind, dpi=110, metadata=metadata)
            write_whole(folder / f"{self.name}.{kind}", held.getvalue())
        write_csv(folder / f"{self.name}.csv", self.rows)


def write_csv(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write rows as CSV; the header holds every name that occurs."""
    text = io.StringIO()
    if rows:
        writer = csv.DictWriter(text, list(dict.fromkeys(k for r in rows for k in r)))
        writer.writeheader()
        writer.writerows(rows)
    write_whole(path, text.getvalue().encode())


def new_figure(columns: int = 1, rows: int = 1) -> tuple[Figure, list[Axes]]:
    """An empty page with so many columns and rows of axes; the axes in reading order."""
    figure = Figure(figsize=(4.6 * columns, 3.3 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False).ravel().tolist()
    for axis in axes:
        axis.grid(alpha=0.25)
        axis.spines[["top", "right"]].set_visible(False)
        axis.ticklabel_format(useOffset=False, axis="y")
    return figure, axes
