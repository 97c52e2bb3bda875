"""`python -m profiling.compare A.json B.json`: how much slower or faster B is than A, and whether that is real."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console

from data.common.command import run_command
from data.common.console import WIDTH
from data.common.files import write_json
from data.common.options import comma_separated
from profiling.comparison import compare_profiles, differences, verdict_line
from profiling.errors import ProfilingError
from profiling.profile.profile import Profile
from profiling.table import ratio_table


@dataclass(frozen=True)
class CompareConfig:
    """Compare two profiles cell by cell: ratios of medians with their intervals, and whether a difference is real."""

    a: tyro.conf.Positional[Path]
    """Reference profile."""
    b: tyro.conf.Positional[Path]
    """Profile to compare with the reference."""
    allow: Annotated[tuple[str, ...], comma_separated(str, "allow", "WHAT")] = ()
    """What may differ. bundle: compare profiles of different bundles."""
    json: Path | None = None
    """File to write the ratios to, as JSON."""

    def __post_init__(self) -> None:
        unknown = set(self.allow) - {"bundle"}
        if unknown:
            raise ProfilingError(f"--allow {sorted(unknown)[0]}: expected bundle.")


def _run(config: CompareConfig) -> None:
    a, b = Profile.load(config.a), Profile.load(config.b)
    ratios = compare_profiles(a, b, config.allow)
    console = Console(width=WIDTH)
    console.print(f"A: {config.a} ({a.name})\nB: {config.b} ({b.name})", highlight=False, markup=False)
    for line in differences(a, b):
        console.print(f"differs in {line}", highlight=False, markup=False)
    console.print(ratio_table(ratios))
    console.print(verdict_line(ratios), highlight=False, markup=False)
    if config.json is not None:
        write_json(config.json, {"ratios": [vars(r) for r in ratios]})


def main() -> None:
    """Entry point of `python -m profiling.compare`."""
    run_command(CompareConfig, _run, "profiling.compare", resume="Nothing is lost; run it again.")


if __name__ == "__main__":
    main()
