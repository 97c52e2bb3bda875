"""`python -m profiling.figures`: draw the figures of a profile."""

from dataclasses import dataclass
from pathlib import Path

import tyro

from data.common.command import run_command
from profiling.profile.profile import Profile


@dataclass(frozen=True)
class FiguresConfig:
    """Draw the figures of a profile, e.g. of one that was measured on a gateway without matplotlib."""

    profile: tyro.conf.Positional[Path]
    """Profile to draw."""
    out: Path | None = None
    """Folder for the figures. By default the profile's name without .json."""


def _run(config: FiguresConfig) -> None:
    from profiling.drawing import draw_all  # needs matplotlib, which a gateway may not have

    folder = config.out or config.profile.with_suffix("")
    draw_all(Profile.load(config.profile), folder)
    print(f"figures: {folder}")


def main() -> None:
    """Entry point of `python -m profiling.figures`."""
    run_command(FiguresConfig, _run, "profiling.figures", resume="Nothing is lost; run it again.")


if __name__ == "__main__":
    main()
