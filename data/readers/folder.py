"""A user's own recordings: one sub-folder per class, any mix of .mat, .csv, .wav, .flac, .npy, .npz and .parquet.

An optional file `recordings.csv` in the root describes the recordings. Its columns are `file` (path below the root) and
any of `sampling_rate_hz`, `rpm`, `load` and `size_mm`.
"""

import csv
from dataclasses import dataclass
from pathlib import Path

from data.errors import DataError
from data.readers.formats import READERS, read_table
from data.readers.source import Source, folder_of
from data.recording import Fault, Location, Recording

SHEET = "recordings.csv"
SHEET_COLUMNS = ("sampling_rate_hz", "rpm", "load", "size_mm")
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


def location_of(label: str) -> Location | None:
    """The fault location that a class name clearly states ("normal", "Inner race", "OR"); None otherwise."""
    word = label.strip().lower().replace(" ", "_").replace("-", "_")
    return next((loc for loc, words in LOCATION_WORDS.items() if word in words), None)


def _read_sheet(root: Path) -> dict[str, _Said]:
    path = root / SHEET
    if not path.is_file():
        return {}
    said: dict[str, _Said] = {}
    try:
        rows = list(csv.DictReader(path.read_text(encoding="utf-8-sig").splitlines()))
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: not a readable CSV file ({error}).", "Save it as UTF-8 text.") from None
    unknown = set(rows[0] if rows else {}) - {"file", *SHEET_COLUMNS}
    if unknown or (rows and "file" not in rows[0]):
        raise DataError(
            f"{path}: columns {', '.join(sorted(map(str, unknown))) or 'without file'} are not understood.",
            f"Expected file and any of {', '.join(SHEET_COLUMNS)}.",
        )
    for line, row in enumerate(rows, start=2):
        try:
            numbers = {c: float(row[c]) if row.get(c) else None for c in SHEET_COLUMNS}
        except ValueError as error:
            raise DataError(f"{path}, line {line}: {error}.", "Expected numbers or nothing.") from None
        if not (root / row["file"]).is_file():
            raise DataError(f"{path}, line {line}: {row['file']} does not exist.", f"Expected a path below {root}.")
        said[str(Path(row["file"]))] = _Said(**numbers)
    return said


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
        raise DataError(f"{root}: no such folder.", "Give the folder of class sub-folders with --root.")
    classes = sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))
    if not classes:
        raise DataError(
            f"{root}: it has no class sub-folder.",
            "Expected one sub-folder per class, e.g. normal/ and inner/, each with recordings.",
        )
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
    rate = said.sampling_rate_hz or table.sampling_rate_hz or given_rate_hz
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
        path=path,
    )


SOURCE = Source(
    "folder",
    "Your own recordings, in a folder with one sub-folder for each class.",
    lambda settings: read(folder_of(settings), settings.sampling_rate, settings.channel),
    trusted_rates=False,
)
