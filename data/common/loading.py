"""Ctrl-C while a command is still loading its modules, which takes seconds: it ends at once, without a traceback."""

import os
import signal
import sys
from types import FrameType


def _stop(number: int, _frame: FrameType | None) -> None:
    os.write(2, b"\nstopped while loading; nothing was begun.\n")
    os._exit(128 + number)  # no module is left half imported in a process that goes on


def stop_quietly_while_loading() -> None:
    """Until `run_command` takes over, Ctrl-C ends this process with status 130.

    Where somebody else handles Ctrl-C already, or it is ignored, nothing is changed.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _stop)


def stop_quietly_if_a_command_loads() -> None:
    """The same, if this process is a command of ours: called when a package is imported.

    While Python looks for the module of `python -m pruning.run`, and only then, `sys.argv[0]` is "-m". A program that
    imports a package of ours keeps its own Ctrl-C.
    """
    if sys.argv[:1] == ["-m"]:
        stop_quietly_while_loading()
