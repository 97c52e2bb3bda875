"""One measurement of one bundle: int8 files, accuracies and latencies, kept in a journal as they are found."""

import hashlib
import json

from rich.console import Console

from data.common.console import say
from data.common.device import library_version
from data.common.files import sha256
from data.common.progress import work_bar
from profiling.bundle.subjects import Bundle
from profiling.config import RunConfig
from profiling.measuring.device import int8_saturates
from profiling.measuring.measure import Event, Journal, measure
from profiling.measuring.plan import Plan, visits_of
from profiling.measuring.quantize import quantize
from profiling.measuring.run_statistics import is_noisy
from profiling.runtimes.registry import RUNTIMES, Runtime

HOPELESS = 1 / 3  # if more of the cells are noisy, the device is: visiting them again would change nothing


class Campaign:
    """Measures a bundle, and goes on where an earlier process with the same settings stopped.

    Attributes:
        config: Settings of the run.
        bundle: Bundle whose models are measured.
        plan: Cells and jobs.
        journal: Every event so far. Its name holds a hash of the settings, the bundle and the library versions.
        console: Where progress is shown.
    """

    def __init__(self, config: RunConfig, bundle: Bundle, console: Console) -> None:
        self.config, self.bundle, self.console = config, bundle, console
        self.plan = Plan(config, bundle)
        identity = {
            **config.identity(),
            "bundle": bundle.reference.sha256,
            "versions": {"jopa": library_version("jopa")} | {r.name: r.version() for r in RUNTIMES.values()},
        }
        key = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:12]
        self.journal = Journal(config.folder / f".journal-{key}.jsonl")

    def say(self, text: str) -> None:
        """Print a line for the user."""
        say(self.console, text)

    def quantize_all(self) -> None:
        """Write the int8 files that are missing or differ from the hash in the journal."""
        done = {e["file"]: e["sha256"] for e in self.journal.of("quantized")}
        images, what = self.bundle.calibration()
        narrow = int8_saturates()
        for subject in self.bundle.subjects:
            target = self.plan.quantized(subject)
            if target.exists() and done.get(target.name) == sha256(target):
                continue
            assert subject.onnx is not None
            bits = ", weights of 7 bits because this processor has no VNNI" if narrow else ""
            self.say(f"int8: {subject.name}, ranges from {what}{bits}")
            quantize(subject.onnx, target, images, narrow=narrow)
            self.journal.add({"event": "quantized", "file": target.name, "sha256": sha256(target)})

    def _noisy(self) -> set[str]:
        """Keys of the cells that should be visited again."""
        return {key for key, visits in visits_of(self.journal).items() if is_noisy(visits)}

    def measure_all(self, runtime: Runtime) -> None:
        """Measure all accuracies and latencies; then visit noisy cells as often again, if they are few."""
        config, plan, journal = self.config, self.plan, self.journal
        threads, rounds = config.resolved_threads, range(config.rounds)
        shares = [[r for r in rounds if r % config.processes == k] for k in range(config.processes)]
        total = len(plan.cells()) * config.rounds + len(config.precisions) * len(self.bundle.subjects)
        kept = len(journal.of("visit"))
        if kept:
            self.say(f"going on: {kept} of about {total} visits are in the journal")
        with work_bar(self.console, "{task.completed}/{task.total} visits") as bar:
            task = bar.add_task("accuracy", total=total, completed=min(total, kept))

            def hear(event: Event) -> None:
                if event["event"] in ("visit", "predictions", "failed"):
                    journal.add(event)
                    bar.advance(task)

            measure(plan.predictions(runtime, journal), hear)
            for k, share in enumerate(shares):
                bar.update(task, description=f"latency, process {k + 1} of {config.processes}")
                for t in threads:
                    measure(plan.visits(runtime, share, t, journal), hear)
            again = self._noisy() if config.order == "hot" else set()  # a few cells alone would not be taking turns
            if 0 < len(again) <= HOPELESS * len(plan.cells()):
                bar.update(
                    task, description=f"again: {len(again)} noisy cells", total=total + len(again) * config.rounds
                )
                for t in threads:
                    measure(plan.visits(runtime, range(config.rounds, 2 * config.rounds), t, journal, again), hear)
