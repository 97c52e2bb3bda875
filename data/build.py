"""From a configuration to a `Dataset`: images and labels in three parts, cached on disk."""

import hashlib
import json
from dataclasses import asdict
from typing import Any

import numpy as np

from data.cache import Cache
from data.common.files import sha256
from data.config import DataConfig
from data.dataset import Dataset, Examples
from data.errors import DataError
from data.folds import Folds, plan_folds
from data.gather import Gathered, gather, step_s
from data.images import add_noise, log_spectrogram, prepare_signal, standardise, window_at
from data.readers.folder import LOCATION_WORDS
from data.recording import Location, Recording, usable
from data.sources import DATASETS
from data.splits import GUARD_S, Part, SplitPlan, plan_split, window_starts

SNRS_DB = (10, 5, 0)  # of the noisy tests
TRAIN_SNR_DB = (0.0, 20.0)  # range of the noise added for learning
PIPELINE_VERSION = 2  # raise when the same recordings would give other images
NORMAL_WORDS = LOCATION_WORDS[Location.NORMAL]


def _fingerprint(gathered: Gathered) -> str:
    """Hash of everything the images depend on: settings, recordings and this pipeline's version."""
    config = {k: v for k, v in asdict(gathered.config).items() if k not in ("root", "accept", "resample")}
    content: list[Any] = [PIPELINE_VERSION, SNRS_DB, config]
    content += DATASETS[gathered.config.data].version(gathered.config)
    content += [[r.name, r.sampling_rate_hz, r.load, sha256(r.path) if r.path else None] for r in gathered.recordings]
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()


def _prepared(recording: Recording, rate_hz: float) -> tuple[np.ndarray, np.ndarray]:
    """The signal at the target rate, and the times in seconds of samples that are not finite."""
    signal = recording.signal()
    try:
        prepared = prepare_signal(signal, recording.sampling_rate_hz, rate_hz)
    except DataError as error:
        raise DataError(f"{recording.where}: {error.problem}", error.remedy) from None
    return prepared, np.flatnonzero(~usable(signal)) / recording.sampling_rate_hz


def _cut(
    gathered: Gathered, plan: SplitPlan, whole: tuple[Part, ...]
) -> dict[Part, tuple[list[np.ndarray], list[int], list[int], list[float]]]:
    """The windows of each part, with the label, recording and start of each; `whole` parts must have every class."""
    config = gathered.config
    samples = round(config.window_s * config.rate_hz)
    classes = sorted(set(gathered.labels), key=_class_order)
    parts: dict[Part, tuple[list[np.ndarray], list[int], list[int], list[float]]] = {p: ([], [], [], []) for p in Part}
    prepared = [_prepared(r, config.rate_hz) for r in gathered.recordings]
    dropped = 0
    for segment in plan.segments:
        signal, broken_s = prepared[segment.recording]
        windows, labels, recordings, starts = parts[segment.part]
        for start in window_starts(segment, config.window_s, step_s(config, segment.part)):
            if np.any((broken_s > start - GUARD_S) & (broken_s < start + config.window_s + GUARD_S)):
                dropped += 1
                continue
            first, window = window_at(signal, start, samples, config.rate_hz)
            windows.append(window)
            labels.append(classes.index(gathered.labels[segment.recording]))
            recordings.append(segment.recording)
            starts.append(first / config.rate_hz)
    if dropped:
        gathered.notes.append(f"{dropped} windows with NaN, infinite or huge samples are left out")
    for part in whole:
        missing = [c for i, c in enumerate(classes) if i not in parts[part][1]]
        if missing:
            raise DataError(
                f"no {part} window of class {', '.join(missing)}.",
                "Give longer recordings or another split.",
            )
    return parts


def _class_order(name: str) -> tuple[int, str]:
    return (0 if name.lower() in NORMAL_WORDS else 1, name)


def _with_noise(windows: np.ndarray, part: Part, config: DataConfig) -> np.ndarray:
    """Windows with noise added to a share of them; windows of the test part stay as they are."""
    if part is Part.TEST or config.train_noise == 0:
        return windows
    rng = np.random.default_rng([config.data_seed, list(Part).index(part)])
    chosen = rng.random(len(windows)) < config.train_noise
    windows = windows.copy()
    for i in np.flatnonzero(chosen):
        windows[i] = add_noise(windows[i : i + 1], float(rng.uniform(*TRAIN_SNR_DB)), rng)[0]
    return windows


