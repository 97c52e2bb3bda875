"""`python -m pruning.run`: prune VGG-16 at several rates, retrain, test, and write a model bundle."""

import sys

from rich.console import Console

from data.common.command import run_command
from pruning.config import RunConfig
from pruning.sweep import run_sweep, say
from pruning.table import print_results


def run(config: RunConfig) -> None:
    """Do the sweep and print its results."""
    console = Console() if sys.stdout.isatty() else Console(width=100)
    manifest = run_sweep(config, console)
    print_results(manifest, console)
    say(console, f"bundle: {config.out}  figures: {config.out / 'figures'}")


def main() -> None:
    """Entry point of `python -m pruning.run`."""
    run_command(
        RunConfig,
        run,
        "pruning.run",
        resume="Finished models are kept; the same command goes on from here.",
    )


if __name__ == "__main__":
    main()
