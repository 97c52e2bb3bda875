"""What all jobs of a sweep share, for processes that read it without a copy each: an unnamed file that they map.

It is pickled, but never to a place that has a name: nothing that could be exchanged is ever loaded.
"""

import mmap
import os
import pickle
import struct
import tempfile
from typing import IO, Any

from data.common.errors import UserError

ALIGNED = 64  # arrays begin at multiples of this many bytes, as vector instructions like it
NUMBER = struct.Struct("<Q")


def pack(value: Any) -> IO[bytes]:
    """Write a value to an unnamed file; arrays inside are written as they are.

    Raises:
        UserError: The folder of temporary files is full.
    """
    buffers: list[pickle.PickleBuffer] = []
    head = pickle.dumps(value, protocol=5, buffer_callback=buffers.append)
    parts = [memoryview(head), *(buffer.raw() for buffer in buffers)]
    file = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the processes that are given it
    try:
        file.write(NUMBER.pack(len(parts)) + b"".join(NUMBER.pack(part.nbytes) for part in parts))
        for part in parts:
            file.write(bytes(-file.tell() % ALIGNED))
            file.write(part)
        file.flush()
    except OSError as error:
        file.close()
        raise UserError(
            f"cannot write {sum(p.nbytes for p in parts):,} bytes to {tempfile.gettempdir()}: {error.strerror}.",
            "Free some space there, or set TMPDIR to another folder.",
        ) from error
    return file


def unpack(handle: int) -> Any:
    """Read what `pack` wrote from its file descriptor. Arrays are mapped, and may be changed without others seeing."""
    size = os.fstat(handle).st_size
    mapped = memoryview(mmap.mmap(handle, size, access=mmap.ACCESS_COPY))
    (count,) = NUMBER.unpack_from(mapped)
    sizes = [NUMBER.unpack_from(mapped, NUMBER.size * (1 + i))[0] for i in range(count)]
    at, parts = NUMBER.size * (1 + count), []
    for size in sizes:
        at += -at % ALIGNED
        parts.append(mapped[at : at + size])
        at += size
    return pickle.loads(parts[0], buffers=parts[1:])  # noqa: S301 - from the process that started this one
