"""The profile: what `profile.json` holds, how it is validated, and the laws fitted to it.

In: a JSON file. Out: a `Profile` that answers latency, accuracy and capacity. Start reading at `profile.Profile`, then
`entries` (its parts), `laws` (latency against FLOPs and batch) and `accuracy` (the cubic of eq. (1)). May import
`data.common` only; needs neither torch nor a runtime.
"""

from profiling.profile.accuracy import fit_accuracy
from profiling.profile.laws import fit_capacity
from profiling.profile.profile import Profile

__all__ = ["Profile", "fit_accuracy", "fit_capacity"]
