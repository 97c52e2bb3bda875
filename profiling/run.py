"""`python -m profiling.run`: measure a bundle's models on this device and write a profile."""

import sys

from rich.console import Console

from data.common.command import run_command
from data.common.device import is_installed
from profiling.config import RunConfig
from profiling.profiler import run_profile
from profiling.table import print_profile


def run(config: RunConfig) -> None:
    """Measure, write, draw, print."""
    console = Console() if sys.stdout.isatty() else Console(width=100)
    profile = run_profile(config, console)
    print_profile(profile, console)
    drawn = ""
    if config.figures and not is_installed("matplotlib"):
        drawn = "  (no pictures: matplotlib is not installed; python -m profiling.figures draws them elsewhere)"
    elif config.figures:
        from profiling.figures import draw_all  # a gateway may hold no matplotlib

        draw_all(profile, config.folder)
        drawn = f"  figures: {config.folder}"
    console.print(f"profile: {config.out}{drawn}", highlight=False, markup=False)


def main() -> None:
    """Entry point of `python -m profiling.run`."""
    run_command(
        RunConfig, run, "profiling.run", resume="What was measured is kept; the same command goes on from here."
    )


if __name__ == "__main__":
    main()
