"""Files that a pipeline is given instead of making them: profiles of other devices, and the runs beside them."""

from collections.abc import Callable
from pathlib import Path

from data.common.files import write_json, write_whole
from data.common.guard import is_file, open_regular
from data.common.parse import read_json
from optimizer.errors import OptimizerError
from profiling.errors import ProfilingError
from profiling.profile.profile import Profile
from profiling.profile.samples import read_samples


def given_files(path: Path | None) -> tuple[Path, ...]:
    """The file, if one is given."""
    return () if path is None else (path,)


def copy_of(source: Path | None, target: Path) -> Callable[[], None] | None:
    """What copies a profile, with its runs if they lie beside it: times are planned for a risk from them."""
    if source is None:
        return None
    given = source

    def copy() -> None:
        content = read_json(given, OptimizerError, remedy="Give a profile that `python -m profiling.run` wrote.")
        write_json(target, content)
        measurement = content.get("measurement") if isinstance(content, dict) else None
        runs = measurement.get("samples") if isinstance(measurement, dict) else None
        if isinstance(runs, str) and is_file(given.parent / runs) and not {"..", "/"} & set(Path(runs).parts):
            with open_regular(given.parent / runs) as file:
                write_whole(target.parent / runs, file.read())

    return copy


def has_runs(profile: Path) -> bool:
    """Whether the runs of a profile lie beside it, so that times can be planned for a risk."""
    try:
        read_samples(profile, Profile.load(profile))
    except ProfilingError:  # a datasheet, or a profile that came without its folder
        return False
    return True
