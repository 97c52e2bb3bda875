"""MATLAB files, read in a child process that a damaged file may kill."""

import atexit
import json
import math
import os
import select
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
from jaxtyping import Float

from data.errors import DataError

WORKER = Path(__file__).with_name("mat_worker.py")
TIMEOUT_S = 120.0
REMEDY = "The file is damaged or not a MATLAB file: fetch it again (python -m data.fetch), or remove it."


class _Worker:
    """The child process and the pipe to it; started on first use, started anew after it died."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._received = bytearray()

    def read(self, path: Path) -> dict[str, Float[np.ndarray, "..."]]:
        with self._lock:
            try:
                return self._read(path)
            except DataError:
                raise  # the reader is well; the file is not
            except (OSError, EOFError, ValueError) as error:  # a TimeoutError is an OSError
                self.stop()
                raise DataError(f"{path}: reading it killed the reader ({error}).", REMEDY) from None
            except BaseException:
                self.stop()  # an interrupted reply must not be taken for the next one
                raise

    def _read(self, path: Path) -> dict[str, Float[np.ndarray, "..."]]:
        if self._process is None or self._process.poll() is not None:
            # -P: this package's own module names must not shadow the libraries'. One BLAS thread: nothing is computed.
            self._received = bytearray()
            self._process = subprocess.Popen(
                [sys.executable, "-P", str(WORKER)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                bufsize=0,
                env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
                start_new_session=True,  # a Ctrl-C is the parent's to handle
            )
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"path": str(path.absolute())}).encode() + b"\n")
        self._process.stdin.flush()
        header = json.loads(self._line())
        if "error" in header:
            raise _RefusedError(f"{path}: cannot be read as a MATLAB file ({header['error']}).")
        if not header["arrays"] and header["refused"]:
            names = ", ".join(header["refused"])
            raise _RefusedError(f"{path}: holds only object arrays or cells ({names}); expected numeric vectors.")
        arrays = {}
        for entry in header["arrays"]:
            raw = self._take(8 * math.prod(entry["shape"]))
            arrays[entry["name"]] = np.frombuffer(raw, dtype="<f8").reshape(entry["shape"])
        return arrays

    def _line(self) -> bytes:
        while b"\n" not in self._received:
            self._receive()
        line, _, self._received = self._received.partition(b"\n")
        return bytes(line)

    def _take(self, count: int) -> bytes:
        while len(self._received) < count:
            self._receive()
        taken, self._received = bytes(self._received[:count]), self._received[count:]
        return taken

    def _receive(self) -> None:
        """Wait for the child's next bytes.

        Raises:
            EOFError: The child has ended.
            TimeoutError: It neither answers nor ends.
        """
        assert self._process is not None
        assert self._process.stdout is not None
        pipe = self._process.stdout.fileno()
        if not select.select([pipe], [], [], TIMEOUT_S)[0]:
            raise TimeoutError(f"no answer within {TIMEOUT_S:.0f} s")
        chunk = os.read(pipe, 1 << 20)
        if not chunk:
            raise EOFError(f"it ended with status {self._process.wait()}")
        self._received += chunk

    def stop(self) -> None:
        """End the child; the next read starts another."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


class _RefusedError(DataError):
    def __init__(self, problem: str) -> None:
        super().__init__(problem, REMEDY)


_worker = _Worker()
atexit.register(_worker.stop)


def read_mat(path: Path) -> dict[str, Float[np.ndarray, "..."]]:
    """Every numeric variable of a .mat file (v4 to v7.3) by name; a structure's field as "structure.field".

    Raises:
        DataError: The file is missing, truncated, corrupt, or holds nothing numeric. The caller's process survives
            whatever the file does to its reader.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file.", "Check --root.")
    return _worker.read(path)
