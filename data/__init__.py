"""Bearing vibration recordings -> labelled windows -> the images that a VGG-16 takes.

In: recordings (CWRU, MFPT, a folder of your own, or the built-in simulation). Out: a `Dataset` of log-spectrograms in
training, validation and test parts, with the split and its caveats. Knows signals, nothing of models; needs no torch.
Start reading at `build.build_dataset`; `recording.Recording` is what readers give, `splits.plan_split` decides what
is tested. `python -m data.fetch cwru|mfpt --root DIR` downloads.
"""

from data.build import build_dataset
from data.config import DataConfig
from data.dataset import Dataset, Examples
from data.errors import DataError
from data.recording import Fault, Location, Recording
from data.sources import read_recordings

__all__ = [
    "DataConfig",
    "DataError",
    "Dataset",
    "Examples",
    "Fault",
    "Location",
    "Recording",
    "build_dataset",
    "read_recordings",
]
