"""`python -m profiling.spec`: write the profile of a device that is known by its datasheet alone."""

from dataclasses import dataclass
from pathlib import Path

from data.common.command import run_command
from data.common.console import make_console, say
from profiling.datasheet import Datasheet, datasheet_profile
from profiling.table import print_profile


@dataclass(frozen=True)
class SpecConfig(Datasheet):
    """Write the profile of a device from its datasheet: nothing is measured, and the profile says so.

    Without --models the profile holds the paper's models: 10 GFLOP per task, (1 - p) of it at rate p, and the
    accuracies of Table II(a).
    """

    out: Path = Path("runs/datasheet.json")
    """File to write the profile to."""


def _run(config: SpecConfig) -> None:
    profile = datasheet_profile(config)
    profile.save(config.out)
    console = make_console()
    print_profile(profile, console)
    say(console, f"profile: {config.out}")


def main() -> None:
    """Entry point of `python -m profiling.spec`."""
    run_command(SpecConfig, _run, "profiling.spec", resume="Nothing is lost; run it again.")


if __name__ == "__main__":
    main()
