"""Run folders: one process at a time, and one configuration per folder."""

import fcntl
import json
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from data.common.errors import UserError
from data.common.files import disk_full, is_full, remove_leftovers, write_json
from data.common.guard import open_own, printable
from data.common.parse import read_json

SETTINGS = "run.json"


@contextmanager
def only_process(folder: Path) -> Iterator[None]:
    """Hold the folder's lock, and remove files that a killed process left half-written.

    The operating system releases the lock when the process ends, however it ends.

    Raises:
        UserError: Another process holds the lock (the message names it), or the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = open_own(folder / ".lock")
    except OSError as error:
        if is_full(error):
            raise disk_full(folder / ".lock", 0) from None
        raise UserError(f"{folder}: {error.strerror or error}.", "Choose a folder that you can write to.") from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = printable(file.read(200).decode(errors="replace").strip()) or "another process"
            raise UserError(f"{folder} is in use by {holder}.", "Wait for it to end, or give another --out.") from None
        file.truncate(0)
        holder = f"process {os.getpid()} on {platform.node()} since {datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
        with suppress(OSError):  # on a full disk the lock holds all the same, only without its holder's name
            os.pwrite(file.fileno(), holder.encode(errors="replace"), 0)
        remove_leftovers(folder)
        yield
        file.truncate(0)


def _differences(old: Any, new: Any, prefix: str = "") -> list[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        keys = sorted(set(old) | set(new))
        return [d for k in keys for d in _differences(old.get(k), new.get(k), f"{prefix}.{k}" if prefix else k)]
    return [] if old == new else [printable(f"{prefix} was {old!r}, now {new!r}")]


def claim(folder: Path, identity: dict[str, Any]) -> None:
    """Write the settings of a run into its folder, or compare them with those that are there.

    Args:
        folder: Folder of the run.
        identity: Settings that distinguish this run from others, as JSON values.

    Raises:
        UserError: The folder belongs to another configuration (the message names the differences), holds other files,
            or its settings cannot be read.
    """
    path = folder / SETTINGS
    identity = json.loads(json.dumps(identity, default=str))
    if not path.exists():
        strangers = [p.name for p in folder.iterdir() if p.name != ".lock"]
        if strangers:
            raise UserError(
                f"{folder} holds {', '.join(sorted(strangers)[:3])} and no {SETTINGS}: it is not a run folder.",
                "Give an empty or new folder with --out.",
            )
        write_json(path, identity)
        return
    there = read_json(path, UserError, remedy="Give another --out.")
    differences = _differences(there, identity)
    if differences:
        raise UserError(
            f"{folder} was started with another configuration: {'; '.join(differences[:4])}.",
            "Give another --out, or the settings it was started with.",
        )
