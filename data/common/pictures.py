"""What the pictures of several packages have in common: how they are written, and the paper's points in them."""

import io
from pathlib import Path
from typing import Any

from data.common.files import write_whole
from data.common.paper import PAPER_ACCURACY

DPI = 120


def save_png(figure: Any, path: Path) -> None:
    """Write a figure as a PNG file and close it; the same picture gives the same bytes."""
    import matplotlib.pyplot as plt  # a gateway may not have it

    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
    plt.close(figure)
    write_whole(path, buffer.getvalue())


def draw_papers_accuracy(axis: Any) -> None:
    """Draw the paper's accuracies, Table II(a), as crosses over the pruning rate, in percent."""
    axis.plot(
        list(PAPER_ACCURACY),
        [100 * a for a in PAPER_ACCURACY.values()],
        "k+",
        markersize=9,
        label="paper, Table II(a) (its own data)",
    )
