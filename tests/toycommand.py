"""A command that does toy jobs in a run folder: `python -m toycommand FOLDER`, with this folder on the PYTHONPATH."""

from dataclasses import dataclass
from pathlib import Path

import tyro
from toyjobs import finished_in, toys, work

from data.common.command import run_command
from data.common.runfolder import claim, only_process
from data.common.sweep.options import Execution
from data.common.sweep.sweep import Sweep


@dataclass(frozen=True)
class Config:
    """Four toy jobs."""

    folder: tyro.conf.Positional[Path]
    """Where their results go."""
    seconds: float = 0.0
    """How long each takes."""
    cores: int = 2
    """How many at a time."""


def run(config: Config) -> None:
    with only_process(config.folder):
        claim(config.folder, {"seconds": config.seconds})
        with Sweep(work, config.folder, Execution(hang_s=20.0), cores=config.cores, hear=lambda *_: None) as sweep:
            sweep.run(toys(4, seconds=config.seconds), finished_in(config.folder))
        print(sweep.summary.finished_before, sweep.summary.finished, sweep.summary.repeated)


if __name__ == "__main__":
    run_command(Config, run, "toycommand", resume="Go on.")
