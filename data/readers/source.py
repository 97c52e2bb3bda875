"""What a data set says about itself to be listed in `data.sources.DATASETS`: how it is read and how it is fetched.

A data set is one `Source`. `ReadSettings` and `FetchSettings` are what its functions may ask of the user's settings;
`data.DataConfig` and `data.fetch.FetchConfig` have all of it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from rich.console import Console

from data.errors import DataError
from data.recording import Recording


@runtime_checkable
class ReadSettings(Protocol):
    """Settings that a data set's `read` may use; see `data.DataConfig` for what each means."""

    @property
    def root(self) -> Path | None:
        """Folder of the recordings; None if the user gave none."""

    @property
    def labels_kind(self) -> str:
        """What the classes are, "fault" or "location"."""

    @property
    def channel(self) -> str | None:
        """Channel that the user named."""

    @property
    def sampling_rate(self) -> float | None:
        """Sampling rate in Hz of files that do not say theirs."""

    @property
    def cwru_set(self) -> str:
        """Which CWRU recordings."""

    @property
    def simulated_snr_db(self) -> float:
        """Signal-to-noise ratio of the simulation in dB."""

    @property
    def data_seed(self) -> int:
        """Seed of the simulation."""

    @property
    def split(self) -> str | None:
        """What is held out for testing; None if the user did not say."""

    @property
    def held_out(self) -> float | None:
        """Load or fault size of the test part; None if the user did not say."""

    @property
    def window_s(self) -> float:
        """Length of a window in seconds."""


@runtime_checkable
class FetchSettings(Protocol):
    """Settings that a data set's `fetch` may use; see `data.fetch.FetchConfig` for what each means."""

    @property
    def root(self) -> Path:
        """Folder to put the files into."""

    @property
    def only(self) -> tuple[int, ...]:
        """Numbers of the only files wanted; empty for all."""

    @property
    def drive_end(self) -> bool:
        """Only the recordings of the ten-class task."""

    @property
    def url(self) -> str | None:
        """Mirror; None for the official address."""

    @property
    def retries(self) -> int:
        """Attempts per file."""

    @property
    def timeout_s(self) -> float:
        """Seconds without a byte after which an attempt ends."""

    @property
    def limit_s(self) -> float:
        """Seconds after which the download of a file is given up."""

    @property
    def wait_s(self) -> float:
        """Seconds before the second attempt."""


@dataclass(frozen=True)
class Fetch:
    """How a data set is downloaded.

    Attributes:
        run: Downloads, checks and locks the files, shows its progress on a console, and returns how many recordings
            are in place.
        page: Where a browser finds the files, for those who have no network on this machine.
    """

    run: Callable[[FetchSettings, Console], int]
    page: str


@dataclass(frozen=True)
class Source:
    """A data set. To add one: write its reader in a module of its own and name its `Source` in `DATASETS`.

    Attributes:
        name: What users type after `--data`.
        help: One line for the help text.
        read: Reads all recordings that the settings ask for.
        default_channel: Channel to use where the user names none; None takes each recording's only channel.
        needs_root: Whether the user must say where the files are (`--root`).
        trusted_rates: Whether the sampling rates are known to be right. Otherwise recordings that differ in their
            sampling rates are refused until the user agrees to resample them (`--resample`).
        version: What generated recordings depend on beside the settings, for the cache; nothing for recorded ones,
            whose files are hashed.
        tests_apart: Whether test windows are cut one after another, so that no two of them share a sample, instead of
            every `hop_s` seconds. A set that can make as many recordings as it likes needs no overlap.
        rate_hz: Sampling rate of windows in Hz where the user names none; None for as recorded.
        fetch: How the set is downloaded; None if it cannot be.
    """

    name: str
    help: str
    read: Callable[[ReadSettings], list[Recording]]
    default_channel: Callable[[ReadSettings], str | None] = lambda _: None
    needs_root: bool = True
    trusted_rates: bool = True
    version: Callable[[ReadSettings], list[Any]] = lambda _: []
    tests_apart: bool = False
    rate_hz: float | None = None
    fetch: Fetch | None = None


def folder_of(settings: ReadSettings) -> Path:
    """The folder of the recordings.

    Raises:
        DataError: The user did not give it.
    """
    if settings.root is None:
        raise DataError("the folder of the recordings is missing.", "Give it with --root DIR.")
    return settings.root
