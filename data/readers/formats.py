"""Numeric columns and sampling rate out of a .mat, .csv, .wav, .npy, .npz, .flac or .parquet file.

The file is read in a child process with a limit on memory and time (`data.readers.child`).
"""

from pathlib import Path

from data.common.device import is_installed
from data.common.extras import missing_extra
from data.errors import DataError
from data.readers.child import ask
from data.readers.tables import READERS, Table

__all__ = ["READERS", "Table", "read_table"]


def _check_parquet() -> None:
    """Say which extra reads .parquet files, where it is not installed. Raises MissingExtraError."""
    told = missing_extra(ImportError("pyarrow", name="pyarrow"))
    if told is not None and not is_installed("pyarrow"):
        raise told


def read_table(path: Path) -> Table:
    """The long numeric vectors of a file by name, and its sampling rate if the file states one.

    A sampling rate is a scalar named fs, sr, sampling_rate or the like (.mat, .npz), the header (.wav, .flac), the
    schema's `sampling_rate_hz` (.parquet) or the step of a uniform time column (all tables).

    Raises:
        DataError: The ending is unknown, or the file is no regular one, is damaged, declares more than a file of its
            size may hold, holds an object array or no vector of 16 numbers, or takes too long to read.
    """
    if path.suffix.lower() not in READERS:
        raise DataError(f"{path}: unknown kind of file.", f"Expected one of {', '.join(READERS)}.")
    if path.suffix.lower() == ".parquet":
        _check_parquet()
    columns, rest = ask(path, "table")
    return Table(columns, rest.get("rate"))
