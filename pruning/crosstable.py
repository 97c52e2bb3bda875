"""Finished jobs of a cross-validation -> what `models.json` says of it."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from jaxtyping import Int64

from pruning.baseline import Baseline
from pruning.config import SweepConfig
from pruning.cross import Cross
from pruning.jobfolder import JobFolder
from pruning.jobs import Job
from pruning.metrics import difference, independent, score

Called = dict[str, Int64[np.ndarray, " n"]]


def pooled_calls(jobs: Sequence[Job], folder: Callable[[str], JobFolder]) -> Called:
    """What the jobs of all folds, in their order, named, by "after.clean" and so on.

    "after.clean" is of every pooled window, the others of those in `Cross.probed`.
    """
    results = [folder(job.name).result(need_weights=False) for job in jobs]
    found = [result.predictions for result in results if result is not None]
    assert len(found) == len(jobs), "every fold should be finished"
    return {name: np.concatenate([calls[name] for calls in found]) for name in found[0]}


def _after(called: Called) -> Called:
    return {name.removeprefix("after."): own for name, own in called.items() if name.startswith("after.")}


def cross_entry(
    config: SweepConfig, cross: Cross, baselines: Sequence[Baseline], folder: Callable[[str], JobFolder]
) -> dict[str, Any]:
    """Scores of every model and baseline on the pooled windows, and what was right in each group."""
    test = cross.pooled.test
    apart = independent(test.recordings, test.starts_s, cross.pooled.window_s)
    everywhere, probed, classes = np.arange(len(test)), cross.probed, len(cross.pooled.classes)
    dense_calls = _after(pooled_calls(cross.dense_jobs(config), folder))
    dense_right = dense_calls["clean"] == test.labels

    def entry(kind: str, rate: float | None, called: Called, before: float | None = None) -> dict[str, Any]:
        gain, low, high = difference([(called["clean"] == test.labels)[None], dense_right[None]], cross.groups)
        scores = {}
        for name, own in called.items():
            of = everywhere if name == "clean" else probed
            scores[name] = asdict(
                score(own[None], test.labels[of], apart[of], classes, cross.pooled.normal, cross.groups[of])
            )
        gained = {"value": gain, "low": low, "high": high}
        return {"kind": kind, "rate": rate, "before": before, "difference": gained, "scores": scores}

    entries = [entry("dense", 0.0, dense_calls)]
    last = [job for job in cross.pruned_jobs(config) if job.rate == job.final_rate]
    for rate in config.pruned_rates:
        called = pooled_calls([job for job in last if job.final_rate == rate], folder)
        before = float((called["before.clean"] == test.labels[probed]).mean())
        entries.append(entry("pruned", rate, _after(called), before))
    entries += [entry(own.kind, None, own.called) for own in baselines]
    right = {"dense": dense_right} | {own.kind: own.called["clean"] == test.labels for own in baselines}
    return {
        "folds": len(cross.datasets),
        "words": cross.folds.words,
        "seed": config.seeds[0],
        "windows": len(test),
        "windows_independent": int(apart.sum()),
        "groups": [
            {
                "name": group.name,
                "kind": group.kind,
                "fold": fold + 1,
                "windows": int((cross.groups == i).sum()),
                "right": {kind: int(own[cross.groups == i].sum()) for kind, own in right.items()},
            }
            for i, (group, fold) in enumerate(zip(cross.folds.groups, cross.folds.fold_of, strict=True))
        ],
        "entries": entries,
        "notes": list(cross.folds.notes),
    }
