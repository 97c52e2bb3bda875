"""Numeric columns and sampling rate out of a .mat, .csv, .wav, .npy, .npz, .flac or .parquet file.

It runs in the child process (`data.readers.worker`); others call `data.readers.formats.read_table`. Sizes that a file
declares are compared with the limit before anything is allocated.
"""

import os
import re
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from jaxtyping import Float

from data.common.guard import printable
from data.errors import DataError
from data.readers.csv_table import read_csv
from data.readers.mat_arrays import read_arrays
from data.readers.sizes import MOST_COLUMNS, check_total

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
        if match is None:
            continue
        steps = np.diff(columns[name])
        step = float(np.median(steps)) if len(steps) else 0.0
        if not (step > 0 and np.all(np.abs(steps - step) < 0.01 * step)):
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


def _read_mat(path: Path, most: int) -> Table:
    return _vectors(path, read_arrays(str(path), most)[0])


def _npy_header(file: BinaryIO) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = np.lib.format.read_magic(file)
    readers: dict[tuple[int, int], Callable[..., Any]] = {
        (1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0,
    }  # fmt: skip  # version 3 is for structured types alone
    if version not in readers:
        raise ValueError(f"version {version} of the format")
    shape, columns_first, kind = readers[version](file)
    if kind.kind not in "fiub" or kind.names:
        raise ValueError(f"{kind} is not real and numeric")
    if len(shape) > 32 or any(side < 0 for side in shape):
        raise ValueError(f"the shape {shape}")
    return shape, columns_first, kind


def _read_array(file: BinaryIO, size: int, most: int) -> np.ndarray:
    """One array in NumPy's format out of a stream of so many bytes."""
    shape, columns_first, kind = _npy_header(file)
    needed = prod(shape) * kind.itemsize
    if needed > size:
        raise ValueError(f"its header declares {needed:,} bytes, {size:,} are there")
    check_total(max(needed, 8 * prod(shape)), most)
    content = file.read(needed)
    if len(content) < needed:
        raise ValueError(f"cut off: {len(content):,} of {needed:,} bytes are there")
    return np.frombuffer(content, kind).reshape(shape, order="F" if columns_first else "C")


def _read_numpy(path: Path, most: int) -> Table:
    try:
        with path.open("rb") as file:
            zipped = file.read(4) == b"PK\x03\x04"
            file.seek(0)
            if not zipped:
                return _vectors(path, {"signal": _read_array(file, os.fstat(file.fileno()).st_size, most)})
            return _vectors(path, _read_members(file, most))
    except DataError:
        raise
    except Exception as error:  # noqa: BLE001 - zipfile, zlib, tokenize and numpy each raise their own
        raise DataError(
            f"{path}: not a numeric NumPy file ({type(error).__name__}: {printable(error)[:200]}).",
            "Save plain numeric arrays.",
        ) from None


def _read_members(file: BinaryIO, most: int) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        if len(members) > MOST_COLUMNS:
            raise ValueError(f"{len(members):,} members; at most {MOST_COLUMNS:,} are read")
        check_total(sum(member.file_size for member in members), most)
        for member in members:
            with archive.open(member) as stream:
                name = printable(member.filename.removesuffix(".npy"))
                found[name] = _read_array(stream, member.file_size, most)  # type: ignore[arg-type]
    check_total(sum(8 * array.size for array in found.values()), most)
    return found


def _read_sound(path: Path, most: int) -> Table:
    import soundfile

    _check_whole(path)
    try:
        file = soundfile.SoundFile(path)
    except (soundfile.SoundFileError, RuntimeError) as error:
        raise DataError(f"{path}: not a readable sound file ({error}).", "Check or remove the file.") from None
    problem = ""
    with file:
        # float32 holds samples of up to 24 bits exactly, in half the memory.
        kind = "float32" if file.subtype in SHORT_SAMPLES else "float64"
        said = file.frames
        if said >= UNKNOWN_FRAMES:
            raise DataError(
                f"{path}: its header does not say how many samples there are, as a program leaves it that could not go "
                "back to it.",
                "Save it again, e.g. as .wav.",
            )
        rate, channels = float(file.samplerate), file.channels
        if channels > MOST_COLUMNS:
            raise DataError(f"{path}: {channels} channels; at most {MOST_COLUMNS} are read.", "Check the file.")
        check_total(said * channels * np.dtype(kind).itemsize, most)
        columns = np.empty((channels, said), kind)
        read = 0
        try:
            while len(block := file.read(min(BLOCK, said - read), dtype=kind, always_2d=True)):
                columns[:, read : read + len(block)] = block.T
                read += len(block)
        except (soundfile.SoundFileError, RuntimeError) as error:
            problem = str(error)
    if problem or read < said:
        why = f" ({problem})" if problem else ""
        raise DataError(
            f"{path}: cut off or damaged: {read:,} of {said:,} samples can be read{why}.",
            "Copy the file again, or remove it.",
        )
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


def _read_csv(path: Path, most: int) -> Table:
    return _without_time(path, {n: c for n, c in read_csv(path, most).items() if len(c) >= SHORTEST}, None)


def _read_parquet(path: Path, most: int) -> Table:
    import pyarrow
    import pyarrow.parquet

    pyarrow.set_memory_pool(pyarrow.system_memory_pool())  # the others reserve addresses, which are limited here
    try:
        file = pyarrow.parquet.ParquetFile(
            path, memory_map=False, thrift_string_size_limit=1 << 24, thrift_container_size_limit=100_000
        )
        rows, schema = file.metadata.num_rows, file.schema_arrow
        said = (schema.metadata or {}).get(b"sampling_rate_hz")
        rate = float(said) if said else None
        if len(schema.names) > MOST_COLUMNS:
            raise ValueError(f"{len(schema.names):,} columns; at most {MOST_COLUMNS:,} are read")
        types = dict(zip(schema.names, schema.types, strict=True))
        if len(types) < len(schema.names):
            raise ValueError("a column is there twice")
        numeric = [n for n, t in types.items() if pyarrow.types.is_floating(t) or pyarrow.types.is_integer(t)]
        check_total(8 * rows * len(numeric), most)
        table = file.read(columns=numeric, use_threads=False)
        if len(table) != rows:
            raise ValueError(f"{len(table):,} of {rows:,} rows can be read")
        columns = {n: table[n].to_numpy(zero_copy_only=False).astype(np.float64) for n in numeric}
    except DataError:
        raise
    except Exception as error:  # noqa: BLE001 - pyarrow raises its own, and KeyError, TypeError, OverflowError
        raise DataError(f"{path}: cannot be read ({printable(error)[:200]}).", "Check or remove the file.") from None
    return _without_time(path, {n: c for n, c in columns.items() if len(c) >= SHORTEST}, rate)


READERS: dict[str, Callable[[Path, int], Table]] = {
    ".mat": _read_mat,
    ".npy": _read_numpy,
    ".npz": _read_numpy,
    ".wav": _read_sound,
    ".flac": _read_sound,
    ".csv": _read_csv,
    ".parquet": _read_parquet,
}


def read_table(path: Path, most: int) -> Table:
    """The columns of a file in this process; see `data.readers.formats.read_table`.

    Args:
        path: The file; its ending is one of `READERS`.
        most: Most bytes that its columns may take.

    Raises:
        DataError: The file is damaged, declares more than that, or holds no vector of 16 numbers.
    """
    table = READERS[path.suffix.lower()](path, most)
    columns = {printable(n): c for n, c in table.columns.items() if len(c) >= SHORTEST}
    if not columns:
        raise DataError(
            f"{path}: it has no numeric vector of at least {SHORTEST} samples.", "Check or remove the file."
        )
    if len(columns) > MOST_COLUMNS:
        raise DataError(f"{path}: {len(columns):,} columns; at most {MOST_COLUMNS:,} are read.", "Check the file.")
    check_total(sum(column.nbytes for column in columns.values()), most)
    return Table(columns, table.sampling_rate_hz)
