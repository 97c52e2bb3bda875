"""The machines of a trial: processes that stand for the gateways and the edge server, and the times that they take.

One process works at a time, so that gateways do not share this machine's cores, as real ones would not. What ran while
other processes or the hypervisor took the cores is run again: they are this machine's, not the gateway's. The times
themselves play no part in that; what else holds a machine up is looked at in `carry_out`.
"""

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from optimizer.trial.processes import Worker
from optimizer.trial.setting import ModelKey, Setting
from optimizer.trial.worker import Answer, Job, Station

SPEED_RUNS = 50  # picked by hand: runs of the complete model whose median tells how fast the machine is now
UNMEASURED = 5  # turns before: a runtime prepares a size when it first comes
TRIES = 4  # of a run that is disturbed; the last one counts
LEARNED = 10  # runs after which a machine that is never quiet is taken as it is
EDGE_RUN = 25  # windows that the edge runs between two looks at what disturbs the machine
MOST_PROCESSES = 8  # picked by hand: with more gateways, several share a process, to bound the memory
Windows = Int64[np.ndarray, "_"]


@dataclass
class Repeats:
    """How often a disturbed machine made it necessary to run something again.

    Attributes:
        runs: What was asked for: a gateway's batches of a slot, or a few windows at the edge.
        repeated: Those that were disturbed and run again.
        disturbed: Those whose last try was disturbed too.
        reason: What disturbed the first of them.
        outliers: Runs of a gateway that took much longer than the rest, and were run again for that.
    """

    runs: int = 0
    repeated: int = 0
    disturbed: int = 0
    reason: str | None = None
    outliers: int = 0

    @property
    def hopeless(self) -> bool:
        """Whether most runs are disturbed however often they are repeated."""
        return self.runs >= LEARNED and 2 * self.disturbed > self.runs


class Machines:
    """Processes of gateways and of the edge server. A context manager: it starts the processes and stops them.

    Attributes:
        seen: For each model, which test windows it has answered.
        right: For each model, which of them it answered correctly.
        repeats: How often something was run again.

    Args:
        setting: What is tried.
    """

    def __init__(self, setting: Setting) -> None:
        assert setting.gateway.measurement is not None
        self._setting, self._stack = setting, ExitStack()
        models = zip(setting.models, setting.scenario.models, strict=True)
        width = setting.scenario.width
        self._portions = {key: min(width, model.portion or width) for key, model in models}
        self._station = Station(
            bundle=setting.bundle.folder,
            onnx=setting.files,
            runtime=setting.gateway.measurement.runtime,
            threads=setting.gateway.threads,
            largest=max(self._portions.values()),
            shape=setting.bundle.shape,
            test=setting.bundle.test,
        )
        self.repeats = Repeats()
        self._gateways: list[Worker] = []
        labels = setting.bundle.labels
        self.seen: dict[ModelKey, np.ndarray] = {key: np.zeros(len(labels), bool) for key in setting.files}
        self.right: dict[ModelKey, np.ndarray] = {key: np.zeros(len(labels), bool) for key in setting.files}

    def __enter__(self) -> "Machines":
        for i in range(min(self._setting.scenario.gateways, MOST_PROCESSES)):
            self._gateways.append(self._stack.enter_context(Worker(f"gateway {i + 1}", self._station)))
        self._edge = self._stack.enter_context(Worker("edge", self._station))
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def _process(self, gateway: int) -> Worker:
        return self._gateways[gateway % len(self._gateways)]

    def open(self, sizes: Iterable[tuple[int, ModelKey, int]]) -> None:
        """Run each (gateway, model, batch size) once before anything is measured, large batches in portions.

        A gateway that has been in service for a while has met every size; a runtime prepares a size when it first
        comes. From here on nothing is run without being measured.
        """
        wanted: dict[int, dict[tuple[ModelKey, int], None]] = {}
        for gateway, model, size in sizes:
            portions, rest = divmod(size, self._portions[model])
            for run in (self._portions[model] if portions else 0, rest):
                if run:
                    wanted.setdefault(gateway % len(self._gateways), {})[model, run] = None
        test = len(self._setting.bundle.labels)
        for process, jobs in wanted.items():
            self._gateways[process].run([(m, (np.arange(n) % test).tolist(), n) for m, n in jobs])
        self._edge.run([(self._setting.complete, [0], 1)])

    def edge_s(self) -> float:
        """Median seconds of the complete model at the edge, where no other runs, for one window, here and now."""
        ((seconds, _),), _ = self._edge.run([(self._setting.complete, [0] * SPEED_RUNS, 1)])
        return float(np.median(seconds))

    def profiled_s(self) -> float:
        """Median seconds of the complete model for one window, here and now, measured in the order of the profile.

        A model that follows others takes longer than one that runs again and again: its weights have left the caches.
        """
        measurement = self._setting.gateway.measurement
        assert measurement is not None
        if measurement.order == "hot":
            return self.edge_s()
        complete, largest = self._setting.complete, self._station.largest
        sizes = [cell.batch for cell in self._setting.gateway.cells(0.0, complete[1]) if cell.batch <= largest]
        others = [(key, size) for key in self._setting.files if key != complete for size in sizes]
        between = np.random.default_rng(0).integers(0, max(1, len(others)), UNMEASURED + SPEED_RUNS)
        jobs: list[Job] = []
        for pick in between:
            key, size = others[pick] if others else (complete, max(sizes))
            jobs += [(key, [0] * size, size), (complete, [0], 1)]
        answers, _ = self._gateways[0].run(jobs)
        return float(np.median([seconds for seconds, _ in answers[1::2]][UNMEASURED:]))

    def run_batches(self, gateway: int, batches: Sequence[tuple[ModelKey, Windows]]) -> list[tuple[float, list[int]]]:
        """Run a gateway's batches of a slot, one right after the other: the seconds and the classes of each.

        A batch that is larger than any that its model was measured with runs in portions of that size.
        """
        jobs: list[Job] = [(model, windows.tolist(), self._portions[model]) for model, windows in batches]
        answers = self._quiet(self._process(gateway), jobs)
        for (model, windows), (_, classes) in zip(batches, answers, strict=True):
            self._note(model, windows, classes)
        return [(sum(seconds), classes) for seconds, classes in answers]

    def run_edge(self, windows: Windows) -> tuple[Float64[np.ndarray, "_"], Int64[np.ndarray, "_"]]:
        """Run windows one by one on the complete model: the seconds and the class of each."""
        seconds: list[float] = []
        classes: list[int] = []
        for first in range(0, len(windows), EDGE_RUN):
            job = (self._setting.complete, windows[first : first + EDGE_RUN].tolist(), 1)
            ((own_seconds, own_classes),) = self._quiet(self._edge, [job])
            seconds += own_seconds
            classes += own_classes
        self._note(self._setting.complete, windows, classes)
        return np.array(seconds), np.array(classes, np.int64)

    def _quiet(self, process: Worker, jobs: list[Job]) -> list[Answer]:
        """Run jobs, and run them again while the machine is disturbed; the last try counts."""
        known = self.repeats
        tries = 1 if known.hopeless else TRIES
        known.runs += 1
        for i in range(tries):
            answers, reasons = process.run(jobs)
            if not reasons:
                return answers
            known.reason = known.reason or reasons[0]
            known.repeated += i == 0 and tries > 1
        known.disturbed += 1
        return answers

    def _note(self, model: ModelKey, windows: Windows, classes: Sequence[int]) -> None:
        self.seen[model][windows] = True
        self.right[model][windows] = np.array(classes) == self._setting.bundle.labels[windows]
