"""Grouped cross-validation of a sweep: which folds there are, which jobs they make, and what they test together."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Int64

from data import DataError, Dataset, Examples, build_folds
from data.cache import Cache
from data.folds import BLOCKS, FEW_WINDOWS, KINDS, MOST_FOLDS, Folds
from pruning.baseline import Baseline, fit_baselines
from pruning.budget import cost
from pruning.config import SweepConfig
from pruning.jobs import Job, plan_jobs, pruned_jobs
from pruning.metrics import equal_groups, independent
from pruning.spec import VGGSpec
from pruning.train import TrainConfig

# FLOP of all trainings, up to which "auto" makes one fold more. The 14 recordings of MFPT with six rates get 2 folds,
# 59 TFLOP; a core of an AMD EPYC with bfloat16 does 0.16 TFLOP/s of training (docs/pruning.md has what they took).
LIMIT_FLOP = 7e13


@dataclass(frozen=True, eq=False)
class Cross:
    """A cross-validation: the same windows for every model, each tested once.

    Attributes:
        folds: Groups, and which fold tests each.
        datasets: One data set for each fold.
        pooled: Its test part holds the test windows of all folds, one fold after another.
        groups: Index of the group of each of these windows.
        learned: For each fold, index of the group of each training window.
        complete: Whether every rate is cross-validated; otherwise only the dense model is, for the learning curve.
        why: Why it is done, for the screen.
        train: How models are trained, before epochs are raised for a small set.
    """

    folds: Folds
    datasets: tuple[Dataset, ...]
    pooled: Dataset
    groups: Int64[np.ndarray, " n"]
    learned: tuple[Int64[np.ndarray, " _"], ...]
    complete: bool
    why: str
    train: TrainConfig

    @property
    def trials(self) -> tuple[int, str]:
        """Trials of the question whether a model beats a constant answer, and how to say it.

        They are recordings, or parts of one, also where a group has several: a machine on which both classes are told
        apart is more than one piece of luck.
        """
        pieces = self.groups * (1 + self.pooled.test.recordings.max()) + self.pooled.test.recordings
        count = equal_groups(pieces)
        cut = any(group.kind == BLOCKS for group in self.folds.groups)
        return count, f"{count} recordings{' or parts of one' if cut else ''}"

    @property
    def probed(self) -> Int64[np.ndarray, " probed"]:
        """The pooled windows on which the noisy tests and those before retraining are made: each fold's first ones."""
        counts = [len(own.test) for own in self.datasets]
        firsts = np.cumsum([0, *counts[:-1]])
        return np.concatenate([first + np.arange(own.probed) for first, own in zip(firsts, self.datasets, strict=True)])

    def identity(self, config: SweepConfig) -> dict[str, Any]:
        """What it adds to the settings that tell a run from others."""
        own: dict[str, Any] = {"folds": len(self.datasets)} if self.complete else {}
        return {**own, **({"learning_curve": True} if config.learning_curve else {})}

    def dense_jobs(self, config: SweepConfig) -> list[Job]:
        """The dense model of each fold, of the first seed."""
        return [Job("dense", config.seeds[0], fold=fold + 1) for fold in range(len(self.datasets))]

    def pruned_jobs(self, config: SweepConfig) -> list[Job]:
        """The pruned models of each fold."""
        return [j for dense in self.dense_jobs(config) for j in pruned_jobs(config, dense)] if self.complete else []

    def settings(self, job: Job, config: SweepConfig, windows: int) -> SweepConfig:
        """Settings of a job that learns from so many windows."""
        return replace(config, train=self.train.for_windows(windows)) if job.fold else config


def pool(datasets: Sequence[Dataset]) -> Dataset:
    """The first data set with the test windows of all of them."""

    def joined(name: str) -> np.ndarray:
        return np.concatenate([getattr(d.test, name) for d in datasets])

    test = Examples(joined("images"), joined("labels"), joined("recordings"), joined("starts_s"))
    noisy = {snr: np.concatenate([d.noisy[snr] for d in datasets]) for snr in datasets[0].noisy}
    return replace(datasets[0], test=test, noisy=noisy)


