"""Bearing vibration recordings -> labelled windows -> the images that a VGG-16 takes.

In: recordings (CWRU, MFPT, a folder of your own, or the built-in simulation). Out: a `Dataset` of log-spectrograms in
training, validation and test parts, with the split and its caveats. It may import no other package of ours, nor torch.
Start reading at `build.build_dataset`; `recording.Recording` is what readers give, `splits.plan_split` decides what
is tested, `sources.DATASETS` lists the data sets. `python -m data.fetch` downloads, `python -m data.inspect` looks.
"""

from typing import TYPE_CHECKING

from data.common.lazy import lazy_exports
from data.common.loading import stop_quietly_if_a_command_loads

stop_quietly_if_a_command_loads()

if TYPE_CHECKING:
    from data.build import build_dataset, build_folds
    from data.config import DataConfig
    from data.dataset import Dataset, Examples
    from data.errors import DataError
    from data.gather import read_recordings
    from data.images import add_noise, log_spectrogram, resample
    from data.readers.simulated import SimulationConfig, simulate
    from data.readers.source import Source
    from data.recording import Fault, Location, Recording
    from data.sources import DATASETS

__all__ = [
    "DATASETS",
    "DataConfig",
    "DataError",
    "Dataset",
    "Examples",
    "Fault",
    "Location",
    "Recording",
    "SimulationConfig",
    "Source",
    "add_noise",
    "build_dataset",
    "build_folds",
    "log_spectrogram",
    "read_recordings",
    "resample",
    "simulate",
]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "DATASETS": "data.sources",
        "DataConfig": "data.config",
        "DataError": "data.errors",
        "Dataset": "data.dataset",
        "Examples": "data.dataset",
        "Fault": "data.recording",
        "Location": "data.recording",
        "Recording": "data.recording",
        "SimulationConfig": "data.readers.simulated",
        "Source": "data.readers.source",
        "add_noise": "data.images",
        "build_dataset": "data.build",
        "build_folds": "data.build",
        "log_spectrogram": "data.images",
        "read_recordings": "data.gather",
        "resample": "data.images",
        "simulate": "data.readers.simulated",
    },
)
