"""From planned segments to images: windows are cut, made noisy and transformed few at a time, and never all kept."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Float32

from data.config import DataConfig
from data.errors import DataError
from data.gather import Gathered, step_s
from data.images import AT_ONCE, add_noise, clean, log_spectrogram, offset, prepare_signal, window_at
from data.recording import Recording, usable
from data.splits import GUARD_S, Part, Segment, SplitPlan, window_starts

SNRS_DB = (10, 5, 0)  # of the noisy tests
TRAIN_SNR_DB = (0.0, 20.0)  # range of the noise added for learning

Images = Float32[np.ndarray, "n size size"]


@dataclass(eq=False)
class Cut:
    """The windows of one part.

    Attributes:
        labels: Index of each window's class.
        recordings: Index of each window's recording.
        starts_s: Time of each window's first sample in its recording.
        images: Log-spectrograms, not yet standardised.
        noisy: The first test images with noise added, by signal-to-noise ratio in dB; empty for the other parts.
    """

    labels: list[int] = field(default_factory=list)
    recordings: list[int] = field(default_factory=list)
    starts_s: list[float] = field(default_factory=list)
    images: Images = field(default_factory=lambda: np.zeros((0, 0, 0), dtype=np.float32))
    noisy: dict[int, Images] = field(default_factory=dict)


class _Noise:
    """Noise for a share of the windows of a part, which come in their order; none for the test part."""

    def __init__(self, part: Part, count: int, config: DataConfig) -> None:
        self._rng = np.random.default_rng([config.data_seed, list(Part).index(part)])
        share = 0.0 if part is Part.TEST else config.train_noise
        self._chosen = iter(self._rng.random(count) < share if share else np.zeros(count, dtype=bool))

    def add(self, windows: Float[np.ndarray, "n samples"]) -> Float[np.ndarray, "n samples"]:
        windows = windows.copy()
        for i in range(len(windows)):
            if next(self._chosen):
                snr_db = float(self._rng.uniform(*TRAIN_SNR_DB))
                windows[i] = add_noise(windows[i : i + 1], snr_db, self._rng)[0]
        return windows


class _Prepared:
    """A recording at the rate of the windows; one that was recorded at that rate is prepared where it is cut alone.

    Raises:
        DataError: The recording is sampled too slowly.
    """

    def __init__(self, recording: Recording, rate_hz: float) -> None:
        self._as_recorded = recording.sampling_rate_hz == rate_hz
        self._signal, self._rate_hz = recording.signal(), rate_hz
        if self._as_recorded:
            self._offset = offset(self._signal)
            return
        try:
            self._signal = prepare_signal(self._signal, recording.sampling_rate_hz, rate_hz)
        except DataError as error:
            raise DataError(f"{recording.where}: {error.problem}", error.remedy) from None

    def window(self, start_s: float, samples: int) -> tuple[int, Float[np.ndarray, " samples"]]:
        """Index of the first sample of the window that starts at a time, and its samples."""
        first, window = window_at(self._signal, start_s, samples, self._rate_hz)
        return first, clean(window) - self._offset if self._as_recorded else window


def _whole_windows(gathered: Gathered, plan: SplitPlan) -> tuple[list[tuple[Segment, list[float]]], int]:
    """The starts of each segment's windows that hold no sample that is not usable, and how many hold one."""
    config, kept, dropped = gathered.config, [], 0
    broken = [np.flatnonzero(~usable(r.signal())) / r.sampling_rate_hz for r in gathered.recordings]
    for segment in plan.segments:
        times = broken[segment.recording]
        starts = window_starts(segment, config.window_s, step_s(config, segment.part))
        whole = [
            start
            for start in starts
            if not np.any((times > start - GUARD_S) & (times < start + config.window_s + GUARD_S))
        ]
        dropped += len(starts) - len(whole)
        kept.append((segment, whole))
    return kept, dropped


def _spoiled_windows(gathered: Gathered, recordings: Sequence[int]) -> int:
    """How many test windows, from the first, the noisy tests are made on: not those of recordings only for testing."""
    own = sum(not gathered.recordings[r].only_test for r in recordings)
    return own or len(recordings)


def cut_images(
    gathered: Gathered, plan: SplitPlan, classes: Sequence[str], whole: tuple[Part, ...]
) -> tuple[dict[Part, Cut], int]:
    """The images of each part, and the number of windows left out because they hold samples that are not usable.

    Args:
        gathered: Recordings and their classes.
        plan: Which stretch of which recording is for which part.
        classes: Names of the classes in the order of the labels.
        whole: Parts that must have every class.

    Raises:
        DataError: A class is lacking in such a part, or a recording is sampled too slowly.
    """
    config, rate_hz = gathered.config, gathered.rate_hz
    chosen, dropped = _whole_windows(gathered, plan)
    parts = {part: Cut() for part in Part}
    for segment, starts in chosen:
        own = parts[segment.part]
        own.labels += [classes.index(gathered.labels[segment.recording])] * len(starts)
        own.recordings += [segment.recording] * len(starts)
    for part in whole:
        missing = [name for i, name in enumerate(classes) if i not in parts[part].labels]
        if missing:
            raise DataError(
                f"no {part} window of class {', '.join(missing)}.", "Give longer recordings or another split."
            )
    noise = {}
    for part, own in parts.items():
        own.images = np.empty((len(own.labels), config.size, config.size), dtype=np.float32)
        noise[part] = _Noise(part, len(own.labels), config)
    tested = parts[Part.TEST]
    spoiled = _spoiled_windows(gathered, tested.recordings)
    tested.noisy = {snr: np.empty((spoiled, config.size, config.size), dtype=np.float32) for snr in SNRS_DB}
    rngs = {snr: np.random.default_rng([config.data_seed, 1000 + snr]) for snr in SNRS_DB}
    samples, prepared_index = round(config.window_s * rate_hz), -1
    for segment, starts in chosen:
        if segment.recording != prepared_index:
            prepared = _Prepared(gathered.recordings[segment.recording], rate_hz)
            prepared_index = segment.recording
        own = parts[segment.part]
        for begin in range(0, len(starts), AT_ONCE):
            cut = [prepared.window(start, samples) for start in starts[begin : begin + AT_ONCE]]
            windows, first = np.stack([window for _, window in cut]), len(own.starts_s)
            own.starts_s += [sample / rate_hz for sample, _ in cut]
            own.images[first : first + len(cut)] = log_spectrogram(
                noise[segment.part].add(windows), config.size, rate_hz
            )
            if segment.part is Part.TEST and first < spoiled:
                for snr, rng in rngs.items():
                    made = log_spectrogram(add_noise(windows[: spoiled - first], snr, rng), config.size, rate_hz)
                    tested.noisy[snr][first : first + len(made)] = made
    return parts, dropped
