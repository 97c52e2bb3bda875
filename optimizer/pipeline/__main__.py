"""The command `python -m optimizer.pipeline`: from recordings to a policy and a page to read."""

from data.common.command import run_command
from data.common.console import make_console, say
from data.common.extras import needs_extra

with needs_extra(__name__):
    from optimizer.pipeline.options import PipelineConfig
    from optimizer.pipeline.runner import run_pipeline


def run(config: PipelineConfig) -> None:
    """Run all stages and say where the report is."""
    console = make_console()
    say(console, f"report: {run_pipeline(config, console)}")


def main() -> None:
    """Entry point of `python -m optimizer.pipeline`."""
    run_command(PipelineConfig, run, "optimizer.pipeline", resume="The same command goes on from the stage it was in.")


if __name__ == "__main__":
    main()
