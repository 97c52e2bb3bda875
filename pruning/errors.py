"""The exception of this package."""

from data.common.errors import UserError


class PruningError(UserError):
    """A rate, bundle or run folder that cannot be used."""
