"""What a device does with a bundle's models: FLOPs, latency, accuracy, and the *profile* that keeps it.

In: a bundle that `pruning.run` wrote, read by its format; on a gateway no torch is needed. Out: `profile.json`, data
that validates when it is read. `python -m profiling.run` measures; `compare`, `spec` (a device known by its datasheet),
`figures` and `schema` stand beside it. Start reading at `profile.Profile` (what is kept), `worker` (how it is measured)
and `capacity` (the laws of latency).
"""

from profiling.errors import ProfilingError
from profiling.profile.accuracy import fit_accuracy
from profiling.profile.laws import fit_capacity
from profiling.profile.profile import Profile

__all__ = ["Profile", "ProfilingError", "fit_accuracy", "fit_capacity"]
