"""Download the official recordings: `python -m data.fetch cwru|mfpt --root DIR`.

The `requests` library transfers; what pooch (which it would replace) lacks is resuming a file in its middle.
"""

import hashlib
import shutil
import stat
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal

import requests
import tyro
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from data.common.command import run_command
from data.common.files import remove_leftovers
from data.common.options import comma_separated
from data.errors import DataError
from data.lock import entry, read_lock, verify, write_lock
from data.readers import cwru, mfpt

CHUNK = 1 << 16
OFFLINE = (
    "Without a network: download the files elsewhere in a browser from {page}, put them into {root} under their "
    "original names, and run this command again; it checks and locks them."
)
SHORTEST_S = {"cwru": 4.0, "mfpt": 2.5}


@dataclass(frozen=True)
class FetchConfig:
    """Download bearing recordings, check that each holds what it should, and lock their hashes.

    What is there already is checked, not fetched again; an interrupted download goes on where it stopped.
    """

    dataset: Annotated[Literal["cwru", "mfpt"], tyro.conf.Positional]
    """Which data set."""
    root: Path
    """Folder to put the files into."""
    only: Annotated[tuple[int, ...], comma_separated(int, "only", "N")] = ()
    """CWRU file numbers separated by commas, e.g. --only 97,105; by default all 161."""
    drive_end: bool = False
    """Only the CWRU recordings of the ten-class task (normal, and 12 kHz drive-end faults)."""
    url: str | None = None
    """Mirror: for CWRU with {number} in it, for MFPT the archive."""
    retries: int = 4
    """Attempts a file."""
    timeout_s: float = 30.0
    """Seconds without a byte after which an attempt is given up."""
    wait_s: float = 1.0
    """Seconds before the second attempt; doubles from then on."""


@dataclass(frozen=True)
class _Transfer:
    url: str
    target: Path
    retries: int
    timeout_s: float
    wait_s: float


def _attempt(transfer: _Transfer, part: Path, advance: Callable[[int, int | None], None]) -> None:
    """Add to `part` what it still lacks of the file at the URL.

    Raises:
        requests.RequestException: The connection failed or ended early.
        DataError: The server has no such file (a 4xx answer other than 416): no second attempt would help.
    """
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


def download(transfer: _Transfer, advance: Callable[[int, int | None], None], check: Callable[[Path], None]) -> None:
    """Fetch a file whole or not at all: into `NAME.part`, resumed after a cut, checked, then renamed.

    Raises:
        DataError: Every attempt failed, or the file is not what it should be.
    """
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
        except _WrongFileError as error:
            part.unlink(missing_ok=True)  # a resumed mix or wrong bytes: begin anew
            problem = str(error)
        except OSError as error:
            raise DataError(
                f"cannot write {part}: {error.strerror or error}.", "Free space or choose another --root."
            ) from None
        else:
            return
    raise DataError(f"{transfer.url}: {transfer.retries} attempts failed; the last: {problem[:200]}.")


class _WrongFileError(Exception):
    """The bytes are not those of the file."""


def _check_cwru(number: int) -> Callable[[Path], None]:
    def check(path: Path) -> None:
        known = cwru.catalogue()[number].md5
        if known:
            with path.open("rb") as file:
                got = hashlib.file_digest(file, "md5").hexdigest()
            if got != known:
                raise _WrongFileError(f"wrong bytes: MD5 {got}, expected {known}")
        try:
            recording = cwru.read_file(path, number)
        except DataError as error:
            raise _WrongFileError(error.problem) from None
        if recording.duration_s < SHORTEST_S["cwru"] or (known is None and "DE" not in recording.channels):
            raise _WrongFileError(
                f"holds {', '.join(recording.channels)} of {recording.duration_s:.1f} s; expected DE, 5 s or 10 s"
            )

    return check


