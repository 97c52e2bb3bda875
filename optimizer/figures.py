"""The command `python -m optimizer.figures --results FILE --out DIR`: the paper's figures from saved results."""

from dataclasses import dataclass
from pathlib import Path

from data.common.command import run_command
from data.common.console import make_console, say
from data.common.extras import needs_extra
from optimizer.evaluation.reading import read_results
from profiling.profile.profile import Profile

with needs_extra(__name__):
    from optimizer.evaluation.drawing import print_claims, write_figures


@dataclass(frozen=True)
class FiguresConfig:
    """Draw the paper's figures from the results of `python -m optimizer.experiment`."""

    results: Path
    """JSON file of results."""
    out: Path = Path("runs/figures")
    """Folder for the figures (PNG, SVG and CSV), their captions and the verdicts on the claims."""
    gateway: Path | None = None
    """Profile of the gateway; its fitted accuracy curve is drawn in Fig. 3."""


def run(config: FiguresConfig) -> None:
    """Draw all figures and print the verdicts on the claims."""
    console = make_console()
    gateway = Profile.load(config.gateway) if config.gateway else None
    print_claims(write_figures(read_results(config.results), config.out, gateway), console)
    say(console, f"figures: {config.out}")


def main() -> None:
    """Entry point of `python -m optimizer.figures`."""
    run_command(FiguresConfig, run, "optimizer.figures", resume="Nothing is lost; run it again.")


if __name__ == "__main__":
    main()
