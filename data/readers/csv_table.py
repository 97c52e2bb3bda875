"""Numeric columns out of a CSV file, with the line and column of whatever cannot be understood."""

import csv
import io
import re
from collections import Counter
from itertools import islice
from pathlib import Path

import numpy as np
from jaxtyping import Float

from data.errors import DataError
from data.readers.sizes import MOST_COLUMNS, check_total

DELIMITERS = ",;\t"
EMPTY = frozenset({"", "na", "n/a", "nan", "null", "none", "-nan", "#n/a"})  # a missing value: NaN
DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+")


def read_csv(path: Path, most: int) -> dict[str, Float[np.ndarray, " rows"]]:
    """Numeric columns by name; a missing value is NaN, and a file without a header has columns f0, f1, ...

    Columns are separated by commas, semicolons or tabs. A column of text (labels, dates) is left out; a column of
    numbers with some text in it is refused, since another column would silently take its place.

    Args:
        path: The file.
        most: Most bytes that the columns may take.

    Raises:
        DataError: More columns or numbers than may be read, not UTF-8, a row of another length, a name twice, text
            among numbers, or decimal commas.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 text ({error.reason}).", "Save it as UTF-8.") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error}).", "Check the file.") from None
    first = next((line for line in io.StringIO(text) if line.strip()), "").strip("\r\n")
    if "\0" in first or not first:
        raise DataError(f"{path}: cannot be read as CSV (empty or binary).", "Check or remove the file.")
    delimiter = max(DELIMITERS, key=first.count)
    try:
        names = [cell.strip() for cell in next(csv.reader([first], delimiter=delimiter))]
    except (csv.Error, StopIteration) as error:
        raise DataError(f"{path}: cannot be read as CSV ({error}).", "Check or remove the file.") from None
    if len(names) > MOST_COLUMNS:
        raise DataError(f"{path}: {len(names):,} columns; at most {MOST_COLUMNS:,} are read.", "Check the file.")
    header = not all(_is_number(name) for name in names)
    names = [name or f"column{i}" for i, name in enumerate(names)] if header else [f"f{i}" for i in range(len(names))]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise DataError(f"{path}: column {', '.join(twice)} is there twice.", "Give each column its own name.")
    try:
        values = np.loadtxt(io.StringIO(text), delimiter=delimiter, skiprows=int(header), ndmin=2, comments=None)
    except ValueError:
        return _slowly(path, text, names, delimiter, header)
    check_total(values.nbytes, most)
    return dict(zip(names, values.T, strict=True)) if values.shape[1] == len(names) else {}


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _slowly(path: Path, text: str, names: list[str], delimiter: str, header: bool) -> dict[str, np.ndarray]:
    """Columns of a file that holds more than numbers: text, quotes, missing values."""
    reader = csv.reader(io.StringIO(text), delimiter=delimiter)
    cells: list[list[str]] = [[] for _ in names]
    lines: list[int] = []
    try:
        for row in islice((r for r in reader if r), int(header), None):
            if len(row) != len(names):
                raise DataError(
                    f"{path}, line {reader.line_num}: {len(row)} values; expected {len(names)}.",
                    "Every line needs one value for each column.",
                )
            lines.append(reader.line_num)
            for column, cell in zip(cells, row, strict=True):
                column.append(cell.strip())
    except csv.Error as error:
        raise DataError(f"{path}: cannot be read as CSV ({error}).", "Check or remove the file.") from None
    columns = {name: _column(path, name, own, lines) for name, own in zip(names, cells, strict=True)}
    return {name: values for name, values in columns.items() if values is not None}


def _column(path: Path, name: str, cells: list[str], lines: list[int]) -> np.ndarray | None:
    """The numbers of a column; None if it is a column of text."""
    said = [(i, cell) for i, cell in enumerate(cells) if cell.lower() not in EMPTY]
    wrong = [(i, cell) for i, cell in said if not _is_number(cell)]
    if wrong and 2 * len(wrong) <= len(said):
        line, cell = lines[wrong[0][0]], wrong[0][1]
        raise DataError(
            f"{path}, line {line}, column {name}: {cell!r} is not a number ({len(wrong)} such cells).",
            "Remove or correct these cells.",
        )
    if wrong and all(DECIMAL_COMMA.fullmatch(cell) for _, cell in wrong):
        raise DataError(
            f"{path}, line {lines[wrong[0][0]]}, column {name}: {wrong[0][1]!r} has a decimal comma.",
            "Save the file with decimal points.",
        )
    if wrong or not said:
        return None
    return np.array([np.nan if cell.lower() in EMPTY else float(cell) for cell in cells])
