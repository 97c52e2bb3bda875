"""`python -m pruning.run`: prune VGG-16 at several rates, retrain, test, and write a model bundle."""

from data.common.command import run_command
from data.common.console import make_console, say
from data.common.extras import needs_extra

with needs_extra(__name__):
    from pruning.config import SweepConfig
    from pruning.parallel import join, one_voice
    from pruning.sweep import run_sweep
    from pruning.table import print_results


def run(config: SweepConfig) -> None:
    """Do the sweep and print its results; a process that torchrun started beside the first helps with the training."""
    with join(config.device, config.threads, config.execution) as team:
        if not team.leads:
            team.follow()
            return
        console = make_console()
        manifest = run_sweep(config, console, team)
        print_results(manifest, console)
        say(console, f"bundle: {config.out}  figures: {config.out / 'figures'}")


def main() -> None:
    """Entry point of `python -m pruning.run`."""
    with one_voice():
        run_command(
            SweepConfig,
            run,
            "pruning.run",
            resume="Finished models are kept; the same command goes on from here.",
        )


if __name__ == "__main__":
    main()
