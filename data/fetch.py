"""Download the official recordings: `python -m data.fetch cwru|mfpt --root DIR`."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console

from data.common.command import run_command
from data.common.errors import UserError
from data.common.files import remove_leftovers
from data.common.options import comma_separated, one_of
from data.errors import DataError
from data.sources import DATASETS

OFFLINE = (
    "Without a network: download the files elsewhere in a browser from {page}, put them into {root} under their "
    "original names, and run this command again; it checks and locks them."
)
FETCHABLE = {name: source.fetch for name, source in DATASETS.items() if source.fetch is not None}


@dataclass(frozen=True)
class FetchConfig:
    """Download bearing recordings, check that each holds what it should, and lock their hashes.

    Files that are there already are checked and not downloaded again. An interrupted download continues where it
    stopped.
    """

    dataset: Annotated[str, one_of(FETCHABLE), tyro.conf.Positional]
    """Data set to download."""
    root: Path
    """Folder to put the files into."""
    only: Annotated[tuple[int, ...], comma_separated(int, "only", "N")] = ()
    """CWRU file numbers separated by commas, e.g. --only 97,105; by default all 161."""
    drive_end: bool = False
    """Only the CWRU recordings of the ten-class task (normal, and 12 kHz drive-end faults)."""
    url: str | None = None
    """Address of a mirror; for CWRU with {number} in place of the file number, for MFPT of the archive."""
    retries: int = 4
    """Attempts per file."""
    timeout_s: float = 30.0
    """Seconds without data after which an attempt is given up."""
    wait_s: float = 1.0
    """Seconds before the second attempt; the wait doubles from then on."""
    limit_s: float = 3600.0
    """Seconds after which the download of a file is given up, whatever came in until then."""

    def __post_init__(self) -> None:
        for name in ("timeout_s", "limit_s"):
            if not 0 < getattr(self, name) < 1e7:
                raise DataError(f"--{name.replace('_', '-')} must be above 0 s; got {getattr(self, name)}.")
        if self.dataset not in FETCHABLE:
            raise DataError(f"{self.dataset} cannot be fetched.", f"Choose one of {', '.join(FETCHABLE)}.")


def run(config: FetchConfig) -> None:
    """Fetch one data set and say what is in place.

    Raises:
        DataError: A file could not be fetched or is not what it should be.
    """
    console = Console(file=sys.stdout)
    fetch = FETCHABLE[config.dataset]
    try:
        remove_leftovers(config.root)
        count = fetch.run(config, console)
    except UserError as error:
        remedy = error.remedy or OFFLINE.format(page=fetch.page, root=config.root)
        raise DataError(error.problem, remedy) from None
    except OSError as error:
        raise DataError(f"{config.root}: {error.strerror or error}.", "Give a folder that you may write to.") from None
    console.print(
        f"{count} recordings in {config.root}, checked and locked.\n"
        f"Next: python -m pruning.run --data {config.dataset} --root {config.root}"
    )


def main() -> None:
    """Entry point of `python -m data.fetch`."""
    run_command(FetchConfig, run, "data.fetch", resume="Run the same command again: finished files are kept.")


if __name__ == "__main__":
    main()
