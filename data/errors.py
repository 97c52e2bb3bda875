"""The error of `data`, with the signal, file or setting that caused it."""

from data.common.errors import UserError


class DataError(UserError):
    """A recording, folder or setting of `data` that cannot be used; the message says what to do."""
