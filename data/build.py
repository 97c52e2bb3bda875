"""From a configuration to a `Dataset`: images and labels in three parts, cached on disk."""

import hashlib
import json
from dataclasses import asdict
from typing import Any

import numpy as np

from data.cache import Cache
from data.common.files import sha256
from data.config import DataConfig
from data.cut import SNRS_DB, cut_images
from data.dataset import Dataset, Examples
from data.errors import DataError
from data.folds import Folds, plan_folds
from data.gather import Gathered, gather
from data.images import standardise
from data.readers.folder import LOCATION_WORDS
from data.recording import Location
from data.sources import DATASETS
from data.splits import Part, SplitPlan, plan_split

PIPELINE_VERSION = 2  # raise when the same recordings would give other images
NORMAL_WORDS = LOCATION_WORDS[Location.NORMAL]


def _fingerprint(gathered: Gathered) -> str:
    """Hash of everything the images depend on: settings, recordings and this pipeline's version."""
    config = {k: v for k, v in asdict(gathered.config).items() if k not in ("root", "accept", "resample")}
    content: list[Any] = [PIPELINE_VERSION, SNRS_DB, config]
    content += DATASETS[gathered.config.data].version(gathered.config)
    content += [[r.name, r.sampling_rate_hz, r.load, sha256(r.path) if r.path else None] for r in gathered.recordings]
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()


def _class_order(name: str) -> tuple[int, str]:
    return (0 if name.lower() in NORMAL_WORDS else 1, name)


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
    classes = sorted(set(gathered.labels), key=_class_order)
    parts, dropped = cut_images(gathered, plan, classes, whole)
    broken = [f"{dropped} windows with NaN, infinite or huge samples are left out"] if dropped else []
    learned = parts[Part.TRAIN].images
    mean, deviation = float(learned.mean()), float(learned.std())
    if deviation < 1e-6:
        raise DataError("every training image is the same.", "Check that the signals are what they should be.")

    def examples(part: Part) -> Examples:
        own = parts[part]
        return Examples(
            standardise(own.images, mean, deviation),
            np.array(own.labels, dtype=np.int64),
            np.array(own.recordings, dtype=np.int64),
            np.array(own.starts_s, dtype=np.float32),
        )

    noisy = {snr: standardise(images, mean, deviation) for snr, images in parts[Part.TEST].noisy.items()}
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
        notes=(*gathered.notes, *broken, *plan.notes),
        fingerprint=fingerprint,
        config=gathered.config,
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
