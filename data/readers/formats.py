"""Numeric columns and sampling rate out of a .mat, .csv, .wav, .npy, .npz, .flac or .parquet file."""

import re
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from data.common.extras import needs_extra
from data.errors import DataError
from data.readers.csv_table import read_csv
from data.readers.mat import read_mat

RATE_NAMES = re.compile(r"(^|\.)(fs|sr|sampling_?rate(_hz)?|sample_?rate|sampling_?frequency)$", re.IGNORECASE)
TIME_NAMES = re.compile(r"^(t|time|time_?s|seconds|timestamp)(\s*[\[(].*[\])])?$", re.IGNORECASE)
SHORTEST = 16  # a vector below this length is a setting, not a signal


@dataclass(frozen=True)
class Table:
    """What a file holds: its long numeric vectors by name, and its sampling rate in Hz (None if it does not say)."""

    columns: dict[str, Float[np.ndarray, " samples"]]
    sampling_rate_hz: float | None


def _vectors(arrays: dict[str, np.ndarray]) -> Table:
    columns: dict[str, np.ndarray] = {}
    rate: float | None = None
    for name, array in arrays.items():
        flat = np.asarray(array, dtype=np.float64)
        if flat.size == 1 and RATE_NAMES.search(name):
            rate = float(flat.reshape(-1)[0])
        elif flat.size >= SHORTEST and max(flat.shape) == flat.size:
            columns[name] = flat.reshape(-1)
        elif flat.ndim == 2 and min(flat.shape) <= 64 and max(flat.shape) >= SHORTEST:
            rows = flat if flat.shape[0] < flat.shape[1] else flat.T
            columns.update({f"{name}.{i}": row.copy() for i, row in enumerate(rows)})
    return _without_time(columns, rate)


def _without_time(columns: dict[str, np.ndarray], rate: float | None) -> Table:
    """Remove a uniform time column from the signals, and take the sampling rate from it."""
    for name in [n for n in columns if TIME_NAMES.match(n)]:
        steps = np.diff(columns[name])
        step = float(np.median(steps)) if len(steps) else 0.0
        if step > 0 and np.all(np.abs(steps - step) < 0.01 * step):
            rate = rate or len(steps) / float(columns[name][-1] - columns[name][0])
            del columns[name]
    return Table(columns, rate)


def _read_mat(path: Path) -> Table:
    return _vectors(dict(read_mat(path)))


def _read_numpy(path: Path) -> Table:
    try:
        loaded = np.load(path, allow_pickle=False)
        arrays = {"signal": loaded} if isinstance(loaded, np.ndarray) else {n: loaded[n] for n in loaded.files}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: not a numeric NumPy file ({error}).", "Save plain numeric arrays.") from None
    bad = [n for n, a in arrays.items() if a.dtype.kind not in "fiub"]
    if bad:
        raise DataError(f"{path}: {', '.join(bad)} is not real and numeric.", "Save plain numeric arrays.")
    return _vectors(arrays)


def _read_sound(path: Path) -> Table:
    import soundfile

    try:
        samples, rate = soundfile.read(path, dtype="float64", always_2d=True)
    except (soundfile.SoundFileError, RuntimeError) as error:
        raise DataError(f"{path}: not a readable sound file ({error}).", "Check or remove the file.") from None
    return Table({f"channel{i}": column.copy() for i, column in enumerate(samples.T)}, float(rate))


def _read_csv(path: Path) -> Table:
    return _without_time({n: c for n, c in read_csv(path).items() if len(c) >= SHORTEST}, None)


def _read_parquet(path: Path) -> Table:
    with needs_extra(__name__):
        import pyarrow
        import pyarrow.parquet

    try:
        table = pyarrow.parquet.read_table(path)
        said = (table.schema.metadata or {}).get(b"sampling_rate_hz")
        rate = float(said) if said else None
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read ({error}).", "Check or remove the file.") from None
    numeric = [
        n
        for n in table.column_names
        if pyarrow.types.is_floating(table[n].type) or pyarrow.types.is_integer(table[n].type)
    ]
    columns = {n: table[n].to_numpy(zero_copy_only=False).astype(np.float64) for n in numeric}
    return _without_time({n: c for n, c in columns.items() if len(c) >= SHORTEST}, rate)


READERS: dict[str, Callable[[Path], Table]] = {
    ".mat": _read_mat,
    ".npy": _read_numpy,
    ".npz": _read_numpy,
    ".wav": _read_sound,
    ".flac": _read_sound,
    ".csv": _read_csv,
    ".parquet": _read_parquet,
}


def read_table(path: Path) -> Table:
    """The long numeric vectors of a file by name, and its sampling rate if the file states one.

    A sampling rate is a scalar named fs, sr, sampling_rate or the like (.mat, .npz), the header (.wav, .flac), the
    schema's `sampling_rate_hz` (.parquet) or the step of a uniform time column (all tables).

    Raises:
        DataError: The ending is unknown, or the file is damaged, holds an object array or no vector of 16 numbers.
    """
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise DataError(f"{path}: unknown kind of file.", f"Expected one of {', '.join(READERS)}.")
    table = reader(path)
    table = Table({n: c for n, c in table.columns.items() if len(c) >= SHORTEST}, table.sampling_rate_hz)
    if not table.columns:
        raise DataError(
            f"{path}: it has no numeric vector of at least {SHORTEST} samples.", "Check or remove the file."
        )
    return table
