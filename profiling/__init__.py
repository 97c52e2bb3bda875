"""What a device does with a bundle's models: FLOPs, latency and accuracy, kept in a *profile*.

In: a bundle that `pruning.run` wrote. Out: `profile.json`, read back with `Profile.load`. Start reading at
`profile.Profile` (what is kept), then `profiler.run_profile` (how it is measured), `runtimes.registry` (what can
execute a model) and `comparison`. `python -m profiling.run` measures; `compare`, `spec`, `figures` and `schema` are
the other commands. May import `data.common` and the bundle's format; on a gateway it needs no torch.
"""

from typing import TYPE_CHECKING

from data.common.lazy import lazy_exports
from data.common.loading import stop_quietly_if_a_command_loads

stop_quietly_if_a_command_loads()

if TYPE_CHECKING:
    from profiling.bundle.subjects import read_bundle
    from profiling.comparison import compare_profiles
    from profiling.config import RunConfig
    from profiling.datasheet import Datasheet, datasheet_profile
    from profiling.errors import ProfilingError
    from profiling.profile.accuracy import fit_accuracy
    from profiling.profile.laws import fit_capacity
    from profiling.profile.profile import Profile
    from profiling.profiler import run_profile

__all__ = [
    "Datasheet",
    "Profile",
    "ProfilingError",
    "RunConfig",
    "compare_profiles",
    "datasheet_profile",
    "fit_accuracy",
    "fit_capacity",
    "read_bundle",
    "run_profile",
]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "Datasheet": "profiling.datasheet",
        "Profile": "profiling.profile.profile",
        "ProfilingError": "profiling.errors",
        "RunConfig": "profiling.config",
        "compare_profiles": "profiling.comparison",
        "datasheet_profile": "profiling.datasheet",
        "fit_accuracy": "profiling.profile.accuracy",
        "fit_capacity": "profiling.profile.laws",
        "read_bundle": "profiling.bundle.subjects",
        "run_profile": "profiling.profiler",
    },
)