def _groups(folds: Folds, part: Examples) -> Int64[np.ndarray, " n"]:
    """Index of the group of each window."""
    found = [folds.group_of(int(r), float(s)) for r, s in zip(part.recordings, part.starts_s, strict=True)]
    return np.array(found, dtype=np.int64)


def affordable(config: SweepConfig, dense: VGGSpec, windows: int) -> int:
    """Folds that "auto" makes: as many as `LIMIT_FLOP` allows, 2 to `MOST_FOLDS`. It is the same on every machine."""

    def total(jobs: Sequence[Job]) -> float:
        return sum(cost(job, config, dense, windows).total for job in jobs)

    own = Job("dense", config.seeds[0], fold=1)
    fold = total([own, *pruned_jobs(config, own)])
    return max(2, min(MOST_FOLDS, int((LIMIT_FLOP - total(plan_jobs(config))) / fold)))


def make_cross(
    config: SweepConfig, train: TrainConfig, dataset: Dataset, dense: VGGSpec, cache: Cache
) -> tuple[Cross | None, str | None]:
    """The cross-validation of a sweep, or None and, if one would be wanted, why there is none.

    Args:
        config: Settings of the sweep, with the data set's own number of epochs.
        train: How models are trained, before epochs are raised for a small set.
        dataset: The data set with its one test part.
        dense: Structure of the dense model.
        cache: Where the folds' images are kept.

    Raises:
        DataError: It was asked for by --folds or --learning-curve, and the recordings cannot be grouped.
    """
    apart = int(independent(dataset.test.recordings, dataset.test.starts_s, dataset.window_s).sum())
    few = apart < FEW_WINDOWS and dataset.split in KINDS
    complete = config.folds > 1 if config.folds is not None else few
    if not complete and not config.learning_curve:
        return None, None
    said = f"the test part has {apart} windows that share no sample"
    why = f"{said}, fewer than {FEW_WINDOWS}" if config.folds is None and few else "--folds asks for it"
    asked = (
        config.folds if config.folds is not None and config.folds > 1 else affordable(config, dense, len(dataset.train))
    )
    try:
        folds, datasets = build_folds(config.data, asked, cache)
    except DataError as error:
        if config.learning_curve or config.folds is not None:
            raise
        return None, f"{said}, but the recordings cannot be cross-validated: {error.problem}"
    pooled = pool(datasets)
    learned = tuple(_groups(folds, own.train) for own in datasets)
    return Cross(folds, datasets, pooled, _groups(folds, pooled.test), learned, complete, why, train), None


def cross_words(cross: Cross) -> str:
    """What is done, in a sentence, before it takes its time."""
    tested = ", ".join(str(len(d.test)) for d in cross.datasets)
    what = "every model" if cross.complete else "the dense model, for the learning curve,"
    reason = f" ({cross.why})" if cross.complete else ""
    return (
        f"cross-validation: {what} is trained {len(cross.datasets)} times more, each time without some of "
        f"{cross.folds.words}, and tested on the {tested} windows of these{reason}; --folds 1 leaves it out"
    )


def pooled_baselines(fitted: Sequence[Sequence[Baseline]]) -> list[Baseline]:
    """Baselines of all folds as one: what each named for every pooled test window."""
    made = []
    for own in zip(*fitted, strict=True):
        called = {name: np.concatenate([b.called[name] for b in own]) for name in own[0].called}
        made.append(replace(own[0], flops=max(b.flops for b in own), called=called, fit_s=sum(b.fit_s for b in own)))
    return made


def cross_baselines(cross: Cross) -> list[Baseline]:
    """The simplest detectors, fitted in every fold."""
    return pooled_baselines([fit_baselines(own) for own in cross.datasets])
