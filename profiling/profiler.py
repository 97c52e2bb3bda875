"""Bundle + device -> profile: plan the visits, measure them in worker processes, put the profile together."""

import hashlib
import json
import math
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from safetensors.numpy import save

from data.common.device import library_version
from data.common.files import sha256, write_whole
from data.common.runfolder import only_process
from profiling.assemble import Findings, assemble
from profiling.bundle.subjects import Bundle, Subject, read_bundle
from profiling.config import GRADES, RunConfig
from profiling.errors import ProfilingError
from profiling.measuring.device import describe, load
from profiling.measuring.measure import Event, Journal, measure
from profiling.measuring.peak import PEAK_FILE, peak_cell
from profiling.measuring.plan import Cell, predictions_key, visits_of
from profiling.measuring.quantize import quantize
from profiling.measuring.run_statistics import Visits, is_noisy
from profiling.measuring.worker import Job
from profiling.profile.entries import Precision, RuntimeName, RuntimeTrial
from profiling.profile.profile import Profile
from profiling.runtimes.registry import check, installed

PREDICT_BATCH = 32
HOPELESS = 1 / 3  # where more of the cells are noisy the device is: visiting them again would change nothing
TRIAL_BATCH = 8
RACE: tuple[RuntimeName, ...] = ("openvino", "onnxruntime", "torch")


def choose_runtime(found: list[RuntimeTrial]) -> RuntimeName:
    """The fastest in a race: the lowest geometric mean of its times on the dense and the most pruned model.

    Raises:
        ProfilingError: None could run the models.
    """
    ran = [t for t in found if t.dense_s and t.pruned_s]
    if not ran:
        reasons = "; ".join(f"{t.runtime}: {t.error}" for t in found) or "none is installed"
        raise ProfilingError(f"no runtime can run these models ({reasons}).", "Install openvino or onnxruntime.")
    return min(ran, key=lambda t: math.sqrt((t.dense_s or 0) * (t.pruned_s or 0))).runtime


