"""The drawings of the README and of docs/architecture.md: `python -m benchmarks.pictures`."""

from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch

IMAGES = Path(__file__).parents[1] / "docs" / "images"
INK, PALE, STRONG, WARM = "#1f2933", "#e8eef4", "#2b6cb0", "#c05621"


def box(axes: Axes, x: float, y: float, width: float, height: float, title: str, text: str = "", **style: str) -> None:
    """A rounded box whose lower left corner is at (x, y); the title is bold, the text stands below it."""
    look = {"facecolor": PALE, "edgecolor": STRONG, **style}
    axes.add_patch(FancyBboxPatch((x, y), width, height, boxstyle="round,pad=0,rounding_size=0.12", lw=1.4, **look))
    middle = y + height / 2
    up = 0.17 * (text.count("\n") + 1) if text else 0.0
    axes.text(x + width / 2, middle + up, title, ha="center", va="center", weight="bold", size=11, color=INK)
    if text:
        axes.text(x + width / 2, middle - 0.2, text, ha="center", va="center", size=9, color=INK, linespacing=1.35)


def arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float], label: str = "", lift: float = 0.2) -> None:
    """An arrow with a label above its middle."""
    axes.annotate("", end, start, arrowprops={"arrowstyle": "-|>", "color": INK, "lw": 1.4, "mutation_scale": 14})
    if label:
        middle = ((start[0] + end[0]) / 2, (start[1] + end[1]) / 2 + lift)
        axes.text(*middle, label, ha="center", va="center", size=9, color=WARM, style="italic")


def blank(width: float, height: float) -> Axes:
    """Empty axes whose units are half inches."""
    figure, axes = plt.subplots(figsize=(width / 1.5, height / 1.5), layout="constrained")
    axes.set(xlim=(0, width), ylim=(0, height), aspect="equal")
    axes.axis("off")
    figure.set_facecolor("white")
    return axes


def keep(axes: Axes, name: str) -> None:
    """Save as SVG, the same bytes each time."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    axes.figure.savefig(IMAGES / f"{name}.svg", metadata={"Date": None})
    plt.close(axes.figure)


def overview() -> None:
    """What is done once per device (above), and what is decided every second (below)."""
    axes = blank(17.2, 7.6)
    axes.text(0.1, 7.3, "once", size=11, color=STRONG, weight="bold")
    steps = (
        ("recordings", "vibration signals\nwith their classes"),
        ("data", "windows of 1 s\nas 32 x 32 images"),
        ("pruning", "VGG-16, dense and\npruned, retrained"),
        ("profiling", "latency, accuracy\non your device"),
        ("optimizer", "train or solve\nthe policy"),
    )
    for i, (title, text) in enumerate(steps):
        style = {"facecolor": "white", "edgecolor": INK} if i == 0 else {}
        box(axes, 0.1 + 3.55 * i, 5.2, 2.6, 1.7, title, text, **style)
    for i, label in enumerate(("", "", "bundle", "profile")):
        arrow(axes, (2.75 + 3.55 * i, 6.05), (3.6 + 3.55 * i, 6.05), label, 0.28)
    axes.plot([0.1, 17.1], [4.65, 4.65], color="#cbd2d9", lw=1)
    axes.text(0.1, 4.2, "every second", size=11, color=STRONG, weight="bold")
    for k in range(4):
        box(axes, 0.1, 3.25 - 0.95 * k, 2.3, 0.7, f"sensor {k + 1}" if k < 3 else "sensor M", "", facecolor="white")
        arrow(axes, (2.45, 3.6 - 0.95 * k), (4.2, 2.4 - 0.25 * k))
    axes.text(3.3, 4.0, "one window each", size=9, color=WARM, style="italic", ha="center")
    box(axes, 4.3, 0.9, 3.9, 2.3, "gateway", "classifies some windows\nwith one pruned model")
    box(axes, 12.9, 0.9, 4.1, 2.3, "edge server", "complete model, shared\nby all gateways")
    arrow(axes, (8.3, 2.05), (12.8, 2.05), "the other windows, most critical first", 0.3)
    box(axes, 8.5, 3.2, 4.1, 1.15, "decision", "windows, model, share of the edge", facecolor="#fdf3ea")
    arrow(axes, (8.5, 3.5), (7.2, 3.25))
    arrow(axes, (12.6, 3.5), (13.9, 3.25))
    axes.text(10.55, 0.45, "Late or inaccurate answers count as dropped.", size=9, color=INK, ha="center")
    keep(axes, "overview")


ROOMS = {
    "optimizer": (
        "commands", "pipeline", "trial", "evaluation", "learning", "schemes", "environment", "solver", "network",
    ),
    "profiling": ("commands", "assemble, table", "measuring", "bundle, runtimes", "profile"),
    "pruning": ("sweep, assemble", "jobs, train", "filters, criteria, vgg", "spec, bundle"),
    "data": ("commands", "build, cache", "splits, images, checks", "readers", "recording", "common"),
}  # fmt: skip


def rooms() -> None:
    """The packages as houses; a room uses only rooms below it, and a house only houses to its right."""
    axes = blank(17.2, 8.6)
    for i, (package, floors) in enumerate(ROOMS.items()):
        x = 0.2 + 4.3 * i
        axes.text(x + 1.85, 0.72 * len(floors) + 1.4, package, ha="center", size=13, weight="bold", color=STRONG)
        for level, floor in enumerate(reversed(floors)):
            shared = (package, floor) in {("data", "common"), ("profiling", "profile")}
            style = {"facecolor": "#fdf3ea", "edgecolor": WARM} if shared else {}
            box(axes, x, 1.2 + 0.72 * level, 3.7, 0.62, floor, "", **style)
    axes.text(
        8.6, 0.45, "A room uses only rooms below it, and a package only packages to its right. Orange rooms serve all"
        " packages to their left.", ha="center", size=9.5, color=INK,
    )  # fmt: skip
    keep(axes, "rooms")


def main() -> None:
    mpl.rcParams.update({"svg.hashsalt": "jopa", "font.family": "DejaVu Sans"})
    overview()
    rooms()


if __name__ == "__main__":
    main()
