"""The learning curve: what models that learned from fewer groups (recordings, machines, ...) name, fold by fold."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Int64

from data import Dataset, Examples
from pruning.baseline import Baseline, fit_baselines
from pruning.config import SweepConfig
from pruning.cross import Cross, pooled_baselines
from pruning.crosstable import pooled_calls
from pruning.jobfolder import JobFolder
from pruning.jobs import Job
from pruning.metrics import difference, score

DRAWS = 4  # choices of the groups that a simple detector learns from, at each number of them
MOST_POINTS = 6
NETWORK_SHARES = (0.25, 0.5)  # of a class's groups at which the network is trained; the cross-validation has all


def _by_class(cross: Cross, fold: int, draw: int) -> dict[int, list[int]]:
    """The training groups of each class of a fold, in the order in which they are learned from."""
    groups, labels = cross.learned[fold], cross.datasets[fold].train.labels
    order = np.random.default_rng([draw, fold]).permutation(len(cross.folds.groups))  # one order for all classes
    return {
        int(label): [int(group) for group in order if group in groups[labels == label]] for label in np.unique(labels)
    }


def fewer(cross: Cross, fold: int, count: int, draw: int = 0) -> Dataset:
    """A fold's data set with the training windows of `count` groups of each class, or of all where there are fewer."""
    own = cross.datasets[fold]
    groups, order = cross.learned[fold], _by_class(cross, fold, draw)
    kept = np.zeros(len(groups), dtype=bool)
    for label, chosen in order.items():
        kept |= (own.train.labels == label) & np.isin(groups, chosen[:count])
    train = own.train
    part = Examples(train.images[kept], train.labels[kept], train.recordings[kept], train.starts_s[kept])
    return replace(own, train=part)


def _most(cross: Cross) -> int:
    """The most groups of a class that some fold learns from."""
    return max(len(own) for fold in range(len(cross.datasets)) for own in _by_class(cross, fold, 0).values())


def _learned(cross: Cross, count: int) -> float:
    """Groups that a model learns from at `count` of each class, on the average of the folds."""
    found = []
    for fold in range(len(cross.datasets)):
        chosen = {group for own in _by_class(cross, fold, 0).values() for group in own[:count]}
        found.append(len(chosen))
    return float(np.mean(found))


def sizes(cross: Cross) -> list[int]:
    """Numbers of groups of each class at which the simple detectors are fitted; the last is all."""
    most = _most(cross)
    counts = sorted({max(1, round(x)) for x in np.geomspace(1, most, min(MOST_POINTS, most))})
    return [count for count in counts if count == most or _learned(cross, count) < 0.9 * _learned(cross, most)]


def curve_jobs(config: SweepConfig, cross: Cross) -> list[Job]:
    """The dense model of the first seed in every fold at some numbers of groups; nothing unless it is asked for."""
    if not config.learning_curve:
        return []
    most = _most(cross)
    counts = sorted({max(1, round(share * most)) for share in NETWORK_SHARES} - {most})
    return [
        Job("dense", config.seeds[0], fold=fold + 1, groups=count)
        for count in counts
        for fold in range(len(cross.datasets))
    ]


Right = dict[int, Bool[np.ndarray, "draws n"]]


def _simple(cross: Cross, full: Sequence[Baseline]) -> dict[str, Right]:
    """For each simple detector and number of groups, which pooled windows each draw names rightly."""
    labels = cross.pooled.test.labels
    found: dict[str, Right] = {own.kind: {} for own in full}
    counts = sizes(cross)
    for count in counts[:-1]:
        draws = [
            pooled_baselines(
                [fit_baselines(fewer(cross, fold, count, draw), noisy=False) for fold in range(len(cross.datasets))]
            )
            for draw in range(DRAWS)
        ]
        for kind in found:
            called = [next(b for b in own if b.kind == kind).called["clean"] for own in draws]
            found[kind][count] = np.stack(called) == labels
    for own in full:
        found[own.kind][counts[-1]] = (own.called["clean"] == labels)[None]
    return found


def _network(config: SweepConfig, cross: Cross, folder: Callable[[str], JobFolder]) -> dict[str, Right]:
    jobs = curve_jobs(config, cross)
    if not jobs:
        return {}
    labels = cross.pooled.test.labels
    found: Right = {}
    for count in sorted({job.groups for job in jobs}):
        called = pooled_calls([job for job in jobs if job.groups == count], folder)
        found[count] = (called["after.clean"] == labels)[None]
    found[_most(cross)] = (pooled_calls(cross.dense_jobs(config), folder)["after.clean"] == labels)[None]
    return {"dense": found}


def _rate(right: Bool[np.ndarray, "draws n"], groups: Int64[np.ndarray, " n"]) -> dict[str, Any]:
    """Accuracy over all draws, with an interval that counts each group as one trial."""
    zeros = np.zeros(right.shape[1], dtype=np.int64)
    apart = np.ones(right.shape[1], dtype=bool)
    rate = score((~right).astype(np.int64), zeros, apart, 2, None, groups).accuracy
    return asdict(rate)


def curve_entry(
    config: SweepConfig, cross: Cross, full: Sequence[Baseline], folder: Callable[[str], JobFolder]
) -> dict[str, Any] | None:
    """What `models.json` says of the learning curve; None where every fold learns from one group of each class.

    Args:
        config: Settings of the sweep.
        cross: The cross-validation.
        full: The simple detectors, fitted on all training groups of each fold.
        folder: Gives the folder of a job by its name.
    """
    if _most(cross) < 2:
        return None
    points, gains = [], []
    for kind, own in {**_network(config, cross, folder), **_simple(cross, full)}.items():
        counts = sorted(own)
        points += [
            {
                "kind": kind,
                "groups": _learned(cross, count),
                "draws": len(own[count]),
                "accuracy": _rate(own[count], cross.groups),
            }
            for count in counts
        ]
        half = max((c for c in counts if c <= counts[-1] / 2), default=counts[0])
        value, low, high = difference([np.broadcast_to(own[counts[-1]], own[half].shape), own[half]], cross.groups)
        gains.append(
            {
                "kind": kind,
                "fewer": _learned(cross, half),
                "more": _learned(cross, counts[-1]),
                "gain": {"value": value, "low": low, "high": high},
            }
        )
    return {"words": cross.folds.words, "points": points, "gains": gains}
