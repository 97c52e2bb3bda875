"""The settings of a data set, from which command-line options are made."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np

from data.checks import KINDS
from data.common.options import comma_separated, one_of
from data.errors import DataError
from data.images import check_size
from data.sources import DATASETS

WEAK = "weak"  # no flaw of a signal: a trained model that is not better than a constant answer (`pruning.weak`)


@dataclass(frozen=True)
class DataConfig:
    """Recordings, windows, images and split."""

    data: Annotated[str, one_of(DATASETS)] = "simulated"
    """Data set: the built-in simulation, the CWRU or MFPT recordings, or a folder with one sub-folder per class."""
    root: Path | None = None
    """Folder of the recordings (not for simulated ones)."""
    split: Literal["load", "severity", "blocked", "random"] | None = None
    """What is held out for testing. load: one motor load; severity: one fault size; blocked: the end of each recording,
    after a guard gap; random: random windows, which leaks. Default: load if the recordings say their loads, otherwise
    blocked."""
    held_out: float | None = None
    """Load, or fault size in mm, of the test part; by default the largest."""
    labels: Literal["fault", "location"] | None = None
    """What the classes are. fault: location and size; location: location alone. Default: fault, but location for the
    severity split."""
    cwru_set: Literal["drive-12k", "drive-48k", "fan-12k"] = "drive-12k"
    """CWRU recordings to use: the damaged bearing and the sampling rate of the faulty recordings."""
    size: Literal[32, 64, 128] = 32
    """Rows and columns of an image."""
    window_s: float = 1.0
    """Length of a window in seconds; one window is one task."""
    rate_hz: float | None = None
    """Sampling rate of windows in Hz, after resampling. Default: as recorded (recordings of several rates: 0.8 of the
    lowest); for simulated and CWRU recordings 4000, the rate of the paper's sensors."""
    hop_s: float = 0.25
    """Step between overlapping windows in seconds."""
    channel: str | None = None
    """Accelerometer or column to use. Default: for CWRU the one at the damaged bearing (DE or FE), otherwise the only
    one."""
    sampling_rate: float | None = None
    """Sampling rate in Hz of folder recordings that do not say it themselves."""
    resample: bool = False
    """Accept folder recordings of different sampling rates; all are resampled to --rate-hz."""
    accept: Annotated[tuple[str, ...], comma_separated(str, "accept", "KIND")] = ()
    """Doubtful things to go on with, separated by commas. Flawed signals: nan, infinite, huge, zero, constant, clipped.
    weak: a dense model that is not better than always naming the most frequent class."""
    simulated_snr_db: float = 5.0
    """Noise of the simulated recordings: power of a middle-sized fault over that of the noise, in dB."""
    train_noise: float = 0.3
    """Share of the training and validation windows that get white noise, each at a random SNR of 0 to 20 dB."""
    data_seed: int = 0
    """Random seed of the simulation, of the random split, and of the noise that is added to windows."""

    def __post_init__(self) -> None:
        check_size(self.size)
        for name in ("window_s", "rate_hz", "hop_s"):
            value = getattr(self, name)
            if value is not None and not (np.isfinite(value) and value > 0):
                raise DataError(f"{name} must be above 0; got {value}.")
        if self.sampling_rate is not None and not (np.isfinite(self.sampling_rate) and self.sampling_rate > 0):
            raise DataError(f"--sampling-rate must be above 0 Hz; got {self.sampling_rate}.")
        if not 0 <= self.train_noise <= 1:
            raise DataError(f"--train-noise must lie in [0, 1]; got {self.train_noise}.")
        known = (*KINDS, WEAK)
        unknown = set(self.accept) - set(known)
        if unknown:
            raise DataError(f"--accept: unknown kind {', '.join(sorted(unknown))}.", f"Choose from {', '.join(known)}.")
        if self.data not in DATASETS:
            raise DataError(f"--data: unknown data set {self.data!r}.", f"Choose one of {', '.join(DATASETS)}.")
        if not DATASETS[self.data].needs_root and self.root is not None:
            raise DataError(
                f"--root {self.root} was given, but --data {self.data} reads no files.",
                "Name the data set of that folder, e.g. --data folder, or leave --root out.",
            )
        if DATASETS[self.data].needs_root and self.root is None:
            raise DataError(f"--data {self.data} needs the folder of its recordings.", "Give it with --root DIR.")
        rate_hz = self.wanted_rate_hz
        if rate_hz is not None and round(self.window_s * rate_hz) < self.size:
            raise DataError(
                f"a window of {self.window_s:g} s at {rate_hz:g} Hz has "
                f"{round(self.window_s * rate_hz)} samples, fewer than the image's {self.size} columns.",
                "Give a longer --window-s, a higher --rate-hz or a smaller --size.",
            )

    @property
    def wanted_rate_hz(self) -> float | None:
        """Sampling rate of windows in Hz that the user or the data set names; None for as recorded."""
        return self.rate_hz or DATASETS[self.data].rate_hz

    @property
    def labels_kind(self) -> Literal["fault", "location"]:
        """What the classes are, "fault" or "location", by default what the split allows."""
        return self.labels or ("location" if self.split == "severity" else "fault")
