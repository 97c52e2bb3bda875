"""The bar that shows how far a long command is."""

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn


def work_bar(console: Console, done: str = "{task.percentage:>3.0f} %", width: int = 40) -> Progress:
    """A bar with the time spent and the time left on a terminal; silent elsewhere.

    Args:
        console: Where it is shown.
        done: What stands beside the bar, in the notation of `rich.progress.TextColumn`.
        width: Width of the bar in columns.
    """
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=width),
        TextColumn(done),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )
