"""The Case Western Reserve University bearing recordings, in any folder layout, under their original numbers.

Source: Case Western Reserve University Bearing Data Center, https://engineering.case.edu/bearingdatacenter. What each
number is stands in `cwru_files.csv`; a known answer for the reader is the kurtosis that Smith and Randall publish
(Mechanical Systems and Signal Processing 64-65, 2015, Table B2).
"""

import csv
import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

import numpy as np
from jaxtyping import Float
from rich.console import Console

from data.common.guard import open_regular
from data.common.paper import SENSOR_HZ
from data.download import Transfer, WrongFileError, check_present, download, progress_bar
from data.errors import DataError
from data.lock import entry as lock_entry
from data.lock import read_lock, verify, write_lock
from data.readers.mat import read_mat
from data.readers.source import Fetch, FetchSettings, ReadSettings, Source, folder_of
from data.recording import INCH_MM, Fault, Location, Recording

NOMINAL_RPM = {0: 1797, 1: 1772, 2: 1750, 3: 1730}
CLIPPED = frozenset({200, 236, 237})  # both ends of the converter's range are hit; see docs/data.md
# Variables that bear another number than the official file that holds them.
ALIASES = {173: 174} | {56 + i: 3001 + i for i in range(4)} | {48 + i: 3005 + i for i in range(4)}
VARIABLE = re.compile(r"^X(\d+)_(DE|FE|BA)_time$")
SHORTEST_S = 4.0  # every official recording is at least 5 s long
OFFICIAL_URL = "https://engineering.case.edu/sites/default/files/{number}.mat"


@dataclass(frozen=True)
class Entry:
    """What one original file number stands for.

    Attributes:
        number: The file's original number.
        end: Which bearing is damaged, "drive", "fan" or "" (normal).
        sampling_rate_hz: 12,000 or 48,000.
        location: Damaged part.
        size_mil: Fault diameter in thousandths of an inch, None for normal.
        position: Clock position of an outer-race fault, None otherwise.
        load_hp: Motor load, 0 to 3 hp.
        md5: Hash that a third party published; None if nobody did.
    """

    number: int
    end: str
    sampling_rate_hz: float
    location: Location
    size_mil: int | None
    position: str | None
    load_hp: int
    md5: str | None


@cache
def catalogue() -> dict[int, Entry]:
    """All 161 recordings of the official site by number."""
    text = files("data").joinpath("cwru_files.csv").read_text()
    return {
        int(r["number"]): Entry(
            int(r["number"]),
            r["end"],
            float(r["sampling_rate_hz"]),
            Location(r["location"]),
            int(r["size_mil"]) if r["size_mil"] else None,
            r["position"] or None,
            int(r["load_hp"]),
            r["md5"] or None,
        )
        for r in csv.DictReader(text.splitlines())
    }


def select_channels(arrays: dict[str, np.ndarray], number: int) -> dict[str, Float[np.ndarray, " samples"]]:
    """The accelerometers DE, FE and BA of one recording out of a file's variables.

    A file may hold two recordings (99.mat also holds X098) or one under another number (174.mat holds X173, 3001.mat
    X056): the file's own number is taken if it is there, otherwise the only one.
    """
    by_number: dict[int, dict[str, np.ndarray]] = {}
    for name, array in arrays.items():
        match = VARIABLE.match(name)
        if match:
            by_number.setdefault(int(match[1]), {})[match[2]] = array.reshape(-1)
    if number in by_number:
        return by_number[number]
    if len(by_number) == 1:
        (inside,) = by_number
        if ALIASES.get(inside, inside) != number and inside in catalogue():
            raise DataError(
                f"its name says recording {number}, its variable X{inside:03d} says {inside}.",
                "Rename the file to the recording's own number, or fetch it again: python -m data.fetch cwru.",
            )
        return by_number[inside]
    names = ", ".join(arrays) or "nothing"
    raise DataError(
        f"expected the variable X{number:03d}_DE_time or a single X..._DE_time; the file holds {names}.",
        "Is this an original file of the Bearing Data Center? Fetch it again: python -m data.fetch cwru.",
    )


