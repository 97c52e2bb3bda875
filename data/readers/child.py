"""Recordings are read in a child process with a limit on memory and time, which a damaged file may kill.

One child reads one file after the other; it is started on first use, and anew after it died.
"""

import atexit
import json
import math
import os
import select
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, Literal

import numpy as np

from data.common.guard import has_plain_name, open_regular, printable
from data.errors import DataError
from data.readers.sizes import RAISE, most_bytes, most_seconds

ROOT = Path(__file__).parents[1]
# This very package is loaded, whatever else on the path has its name; -P: no module of ours shadows a library's.
START = (
    "import sys, importlib.util as u\n"
    "s = u.spec_from_file_location('data', {0!r} + '/__init__.py', submodule_search_locations=[{0!r}])\n"
    "m = u.module_from_spec(s); sys.modules['data'] = m; s.loader.exec_module(m)\n"
    "from data.readers.worker import main; main()\n"
)
START_S = 120.0  # to load the libraries, on a machine however busy
LONGEST_HEADER = 1 << 24
REMEDY = "The file is damaged or not what its ending says: fetch it again (python -m data.fetch), or remove it."
Kind = Literal["mat", "table"]
Answer = tuple[dict[str, np.ndarray], dict[str, Any]]


class Reader:
    """The child process and the pipes to it."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0  # a forked process must not share the pipes
        self._lock = threading.Lock()

    def read(self, path: Path, kind: Kind) -> Answer:
        """The arrays of a file, and what else is known of it. Raises DataError."""
        size = _size_of(path)
        with self._lock:
            try:
                return self._read(path, kind, size)
            except DataError:
                raise  # the reader is well; the file is not
            except TimeoutError:
                self.stop()
                seconds = f"{most_seconds(size):.0f} s"
                raise DataError(
                    f"{path}: not read within {seconds}.", "If you trust it, raise the limit JOPA_READ_SECONDS."
                ) from None
            except (OSError, EOFError, ValueError) as error:
                self.stop()
                raise DataError(f"{path}: reading it killed the reader ({error}).", REMEDY) from None
            except BaseException:
                self.stop()  # an interrupted reply must not be taken for the next one
                raise

    def _start(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._owner == os.getpid() and self._process.poll() is None:
            return self._process
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", START.format(str(ROOT))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            # One BLAS thread: nothing is computed. No plug-ins of HDF5: files may ask for any by number.
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "HDF5_PLUGIN_PRELOAD": "::"},
            start_new_session=True,  # a Ctrl-C is the parent's to handle
        )
        self._owner = os.getpid()
        _receive(self._process, memoryview(bytearray(1)), time.monotonic() + START_S)
        return self._process

    def _read(self, path: Path, kind: Kind, size: int) -> Answer:
        process, most = self._start(), most_bytes(size)
        deadline = time.monotonic() + most_seconds(size)
        assert process.stdin is not None
        request = {"path": str(path.absolute()), "kind": kind, "limit": most}
        process.stdin.write(json.dumps(request).encode() + b"\n")
        process.stdin.flush()
        length = bytearray(8)
        _receive(process, memoryview(length), deadline)
        (count,) = struct.unpack("<Q", length)
        if count > LONGEST_HEADER:
            raise ValueError("its answer is too long")
        text = bytearray(count)
        _receive(process, memoryview(text), deadline)
        header = json.loads(text)
        if "error" in header:
            raise _told(path, header)
        arrays: dict[str, np.ndarray] = {}
        for entry in header.pop("arrays"):
            if math.prod(entry["shape"]) * np.dtype(entry["dtype"]).itemsize > most:
                raise ValueError("its answer is too long")
            array = np.empty(entry["shape"], entry["dtype"])
            if array.size:
                _receive(process, array.reshape(-1).view(np.uint8).data, deadline)
            arrays[entry["name"]] = array
        return arrays, header

    def stop(self) -> None:
        """End the child; the next read starts another."""
        if self._process is not None and self._owner == os.getpid():
            self._process.kill()
            self._process.communicate()
        self._process = None


def _told(path: Path, header: dict[str, Any]) -> DataError:
    """The error that the child reports."""
    problem, remedy = header["error"], header.get("remedy")
    if problem == "out of memory":
        return DataError(f"{path}: reading it takes more memory than a file of its size may.", RAISE)
    if remedy is None:
        kind = "a MATLAB file" if path.suffix.lower() == ".mat" else "a recording"
        return DataError(f"{path}: cannot be read as {kind} ({problem}).", REMEDY)
    return DataError(problem if str(path) in problem else f"{path}: {problem}", remedy)


def _size_of(path: Path) -> int:
    """Bytes of a regular file whose name can be told. Raises DataError."""
    if not has_plain_name(path):
        raise DataError(f"{printable(path)}: its name holds characters that are not text.", "Rename it.")
    try:
        with open_regular(path) as file:
            return os.fstat(file.fileno()).st_size
    except FileNotFoundError:
        raise DataError(f"{path}: no such file.", "Check --root.") from None
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}.", "Check or remove it.") from None


def _receive(process: subprocess.Popen[bytes], wanted: memoryview, deadline: float) -> None:
    """Fill a buffer with the child's next bytes.

    Raises:
        EOFError: The child has ended.
        TimeoutError: It neither answers nor ends.
    """
    assert process.stdout is not None
    pipe, have = process.stdout.fileno(), 0
    while have < len(wanted):
        if not select.select([pipe], [], [], max(0.0, deadline - time.monotonic()))[0]:
            raise TimeoutError
        got = os.readv(pipe, [wanted[have : have + (1 << 24)]])
        if not got:
            raise EOFError(f"it ended with status {process.wait()}")
        have += got


_reader = Reader()
atexit.register(_reader.stop)


def ask(path: Path, kind: Kind) -> Answer:
    """The arrays of a recording's file by name, and what else is known of it.

    Args:
        path: The file.
        kind: "mat" for every array of a MATLAB file; "table" for the columns of any recording.

    Raises:
        DataError: The file is missing, no regular file, or damaged, holds more than a file of its size may, or took
            too long; or reading it killed the child.
    """
    return _reader.read(path, kind)
