"""What a model is trained, chosen and tested on: images with labels in three parts, and where they came from."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int64

from data.config import DataConfig


@dataclass(frozen=True, eq=False)
class Examples:
    """Images of one part, and where each came from.

    Attributes:
        images: Standardised log-spectrograms.
        labels: Index of each image's class.
        recordings: Index of each image's recording in `Dataset.recordings`.
        starts_s: Time of each window's first sample in its recording.
    """

    images: Float32[np.ndarray, "n 1 size size"]
    labels: Int64[np.ndarray, " n"]
    recordings: Int64[np.ndarray, " n"]
    starts_s: Float32[np.ndarray, " n"]

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, eq=False)
class Dataset:
    """What a model is trained, chosen and tested on.

    Attributes:
        train: Training part; mean and deviation come from it alone.
        validation: Validation part, from the training conditions, for early stopping.
        test: Test part, for reports.
        noisy: The test images again with white noise at a signal-to-noise ratio (dB): all of them, or the first
            `probed` ones where there are many.
        classes: Names in the order of the labels.
        normal: Index of the healthy class; None if no class is known to be healthy.
        recordings: Names in the order of `Examples.recordings`.
        split: Name of the split.
        held_out: Load or fault size that only the test part holds; None for splits in time.
        mean: Mean of the training part's log-power, taken off every image.
        deviation: Its standard deviation, by which every image is divided.
        notes: What a reader of the results must know.
        fingerprint: Hash of everything that the data set was made from.
        config: The settings it was made with, every default resolved (split, labels, rate).
    """

    train: Examples
    validation: Examples
    test: Examples
    noisy: dict[int, Float32[np.ndarray, "n 1 size size"]]
    classes: tuple[str, ...]
    normal: int | None
    recordings: tuple[str, ...]
    split: str
    held_out: float | None
    mean: float
    deviation: float
    notes: tuple[str, ...]
    fingerprint: str
    config: DataConfig

    @property
    def probed(self) -> int:
        """Number of test windows, from the first, that the noisy tests and those before retraining are made on."""
        return min((len(images) for images in self.noisy.values()), default=len(self.test))

    @property
    def rate_hz(self) -> float:
        """Sampling rate of the windows in Hz."""
        assert self.config.rate_hz is not None
        return self.config.rate_hz

    @property
    def window_s(self) -> float:
        """Window length in seconds; windows of one recording that start nearer than this overlap."""
        return self.config.window_s

    def windows_by_class(self) -> list[tuple[str, int, int, int]]:
        """For each class its name and its number of windows in the training, validation and test parts."""
        parts = (self.train, self.validation, self.test)
        counts = [np.bincount(part.labels, minlength=len(self.classes)) for part in parts]
        return [(name, int(a), int(b), int(c)) for name, a, b, c in zip(self.classes, *counts, strict=True)]
