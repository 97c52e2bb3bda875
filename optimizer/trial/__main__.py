"""The command `python -m optimizer.trial`: predicted delays and accuracies beside those that happen."""

from data.common.command import run_command
from data.common.extras import needs_extra

with needs_extra(__name__):
    from optimizer.trial.options import TrialConfig
    from optimizer.trial.run import run


def main() -> None:
    """Entry point of `python -m optimizer.trial`."""
    run_command(TrialConfig, run, "optimizer.trial", resume="Nothing is lost; run it again.")


if __name__ == "__main__":
    main()
