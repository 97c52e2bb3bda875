"""How much is read before a file is refused, and the environment variables that change it (`docs/security.md`)."""

import os

from data.common.errors import UserError

MB = 1 << 20
MOST_SAMPLES = 1 << 24  # of a window
DEFAULTS: dict[str, float] = {
    "JOPA_JSON_MB": 16,  # of JSON: the smallest values take 24 times their text in memory
    "JOPA_TOML_MB": 1,
    "JOPA_UNPACK_MB": 128,  # that any recording may unpack to, however small it is
    "JOPA_UNPACK_TIMES": 16,  # that a larger recording may unpack to, in sizes of its file
    "JOPA_READ_SECONDS": 15,  # to read a recording; one second for each megabyte is added
    "JOPA_WEIGHTS_MB": 2048,  # of a file of tensors; the paper's VGG-16 with its head of 4096 takes 540
    "JOPA_MEMORY_MB": 8192,  # that the windows of a data set may need before the settings are refused
    "JOPA_NETWORK_MB": 512,  # that the tables of a network may need before it is refused
}
"""Environment variable -> its default."""


def limit(name: str) -> float:
    """The value of a limit.

    Raises:
        UserError: The environment variable is not a number above 0.
    """
    text = os.environ.get(name, "")
    if not text:
        return DEFAULTS[name]
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1e12:
        raise UserError(f"{name} must be a number above 0; got {text!r}.", f"Unset it for {DEFAULTS[name]:g}.")
    return value


def limit_bytes(name: str) -> int:
    """The value of a limit in bytes, for those that end in `_MB`."""
    return int(limit(name) * MB)


def megabytes(count: float) -> str:
    """A number of bytes as a person reads it."""
    if count >= 1 << 50:
        return f"{count:.1e} bytes"
    for unit, name in ((1 << 40, "TB"), (1 << 30, "GB"), (MB, "MB")):
        if count >= unit:
            return f"{count / unit:.1f} {name}"
    return f"{count:,.0f} bytes"


def too_much(name: str, what: str, needed: float) -> str | None:
    """What to say where something would need more memory than a limit allows; None where it does not.

    Args:
        name: The limit.
        what: What needs it, e.g. "5,000,000 windows of 4,000 samples".
        needed: Estimated bytes.
    """
    most = limit_bytes(name)
    if needed <= most:
        return None
    return (
        f"{what} would need about {megabytes(needed)} of memory, more than {megabytes(most)} (the limit of the "
        f"environment variable {name})"
    )
