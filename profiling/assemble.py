"""Puts a profile together from what was measured: entries, accuracies, fits and notes."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from data.common.device import library_version
from data.common.files import sha256
from data.common.stats import wilson
from profiling.bundle.subjects import Bundle, Subject
from profiling.config import RunConfig
from profiling.errors import ProfilingError
from profiling.measuring.peak import PEAK, peak_flops
from profiling.measuring.plan import Cell, predictions_key
from profiling.measuring.run_statistics import DRIFT, Visits, drift, summarise
from profiling.notes import speed_notes, width_note
from profiling.profile.accuracy import fit_accuracy
from profiling.profile.entries import (
    Capacity,
    Environment,
    Failed,
    Interval,
    Latency,
    Measurement,
    Model,
    Precision,
    RuntimeName,
    RuntimeTrial,
)
from profiling.profile.laws import Cell as Point
from profiling.profile.laws import capacity_flop_per_s, fit_capacity
from profiling.profile.outcomes import outcome_fields, packed_recordings
from profiling.profile.profile import SCHEMA, WEAK, Profile

NOISY_SHARE = 0.1  # if more of the cells are noisy, the whole run is graded noisy
PROTOCOL = (
    "Fixed seeded input; monotonic clock, one time stamp per run (CUDA: events around a captured graph). Warm-up until "
    "the median of the last ten runs moves by less than 2 %, at least 50 runs or 1 s. Cells are visited in a random "
    "order, once per round; each visit begins with at least 3 unrecorded runs and 0.03 s. Fresh processes share the "
    "rounds. Noisy cells (the median's interval wider than 5 %, or a third of the visits disturbed) are visited as "
    "often again unless they are over a third of all; all runs count."
)
IN_TURN = (
    "As in service: each model is opened once with a dynamic batch (or once per size where the runtime has none), "
    "every size is run twice unrecorded, and from then on all models and batch sizes take turns, in a new random order "
    "each time. A run takes test windows in memory to classes in memory; monotonic clock. Fresh processes share the "
    "rounds. All runs count."
)


@dataclass(frozen=True, eq=False)
class Findings:
    """Everything that was measured.

    Attributes:
        runtime: Name of the runtime that executed the models.
        trials: Trials of the race that chose the runtime; empty if the user named it.
        visits: Visits to each cell, by the cell's key.
        called: Predicted classes of the test windows, by predictions key.
        failed: Why a cell could not be measured, by its key.
        int8: Quantised ONNX file of each rate.
        samples: File that holds all runs.
        environment: Machine and software.
    """

    runtime: RuntimeName
    trials: list[RuntimeTrial]
    visits: dict[str, Visits]
    called: dict[str, list[int]]
    failed: dict[str, str]
    int8: dict[float, Path]
    samples: Path
    environment: Environment


def _latencies(config: RunConfig, found: Findings, rate: float, precision: Precision) -> list[Latency]:
    cells = [Cell(rate, precision, b, t) for t in config.resolved_threads for b in sorted(config.batches)]
    return [summarise(found.visits[c.key], c.batch, c.threads) for c in cells if c.key in found.visits]


def _failures(config: RunConfig, bundle: Bundle, found: Findings) -> list[Failed]:
    cells = [
        Cell(s.entry.rate, p, b, t)
        for s in bundle.subjects
        for p in config.precisions
        for t in config.resolved_threads
        for b in config.batches
    ]
    return [
        Failed(rate=c.rate, precision=c.precision, batch=c.batch, threads=c.threads, reason=found.failed[c.key])
        for c in cells
        if c.key in found.failed
    ]


class _Accuracies:
    """Accuracy of every (rate, precision): from the predictions made here, or else from the bundle."""

    def __init__(self, bundle: Bundle, found: Findings, reference: Precision) -> None:
        self._bundle, self._found, self._reference = bundle, found, reference

    def right(self, rate: float, precision: Precision) -> np.ndarray | None:
        """Which test windows are classified correctly; None without predictions."""
        called = self._found.called.get(predictions_key(rate, precision))
        return None if called is None else np.asarray(called) == self._bundle.labels

    def value(self, subject: Subject, precision: Precision) -> float:
        right = self.right(subject.entry.rate, precision)
        return exported_accuracy(subject) if right is None else float(right.mean())

    def relative(self, subject: Subject, precision: Precision, dense: Subject) -> dict[str, Any]:
        """Accuracy relative to the complete model on the same windows, with its interval, and the right windows."""
        whole = self.value(dense, self._reference)
        found = {"relative_accuracy": self.value(subject, precision) / max(whole, 1e-12)}
        right, of_whole = self.right(subject.entry.rate, precision), self.right(0.0, self._reference)
        return found | outcome_fields(right, of_whole, self._bundle.recordings)

    def interval(self, value: float) -> tuple[Interval, int]:
        """95 % Wilson interval, and the number of independent windows it rests on."""
        count = int(self._bundle.independent.sum())
        if count == 0:
            return Interval(low=0.0, high=1.0), 0
        low, high = wilson(round(value * count) / count, count)
        return Interval(low=min(value, low), high=max(value, high)), count


def exported_accuracy(subject: Subject) -> float:
    """Test accuracy, as the bundle states it, of the seed whose weights the bundle holds."""
    entry = subject.entry
    return next((s.accuracy for s in entry.seeds if s.seed == entry.exported_seed), entry.accuracy)


def _model(
    config: RunConfig, found: Findings, accuracies: _Accuracies, subject: Subject, dense: Subject, precision: Precision
) -> Model:
    entry, cost = subject.entry, subject.cost
    first = config.precisions[0]
    value = accuracies.value(subject, precision)
    interval, windows = accuracies.interval(value)
    file = found.int8.get(entry.rate) if precision == "int8" else None
    return Model(
        **subject.facts,
        precision=precision,
        weight_bytes=file.stat().st_size if file else cost.weight_bytes,
        accuracy=value,
        accuracy_interval=interval,
        accuracy_windows=windows,
        accuracy_change=None if precision == first else value - accuracies.value(subject, first),
        **accuracies.relative(subject, precision, dense),
        file=f"{config.folder.name}/int8/{file.name}" if file else entry.onnx,
        file_sha256=sha256(file) if file else None,
        latency=_latencies(config, found, entry.rate, precision),
    )


def _capacities(config: RunConfig, found: Findings, models: Iterable[Model]) -> list[Capacity]:
    fits = []
    models = list(models)
    for threads in config.resolved_threads:
        for precision in config.precisions:
            points = [
                Point(m.rate, x.batch, m.flops, m.activation_bytes, x.p50_s)
                for m in models
                if m.precision == precision
                for x in m.latency
                if x.threads == threads
            ]
            if points:
                fits.append(fit_capacity(points, precision, threads, _peak(config, found, precision, threads)))
    return fits


def _peak(config: RunConfig, found: Findings, precision: Precision, threads: int) -> float | None:
    for key, visits in found.visits.items():
        name, of, _side, with_threads = key.split("/")
        if (name, of, with_threads) == (PEAK, precision, str(threads)):
            return peak_flops(config.device) / float(np.median(np.concatenate(visits.samples)))
    return None


def _accuracy_notes(bundle: Bundle, found: Findings, accuracies: _Accuracies, first: Precision) -> list[str]:
    notes = []
    for subject in bundle.subjects:
        rate = subject.entry.rate
        if accuracies.right(rate, first) is None:
            reason = found.failed.get(predictions_key(rate, first), "not measured")
            notes.append(f"{subject.name}: accuracy is the bundle's; it could not be measured here ({reason}).")
        elif first == "fp32" and abs(accuracies.value(subject, first) - exported_accuracy(subject)) > 0.005:
            notes.append(
                f"{subject.name}: accuracy here is {accuracies.value(subject, first):.4f}, in the bundle "
                f"{exported_accuracy(subject):.4f}: this runtime does not reproduce it."
            )
    return notes


def assemble(config: RunConfig, bundle: Bundle, found: Findings) -> Profile:
    """Build the profile of a finished measurement.

    Raises:
        ProfilingError: No cell of the first precision and number of threads could be measured.
    """
    first, threads = config.precisions[0], config.resolved_threads[0]
    accuracies = _Accuracies(bundle, found, "fp32" if "fp32" in config.precisions else first)
    dense = bundle.subjects[0]
    models = [
        _model(config, found, accuracies, subject, dense, precision)
        for precision in config.precisions
        for subject in bundle.subjects
    ]
    capacities = _capacities(config, found, models)
    if not capacities or (capacities[0].precision, capacities[0].threads) != (first, threads):
        reason = next(iter(found.failed.values()), "unknown")
        raise ProfilingError(f"no cell of {first} with {threads} threads could be measured: {reason}.")
    cells = [x for m in models for x in m.latency]
    noisy = sum(x.noisy for x in cells)
    moved = drift([v for k, v in found.visits.items() if not k.startswith(PEAK)], config.rounds)
    own = [m for m in models if m.precision == first]
    return Profile(
        schema_version=SCHEMA,
        kind="measured",
        name=config.name or _device_name(config, found.environment),
        library=library_version("jopa") or "unknown",
        bundle=bundle.reference,
        environment=found.environment,
        measurement=Measurement(
            runtime=found.runtime,
            device=config.device,
            threads=list(config.resolved_threads),
            batches=sorted(config.batches),
            precisions=list(config.precisions),
            grade="noisy" if noisy > NOISY_SHARE * len(cells) or moved > DRIFT else config.grade,
            noisy_cells=noisy,
            cells=len(cells),
            drift=moved,
            rounds=config.rounds,
            processes=config.processes,
            order=config.order,
            protocol=PROTOCOL if config.order == "hot" else IN_TURN,
            samples=f"{config.folder.name}/{found.samples.name}",
            samples_sha256=sha256(found.samples),
            chosen_from=found.trials,
        ),
        models=models,
        failed=_failures(config, bundle, found),
        capacity_flop_per_s=capacity_flop_per_s(capacities[0]),
        capacities=capacities,
        accuracy_curve=fit_accuracy([m.rate for m in own], [m.accuracy for m in own], config.degree),
        test_recordings=packed_recordings(bundle.recordings) if any(m.right for m in models) else None,
        notes=[
            *([WEAK + bundle.manifest.weak] if bundle.manifest.weak else []),
            *speed_notes(models, threads),
            *width_note(bundle.subjects, config.device),
            *_accuracy_notes(bundle, found, accuracies, first),
        ],
    )


def _device_name(config: RunConfig, environment: Environment) -> str:
    if environment.accelerator is not None:
        return environment.accelerator.name
    threads = config.resolved_threads[0]
    return f"{environment.processor.name}, {threads} {'thread' if threads == 1 else 'threads'}"