def _check_zip(path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            bad = archive.testzip()
    except (zipfile.BadZipFile, OSError, EOFError) as error:
        raise _WrongFileError(f"no ZIP archive ({error})") from None
    if bad:
        raise _WrongFileError(f"the archive's member {bad} is damaged")


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
def _bar(console: Console) -> Iterator[Progress]:
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        yield progress


def fetch_cwru(config: FetchConfig, console: Console) -> int:
    """Fetch, check and lock CWRU files; returns how many are in place."""
    numbers = sorted(config.only or (cwru.chosen("fault") if config.drive_end else cwru.catalogue()))
    unknown = [n for n in numbers if n not in cwru.catalogue()]
    if unknown:
        raise DataError(f"{', '.join(map(str, unknown))}: no CWRU recording.", "Original numbers: 97 to 318, 3001 ...")
    locked = read_lock(config.root)
    with _bar(console) as progress:
        overall = progress.add_task("all files", total=None)
        current = progress.add_task("", total=None)
        for done, number in enumerate(numbers):
            target = config.root / f"{number}.mat"
            progress.update(overall, description=f"file {done + 1} of {len(numbers)}")
            if target.name in locked and target.is_file():
                verify(config.root, [target])
                continue
            check = _check_cwru(number)
            url = (config.url or cwru.OFFICIAL_URL).replace("{number}", str(number))
            if target.is_file():
                try:
                    check(target)
                except _WrongFileError as error:
                    raise DataError(f"{target}: {error}.", "Remove it and run this command again.") from None
            else:

                def advance(have: int, total: int | None, name: str = target.name) -> None:
                    progress.update(current, description=name, completed=have, total=total)

                transfer = _Transfer(url, target, config.retries, config.timeout_s, config.wait_s)
                download(transfer, advance, check)
                if not console.is_terminal:
                    console.print(f"{target.name}: {target.stat().st_size:,} bytes ({done + 1} of {len(numbers)})")
            locked[target.name] = entry(target, url)
            write_lock(config.root, locked)
    return len(numbers)


def fetch_mfpt(config: FetchConfig, console: Console) -> int:
    """Fetch, check, unpack and lock the MFPT archive; returns how many recordings are in place."""
    url = config.url or mfpt.OFFICIAL_URL
    archive = config.root / "mfpt.zip"
    locked = read_lock(config.root)
    if archive.name in locked and archive.is_file():
        verify(config.root, [archive])
    elif archive.is_file():
        try:
            _check_zip(archive)
        except _WrongFileError as error:
            raise DataError(f"{archive}: {error}.", "Remove it and run this command again.") from None
    else:
        with _bar(console) as progress:
            task = progress.add_task(archive.name, total=None)
            transfer = _Transfer(url, archive, config.retries, config.timeout_s, config.wait_s)
            download(transfer, lambda have, total: progress.update(task, completed=have, total=total), _check_zip)
    locked[archive.name] = entry(archive, url)
    missing = [p for p in locked if not (config.root / p).is_file()]
    if missing or len(locked) == 1:
        unpack(archive, config.root)
    recordings = mfpt.read(config.root)
    short = [r.name for r in recordings if r.duration_s < SHORTEST_S["mfpt"]]
    if short:
        raise DataError(f"{', '.join(short)}: shorter than {SHORTEST_S['mfpt']} s.", "Remove the folder; fetch again.")
    verify(config.root, [r.path for r in recordings if r.path])
    locked |= {r.path.relative_to(config.root).as_posix(): entry(r.path, url) for r in recordings if r.path}
    write_lock(config.root, locked)
    return len(recordings)


def run(config: FetchConfig) -> None:
    """Fetch one data set and say what is in place.

    Raises:
        DataError: A file could not be fetched or is not what it should be.
    """
    console = Console(file=sys.stdout)
    page = "https://engineering.case.edu/bearingdatacenter" if config.dataset == "cwru" else mfpt.OFFICIAL_URL
    try:
        remove_leftovers(config.root)
        count = (fetch_cwru if config.dataset == "cwru" else fetch_mfpt)(config, console)
    except DataError as error:
        raise DataError(error.problem, error.remedy or OFFLINE.format(page=page, root=config.root)) from None
    except OSError as error:
        raise DataError(f"{config.root}: {error.strerror or error}.", "Give a folder that you may write to.") from None
    console.print(
        f"{count} recordings in {config.root}, checked and locked.\n"
        f"Next: python -m pruning.run --data {config.dataset} --root {config.root}"
    )


def main() -> None:
    """Entry point of `python -m data.fetch`."""
    run_command(FetchConfig, run, "data.fetch", resume="Run the same command again: finished files are kept.")


if __name__ == "__main__":
    main()
