"""Files from the network, whole or not at all: resumed after a cut, checked, then renamed into place.

The `requests` library transfers; what pooch (which it would replace) lacks is resuming a file in its middle.
"""

import errno
import io
import os
import shutil
import stat
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from data.common.guard import open_own, printable
from data.common.limits import megabytes
from data.errors import DataError

CHUNK = 1 << 16


class WrongFileError(Exception):
    """The received bytes are not those of the wanted file."""


@dataclass(frozen=True)
class Transfer:
    """One file to download.

    Attributes:
        url: Where it is.
        target: Where it goes.
        retries: Number of attempts.
        timeout_s: Seconds without a byte after which an attempt is given up.
        wait_s: Seconds before the second attempt; doubled before each further one.
        limit_s: Seconds after which the download is given up, whatever came in until then.
        most_bytes: Most bytes that are taken.
    """

    url: str
    target: Path
    retries: int
    timeout_s: float
    wait_s: float
    limit_s: float = 3600.0
    most_bytes: int = 2 << 30


class _LeftError(Exception):
    """Nobody waits for this attempt any more."""


class _Attempt:
    """One attempt to add to `part` what it still lacks of the file at the URL, in a thread of its own.

    A server can keep a connection busy for ever, with a byte now and then; a thread that waits for it can be left.

    Args:
        transfer: What to download.
        part: Where to.
        advance: Called with the bytes received so far and in all.
    """

    def __init__(self, transfer: Transfer, part: Path, advance: Callable[[int, int | None], None]) -> None:
        self._transfer, self._part, self._advance = transfer, part, advance
        self._lock, self._left = threading.Lock(), False
        self._problem: BaseException | None = None

    def run(self, deadline: float) -> None:
        """Wait for the attempt until a time on the monotonic clock; raises what it raised.

        Raises:
            DataError: The time was up.
        """
        thread = threading.Thread(target=self._work, daemon=True)
        thread.start()
        thread.join(max(0.0, deadline - time.monotonic()))
        with self._lock:  # from here on it writes nothing
            self._left = True
        if thread.is_alive():
            raise DataError(
                f"{self._transfer.url}: not whole after {self._transfer.limit_s:g} s.",
                "Run the same command again: it goes on from there; or allow it more time (--limit-s).",
            )
        if self._problem is not None:
            raise self._problem

    def _work(self) -> None:
        try:
            self._receive()
        except BaseException as problem:  # noqa: BLE001 - told to the thread that waits
            self._problem = problem

    def _write(self, file: BinaryIO, chunk: bytes) -> None:
        with self._lock:
            if self._left:
                raise _LeftError
            file.write(chunk)

    def _receive(self) -> None:
        """Receive the file.

        Raises:
            requests.RequestException: The connection failed or ended early.
            DataError: The server has no such file (a 4xx answer other than 416), or more than is taken: no second
                attempt would help.
        """
        file, have = _open_part(self._part)
        with file:
            _into(file, have, self._transfer, self._advance, self._write)


def _announced(response: Any, transfer: Transfer, have: int) -> int | None:
    """Bytes that the file will have in all; None where the server does not say.

    Raises:
        DataError: It says what cannot be, would send something else than the file's bytes, or too many of them.
    """
    encoding = response.headers.get("Content-Encoding", "identity")
    if encoding.lower() not in ("identity", ""):
        raise DataError(
            f"{transfer.url}: the server sends the file compressed ({printable(encoding)}).", "Try a mirror."
        )
    length = response.headers.get("Content-Length")
    if length is None:
        return None
    if not (length.isascii() and length.isdecimal() and len(length) < 16):
        raise DataError(f"{transfer.url}: the server announces {printable(length)!r} bytes.", "Try a mirror (--url).")
    if have + int(length) > transfer.most_bytes:
        raise DataError(
            f"{transfer.url}: the server announces {megabytes(have + int(length))}; at most "
            f"{megabytes(transfer.most_bytes)} are taken.",
            "Is this the right address?",
        )
    return have + int(length)


def _open_part(part: Path) -> tuple[io.BufferedRandom, int]:
    """The file of what has been received, and its length; anything else in its place is removed, never followed."""
    try:
        file = open_own(part)
    except OSError as problem:
        if problem.errno not in (errno.ELOOP, errno.EMLINK, errno.EINVAL, errno.ENXIO):
            raise
        part.unlink()
        file = open_own(part)
    return file, file.seek(0, os.SEEK_END)


