"""Opening files that nobody vouches for: regular ones of bounded size, nothing that blocks, no link to write through.

A FIFO never answers, a device never ends, and a link may point at a file of somebody else. Everything of ours that
reads a file, or keeps one open, goes through here (`docs/security.md`).
"""

import contextlib
import errno
import io
import os
import re
import stat
from pathlib import Path

from data.common.errors import UserError
from data.common.limits import megabytes

_UNPRINTABLE = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")  # controls, and bytes of a name that are no UTF-8
KINDS = (
    (stat.S_ISDIR, "a folder"), (stat.S_ISFIFO, "a pipe (FIFO)"), (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"), (stat.S_ISSOCK, "a socket"),
)  # fmt: skip


def kind_of(mode: int) -> str | None:
    """What stands in the place of a regular file; None if it is one."""
    return next((name for test, name in KINDS if test(mode)), None)


def printable(path: object) -> str:
    """A path as it can be printed and stored anywhere: bytes that are not text are shown as escapes, long ones cut."""
    text = _UNPRINTABLE.sub(lambda found: ascii(found[0])[1:-1], str(path))
    return text if len(text) <= 300 else f"{text[:140]}...{text[-140:]}"


def has_plain_name(path: Path) -> bool:
    """Whether a path is text that can be printed and written as UTF-8."""
    return _UNPRINTABLE.search(str(path)) is None


def is_file(path: Path) -> bool:
    """Whether a regular file (or a link to one) is there; also for names that no system takes."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def open_regular(path: Path) -> io.BufferedReader:
    """A regular file, or a link to one, opened for reading; never waits.

    Raises:
        OSError: It cannot be opened, or it is a FIFO, a device, a socket or a folder.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except ValueError as problem:  # a NUL in the name
        raise OSError(errno.EINVAL, str(problem)) from None
    found = kind_of(os.fstat(handle).st_mode)
    if found is not None:
        os.close(handle)
        code = errno.EISDIR if found == "a folder" else errno.EINVAL
        raise OSError(code, f"is {found}; expected a regular file")
    return os.fdopen(handle, "rb")


def open_own(path: Path) -> io.BufferedRandom:
    """A file of ours, opened for reading and writing and made if it is not there; a link is never followed.

    Raises:
        OSError: It cannot be opened, is a link, is no regular file, or has a second name elsewhere (a hard link).
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
    try:
        handle = os.open(path, flags, 0o666)
    except OSError as problem:
        if problem.errno == errno.ELOOP:
            raise OSError(errno.ELOOP, "is a link; nothing is written through links") from None
        raise
    try:
        found = os.fstat(handle)
        special = kind_of(found.st_mode)
        if special is not None:
            raise OSError(errno.EINVAL, f"is {special}; expected a regular file")
        if found.st_nlink > 1:
            raise OSError(errno.EMLINK, "is a hard link; nothing is written through links")
        return os.fdopen(handle, "r+b")
    except BaseException:
        with contextlib.suppress(OSError):
            os.close(handle)
        raise


def read_limited(path: Path, error: type[UserError], *, limit: int, option: str, remedy: str = "") -> bytes:
    """The content of a regular file of bounded size.

    Args:
        path: The file.
        error: Exception of the calling package.
        limit: Most bytes.
        option: Name of the environment variable that raises the limit.
        remedy: What the user should do if the file cannot be read.

    Raises:
        UserError: As `error`: it cannot be read, is no regular file, or is too large.
        FileNotFoundError: There is no such file.
        IsADirectoryError: It is a folder.
    """
    try:
        with open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            content = file.read(limit + 1) if size <= limit else b""
    except (FileNotFoundError, IsADirectoryError):
        raise
    except OSError as problem:
        raise error(f"{printable(path)}: cannot be read: {problem.strerror or problem}.", remedy) from None
    check_size(path, max(size, len(content)), error, limit=limit, option=option)
    return content


def check_size(path: Path, size: int, error: type[UserError], *, limit: int, option: str) -> None:
    """Refuse a file that is too large.

    Args:
        path: The file, for the message.
        size: Its size in bytes.
        error: Exception of the calling package.
        limit: Most bytes.
        option: Name of the environment variable that raises the limit.

    Raises:
        UserError: As `error`.
    """
    if size > limit:
        raise error(
            f"{printable(path)}: {megabytes(size)}; at most {megabytes(limit)} are read.",
            f"If you trust it, raise the limit with the environment variable {option}.",
        )
