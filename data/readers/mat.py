"""The arrays of MATLAB files, read in a child process that a damaged file may kill (`data.readers.child`)."""

from pathlib import Path

import numpy as np
from jaxtyping import Float

from data.errors import DataError
from data.readers.child import REMEDY, ask


def read_mat(path: Path) -> dict[str, Float[np.ndarray, "..."]]:
    """Every numeric variable of a .mat file (v4 to v7.3) by name; a structure's field as "structure.field".

    Raises:
        DataError: The file is missing, truncated, corrupt, too large once unpacked, or holds nothing numeric. The
            caller's process survives whatever the file does to its reader.
    """
    arrays, rest = ask(path, "mat")
    if not arrays and rest.get("refused"):
        names = ", ".join(rest["refused"])
        raise DataError(f"{path}: holds only object arrays or cells ({names}); expected numeric vectors.", REMEDY)
    return arrays
