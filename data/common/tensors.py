"""Reading files of tensors (safetensors) that nobody vouches for: regular files of bounded size, finite numbers."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file

from data.common.errors import UserError
from data.common.guard import check_size, open_regular, printable
from data.common.limits import limit_bytes
from data.common.parse import parse_json

Tensor = TypeVar("Tensor")
_BROKEN = (
    OSError, SafetensorError, ValueError, KeyError, TypeError, OverflowError, MemoryError, RuntimeError, AttributeError,
)  # fmt: skip  # what safetensors, numpy and torch raise for headers that ask for what cannot be


def read_tensors(path: Path, error: type[UserError], *, remedy: str = "Restore it.") -> dict[str, np.ndarray]:
    """The arrays of a safetensors file by name; see `load_guarded`."""
    return load_guarded(path, load_file, error, remedy=remedy)


def load_guarded(
    path: Path, load: Callable[[str], dict[str, Tensor]], error: type[UserError], *, remedy: str = "Restore it."
) -> dict[str, Tensor]:
    """What a loader of safetensors makes of a file.

    The library compares the sizes that a file declares with the file's own before anything is allocated.

    Args:
        path: The file.
        load: `load_file` of safetensors' numpy or torch.
        error: Exception of the calling package.
        remedy: What the user should do if the file cannot be read.

    Raises:
        UserError: As `error`: missing, no regular file, too large, or not a safetensors file.
    """
    _check_size(path, error, remedy)
    try:
        return dict(load(str(path)))
    except _BROKEN as problem:
        raise error(f"{printable(path)}: not a readable safetensors file ({_first(problem)}).", remedy) from None


def read_metadata(path: Path, key: str) -> Any:
    """The JSON that a safetensors file holds in its metadata.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It cannot be read, or holds no such key, or what stands there is not JSON as `parse_json` takes it.
    """
    open_regular(path).close()
    try:
        with safe_open(str(path), "np") as file:
            return parse_json((file.metadata() or {})[key])
    except FileNotFoundError:
        raise
    except _BROKEN as problem:
        raise ValueError(_first(problem)) from None


def check_finite(
    tensors: Mapping[str, np.ndarray], path: Path, error: type[UserError], *, remedy: str = "Restore it."
) -> None:
    """Refuse arrays that hold NaN or infinity.

    Raises:
        UserError: As `error`; the tensor is named.
    """
    for name, array in tensors.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise error(f"{printable(path)}: {printable(name)} holds numbers that are not finite.", remedy)


def _check_size(path: Path, error: type[UserError], remedy: str) -> None:
    try:
        with open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
    except FileNotFoundError:
        raise error(f"{printable(path)}: no such file.", remedy) from None
    except OSError as problem:
        raise error(f"{printable(path)}: cannot be read: {problem.strerror or problem}.", remedy) from None
    check_size(path, size, error, limit=limit_bytes("JOPA_WEIGHTS_MB"), option="JOPA_WEIGHTS_MB")


def _first(problem: BaseException) -> str:
    return printable((str(problem).splitlines() or [type(problem).__name__])[0][:200])