class Profiler:
    """One measurement of one bundle, with its journal."""

    def __init__(self, config: RunConfig, bundle: Bundle, console: Console) -> None:
        self.config, self.bundle, self.console = config, bundle, console
        identity = {
            **config.identity(),
            "bundle": bundle.reference.sha256,
            "versions": {n: library_version(n) for n in ("jopa", "onnxruntime", "openvino", "torch")},
        }
        key = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:12]
        self.journal = Journal(config.folder / f".journal-{key}.jsonl")

    def say(self, text: str) -> None:
        """A line to the user."""
        self.console.print(text, highlight=False, markup=False)

    # --- what to measure -------------------------------------------------------------------------------------------

    def _wire(self, runtime: RuntimeName, subject: Subject, cell: Cell) -> dict[str, Any]:
        """A cell as the worker wants it."""
        path = subject.onnx
        if cell.precision == "int8":
            path = self.quantized(subject)
        return {
            "key": cell.key,
            "precision": cell.precision,
            "batch": cell.batch,
            "shape": list(self.bundle.shape),
            "onnx": str(path) if path and runtime != "torch" else None,
            "bundle": [str(self.bundle.folder), subject.entry.rate] if runtime == "torch" else None,
            "needs_bytes": cell.batch * subject.cost.largest_bytes + subject.cost.weight_bytes,
        }

    def quantized(self, subject: Subject) -> Path:
        """Where a model's int8 file is."""
        return self.config.folder / "int8" / f"vgg16-{subject.name.replace('p = ', 'p')}.onnx"

    def quantize_all(self) -> None:
        """Make the int8 files that are not there yet, as the journal knows them."""
        done = {e["file"]: e["sha256"] for e in self.journal.of("quantized")}
        images, what = self.bundle.calibration()
        for subject in self.bundle.subjects:
            target = self.quantized(subject)
            if target.exists() and done.get(target.name) == sha256(target):
                continue
            assert subject.onnx is not None
            self.say(f"int8: {subject.name}, ranges from {what}")
            quantize(subject.onnx, target, images)
            self.journal.add({"event": "quantized", "file": target.name, "sha256": sha256(target)})

    def _job(
        self, runtime: RuntimeName, threads: int, cells: list[dict[str, Any]], visits: list[tuple[str, int]]
    ) -> Job:
        runs, seconds = GRADES[self.config.grade]
        rounds = self.config.rounds
        return Job(
            runtime,
            self.config.device,
            threads,
            cells,
            visits,
            least_runs=math.ceil(runs / rounds),
            least_s=seconds / rounds,
            test=str(self.bundle.test.resolve()),
        )

    # --- the race of runtimes --------------------------------------------------------------------------------------

    def race(self) -> list[RuntimeTrial]:
        """Time every installed runtime on the dense and the most pruned model; none where the user named one."""
        if self.config.runtime != "auto":
            return []
        precision, threads = self.config.precisions[0], self.config.resolved_threads[0]
        known = {e["trial"]["runtime"]: RuntimeTrial(**e["trial"]) for e in self.journal.of("trial")}
        for name in RACE:
            if name in known or installed(name) is None:
                continue
            trial = self._trial(name, precision, threads)
            known[name] = trial
            self.journal.add({"event": "trial", "trial": trial.model_dump()})
        return list(known.values())

    def _trial(self, name: RuntimeName, precision: Precision, threads: int) -> RuntimeTrial:
        version = installed(name) or "unknown"

        def failed(reason: str) -> RuntimeTrial:
            return RuntimeTrial(
                runtime=name, version=version, batch=TRIAL_BATCH, dense_s=None, pruned_s=None, error=reason
            )

        try:
            for wanted in self.config.precisions:
                check(name, self.config.device, wanted)
        except ProfilingError as error:
            return failed(error.problem)
        subjects = (self.bundle.subjects[0], self.bundle.subjects[-1])
        if name != "torch" and any(s.onnx is None for s in subjects):
            return failed("the bundle holds no ONNX models")
        precision = "fp32" if precision == "int8" else precision
        cells = [Cell(s.entry.rate, precision, TRIAL_BATCH, threads) for s in subjects]
        wires = {c.key: self._wire(name, s, c) for s, c in zip(subjects, cells, strict=True)}
        visits = [(key, number) for number in range(2) for key in wires]
        seconds: dict[str, Visits] = {}
        problems: list[str] = []

        def hear(event: Event) -> None:
            if event["event"] == "visit":
                seconds.setdefault(event["key"], Visits()).add(event)
            elif event["event"] == "failed":
                problems.append(event["reason"])

        with self.console.status(f"trying {name} ..."):
            measure(self._job(name, threads, list(wires.values()), visits), hear)
        if problems:
            return failed(problems[0])
        dense, pruned = (float(np.median(np.concatenate(seconds[c.key].samples))) for c in cells)
        self.say(
            f"{name} {version}: batch {TRIAL_BATCH}: dense {1e3 * dense:.2f} ms, most pruned {1e3 * pruned:.2f} ms"
        )
        return RuntimeTrial(
            runtime=name, version=version, batch=TRIAL_BATCH, dense_s=dense, pruned_s=pruned, error=None
        )

    # --- measuring -------------------------------------------------------------------------------------------------

    def cells(self) -> list[tuple[Subject, Cell]]:
        """Everything to time."""
        return [
            (s, Cell(s.entry.rate, p, b, t))
            for t in self.config.resolved_threads
            for p in self.config.precisions
            for s in self.bundle.subjects
            for b in self.config.batches
        ]

    def _plan(self, runtime: RuntimeName, rounds: Iterable[int], threads: int, only: set[str] | None = None) -> Job:
        """Visits of some rounds with so many threads that the journal does not hold yet, in a drawn order a round."""
        wires = {c.key: self._wire(runtime, s, c) for s, c in self.cells() if c.threads == threads}
        for precision in self.config.precisions:
            if precision != "int8":
                wire = peak_cell(runtime, self.config.device, precision, threads, self.config.folder)
                wires[wire["key"]] = wire
        done = {(e["key"], e["round"]) for e in self.journal.of("visit")}
        failed = {e["key"] for e in self.journal.of("failed")}
        visits: list[tuple[str, int]] = []
        for number in rounds:
            keys = [k for k in wires if (only is None or k in only) and k not in failed and (k, number) not in done]
            np.random.default_rng(number).shuffle(keys)
            visits += [(k, number) for k in keys]
        return self._job(runtime, threads, list(wires.values()), visits)

    def _predictions(self, runtime: RuntimeName) -> Job:
        """Predictions of every model at every precision that the journal does not hold yet."""
        threads = self.config.resolved_threads[0]
        batch = min(PREDICT_BATCH, len(self.bundle.labels))
        done = {e["key"] for e in (*self.journal.of("predictions"), *self.journal.of("failed"))}
        wires = []
        for subject in self.bundle.subjects:
            for precision in self.config.precisions:
                wire = self._wire(runtime, subject, Cell(subject.entry.rate, precision, batch, threads))
                wires.append(wire | {"key": predictions_key(subject.entry.rate, precision)})
        wires = [w for w in wires if w["key"] not in done]
        return self._job(runtime, threads, wires, [(w["key"], -1) for w in wires])

    def _noisy(self) -> set[str]:
        """Cells that should be visited again."""
        return {key for key, visits in visits_of(self.journal).items() if is_noisy(visits)}

    def measure_all(self, runtime: RuntimeName) -> None:
        """All predictions and visits, then as many rounds again of cells that were noisy, where those are the few."""
        config = self.config
        threads, rounds = config.resolved_threads, range(config.rounds)
        shares = [[r for r in rounds if r % config.processes == k] for k in range(config.processes)]
        total = len(self.cells()) * config.rounds + len(config.precisions) * len(self.bundle.subjects)
        kept = len(self.journal.of("visit"))
        if kept:
            self.say(f"going on: {kept} of about {total} visits are in the journal")
        with _bar(self.console) as bar:
            task = bar.add_task("accuracy", total=total, completed=min(total, kept))

            def hear(event: Event) -> None:
                if event["event"] in ("visit", "predictions", "failed"):
                    self.journal.add(event)
                    bar.advance(task)

            measure(self._predictions(runtime), hear)
            for k, share in enumerate(shares):
                bar.update(task, description=f"latency, process {k + 1} of {config.processes}")
                for t in threads:
                    measure(self._plan(runtime, share, t), hear)
            again = self._noisy()
            if 0 < len(again) <= HOPELESS * len(self.cells()):
                bar.update(
                    task, description=f"again: {len(again)} noisy cells", total=total + len(again) * config.rounds
                )
                for t in threads:
                    measure(self._plan(runtime, range(config.rounds, 2 * config.rounds), t, again), hear)


