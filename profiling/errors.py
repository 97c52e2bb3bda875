"""The error that `profiling` raises."""

from data.common.errors import UserError


class ProfilingError(UserError):
    """A bundle, device, runtime, setting or profile that cannot be used."""
