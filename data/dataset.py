"""From a configuration to images and labels in three parts, cached on disk by what they were made from."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from jaxtyping import Float32, Int64

from data import cwru, folder, mfpt, simulated
from data.cache import Cache
from data.checks import KINDS, check, sampling_rate_tells
from data.errors import DataError
from data.files import sha256
from data.images import add_noise, check_size, log_spectrogram, resample
from data.lock import verify
from data.options import comma_separated
from data.recording import Location, Recording, class_name
from data.splits import GUARD_S, Part, SplitPlan, plan_split, window_starts

PIPELINE_VERSION = 1  # raise when the same recordings would give other images
NORMAL_WORDS = folder.LOCATION_WORDS[Location.NORMAL]


@dataclass(frozen=True)
class DataConfig:
    """Recordings, windows, images and split."""

    data: Literal["simulated", "cwru", "mfpt", "folder"] = "simulated"
    """Built-in simulation, the CWRU or MFPT recordings, or a folder with one sub-folder a class."""
    root: Path | None = None
    """Folder of the recordings (not for simulated)."""
    split: Literal["load", "severity", "blocked", "random"] | None = None
    """What is held out for the test: one motor load, one fault size, the end of each recording (in time, with a guard
    gap), or random windows (leaks). Default: load where the recordings carry loads, else blocked."""
    held_out: float | None = None
    """Load, or fault size in mm, of the test part; by default the largest."""
    labels: Literal["fault", "location"] | None = None
    """Classes: location and size, or location alone. Default: fault, but location for the severity split."""
    cwru_set: Literal["drive-12k", "drive-48k", "fan-12k"] = "drive-12k"
    """Which CWRU recordings: damaged bearing and sampling rate of the faulty ones."""
    size: Literal[32, 64, 128] = 32
    """Rows and columns of an image."""
    window_s: float = 1.0
    """Length of a window in seconds; one window is one task."""
    rate_hz: float = 4000.0
    """Samples a second of a window after resampling; the paper's sensors give 4 kHz."""
    hop_s: float = 0.25
    """Step between overlapping windows in seconds."""
    channel: str | None = None
    """Accelerometer or column to use. Default: for CWRU the one at the damaged bearing, DE or FE;
    else the only one."""
    sampling_rate: float | None = None
    """Samples a second of folder recordings that do not say it themselves."""
    resample: bool = False
    """Go on when folder recordings differ in sampling rate: all are resampled to --rate-hz."""
    accept: Annotated[tuple[str, ...], comma_separated(str, "accept", "KIND")] = ()
    """Kinds of flawed signals to go on with, separated by commas: nan, infinite, zero, constant, clipped."""
    simulated_snr_db: float = 5.0
    """Noise of the simulated recordings: power of a middle fault over that of the noise."""
    train_noise: float = 0.3
    """Share of the training and validation windows that get white noise, each at its own SNR of 0 to 20 dB."""
    data_seed: int = 0
    """Seed of the simulation, of a random split and of the noise that is added for the noisy tests."""

    def __post_init__(self) -> None:
        check_size(self.size)
        for name in ("window_s", "rate_hz", "hop_s"):
            if not (np.isfinite(getattr(self, name)) and getattr(self, name) > 0):
                raise DataError(f"{name} must be above 0; got {getattr(self, name)}.")
        if round(self.window_s * self.rate_hz) < self.size:
            raise DataError(
                f"a window of {self.window_s:g} s at {self.rate_hz:g} Hz has "
                f"{round(self.window_s * self.rate_hz)} samples, fewer than the image's {self.size} columns.",
                "Give a longer --window-s, a higher --rate-hz or a smaller --size.",
            )
        if self.sampling_rate is not None and not (np.isfinite(self.sampling_rate) and self.sampling_rate > 0):
            raise DataError(f"--sampling-rate must be above 0 Hz; got {self.sampling_rate}.")
        if not 0 <= self.train_noise <= 1:
            raise DataError(f"--train-noise must lie in [0, 1]; got {self.train_noise}.")
        unknown = set(self.accept) - set(KINDS)
        if unknown:
            raise DataError(f"--accept knows no {', '.join(sorted(unknown))}.", f"Expected of {', '.join(KINDS)}.")
        if self.data != "simulated" and self.root is None:
            raise DataError(f"--data {self.data} needs the folder of its recordings.", "Give it with --root DIR.")