def _shaft_speed_hz(arrays: dict[str, np.ndarray], number: int, load_hp: int) -> float:
    named = {name: array for name, array in arrays.items() if name.upper().endswith("RPM") and array.size == 1}
    own = [a for n, a in named.items() if n.upper() == f"X{number:03d}RPM"] or list(named.values())
    rpm = float(own[0].reshape(-1)[0]) if own else float(NOMINAL_RPM[load_hp])
    return (rpm if 1500 < rpm < 2000 else float(NOMINAL_RPM[load_hp])) / 60


def read_file(path: Path, number: int) -> Recording:
    """One recording from its file.

    Raises:
        DataError: The number is not an official one, or the file does not hold that recording.
    """
    entry = catalogue().get(number)
    if entry is None:
        raise DataError(f"{path}: {number} is not the number of a CWRU recording.", "Keep the original file numbers.")
    arrays = read_mat(path)
    try:
        channels = select_channels(arrays, number)
    except DataError as error:
        raise DataError(f"{path}: {error.problem}", error.remedy) from None
    shortest = min(len(c) for c in channels.values())
    return Recording(
        name=str(number),
        source="cwru",
        channels={n: c[:shortest] for n, c in channels.items()},
        sampling_rate_hz=entry.sampling_rate_hz,
        fault=Fault(entry.location, entry.size_mil and entry.size_mil / 1000 * INCH_MM, entry.position),
        shaft_speed_hz=_shaft_speed_hz(arrays, number, entry.load_hp),
        load=float(entry.load_hp),
        load_unit="hp",
        path=path,
        known_flaws=frozenset({"clipped"}) if number in CLIPPED else frozenset(),
    )


def _number_inside(path: Path) -> int | None:
    """Official number of a file that a mirror has renamed (118_0.mat), by its variables; None for other files.

    Raises:
        DataError: The file holds CWRU variables, but it is not clear of which recording.
    """
    try:
        matches = [match for match in map(VARIABLE.match, read_mat(path)) if match]
    except DataError:
        return None  # not a file of this set: as if it were not there
    if not matches:
        return None
    inside = {ALIASES.get(int(match[1]), int(match[1])) for match in matches}
    named = {int(text) for text in re.findall(r"\d+", path.stem)} & inside
    known = (named or inside) & catalogue().keys()
    if len(known) != 1:
        raise DataError(
            f"{path}: it holds variables of {', '.join(f'X{n:03d}' for n in sorted(inside))}; it is not clear which "
            "recording that is.",
            "Give the file its original number as its name, e.g. 118.mat, or remove it.",
        )
    return known.pop()


def find_files(root: Path) -> dict[int, Path]:
    """Every official recording below a folder, however deep, by number.

    A file whose name is an official number is that recording; any other is known by the variables inside.

    Raises:
        DataError: The folder does not exist, holds no recording of the set, holds one twice, or holds one
            that cannot be told from its variables.
    """
    if not root.is_dir():
        raise DataError(
            f"{root}: no such folder.",
            f"Give the folder that holds the .mat files, or fetch them: python -m data.fetch cwru --root {root}",
        )
    found: dict[int, Path] = {}
    for path in sorted(root.rglob("*.mat")):
        named = path.stem.isdigit() and int(path.stem) in catalogue()
        number = int(path.stem) if named else _number_inside(path)
        if number is None:
            continue
        if number in found:
            raise DataError(f"recording {number} exists twice: {found[number]} and {path}.", "Remove one.")
        found[number] = path
    if not found:
        raise DataError(
            f"{root}: it contains no CWRU recording (105.mat, 97.mat, ...).",
            f"Expected original file numbers; fetch them: python -m data.fetch cwru --root {root}",
        )
    return found


def chosen(labels: str, end: str = "drive", sampling_rate_hz: float = 12000) -> list[int]:
    """Numbers of the recordings that a task uses.

    Args:
        labels: "fault" gives the ten classes of the literature (normal; inner, ball, outer at 6:00; 7, 14 and 21
            mil); "location" gives every size and position.
        end: Which bearing is damaged.
        sampling_rate_hz: Sampling rate of the faulty recordings; the normal ones exist at 48 kHz only.
    """
    ten = {7, 14, 21}
    return [
        e.number
        for e in catalogue().values()
        if e.location is Location.NORMAL
        or (
            e.end == end
            and e.sampling_rate_hz == sampling_rate_hz
            and (labels == "location" or (e.size_mil in ten and e.position in (None, "6:00")))
        )
    ]