def _bar(console: Console) -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total} visits"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )


def _runtime(profiler: Profiler, trials: list[RuntimeTrial]) -> RuntimeName:
    config = profiler.config
    if config.runtime == "auto":
        return choose_runtime(trials)
    for precision in config.precisions:
        check(config.runtime, config.device, precision)
    return config.runtime


def check_settings(config: RunConfig) -> None:
    """Raise where no installed runtime can do what is asked, before anything is measured."""
    if config.runtime != "auto":
        for precision in config.precisions:
            check(config.runtime, config.device, precision)
        return
    problems = []
    for name in RACE:
        try:
            for precision in config.precisions:
                check(name, config.device, precision)
        except ProfilingError as error:
            problems.append(error.problem)
        else:
            return
    asked = ", ".join(config.precisions)
    raise ProfilingError(
        f"no installed runtime can do {asked} on {config.device}: {' '.join(problems)}",
        "Install one that can, e.g. pip install openvino for fp32, bf16 and int8 on a CPU.",
    )


def run_profile(config: RunConfig, console: Console) -> Profile:
    """Measure a bundle on this device and write the profile, its samples and its pictures.

    Raises:
        ProfilingError: A bundle, runtime or device that cannot be used; nothing could be measured.
        PruningError: The bundle is missing, incomplete, altered or of a newer schema.
        UserError: Another process measures into the same folder, or it cannot be written.
    """
    check_settings(config)
    bundle = read_bundle(config.models, need_onnx=config.runtime in ("onnxruntime", "openvino"))
    with only_process(config.folder):
        profiler = Profiler(config, bundle, console)
        try:
            return _measure(profiler)
        finally:
            profiler.journal.close()


def _measure(profiler: Profiler) -> Profile:
    config, bundle, journal = profiler.config, profiler.bundle, profiler.journal
    started, begun, load_before = datetime.now(UTC), time.monotonic(), load()
    _check_quantizable(config, bundle)
    if "int8" in config.precisions:
        profiler.quantize_all()
    trials = profiler.race()
    runtime = _runtime(profiler, trials)
    profiler.say(f"runtime: {runtime} {installed(runtime)}, {config.device}, threads {config.resolved_threads}")
    profiler.measure_all(runtime)
    samples = config.folder / "samples.safetensors"
    visits = visits_of(journal)
    write_whole(samples, pack(visits))
    findings = Findings(
        runtime=runtime,
        trials=trials,
        visits=visits,
        called={e["key"]: e["called"] for e in journal.of("predictions")},
        failed={e["key"]: e["reason"] for e in journal.of("failed")},
        int8={s.entry.rate: profiler.quantized(s) for s in bundle.subjects} if "int8" in config.precisions else {},
        samples=samples,
        environment=describe(started, time.monotonic() - begun, load_before, config.device == "cuda"),
    )
    profile = assemble(config, bundle, findings)
    profile.save(config.out)
    journal.path.unlink(missing_ok=True)
    (config.folder / PEAK_FILE).unlink(missing_ok=True)
    return profile


def _check_quantizable(config: RunConfig, bundle: Bundle) -> None:
    missing = [s.name for s in bundle.subjects if s.onnx is None]
    if missing and "int8" in config.precisions:
        raise ProfilingError(f"int8 needs ONNX models; the bundle holds none of {', '.join(missing)}.")


def pack(visits: dict[str, Visits]) -> bytes:
    """All runs as safetensors: float32 seconds, a tensor a visit, named rate/precision/batch/threads/visit."""
    return save(
        {f"{key}/{i}": run.astype(np.float32) for key, own in visits.items() for i, run in enumerate(own.samples)}
    )
