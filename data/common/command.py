"""Runs a command: parse the options, act, report errors, and exit with the right status."""

import io
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from types import FrameType
from typing import Any, TypeVar

import tyro

from data.common.errors import UserError
from data.common.files import as_told
from data.common.guard import printable

Config = TypeVar("Config")


_called_as: ContextVar[tuple[str, Sequence[str]] | None] = ContextVar("_called_as", default=None)


@contextmanager
def called_as(program: str, arguments: Sequence[str]) -> Iterator[None]:
    """Commands that are run inside were called as `program` ("jopa train") with these arguments."""
    token = _called_as.set((program, arguments))
    try:
        yield
    finally:
        _called_as.reset(token)


class StoppedError(BaseException):
    """The process was asked to stop; `status` is its exit status."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


def _stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the signature of a signal handler
    for either in (signal.SIGINT, signal.SIGTERM):  # a second signal, of whichever kind, ends it at once
        signal.signal(either, signal.SIG_DFL)
    raise StoppedError(128 + number)


def _check_text(arguments: Sequence[str] | None) -> None:
    """Refuse arguments that are no text, which no file of ours could keep. Raises UserError."""
    for argument in arguments or ():
        if any("\ud800" <= c <= "\udfff" or c == "\0" for c in argument):
            raise UserError(f"the argument {printable(argument)!r} is not text.", "Rename the file, or correct it.")


def _open_closed_streams() -> None:
    """Let the standard streams that the caller closed (`>&-`) lead nowhere.

    Otherwise the next file that is opened would take their place, and be written to by whatever prints.
    """
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            os.dup2(os.open(os.devnull, os.O_RDWR), number)
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, mode))


def run_command(
    config_type: type[Config],
    action: Callable[[Config], None],
    module: str,
    *,
    resume: str,
    arguments: Sequence[str] | None = None,
) -> None:
    """Build a config dataclass from the command line, act on it, and exit.

    Args:
        config_type: Frozen dataclass whose fields are the options and whose docstrings are the help.
        action: Function that does the work.
        module: Name of the command after `python -m`.
        resume: What a user who stopped the command is told about continuing.
        arguments: Command-line arguments; by default those of the process, or those of `called_as`.

    Exits with 0; with 2 after an error that the user can correct; with 130 or 143 after Ctrl-C or SIGTERM.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    _open_closed_streams()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # whatever a file's name holds can be printed
    program, given = _called_as.get() or (f"python -m {module}", None)
    try:
        typed = given if arguments is None else arguments
        _check_text(sys.argv[1:] if typed is None else typed)
        config: Any = tyro.cli(config_type, prog=program, args=typed)
        action(config)
        sys.stdout.flush()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except BrokenPipeError:  # the reader of our output went away, e.g. `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except OSError as error:
        print(f"error: {as_told(error)}", file=sys.stderr)
        sys.exit(2)
    except MemoryError:
        print("error: not enough memory. Ask for less, or use a machine with more.", file=sys.stderr)
        sys.exit(2)
    except (KeyboardInterrupt, StoppedError) as stop:
        print(f"\nstopped. {resume}", file=sys.stderr)
        sys.exit(stop.status if isinstance(stop, StoppedError) else 130)