@dataclass(frozen=True, eq=False)
class Examples:
    """Images of one part with where each came from.

    Attributes:
        images: Standardised log-spectrograms.
        labels: Index of each one's class.
        recordings: Index of each one's recording in `Dataset.recordings`.
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
        train: The only part that statistics come from.
        validation: For early stopping; from the training conditions.
        test: For reports.
        noisy: The test images again with white noise at a signal-to-noise ratio (dB).
        classes: Names in the order of the labels.
        normal: Index of the healthy class; None where no class is known to be it.
        recordings: Names in the order of `Examples.recordings`.
        split: Name of the split.
        held_out: Load or size in the test part alone; None for splits in time.
        mean: Mean of the training part's log-power, taken off every image.
        deviation: Its standard deviation, by which every image is divided.
        notes: What a reader of the results must know.
        fingerprint: Hash of all it was made from.
        window_s: Window length in seconds; windows nearer than that overlap.
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
    window_s: float = 1.0


@dataclass(frozen=True, eq=False)
class _Sources:
    config: DataConfig
    recordings: list[Recording]
    labels: list[str]
    notes: list[str] = field(default_factory=list)


SNRS_DB = (10, 5, 0)
TRAIN_SNR_DB = (0.0, 20.0)


def read_recordings(config: DataConfig) -> list[Recording]:
    """The recordings that a configuration names, each with the one channel that is used.

    Raises:
        DataError: See the readers; also a file that differs from the lock file `data.fetch` wrote.
    """
    labels = config.labels or ("location" if config.split == "severity" else "fault")
    if config.data == "simulated":
        return simulated.read(simulated.SimulationConfig(snr_db=config.simulated_snr_db, seed=config.data_seed))
    assert config.root is not None
    if config.data == "folder":
        recordings = folder.read(config.root, config.sampling_rate, config.channel)
    elif config.data == "mfpt":
        recordings = mfpt.read(config.root)
    else:
        end, rate = config.cwru_set.split("-")
        recordings = cwru.read(config.root, cwru.chosen(labels, end, 1000 * float(rate.removesuffix("k"))))
    verify(config.root, [r.path for r in recordings if r.path])
    channel = config.channel
    if config.data == "cwru" and channel is None:
        channel = "FE" if config.cwru_set.startswith("fan") else "DE"
    return [r.only(channel or _only_channel(r)) for r in recordings]


def _only_channel(recording: Recording) -> str:
    recording.signal()  # refuses several
    return next(iter(recording.channels))


def _resolve(config: DataConfig) -> _Sources:
    """Readers, labels and the checks that need all recordings."""
    recordings = read_recordings(config)
    split = config.split
    if split is None:
        split = "load" if len({r.load for r in recordings if r.load is not None}) > 1 else "blocked"
    labels_kind = config.labels or ("location" if split == "severity" else "fault")
    labels = [class_name(r, labels_kind) for r in recordings]
    if len(set(labels)) < 2:
        raise DataError(
            f"one class only ({labels[0]}) in {len(labels)} recordings.", "Expected recordings of at least two classes."
        )
    notes: list[str] = []
    rates = sorted({r.sampling_rate_hz for r in recordings})
    if len(rates) > 1:
        tells, blind = sampling_rate_tells(recordings, labels)
        said = (
            f"recordings are sampled at {', '.join(f'{r:g}' for r in rates)} Hz; the sampling rate alone names the "
            f"class of {tells:.0%} of the recordings (knowing nothing: {blind:.0%})"
        )
        if config.data == "folder" and not config.resample:
            raise DataError(
                said + ".", f"If the rates are right, go on with --resample (all to {config.rate_hz:g} Hz)."
            )
        notes.append(f"{said}; all are resampled to {config.rate_hz:g} Hz")
    for name, flaws in check(recordings, None, config.accept).items():
        notes.append(f"recording {name} is used although flawed: {'; '.join(map(str, flaws))}")
    return _Sources(replace(config, split=split, labels=labels_kind), recordings, labels, notes)


def _fingerprint(sources: _Sources) -> str:
    """Hash of everything the images depend on: settings, recordings and this pipeline's version."""
    config = {k: v for k, v in asdict(sources.config).items() if k not in ("root", "accept", "resample")}
    content: list[Any] = [PIPELINE_VERSION, SNRS_DB, config]
    if sources.config.data == "simulated":
        content.append(asdict(simulated.SimulationConfig(snr_db=sources.config.simulated_snr_db)))
        content.append(np.__version__)
    content += [[r.name, r.sampling_rate_hz, r.load, sha256(r.path) if r.path else None] for r in sources.recordings]
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()


def _prepared(recording: Recording, rate_hz: float) -> tuple[np.ndarray, np.ndarray]:
    """The signal at the target rate, and the times in seconds of samples that are not finite."""
    signal = np.asarray(recording.signal(), dtype=np.float64)
    broken = ~np.isfinite(signal)
    clean = np.where(broken, 0.0, signal)
    clean -= clean.mean()  # some CWRU files carry an offset, which is the amplifier's and no vibration
    try:
        resampled = resample(clean, recording.sampling_rate_hz, rate_hz)
    except DataError as error:
        raise DataError(f"{recording.where}: {error.problem}", error.remedy) from None
    return resampled, np.flatnonzero(broken) / recording.sampling_rate_hz