def read(root: Path, numbers: Sequence[int] | None = None) -> list[Recording]:
    """The recordings below `root` that have one of the given numbers (all by default), in order of number.

    Raises:
        DataError: See `find_files` and `read_file`.
    """
    found = find_files(root)
    wanted = sorted(found if numbers is None else set(found) & set(numbers))
    if not wanted:
        raise DataError(
            f"{root}: it contains none of the recordings that this task needs.",
            "Fetch them: python -m data.fetch cwru.",
        )
    return [read_file(found[n], n) for n in wanted]


def _read(settings: ReadSettings) -> list[Recording]:
    end, rate = settings.cwru_set.split("-")
    return read(folder_of(settings), chosen(settings.labels_kind, end, 1000 * float(rate.removesuffix("k"))))


def _damaged_end(settings: ReadSettings) -> str:
    """The accelerometer at the damaged bearing."""
    return "FE" if settings.cwru_set.startswith("fan") else "DE"


def check_file(number: int) -> Callable[[Path], None]:
    """A check of a downloaded file: its published MD5, and that it holds this recording at full length."""

    def check(path: Path) -> None:
        known = catalogue()[number].md5
        if known:
            with open_regular(path) as file:
                got = hashlib.file_digest(file, "md5").hexdigest()
            if got != known:
                raise WrongFileError(f"wrong bytes: MD5 {got}, expected {known}")
        try:
            recording = read_file(path, number)
        except DataError as error:
            raise WrongFileError(error.problem) from None
        if recording.duration_s < SHORTEST_S or (known is None and "DE" not in recording.channels):
            raise WrongFileError(
                f"holds {', '.join(recording.channels)} of {recording.duration_s:.1f} s; expected DE, 5 s or 10 s"
            )

    return check


def fetch(config: FetchSettings, console: Console) -> int:
    """Download, check and lock CWRU files; returns how many are in place.

    Raises:
        DataError: A file cannot be fetched, is not what it should be, or changed since it was locked.
    """
    numbers = sorted(config.only or (chosen("fault") if config.drive_end else catalogue()))
    unknown = [n for n in numbers if n not in catalogue()]
    if unknown:
        raise DataError(
            f"{', '.join(map(str, unknown))}: not among the CWRU recordings.", "Original numbers: 97 to 318, 3001 ..."
        )
    locked = read_lock(config.root)
    with progress_bar(console) as progress:
        overall = progress.add_task("all files", total=None)
        current = progress.add_task("", total=None)
        for done, number in enumerate(numbers):
            target = config.root / f"{number}.mat"
            progress.update(overall, description=f"file {done + 1} of {len(numbers)}")
            if target.name in locked and target.is_file():
                verify(config.root, [target])
                continue
            check = check_file(number)
            url = (config.url or OFFICIAL_URL).replace("{number}", str(number))
            if target.is_file():
                check_present(target, check)
            else:

                def advance(have: int, total: int | None, name: str = target.name) -> None:
                    progress.update(current, description=name, completed=have, total=total)

                transfer = Transfer(url, target, config.retries, config.timeout_s, config.wait_s, config.limit_s)
                download(transfer, advance, check)
                if not console.is_terminal:
                    console.print(f"{target.name}: {target.stat().st_size:,} bytes ({done + 1} of {len(numbers)})")
            locked[target.name] = lock_entry(target, url)
            write_lock(config.root, locked)
    return len(numbers)


SOURCE = Source(
    "cwru",
    "Recordings of the Case Western Reserve University (161 files, 12 and 48 kHz).",
    _read,
    default_channel=_damaged_end,
    rate_hz=SENSOR_HZ,
    fetch=Fetch(fetch, "https://engineering.case.edu/bearingdatacenter"),
)
