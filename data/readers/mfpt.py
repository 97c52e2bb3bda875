"""The bearing recordings of the Society for Machinery Failure Prevention Technology (MFPT).

Source: E. Bechhoefer, Condition Based Maintenance Fault Database for Testing Diagnostics and Prognostic Algorithms,
MFPT, 2013, https://www.mfpt.org/fault-data-sets/. Each file holds a structure `bearing` with `gs` (acceleration in
g), `sr` (sampling rate in Hz), `rate` (shaft, Hz) and `load` (lbf). Healthy and some outer-race recordings are sampled
at 97,656 Hz, the others at 48,828 Hz: the sampling rate must not become the feature.
"""

import re
from pathlib import Path

from rich.console import Console

from data.download import Transfer, check_present, check_zip, download, progress_bar, unpack
from data.errors import DataError
from data.lock import entry, read_lock, verify, write_lock
from data.readers.mat import read_mat
from data.readers.source import Fetch, FetchSettings, Source, folder_of
from data.recording import Fault, Location, Recording

SHORTEST_S = 2.5  # every official recording is at least 3 s long
OFFICIAL_URL = "https://www.mfpt.org/wp-content/uploads/2020/02/MFPT-Fault-Data-Sets-20200227T131140Z-001.zip"
KINDS = (
    (re.compile(r"baseline|normal", re.IGNORECASE), Location.NORMAL),
    (re.compile(r"inner", re.IGNORECASE), Location.INNER),
    (re.compile(r"outer", re.IGNORECASE), Location.OUTER),
)


def location_of(path: Path) -> Location | None:
    """The damaged part that a file's or its folder's name says; None for the real-world examples."""
    for text in (path.stem, path.parent.name):
        for pattern, location in KINDS:
            if pattern.search(text):
                return location
    return None


def read_file(path: Path, location: Location) -> Recording:
    """One recording from its file.

    Raises:
        DataError: The file has no structure `bearing` with `gs` and `sr`.
    """
    arrays = read_mat(path)
    fields = {name.split(".", 1)[1]: a for name, a in arrays.items() if name.startswith("bearing.")}
    missing = [f"bearing.{n}" for n in ("gs", "sr") if n not in fields]
    if missing:
        raise DataError(
            f"{path}: lacks {' and '.join(missing)}; it holds {', '.join(arrays) or 'nothing'}.",
            "Is this an original MFPT file? Fetch it again: python -m data.fetch mfpt.",
        )

    def number(name: str) -> float | None:
        return float(fields[name].reshape(-1)[0]) if name in fields and fields[name].size == 1 else None

    return Recording(
        name=path.stem,
        source="mfpt",
        channels={"gs": fields["gs"].reshape(-1)},
        sampling_rate_hz=number("sr") or 0.0,
        fault=Fault(location),
        shaft_speed_hz=number("rate"),
        load=number("load"),
        load_unit="lbf",
        path=path,
    )


def read(root: Path) -> list[Recording]:
    """The baseline, inner-race and outer-race recordings below `root`, by name.

    Raises:
        DataError: The folder does not exist or holds no such file, a name exists twice, or a file cannot be read.
    """
    if not root.is_dir():
        raise DataError(f"{root}: no such folder.", f"Fetch the set: python -m data.fetch mfpt --root {root}")
    recordings: dict[str, Recording] = {}
    for path in sorted(root.rglob("*.mat")):
        location = location_of(path)
        if location is None:
            continue
        if path.stem in recordings:
            raise DataError(f"{path.stem}.mat exists twice: {recordings[path.stem].path} and {path}.", "Remove one.")
        recordings[path.stem] = read_file(path, location)
    if not recordings:
        raise DataError(
            f"{root}: it contains no MFPT recording (baseline_1.mat, InnerRaceFault_vload_1.mat, ...).",
            f"Fetch the set: python -m data.fetch mfpt --root {root}",
        )
    return list(recordings.values())


def fetch(config: FetchSettings, console: Console) -> int:
    """Download, check, unpack and lock the MFPT archive; returns how many recordings are in place.

    Raises:
        DataError: The archive cannot be fetched, is not what it should be, or changed since it was locked.
    """
    url = config.url or OFFICIAL_URL
    archive = config.root / "mfpt.zip"
    locked = read_lock(config.root)
    if archive.name in locked and archive.is_file():
        verify(config.root, [archive])
    elif archive.is_file():
        check_present(archive, check_zip)
    else:
        with progress_bar(console) as progress:
            task = progress.add_task(archive.name, total=None)
            transfer = Transfer(url, archive, config.retries, config.timeout_s, config.wait_s, config.limit_s)
            download(transfer, lambda have, total: progress.update(task, completed=have, total=total), check_zip)
    locked[archive.name] = entry(archive, url)
    missing = [p for p in locked if not (config.root / p).is_file()]
    if missing or len(locked) == 1:
        unpack(archive, config.root)
    recordings = read(config.root)
    short = [r.name for r in recordings if r.duration_s < SHORTEST_S]
    if short:
        raise DataError(f"{', '.join(short)}: shorter than {SHORTEST_S} s.", "Remove the folder; fetch again.")
    verify(config.root, [r.path for r in recordings if r.path])
    locked |= {r.path.relative_to(config.root).as_posix(): entry(r.path, url) for r in recordings if r.path}
    write_lock(config.root, locked)
    return len(recordings)


SOURCE = Source(
    "mfpt",
    "Recordings of the Society for Machinery Failure Prevention Technology (20 files, 49 and 98 kHz).",
    lambda settings: read(folder_of(settings)),
    fetch=Fetch(fetch, OFFICIAL_URL),
)