def _to_spoil(gathered: Gathered, part: tuple[list[np.ndarray], list[int], list[int], list[float]]) -> np.ndarray:
    """Test windows for the noisy tests: the first ones, without the many of recordings that are only for testing."""
    windows, _, recordings, _ = part
    own = sum(not gathered.recordings[r].only_test for r in recordings)
    return np.stack(windows[: own or len(windows)])


def _planned(gathered: Gathered) -> SplitPlan:
    config = gathered.config
    assert config.split is not None
    return plan_split(
        gathered.recordings,
        gathered.labels,
        config.split,
        window_s=config.window_s,
        hop_s=config.hop_s,
        held_out=config.held_out,
        seed=config.data_seed,
    )


def _make(gathered: Gathered, plan: SplitPlan, fingerprint: str, whole: tuple[Part, ...]) -> Dataset:
    config = gathered.config
    parts = _cut(gathered, plan, whole)
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
            standardise(empty if made is None else made, mean, deviation),
            np.array(labels, dtype=np.int64),
            np.array(recordings, dtype=np.int64),
            np.array(starts, dtype=np.float32),
        )

    test_windows = _to_spoil(gathered, parts[Part.TEST])
    noisy = {}
    for snr in SNRS_DB:
        rng = np.random.default_rng([config.data_seed, 1000 + snr])
        spoiled = log_spectrogram(add_noise(test_windows, snr, rng), config.size, config.rate_hz)
        noisy[snr] = standardise(spoiled, mean, deviation)
    classes = sorted(set(gathered.labels), key=_class_order)
    return Dataset(
        train=examples(Part.TRAIN),
        validation=examples(Part.VALIDATION),
        test=examples(Part.TEST),
        noisy=noisy,
        classes=tuple(classes),
        normal=0 if classes[0].lower() in NORMAL_WORDS else None,
        recordings=tuple(r.name for r in gathered.recordings),
        split=plan.name,
        held_out=plan.held_out,
        mean=mean,
        deviation=deviation,
        notes=(*gathered.notes, *plan.notes),
        fingerprint=fingerprint,
        config=config,
    )


def make_dataset(gathered: Gathered, fingerprint: str) -> Dataset:
    """A data set of recordings that are already gathered and checked, from nothing that was kept."""
    return _make(gathered, _planned(gathered), fingerprint, (Part.TRAIN, Part.TEST))


def build_dataset(config: DataConfig, cache: Cache | None = None) -> Dataset:
    """Build a data set (read, check, split, cut, transform, standardise), or load what an equal call built before.

    Args:
        config: Settings of the data set.
        cache: Where images are kept; by default `$JOPA_CACHE` or `~/.cache/jopa`. If it cannot be written, the next
            call takes longer, and nothing else happens.

    Raises:
        DataError: The recordings or settings would give a wrong data set.
    """
    gathered = gather(config)
    fingerprint = _fingerprint(gathered)
    cache = cache or Cache.default()
    cached = cache.load(fingerprint, gathered.config)
    if cached is None:
        cached = make_dataset(gathered, fingerprint)
        cache.save(cached)
    return cached


def build_folds(config: DataConfig, folds: int, cache: Cache | None = None) -> tuple[Folds, tuple[Dataset, ...]]:
    """Build a data set for each fold of a grouped cross-validation; each is cached like any other.

    Args:
        config: Settings of the data set; its split says what the groups are (`data.folds.plan_folds`).
        folds: Number of folds; there are fewer where there are too few groups.
        cache: Where images are kept; by default as in `build_dataset`.

    Raises:
        DataError: The recordings or settings would give a wrong data set, or cannot be grouped.
    """
    gathered = gather(config)
    config = gathered.config
    assert config.split is not None
    planned = plan_folds(gathered.recordings, gathered.labels, config.split, folds=folds, window_s=config.window_s)
    base = _fingerprint(gathered)
    cache = cache or Cache.default()
    made = []
    for plan in planned.plans:
        content = json.dumps([base, [[s.recording, s.part, s.start_s, s.stop_s] for s in plan.segments]])
        fingerprint = hashlib.sha256(content.encode()).hexdigest()
        cached = cache.load(fingerprint, config)
        if cached is None:
            cached = _make(gathered, plan, fingerprint, (Part.TRAIN,))
            cache.save(cached)
        made.append(cached)
    return planned, tuple(made)
