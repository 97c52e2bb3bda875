"""Writes files whole or not at all, and computes their hashes."""

import contextlib
import errno
import hashlib
import json
import os
import stat
import tempfile
from pathlib import Path
from typing import Any, BinaryIO

from data.common.errors import UserError
from data.common.guard import kind_of, open_regular, printable


def write_whole(path: Path, content: bytes) -> None:
    """Write `content` to `path` so that a reader sees the old file or the new one, never a part of it.

    A temporary file in the same folder is written, synced and renamed to `path`, and the folder is synced. A link at
    `path` is replaced, never followed. What is a pipe or a character device by itself, such as `/dev/stdout`, is
    written to and stays what it is.

    Raises:
        UserError: The disk is full, the folder cannot be written, or `path` is a folder or a disk; an older file at
            `path` is untouched.
    """
    try:
        if _is_stream(path):
            _write_to_stream(path, content)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name[:100]}.", suffix=".tmp", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                Path(name).unlink()
            raise
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise unwritable(path, error, needed=len(content)) from error
    except ValueError as error:  # a NUL in the name
        raise UserError(f"cannot write {printable(path)}: {error}.", "Give another name.") from error


def _is_stream(path: Path) -> bool:
    """Whether a path is a pipe or a character device that is to be written to. Raises OSError for folders and disks."""
    try:
        own = path.lstat().st_mode
    except FileNotFoundError:
        return False
    if stat.S_ISLNK(own):  # a link is replaced, but for the system's own, /dev/stdout and the like
        return path.parent.resolve() in (Path("/dev"), Path("/dev/fd"), Path(f"/proc/{os.getpid()}/fd"))
    found = kind_of(own)
    if found is None:
        return False
    if stat.S_ISCHR(own) or stat.S_ISFIFO(own):
        return True
    raise OSError(errno.EINVAL, f"is {found}")


def _write_to_stream(path: Path, content: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)  # a FIFO without reader: ENXIO
    os.set_blocking(handle, True)
    with os.fdopen(handle, "wb") as file:
        file.write(content)


def append_whole(file: BinaryIO, path: Path, end: int, content: bytes) -> int:
    """Write `content` at the end of an open file and sync it; if that fails, the file ends where it ended before.

    Args:
        file: The file, which nobody writes to through a buffer.
        path: Its path, for the message.
        end: Where it ends.
        content: What to add.

    Returns:
        Where it ends now.

    Raises:
        UserError: The disk is full, or the file cannot be written.
    """
    handle, done = file.fileno(), 0
    try:
        while done < len(content):
            done += os.pwrite(handle, content[done:], end + done)
        os.fsync(handle)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.ftruncate(handle, end)
        raise unwritable(path, error, needed=len(content)) from None
    return end + len(content)


def is_full(error: OSError) -> bool:
    """Whether an error says that the disk, or a user's share of it, is full."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


def disk_full(path: object, needed: int | None) -> UserError:
    """What a user is told about a full disk.

    Args:
        path: File or folder that could not be written, or what else its place is called.
        needed: Bytes that it needs; None where they are not known, as for a database.
    """
    return UserError(
        f"the disk is full: {printable(path)} {'cannot grow' if needed is None else f'needs {needed:,} bytes'}.",
        "Earlier results are untouched. Free some space and run the same command again.",
    )


def unwritable(path: Path, error: OSError, *, needed: int | None = None) -> UserError:
    """What a user is told about a file or folder that could not be written; `needed` as for `disk_full`."""
    if is_full(error):
        return disk_full(path, needed)
    return UserError(
        f"cannot write {printable(path)}: {error.strerror or error}.",
        "Choose a folder that you can write to (--out, or JOPA_CACHE for the cache).",
    )


def as_told(error: OSError) -> UserError:
    """An error of the system that nobody has put into words: a name that no system takes, a folder that went away."""
    path = error.filename
    if is_full(error) and isinstance(path, str | os.PathLike):
        return disk_full(Path(path), None)
    if is_full(error):
        return UserError("the disk is full.", "Free some space and run the same command again.")
    return UserError(f"{printable(path)}: {error.strerror or error}." if path else f"{error.strerror or error}.")


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, whole or not at all; NaN and infinity are refused."""
    text = json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False) + "\n"
    write_whole(path, text.encode("utf-8", "backslashreplace"))  # half a character becomes an escape of JSON


def sha256(path: Path) -> str:
    """Hex SHA-256 of a regular file."""
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def remove_leftovers(folder: Path) -> None:
    """Remove temporary files that a killed `write_whole` left below `folder`."""
    for path in folder.rglob(".*.tmp"):
        with contextlib.suppress(OSError):
            path.unlink()
