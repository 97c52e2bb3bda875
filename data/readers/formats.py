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
TIME_NAMES = re.compile(
    r"^(t|time|seconds|timestamp)[\s_]*[\[(]?(?P<unit>s|sec|seconds|ms|us|µs)?[\])]?$", re.IGNORECASE
)
UNITS_S = {"ms": 1e-3, "us": 1e-6, "µs": 1e-6}
SLOWEST_HZ = 100.0  # no vibration is sampled more slowly: such a time column counts samples or has another unit
SHORT_SAMPLES = ("PCM_S8", "PCM_U8", "PCM_16", "PCM_24", "FLOAT")  # kinds of sound files that float32 holds exactly
UNKNOWN_FRAMES = 1 << 60  # libsndfile's number of samples where the header of a stream does not say it
BLOCK = 1 << 20  # samples read at a time
SHORTEST = 16  # a vector below this length is a setting, not a signal


@dataclass(frozen=True)
class Table:
    """What a file holds: its long numeric vectors by name, and its sampling rate in Hz (None if it does not say)."""

    columns: dict[str, Float[np.ndarray, " samples"]]
    sampling_rate_hz: float | None


def _vectors(path: Path, arrays: dict[str, np.ndarray]) -> Table:
    columns: dict[str, np.ndarray] = {}
    rates: dict[str, float] = {}
    for name, array in arrays.items():
        flat = np.asarray(array, dtype=np.float64)
        if flat.size == 1 and RATE_NAMES.search(name):
            rates[name] = float(flat.reshape(-1)[0])
        elif flat.size >= SHORTEST and max(flat.shape) == flat.size:
            columns[name] = flat.reshape(-1)
        elif flat.ndim == 2 and min(flat.shape) <= 64 and max(flat.shape) >= SHORTEST:
            rows = flat if flat.shape[0] < flat.shape[1] else flat.T
            columns.update({f"{name}.{i}": row.copy() for i, row in enumerate(rows)})
    if len(set(rates.values())) > 1:
        said = ", ".join(f"{name} = {rate:g}" for name, rate in rates.items())
        raise DataError(f"{path}: several sampling rates: {said}.", "Keep the one that is right in the file.")
    return _without_time(path, columns, next(iter(rates.values()), None))


def _without_time(path: Path, columns: dict[str, np.ndarray], rate: float | None) -> Table:
    """Remove a uniform time column from the signals, and take the sampling rate from it.

    Raises:
        DataError: The sampling rate would be one that no vibration is recorded at: the column counts samples, or its
            unit is not seconds and is not said.
    """
    for name in list(columns):
        match = TIME_NAMES.match(name)
        steps = np.diff(columns[name])
        step = float(np.median(steps)) if len(steps) else 0.0
        if match is None or not (step > 0 and np.all(np.abs(steps - step) < 0.01 * step)):
            continue
        unit = (match["unit"] or "s").lower()
        own = len(steps) / float(columns[name][-1] - columns[name][0]) / UNITS_S.get(unit, 1.0)
        if rate is None and own < SLOWEST_HZ:
            raise DataError(
                f"{path}: column {name!r} would make a sampling rate of {own:g} Hz.",
                f"Is it in milliseconds, or does it count samples? Name it {name}_ms, or remove it and give the "
                "sampling rate with --sampling-rate HZ.",
            )
        rate = rate or own
        del columns[name]
    return Table(columns, rate)


def _read_mat(path: Path) -> Table:
    return _vectors(path, dict(read_mat(path)))


def _read_numpy(path: Path) -> Table:
    try:
        loaded = np.load(path, allow_pickle=False)
        arrays = {"signal": loaded} if isinstance(loaded, np.ndarray) else {n: loaded[n] for n in loaded.files}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: not a numeric NumPy file ({error}).", "Save plain numeric arrays.") from None
    bad = [n for n, a in arrays.items() if a.dtype.kind not in "fiub"]
    if bad:
        raise DataError(f"{path}: {', '.join(bad)} is not real and numeric.", "Save plain numeric arrays.")
    return _vectors(path, arrays)


def _read_sound(path: Path) -> Table:
    import soundfile

    _check_whole(path)
    try:
        file = soundfile.SoundFile(path)
    except (soundfile.SoundFileError, RuntimeError) as error:
        raise DataError(f"{path}: not a readable sound file ({error}).", "Check or remove the file.") from None
    blocks: list[np.ndarray] = []
    problem = ""
    with file:
        # float32 holds samples of up to 24 bits exactly, in half the memory; a block at a time needs no second copy.
        kind = "float32" if file.subtype in SHORT_SAMPLES else "float64"
        said = file.frames
        if said >= UNKNOWN_FRAMES:
            raise DataError(
                f"{path}: its header does not say how many samples there are, as a program leaves it that could not go "
                "back to it.",
                "Save it again, e.g. as .wav.",
            )
        try:
            while len(block := file.read(BLOCK, dtype=kind, always_2d=True)):
                blocks.append(block)
        except (soundfile.SoundFileError, RuntimeError) as error:
            problem = str(error)
        rate, channels = float(file.samplerate), file.channels
    read = sum(map(len, blocks))
    if problem or read < said:
        why = f" ({problem})" if problem else ""
        raise DataError(
            f"{path}: cut off or damaged: {read:,} of {said:,} samples can be read{why}.",
            "Copy the file again, or remove it.",
        )
    columns = (np.concatenate([block[:, i] for block in blocks]) if blocks else np.empty(0) for i in range(channels))
    return Table({f"channel{i}": column for i, column in enumerate(columns)}, rate)


def _check_whole(path: Path) -> None:
    """Refuse a .wav file that is shorter than its header says; the library would read what is there.

    Raises:
        DataError: The file was cut off.
    """
    with path.open("rb") as file:
        head = file.read(8)
    said = int.from_bytes(head[4:8], "little") + 8
    unknown = said in (8, 8 + 0xFFFFFFFF)  # written by a program that could not go back to its header
    if head[:4] == b"RIFF" and not unknown and path.stat().st_size < said - 1:
        raise DataError(
            f"{path}: cut off: {path.stat().st_size:,} of {said:,} bytes are there.", "Copy the file again."
        )


def _read_csv(path: Path) -> Table:
    return _without_time(path, {n: c for n, c in read_csv(path).items() if len(c) >= SHORTEST}, None)


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
    return _without_time(path, {n: c for n, c in columns.items() if len(c) >= SHORTEST}, rate)


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
