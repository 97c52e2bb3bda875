"""One process at a time in a folder, by a lock that dies with its process."""

import fcntl
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from data.errors import DataError
from data.files import remove_leftovers


@contextmanager
def only_process(folder: Path) -> Iterator[None]:
    """Hold the folder's lock, and clear what a killed process left half-written.

    Raises:
        DataError: Another process holds it (it is named), or the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / ".lock").open("a+")
    except OSError as error:
        raise DataError(f"{folder}: {error.strerror or error}.", "Give a folder that you may write to.") from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "another process"
            raise DataError(f"{folder} is in use by {holder}.", "Wait for it, or give another --out.") from None
        file.seek(0)
        file.truncate()
        file.write(f"process {os.getpid()} on {platform.node()} since {datetime.now(UTC):%Y-%m-%d %H:%M} UTC")
        file.flush()
        remove_leftovers(folder)
        yield
        file.truncate(0)
