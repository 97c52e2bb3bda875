"""What is measured, in which order, and the jobs that measuring processes get."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from profiling.bundle.subjects import Bundle, Subject
from profiling.config import RunConfig
from profiling.measuring.measure import Journal
from profiling.measuring.peak import PEAK, peak_cell
from profiling.measuring.run_statistics import Visits
from profiling.measuring.worker import Job
from profiling.profile.entries import Precision
from profiling.runtimes.registry import Runtime

PREDICT_BATCH = 32  # windows per run when accuracy is measured


@dataclass(frozen=True)
class Cell:
    """One thing to measure: a model at a precision, batch size and number of threads."""

    rate: float
    precision: Precision
    batch: int
    threads: int

    @property
    def key(self) -> str:
        """Name of the cell in the journal and between processes."""
        return f"{self.rate:g}/{self.precision}/{self.batch}/{self.threads}"


def predictions_key(rate: float, precision: Precision) -> str:
    """Name of a model's predictions in the journal."""
    return f"{rate:g}/{precision}/predictions"


def visits_of(journal: Journal) -> dict[str, Visits]:
    """All visits in a journal, by the key of their cell."""
    found: dict[str, Visits] = {}
    for event in journal.of("visit"):
        found.setdefault(event["key"], Visits()).add(event)
    return found


@dataclass(frozen=True, eq=False)
class Plan:
    """Turns settings and a bundle into jobs for measuring processes.

    Attributes:
        config: Settings of the run.
        bundle: Bundle whose models are measured.
    """

    config: RunConfig
    bundle: Bundle

    def quantized(self, subject: Subject) -> Path:
        """Path of a model's int8 file."""
        return self.config.folder / "int8" / f"vgg16-{subject.name.replace('p = ', 'p')}.onnx"

    def cells(self) -> list[tuple[Subject, Cell]]:
        """Every cell to time, with its model."""
        return [
            (s, Cell(s.entry.rate, p, b, t))
            for t in self.config.resolved_threads
            for p in self.config.precisions
            for s in self.bundle.subjects
            for b in self.config.batches
        ]

    def wire(self, runtime: Runtime, subject: Subject, cell: Cell) -> dict[str, Any]:
        """A cell in the form that the worker reads."""
        path = self.quantized(subject) if cell.precision == "int8" else subject.onnx
        return {
            "key": cell.key,
            "precision": cell.precision,
            "batch": cell.batch,
            "shape": list(self.bundle.shape),
            "onnx": str(path) if path and runtime.needs_onnx else None,
            "bundle": None if runtime.needs_onnx else [str(self.bundle.folder), subject.entry.rate],
            "needs_bytes": cell.batch * subject.cost.largest_bytes + subject.cost.weight_bytes,
            "turns": self.config.order == "random",
        }

    def job(
        self, runtime: Runtime, threads: int, wires: Sequence[dict[str, Any]], visits: Sequence[tuple[str, int]]
    ) -> Job:
        """A job of these cells and visits; each visit takes its share of the grade's runs and seconds."""
        runs, seconds = self.config.least
        return Job(
            runtime.name,
            runtime.session,
            self.config.device,
            threads,
            list(wires),
            list(visits),
            least_runs=math.ceil(runs / self.config.rounds),
            least_s=seconds / self.config.rounds,
            test=str(self.bundle.test.resolve()),
            dynamic=runtime.dynamic,
        )

    def visits(
        self, runtime: Runtime, rounds: Iterable[int], threads: int, journal: Journal, only: set[str] | None = None
    ) -> Job:
        """The visits of some rounds that the journal lacks, each round in an order of its own.

        Args:
            runtime: Runtime that executes the models.
            rounds: Numbers of the rounds; each number seeds the order of its round.
            threads: Number of CPU threads; cells with another number are left out.
            journal: Events so far; finished visits and failed cells are skipped.
            only: Keys of the cells to visit; by default all cells.
        """
        wires = {c.key: self.wire(runtime, s, c) for s, c in self.cells() if c.threads == threads}
        for precision in self.config.precisions:
            if precision != "int8":
                wire = peak_cell(runtime, self.config.device, precision, threads, self.config.folder)
                wires[wire["key"]] = wire
        done = {(e["key"], e["round"]) for e in journal.of("visit")}
        failed = {e["key"] for e in journal.of("failed")}
        visits: list[tuple[str, int]] = []
        for number in rounds:
            keys = [k for k in wires if (only is None or k in only) and k not in failed and (k, number) not in done]
            np.random.default_rng(number).shuffle(keys)
            keys.sort(key=lambda k: k.startswith(PEAK))  # it takes no turns, which belong together
            visits += [(k, number) for k in keys]
        return self.job(runtime, threads, list(wires.values()), visits)

    def predictions(self, runtime: Runtime, journal: Journal) -> Job:
        """The predictions of every model at every precision that the journal lacks."""
        threads = self.config.resolved_threads[0]
        batch = min(PREDICT_BATCH, len(self.bundle.labels))
        done = {e["key"] for e in (*journal.of("predictions"), *journal.of("failed"))}
        wires = []
        for subject in self.bundle.subjects:
            for precision in self.config.precisions:
                wire = self.wire(runtime, subject, Cell(subject.entry.rate, precision, batch, threads))
                wires.append(wire | {"key": predictions_key(subject.entry.rate, precision)})
        wires = [w for w in wires if w["key"] not in done]
        return self.job(runtime, threads, wires, [(w["key"], -1) for w in wires])
