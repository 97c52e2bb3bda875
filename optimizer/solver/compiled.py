"""How kernels are compiled: by numba, without the interpreter's lock, and kept on disk if possible."""

import secrets
from collections.abc import Callable
from typing import Any

from numba import njit
from numba.core.bytecode import FunctionIdentity


class _NeverTwice:
    """Numbers that no other process draws, forked ones included."""

    def __next__(self) -> int:
        return secrets.randbits(62)


# numba numbers what it compiles from 1 in every process and builds the symbols of its own helpers from these numbers,
# so kernels that two processes put on disk can hold different code under one symbol; a third process that loads both
# runs the wrong one and crashes (numba's issues 10128 and 10486, open in 0.68). Random numbers do not meet.
FunctionIdentity._unique_ids = _NeverTwice()  # type: ignore[assignment]


def kernel(function: Callable[..., Any]) -> Any:
    """Compile at the first call (seconds), and keep the machine code beside the module or in the user's cache.

    Decorate with `typing.no_type_check` too: annotations would mean nothing to numba. Where neither place can be
    written (a read-only installation and home), it is compiled anew in each process.
    """
    try:
        return njit(cache=True, nogil=True)(function)
    except RuntimeError:  # numba found no folder to write to
        return njit(nogil=True)(function)


def inner_kernel(function: Callable[..., Any]) -> Any:
    """The same for a function that only kernels call: it cannot be called from Python, and compiles faster."""
    options: dict[str, Any] = {"nogil": True, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
    try:
        return njit(cache=True, **options)(function)
    except RuntimeError:
        return njit(**options)(function)
