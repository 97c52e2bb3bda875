"""A child process that reads .mat files, so that a damaged file can kill it and not its parent.

Of 400 damaged CWRU files `scipy.io.loadmat` killed its process three times. This file is run by `data.mat` as a
script and imports nothing of ours. For each line on standard input (a JSON object with `path`) it writes one JSON line
(`error`, or `arrays` with name, dtype and shape) and then the arrays' bytes.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

MEMORY_LIMIT_BYTES = 8 << 30  # a flipped size field must not take the machine's memory


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


def read_v5(path: str) -> tuple[dict[str, Any], list[str]]:
    """Arrays of a MATLAB file up to version 7 by name, and the names of those that hold objects."""
    import scipy.io

    found: dict[str, Any] = {}
    refused: list[str] = []
    for name, value in scipy.io.loadmat(path).items():
        if not name.startswith("__"):
            numeric_arrays(name, value, found, refused)
    return found, refused


def read_v73(path: str) -> tuple[dict[str, Any], list[str]]:
    """Arrays of a MATLAB 7.3 (HDF5) file by name, and the names of those that hold references (cells, objects)."""
    import h5py

    found: dict[str, Any] = {}
    refused: list[str] = []

    def visit(name: str, node: Any) -> None:
        if isinstance(node, h5py.Dataset) and not name.startswith("#"):
            if node.dtype.kind in "fiub" and node.shape is not None:
                found[name.replace("/", ".")] = np.asarray(node).T  # MATLAB stores columns first
            elif node.dtype.kind == "O":
                refused.append(name.replace("/", "."))
            elif node.dtype.names == ("real", "imag"):
                raise TypeError(f"{name} is complex; expected real numbers")

    with h5py.File(path) as file:
        file.visititems(visit)
    return found, refused


def answer(path: str) -> tuple[dict[str, Any], list[Any]]:
    """The reply's header and arrays for one file."""
    with Path(path).open("rb") as file:
        head = file.read(128)
    hdf5 = head.startswith(b"MATLAB 7.3") or head.startswith(b"\x89HDF")
    try:
        found, refused = (read_v73 if hdf5 else read_v5)(path)
    except Exception as error:  # noqa: BLE001 - whatever a damaged file raises is the answer
        return {"error": f"{type(error).__name__}: {error}"[:300]}, []
    arrays = [np.ascontiguousarray(a, dtype="<f8") for a in found.values()]
    shapes = [{"name": n, "shape": list(a.shape)} for n, a in zip(found, arrays, strict=True)]
    return {"arrays": shapes, "refused": refused}, arrays


def main() -> None:
    """Answer requests until standard input ends."""
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT_BYTES, MEMORY_LIMIT_BYTES))
    except (ImportError, ValueError, OSError):
        pass
    out = sys.stdout.buffer
    sys.stdout = sys.stderr  # a library that prints must not break the protocol
    for line in sys.stdin:
        header, arrays = answer(json.loads(line)["path"])
        out.write(json.dumps(header).encode() + b"\n")
        for array in arrays:
            out.write(array.tobytes())
        out.flush()


if __name__ == "__main__":
    main()
