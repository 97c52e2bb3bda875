"""A user's own recordings: one sub-folder per class, any mix of .mat, .csv, .wav, .flac, .npy, .npz and .parquet.

An optional file `recordings.csv` in the root describes the recordings. Its columns are `file` (path below the root) and
any of `sampling_rate_hz`, `rpm`, `load`, `size_mm` and `machine` (a name: what one machine gave is tested together).
"""

import csv
import math
from dataclasses import dataclass
from pathlib import Path

from data.common.guard import has_plain_name, is_file, printable, read_limited
from data.errors import DataError
from data.readers.formats import READERS, read_table
from data.readers.source import Source, folder_of
from data.recording import Fault, Location, Recording

SHEET = "recordings.csv"
LARGEST_SHEET = 16 << 20
NUMBERS = ("sampling_rate_hz", "rpm", "load", "size_mm")
SHEET_COLUMNS = (*NUMBERS, "machine")
LOCATION_WORDS = {
    Location.NORMAL: ("normal", "healthy", "baseline", "good", "ok", "no_fault", "nofault"),
    Location.INNER: ("inner", "ir", "inner_race"),
    Location.OUTER: ("outer", "or", "outer_race"),
    Location.BALL: ("ball", "b", "roller", "rolling_element"),
}


@dataclass(frozen=True)
class _Said:
    sampling_rate_hz: float | None = None
    rpm: float | None = None
    load: float | None = None
    size_mm: float | None = None
    machine: str | None = None


def location_of(label: str) -> Location | None:
    """The fault location that a class name clearly states ("normal", "Inner race", "OR"); None otherwise."""
    word = label.strip().lower().replace(" ", "_").replace("-", "_")
    return next((loc for loc, words in LOCATION_WORDS.items() if word in words), None)


def _read_sheet(root: Path) -> dict[str, _Said]:
    path = root / SHEET
    if not is_file(path):
        return {}
    said: dict[str, _Said] = {}
    content = read_limited(path, DataError, limit=LARGEST_SHEET, option="(none)", remedy="Check or remove it.")
    try:
        names, *rows = list(csv.reader(content.decode("utf-8-sig").splitlines())) or [[]]
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: not a readable CSV file ({error}).", "Save it as UTF-8 text.") from None
    unknown = {printable(name) for name in names} - {"file", *SHEET_COLUMNS}
    if unknown or (rows and "file" not in names) or len(set(names)) < len(names):
        why = "are not understood" if unknown or "file" not in names else "are there twice"
        listed = sorted(unknown) or ([n for n in dict.fromkeys(names) if names.count(n) > 1] or ["without file"])
        raise DataError(
            f"{path}: columns {', '.join(listed)} {why}.", f"Expected file and any of {', '.join(SHEET_COLUMNS)}."
        )
    for line, values in enumerate(rows, start=2):
        where = f"{path}, line {line}"
        if not values:
            continue
        row = dict(zip(names, values, strict=False))
        if len(values) > len(names) or not row.get("file"):
            raise DataError(f"{where}: more values than columns, or no file.", "Give one value for each column.")
        numbers = {column: _number(where, column, row.get(column) or "") for column in NUMBERS}
        if not is_file(root / row["file"]):
            raise DataError(f"{where}: {printable(row['file'])} does not exist.", f"Expected a path below {root}.")
        name = str(Path(row["file"]))
        if name in said:
            raise DataError(f"{where}: {name} is described twice.", "Keep one line for each file.")
        said[name] = _Said(**numbers, machine=(row.get("machine") or "").strip() or None)
    return said


def _number(where: str, column: str, text: str) -> float | None:
    """One value of the sheet; None if it is empty."""
    if not text.strip():
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or (column != "load" and value <= 0):
        wanted = "a finite number" if column == "load" else "a number above 0"
        raise DataError(f"{where}, column {column}: got {text!r}; expected {wanted}.", "Correct it or leave it empty.")
    return value


def _check_classes(root: Path, classes: list[Path]) -> None:
    """Refuse a root whose sub-folders are sites or machines, each with the classes inside it.

    Raises:
        DataError: Folders below the classes have names of bearing conditions ("normal"), and the classes have not.
    """
    inside = {p.name for folder in classes for p in folder.iterdir() if p.is_dir() and location_of(p.name)}
    if inside and not any(location_of(folder.name) for folder in classes):
        raise DataError(
            f"{root}: the sub-folders {', '.join(p.name for p in classes[:3])} would be the classes, but they hold "
            f"folders named {', '.join(sorted(inside))}.",
            "Put one folder per class into the root, e.g. normal/ with a sub-folder for each site or machine.",
        )


def read(root: Path, sampling_rate_hz: float | None = None, channel: str | None = None) -> list[Recording]:
    """Every recording in the class sub-folders of `root`.

    Args:
        root: Folder whose sub-folders are the classes; files may be any depth below them.
        sampling_rate_hz: Sampling rate in Hz of files that do not say it themselves.
        channel: The vector to take from files that hold several.

    Raises:
        DataError: The folder does not exist or has no class, a class has no file, a file cannot be read, or a sampling
            rate is not known.
    """
    if not root.is_dir():
        raise DataError(f"{root}: no such folder.", "Give the folder that holds one sub-folder per class.")
    classes = sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))
    if not classes:
        raise DataError(
            f"{root}: it has no class sub-folder.",
            "Expected one sub-folder per class, e.g. normal/ and inner/, each with recordings.",
        )
    odd = next((p for p in root.rglob("*") if not has_plain_name(p)), None)
    if odd is not None:
        raise DataError(f"{printable(odd)}: its name holds characters that are not text.", "Rename it.")
    _check_classes(root, classes)
    sheet = _read_sheet(root)
    recordings = []
    for folder in classes:
        paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in READERS and not p.name.startswith("."))
        if not paths:
            raise DataError(f"{folder}: no recording in this class.", f"Expected one of {', '.join(READERS)}.")
        for path in paths:
            inside = path.relative_to(root)
            recordings.append(
                _read_one(path, str(inside), folder.name, sheet.get(str(inside), _Said()), sampling_rate_hz, channel)
            )
    return recordings


def _read_one(
    path: Path, name: str, label: str, said: _Said, given_rate_hz: float | None, channel: str | None
) -> Recording:
    table = read_table(path)
    rate = next((r for r in (said.sampling_rate_hz, table.sampling_rate_hz, given_rate_hz) if r is not None), None)
    if rate is None:
        raise DataError(
            f"{path}: the sampling rate is missing.",
            f"Give it with --sampling-rate HZ for all such files, or for each file in {SHEET}.",
        )
    columns = table.columns
    if channel is not None and channel in columns:
        columns = {channel: columns[channel]}
    location = location_of(label)
    return Recording(
        name=name,
        source="folder",
        channels=columns,
        sampling_rate_hz=rate,
        fault=Fault(location, said.size_mm) if location else None,
        label=label,
        shaft_speed_hz=said.rpm / 60 if said.rpm else None,
        load=said.load,
        machine=said.machine,
        path=path,
    )


SOURCE = Source(
    "folder",
    "Your own recordings, in a folder with one sub-folder for each class.",
    lambda settings: read(folder_of(settings), settings.sampling_rate, settings.channel),
    trusted_rates=False,
)
