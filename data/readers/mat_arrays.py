"""The numeric arrays of MATLAB files; runs in the child process (`data.readers.worker`).

Sizes that a file declares are compared with the limit before anything is allocated.
"""

from math import prod
from typing import Any

import numpy as np

from data.errors import DataError
from data.readers.sizes import check_total

MOST_OBJECTS = 10_000  # variables, groups and fields of one file


def numeric_arrays(prefix: str, value: Any, found: dict[str, Any], refused: list[str]) -> None:
    """Collect the numeric arrays of a variable, structure fields by a dotted name."""
    if isinstance(value, np.ndarray) and value.dtype.names:
        if value.size == 1:
            for name in value.dtype.names:
                numeric_arrays(f"{prefix}.{name}", value.reshape(-1)[0][name], found, refused)
        else:
            refused.append(prefix)
    elif isinstance(value, np.ndarray) and value.dtype.kind in "fiub":
        found[prefix] = value
    elif isinstance(value, np.ndarray) and value.dtype.kind == "c":
        raise TypeError(f"{prefix} is complex; expected real numbers")
    elif isinstance(value, np.ndarray) and value.dtype.kind == "O":
        refused.append(prefix)


def read_v5(path: str, most: int) -> tuple[dict[str, Any], list[str]]:
    """Arrays of a MATLAB file up to version 7 by name, and the names of those that hold objects."""
    import scipy.io

    check_total(sum(8 * prod(map(int, shape)) for _, shape, _ in scipy.io.whosmat(path)), most)
    found: dict[str, Any] = {}
    refused: list[str] = []
    for name, value in scipy.io.loadmat(path).items():
        if not name.startswith("__"):
            numeric_arrays(name, value, found, refused)
    return found, refused


def read_v73(path: str, most: int) -> tuple[dict[str, Any], list[str]]:
    """Arrays of a MATLAB 7.3 (HDF5) file by name, and the names of those that hold references (cells, objects).

    Raises:
        DataError: The file takes its content from other files, or declares more than may be unpacked.
    """
    import h5py

    found: dict[str, Any] = {}
    refused: list[str] = []
    total = seen = 0

    def visit(name: str, node: Any) -> None:
        nonlocal total, seen
        seen += 1
        if seen > MOST_OBJECTS:
            raise DataError(f"it holds more than {MOST_OBJECTS:,} objects.", "Save the signals alone.")
        if not isinstance(node, h5py.Dataset) or name.startswith("#"):
            return
        if node.external or node.is_virtual:
            raise DataError(f"{name} takes its numbers from another file.", "Save them in the file itself.")
        if node.dtype.kind in "fiub" and node.shape is not None:
            total += 8 * prod(map(int, node.shape))
            check_total(total, most)
            found[name.replace("/", ".")] = np.asarray(node).T  # MATLAB stores columns first
        elif node.dtype.kind == "O":
            refused.append(name.replace("/", "."))
        elif node.dtype.names == ("real", "imag"):
            raise TypeError(f"{name} is complex; expected real numbers")

    with h5py.File(path, "r") as file:
        file.visititems(visit)
    return found, refused


def read_arrays(path: str, most: int) -> tuple[dict[str, Any], list[str]]:
    """Arrays of a MATLAB file of any version by name, and the names of those that hold objects.

    Args:
        path: The file.
        most: Most bytes that the arrays may take.

    Raises:
        DataError: The file declares more, or takes its content from other files.
    """
    with open(path, "rb") as file:  # noqa: PTH123 - a path as text
        head = file.read(128)
    hdf5 = head.startswith(b"MATLAB 7.3") or head.startswith(b"\x89HDF")
    found, refused = (read_v73 if hdf5 else read_v5)(path, most)
    if len(found) > MOST_OBJECTS:
        raise DataError(f"it holds more than {MOST_OBJECTS:,} arrays.", "Save the signals alone.")
    check_total(sum(8 * array.size for array in found.values()), most)
    return found, refused
