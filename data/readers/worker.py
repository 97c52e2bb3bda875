"""The child process that reads recordings, so that a damaged or hostile file can kill it and not its parent.

Of 400 damaged CWRU files `scipy.io.loadmat` killed its process three times. `data.readers.child` starts this one with
limits on memory and time. For each line on standard input (a JSON object with `path`, `kind` and `limit`) it answers
with the length of a JSON header, the header (`error`, or the arrays' names, types and shapes) and the arrays' bytes.
"""

import json
import os
import resource
import struct
import sys
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from data.common.errors import UserError
from data.common.guard import printable
from data.readers.mat_arrays import read_arrays
from data.readers.tables import read_table

SPARE_BYTES = 256 << 20  # for libraries that are loaded with the first file of a kind
COPIES = 3  # of the unpacked arrays, at most: as read, as the wanted type, and in order


def read(path: str, kind: str, most: int) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The arrays of a file by name, and what else is known of it.

    Args:
        path: The file.
        kind: "mat" for every array of a MATLAB file; "table" for the columns of any recording.
        most: Most bytes that its arrays may take.
    """
    if kind == "mat":
        found, refused = read_arrays(path, most)
        return {n: np.ascontiguousarray(a, dtype="<f8") for n, a in found.items()}, {"refused": refused}
    table = read_table(Path(path), most)
    return dict(table.columns), {"rate": table.sampling_rate_hz}


def limit_memory(most: int) -> None:
    """Let this process grow by so much as the arrays of the next file, and the work on them, may take."""
    pages = int(Path("/proc/self/statm").read_text().split()[0]) if Path("/proc/self/statm").exists() else 0
    now = pages * resource.getpagesize()
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    wanted = now + COPIES * most + SPARE_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))


def answer(request: dict[str, Any]) -> tuple[dict[str, Any], list[np.ndarray]]:
    """The reply's header and arrays for one file."""
    try:
        limit_memory(request["limit"])
        found, rest = read(request["path"], request["kind"], request["limit"])
    except UserError as error:
        return {"error": error.problem, "remedy": error.remedy}, []
    except MemoryError:
        return {"error": "out of memory"}, []
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt | SystemExit):
            raise
        return {"error": printable(f"{type(error).__name__}: {error}"[:300])}, []
    arrays = [np.ascontiguousarray(a) for a in found.values()]
    told = [{"name": n, "dtype": a.dtype.str, "shape": list(a.shape)} for n, a in zip(found, arrays, strict=True)]
    return {"arrays": told, **rest}, arrays


def send(out: BinaryIO, header: dict[str, Any], arrays: list[np.ndarray]) -> None:
    """Write one answer."""
    text = json.dumps(header).encode()
    out.write(struct.pack("<Q", len(text)) + text)
    for array in arrays:
        out.write(array.reshape(-1).view(np.uint8).data)
    out.flush()


def main() -> None:
    """Answer requests until standard input ends."""
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # a library that prints must not break the protocol
    out.write(b"r")  # ready: what takes time from here on is the file's
    out.flush()
    for line in sys.stdin:
        send(out, *answer(json.loads(line)))


if __name__ == "__main__":
    main()
