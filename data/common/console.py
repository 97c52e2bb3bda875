"""The console that commands print to; it is 100 columns wide if its output is not a terminal."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Timer

from rich.console import Console

WIDTH = 100  # columns of tables in files and pipes, so that they look the same everywhere


def make_console() -> Console:
    """Make the console for a command's tables and messages."""
    return Console() if sys.stdout.isatty() else Console(width=WIDTH)


@contextmanager
def told_if_slow(console: Console, text: str, seconds: float = 5.0) -> Iterator[None]:
    """Print a line if what is done inside takes longer than so many seconds, and nobody sees a progress display."""
    timer = Timer(seconds, lambda: say(console, text))
    timer.daemon = True
    if not console.is_terminal:
        timer.start()
    try:
        yield
    finally:
        timer.cancel()


def say(console: Console, text: str, style: str | None = None) -> None:
    """Print a line literally: names of files and classes may contain what rich would take for markup."""
    console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)
