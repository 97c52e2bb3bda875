"""`python -m profiling.run`: measure a bundle's models on this device and write a profile."""

from data.common.command import run_command
from data.common.console import make_console, say
from data.common.device import is_installed
from profiling.config import RunConfig
from profiling.profile.profile import Profile
from profiling.profiler import run_profile
from profiling.table import print_profile


def run(config: RunConfig) -> None:
    """Measure, write, draw, print."""
    console = make_console()
    drawable = config.figures and is_installed("matplotlib")

    def show(profile: Profile) -> None:
        print_profile(profile, console)
        if drawable:
            from profiling.drawing import draw_all  # needs matplotlib, which a gateway may not have

            draw_all(profile, config.folder)

    run_profile(config, console, show)
    drawn = f"  figures: {config.folder}" if drawable else ""
    if config.figures and not drawable:
        drawn = "  (no figures: matplotlib is not installed; python -m profiling.figures draws them on another machine)"
    say(console, f"profile: {config.out}{drawn}")


def main() -> None:
    """Entry point of `python -m profiling.run`."""
    run_command(
        RunConfig, run, "profiling.run", resume="What was measured is kept; the same command goes on from here."
    )


if __name__ == "__main__":
    main()
