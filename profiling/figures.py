"""`python -m profiling.figures`: draw the pictures of a profile."""

from dataclasses import dataclass
from pathlib import Path

import tyro

from data.common.command import run_command
from profiling.profile.profile import Profile


@dataclass(frozen=True)
class FiguresConfig:
    """Draw the pictures of a profile, e.g. of one measured on a gateway without matplotlib."""

    profile: tyro.conf.Positional[Path]
    """The profile."""
    out: Path | None = None
    """Folder for the pictures. By default the profile's name without .json."""


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
