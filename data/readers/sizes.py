"""How much a recording may unpack to, by the size of its file."""

from data.common.limits import MB, limit, limit_bytes, megabytes
from data.errors import DataError

RAISE = "If you trust it, raise the limits JOPA_UNPACK_MB and JOPA_UNPACK_TIMES (docs/security.md)."

MOST_COLUMNS = 1024  # of one file


def most_bytes(file_bytes: int) -> int:
    """Most bytes of arrays that a file of this size may hold: compressed vibration is about half its size."""
    return int(max(limit_bytes("JOPA_UNPACK_MB"), limit("JOPA_UNPACK_TIMES") * file_bytes))


def most_seconds(file_bytes: int) -> float:
    """Most seconds that reading a file of this size may take."""
    return limit("JOPA_READ_SECONDS") + file_bytes / MB


def check_total(needed: int, most: int) -> None:
    """Refuse a file before its arrays are allocated.

    Args:
        needed: Bytes that the file declares.
        most: Most bytes that it may unpack to.

    Raises:
        DataError: It declares more, or fewer than none.
    """
    if needed < 0 or needed > most:
        raise DataError(f"it declares {megabytes(needed)} of numbers; at most {megabytes(most)} are read.", RAISE)