def _cut(sources: _Sources, plan: SplitPlan) -> dict[Part, tuple[list[np.ndarray], list[int], list[int], list[float]]]:
    """Windows of every part with label, recording and start."""
    config = sources.config
    samples = round(config.window_s * config.rate_hz)
    classes = sorted(set(sources.labels), key=_class_order)
    parts: dict[Part, tuple[list[np.ndarray], list[int], list[int], list[float]]] = {p: ([], [], [], []) for p in Part}
    prepared = [_prepared(r, config.rate_hz) for r in sources.recordings]
    dropped = 0
    for segment in plan.segments:
        signal, broken_s = prepared[segment.recording]
        windows, labels, recordings, starts = parts[segment.part]
        for start in window_starts(segment, config.window_s, config.hop_s):
            first = min(round(start * config.rate_hz), len(signal) - samples)
            if np.any((broken_s > start - GUARD_S) & (broken_s < start + config.window_s + GUARD_S)):
                dropped += 1
                continue
            windows.append(signal[first : first + samples])
            labels.append(classes.index(sources.labels[segment.recording]))
            recordings.append(segment.recording)
            starts.append(first / config.rate_hz)
    if dropped:
        sources.notes.append(f"{dropped} windows with NaN or infinite samples are left out")
    for part in (Part.TRAIN, Part.TEST):
        missing = [c for i, c in enumerate(classes) if i not in parts[part][1]]
        if missing:
            raise DataError(
                f"no {part} window of class {', '.join(missing)}.",
                "Give longer recordings or another split.",
            )
    return parts


def _class_order(name: str) -> tuple[int, str]:
    return (0 if name.lower() in NORMAL_WORDS else 1, name)


def _standardised(images: np.ndarray, mean: float, deviation: float) -> np.ndarray:
    return ((images - mean) / deviation).astype(np.float32)[:, None]


def _with_noise(windows: np.ndarray, part: Part, config: DataConfig) -> np.ndarray:
    """Windows for learning, a share of them noisy; those of the test part as they are."""
    if part is Part.TEST or config.train_noise == 0:
        return windows
    rng = np.random.default_rng([config.data_seed, list(Part).index(part)])
    chosen = rng.random(len(windows)) < config.train_noise
    windows = windows.copy()
    for i in np.flatnonzero(chosen):
        windows[i] = add_noise(windows[i : i + 1], float(rng.uniform(*TRAIN_SNR_DB)), rng)[0]
    return windows


def _make(sources: _Sources, fingerprint: str) -> Dataset:
    config = sources.config
    assert config.split is not None
    plan = plan_split(
        sources.recordings,
        sources.labels,
        config.split,
        window_s=config.window_s,
        hop_s=config.hop_s,
        held_out=config.held_out,
        seed=config.data_seed,
    )
    parts = _cut(sources, plan)
    images = {
        p: log_spectrogram(_with_noise(np.stack(w), p, config), config.size, config.rate_hz) if w else None
        for p, (w, *_) in parts.items()
    }
    train = images[Part.TRAIN]
    assert train is not None
    mean, deviation = float(train.mean()), float(train.std())
    if deviation < 1e-6:
        raise DataError("every training image is the same.", "Check that the signals are what they should be.")

    def examples(part: Part) -> Examples:
        _, labels, recordings, starts = parts[part]
        made = images[part]
        empty = np.zeros((0, config.size, config.size), dtype=np.float32)
        return Examples(
            _standardised(empty if made is None else made, mean, deviation),
            np.array(labels, dtype=np.int64),
            np.array(recordings, dtype=np.int64),
            np.array(starts, dtype=np.float32),
        )

    test_windows = np.stack(parts[Part.TEST][0])
    noisy = {}
    for snr in SNRS_DB:
        rng = np.random.default_rng([config.data_seed, 1000 + snr])
        spoiled = log_spectrogram(add_noise(test_windows, snr, rng), config.size, config.rate_hz)
        noisy[snr] = _standardised(spoiled, mean, deviation)
    classes = sorted(set(sources.labels), key=_class_order)
    return Dataset(
        train=examples(Part.TRAIN),
        validation=examples(Part.VALIDATION),
        test=examples(Part.TEST),
        noisy=noisy,
        classes=tuple(classes),
        normal=0 if classes[0].lower() in NORMAL_WORDS else None,
        recordings=tuple(r.name for r in sources.recordings),
        split=plan.name,
        held_out=plan.held_out,
        mean=mean,
        deviation=deviation,
        notes=(*sources.notes, *plan.notes),
        fingerprint=fingerprint,
        window_s=config.window_s,
    )


def build_dataset(config: DataConfig, cache: Cache | None = None) -> Dataset:
    """Read, check, window, split, transform and standardise; or load what an equal call made before.

    Args:
        config: What to build.
        cache: Where images are kept; by default `$JOPA_CACHE`, else `~/.cache/jopa`. A cache that cannot be written
            costs time, nothing else.

    Raises:
        DataError: Anything about the recordings or settings that would give a wrong data set.
    """
    sources = _resolve(config)
    fingerprint = _fingerprint(sources)
    cache = cache or Cache.default()
    cached = cache.load(fingerprint)
    if cached is None:
        cached = _make(sources, fingerprint)
        cache.save(cached)
    return cached


def summary(dataset: Dataset) -> Sequence[tuple[str, int, int, int]]:
    """For each class its name and its windows in train, validation and test."""
    counts = [
        np.bincount(p.labels, minlength=len(dataset.classes)) for p in (dataset.train, dataset.validation, dataset.test)
    ]
    return [(name, int(a), int(b), int(c)) for name, a, b, c in zip(dataset.classes, *counts, strict=True)]
