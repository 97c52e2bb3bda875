"""Files from the network, whole or not at all: resumed after a cut, checked, then renamed into place.

The `requests` library transfers; what pooch (which it would replace) lacks is resuming a file in its middle.
"""

import shutil
import stat
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

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
    """

    url: str
    target: Path
    retries: int
    timeout_s: float
    wait_s: float


def _attempt(transfer: Transfer, part: Path, advance: Callable[[int, int | None], None]) -> None:
    """Add to `part` what it still lacks of the file at the URL.

    Raises:
        requests.RequestException: The connection failed or ended early.
        DataError: The server has no such file (a 4xx answer other than 416): no second attempt would help.
    """
    import requests

    have = part.stat().st_size if part.exists() else 0
    headers = {"Accept-Encoding": "identity"}  # compressed, byte positions would mean nothing
    if have:
        headers["Range"] = f"bytes={have}-"
    with requests.get(transfer.url, headers=headers, stream=True, timeout=transfer.timeout_s) as response:
        if response.status_code == 416:  # the part is not a beginning of this file
            part.unlink()
            raise requests.ConnectionError("the server has fewer bytes than were received; starting anew")
        if 400 <= response.status_code < 500 and response.status_code not in (408, 429):
            raise DataError(f"{transfer.url}: the server answered {response.status_code} {response.reason}.")
        response.raise_for_status()
        resumed = response.status_code == 206
        if not resumed:
            have = 0
        length = response.headers.get("Content-Length")
        total = have + int(length) if length else None
        advance(have, total)
        with part.open("ab" if resumed else "wb") as file:
            for chunk in response.iter_content(CHUNK):
                file.write(chunk)
                have += len(chunk)
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
    problem = ""
    for attempt in range(transfer.retries):
        if attempt:
            time.sleep(transfer.wait_s * 2 ** (attempt - 1))
        try:
            _attempt(transfer, part, advance)
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
            bad = archive.testzip()
    except (zipfile.BadZipFile, OSError, EOFError) as error:
        raise WrongFileError(f"not a ZIP archive ({error})") from None
    if bad:
        raise WrongFileError(f"the archive's member {bad} is damaged")


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
            if inside.is_absolute() or ".." in inside.parts or ":" in inside.parts[0] or link:
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
            with file.open(member) as source, half.open("wb") as sink:
                shutil.copyfileobj(source, sink)
            half.replace(target)
            written.append(target)
    return written


@contextmanager
def progress_bar(console: Console) -> Iterator[Progress]:
    """A download's progress on a terminal; silent elsewhere."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        yield progress
