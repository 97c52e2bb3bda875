"""The exception of `optimizer`."""

from data.errors import UserError


class OptimizerError(UserError):
    """A scenario, state or action that cannot be used, told to the person who can mend it."""