def _into(
    file: io.BufferedRandom,
    have: int,
    transfer: Transfer,
    advance: Callable[[int, int | None], None],
    write: Callable[[BinaryIO, bytes], None],
) -> None:
    import requests

    headers = {"Accept-Encoding": "identity"}  # compressed, byte positions would mean nothing
    if have:
        headers["Range"] = f"bytes={have}-"
    with requests.get(transfer.url, headers=headers, stream=True, timeout=transfer.timeout_s) as response:
        if response.status_code == 416:  # the part is not a beginning of this file
            file.truncate(0)
            raise requests.ConnectionError("the server has fewer bytes than were received; starting anew")
        if 400 <= response.status_code < 500 and response.status_code not in (408, 429):
            raise DataError(f"{transfer.url}: the server answered {response.status_code} {response.reason}.")
        response.raise_for_status()
        if response.status_code != 206:  # not resumed
            file.truncate(0)
            have = file.seek(0)
        total = _announced(response, transfer, have)
        advance(have, total)
        for chunk in response.iter_content(CHUNK):
            have += len(chunk)
            if have > (transfer.most_bytes if total is None else total):
                raise DataError(f"{transfer.url}: the server sends more than it should.", "Is this the right address?")
            write(file, chunk)
            advance(have, total)
        if total is not None and have != total:
            raise requests.ConnectionError(f"got {have} of {total} bytes")


def download(transfer: Transfer, advance: Callable[[int, int | None], None], check: Callable[[Path], None]) -> None:
    """Download a file whole or not at all: into `NAME.part`, resumed after a cut, checked, then renamed.

    Args:
        transfer: What to download, and to where.
        advance: Called with the bytes received so far and in all (None where the server does not say).
        check: Raises `WrongFileError` where the file is not what it should be; it is then downloaded anew.

    Raises:
        DataError: Every attempt failed, or the server has no such file.
    """
    import requests

    part = transfer.target.with_name(transfer.target.name + ".part")
    part.parent.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + transfer.limit_s
    problem = ""
    for attempt in range(transfer.retries):
        if attempt:
            time.sleep(min(transfer.wait_s * 2 ** (attempt - 1), max(0.0, deadline - time.monotonic())))
        try:
            _Attempt(transfer, part, advance).run(deadline)
            check(part)
            part.replace(transfer.target)
        except requests.RequestException as error:
            problem = f"{type(error).__name__}: {error}"
        except WrongFileError as error:
            part.unlink(missing_ok=True)  # a resumed mix or wrong bytes: begin anew
            problem = str(error)
        except OSError as error:
            raise DataError(
                f"cannot write {part}: {error.strerror or error}.", "Free space or choose another --root."
            ) from None
        else:
            return
    raise DataError(f"{transfer.url}: {transfer.retries} attempts failed; the last: {problem[:200]}.")


def check_present(path: Path, check: Callable[[Path], None]) -> None:
    """Check a file that is already in place.

    Raises:
        DataError: It is not what it should be; `check` raised `WrongFileError`.
    """
    try:
        check(path)
    except WrongFileError as error:
        raise DataError(f"{path}: {error}.", "Remove it and run this command again.") from None


def check_zip(path: Path) -> None:
    """Raise `WrongFileError` unless a file is a whole ZIP archive."""
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(member.file_size for member in archive.infolist())
            if unpacked > most_unpacked(path):
                raise WrongFileError(f"the archive declares {megabytes(unpacked)} of content")
            bad = archive.testzip()
    except WrongFileError:
        raise
    except Exception as error:  # noqa: BLE001 - zipfile, zlib and lzma each raise their own
        raise WrongFileError(f"not a ZIP archive ({printable(error)[:200]})") from None
    if bad:
        raise WrongFileError(f"the archive's member {bad} is damaged")


def most_unpacked(archive: Path) -> int:
    """Most bytes that an archive may unpack to."""
    return max(1 << 30, 16 * archive.stat().st_size)


def unpack(archive: Path, root: Path) -> list[Path]:
    """Unpack the .mat files of a ZIP archive below `root`.

    Raises:
        DataError: A member would land outside `root`, or is a link; nothing is written then.
    """
    root.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(archive) as file:
        members = [m for m in file.infolist() if not m.is_dir()]
        for member in members:
            inside = PurePosixPath(member.filename.replace("\\", "/"))
            link = stat.S_ISLNK(member.external_attr >> 16)
            outside = inside.is_absolute() or ".." in inside.parts or not inside.parts or ":" in inside.parts[0]
            if outside or link or not (root / inside).parent.resolve().is_relative_to(root.resolve()):
                raise DataError(
                    f"{archive}: member {member.filename!r} {'is a link' if link else 'points outside'}.",
                    "This is not the official archive; nothing was unpacked.",
                )
        written = []
        for member in members:
            if not member.filename.lower().endswith(".mat"):
                continue
            target = root / PurePosixPath(member.filename)
            target.parent.mkdir(parents=True, exist_ok=True)
            half = target.with_name(f".{target.name}.tmp")
            with file.open(member) as source, _open_part(half)[0] as sink:
                sink.truncate(0)
                sink.seek(0)
                shutil.copyfileobj(source, sink)  # no more than the member declares
            half.replace(target)
            written.append(target)
    return written


@contextmanager
def progress_bar(console: Console) -> Iterator[Progress]:
    """A download's progress on a terminal; silent elsewhere."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        yield progress
