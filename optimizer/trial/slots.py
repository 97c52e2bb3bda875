"""A trial's slots: decisions carried out by real processes on real windows.

Each gateway is a process that runs its batch on the pruned model that was chosen; the edge server is another, which
runs the complete model on what was offloaded. Time is a virtual clock: inference takes what it really took, one process
at a time (so that gateways do not share this machine's cores, as real ones would not), and the link takes the
scenario's mini-slots. Beside every task stands what the system model predicts.
"""

from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np

from data.common.stats import wilson
from optimizer.errors import OptimizerError
from optimizer.network.equations import tasks_ahead
from optimizer.network.outcome import Outcome, evaluate
from optimizer.network.scenario import Scenario
from optimizer.network.slots import PADDING, Action, State, send_first
from optimizer.trial.processes import Worker
from optimizer.trial.results import AccuracyRow, TaskRow
from optimizer.trial.worker import Station
from profiling.bundle.subjects import Bundle
from profiling.profile.profile import Profile

SPEED_RUNS = 50  # picked by hand: runs of the complete model whose median tells how fast the machine is now


def random_actions(scenario: Scenario, state: State, rng: np.random.Generator) -> Action:
    """Random decisions: any number of tasks offloaded, the most critical first, any model, equal shares."""
    batch, gateways = state.channel.shape
    levels = len(scenario.qos)
    counts = np.stack([(state.level == k).sum(axis=2) for k in range(levels)], axis=-1)
    above = tasks_ahead(counts)
    total = rng.integers(0, scenario.constants.groups + 1, (batch, gateways))
    sent = np.clip(total[..., None] - above, 0, counts)
    model = rng.integers(0, len(scenario.models), (batch, gateways))
    return Action(send_first(state.level, sent), model, np.full((batch, gateways), 1 / gateways))


@dataclass(frozen=True)
class Place:
    """One gateway in one repetition of a slot, with what is decided and predicted there.

    Attributes:
        slot: Index of the slot.
        repeat: Index of the repetition.
        probe: Whether the decisions are random.
        gateway: Index of the gateway.
        state: The slot, a batch of one.
        action: The decisions for it.
        outcome: What the system model predicts.
        predicted_s: Predicted delay of each task of the gateway.
        expected: Whether the system model says that each task is served.
    """

    slot: int
    repeat: int
    probe: bool
    gateway: int
    state: State
    action: Action
    outcome: Outcome
    predicted_s: np.ndarray
    expected: np.ndarray

    @property
    def level(self) -> np.ndarray:
        """Criticality level of each task of the gateway."""
        return self.state.level[0, self.gateway]

    def row(
        self, task: int, *, rate: float, batch: int, in_order_s: float, measured_s: float, factor: float,
        correct: bool, cause: str,
    ) -> TaskRow:  # fmt: skip
        """The row of one task."""
        return TaskRow(
            slot=self.slot,
            repeat=self.repeat,
            probe=self.probe,
            gateway=self.gateway,
            task=task,
            level=int(self.level[task]),
            rate=rate,
            batch=batch,
            predicted_s=float(self.predicted_s[task]),
            predicted_in_order_s=in_order_s,
            measured_s=measured_s,
            factor=factor,
            correct=correct,
            served=not cause,
            predicted_served=bool(self.expected[task]),
            cause=cause,
        )


def _check_profiles(bundle: Bundle, gateway: Profile, edge: Profile) -> None:
    if gateway.measurement is None or gateway.kind == "datasheet":
        raise OptimizerError(
            f"the gateway's profile ({gateway.name}) is from a datasheet; a trial needs one that was measured.",
            "Measure one with `python -m profiling.run`, train a policy on it, and give it with --gateway.",
        )
    for name, profile in (("gateway", gateway), ("edge server", edge)):
        if profile.bundle and profile.bundle.sha256 != bundle.reference.sha256:
            raise OptimizerError(
                f"the {name}'s profile ({profile.name}) is of another bundle than {bundle.folder}.",
                "Give the bundle that was profiled with --models.",
            )


def _station(scenario: Scenario, bundle: Bundle, gateway: Profile) -> Station:
    """What every process runs: the models in the runtime, precision and threads of the gateway's profile."""
    rates = [0.0, *(m.rate for m in scenario.models)]
    files = {s.entry.rate: s.onnx for s in bundle.subjects if s.onnx is not None}
    missing = [r for r in rates if r not in files]
    if missing:
        raise OptimizerError(
            f"{bundle.folder}: it holds no ONNX model of rate {missing[0]:g}.",
            "Give the bundle that was profiled with --models.",
        )
    assert gateway.measurement is not None
    return Station(
        bundle=bundle.folder,
        onnx={r: files[r] for r in rates},
        runtime=gateway.measurement.runtime,
        precision="fp32" if gateway.precision == "int8" else gateway.precision,
        threads=gateway.threads,
        shape=bundle.shape,
        test=bundle.test,
    )


class Trial:
    """A trial under way. Use it as a context manager: it starts the processes and stops them.

    Args:
        scenario: The network, as the policy knows it.
        bundle: The models and the test windows.
        gateway: Profile of the gateway; its runtime, precision and threads are used.
        edge: Profile of the edge server.
        seed: Random seed for drawing windows and the order of equally critical tasks.

    Raises:
        OptimizerError: A profile from a datasheet or of another bundle, or a model that is missing.
    """

    def __init__(self, scenario: Scenario, bundle: Bundle, gateway: Profile, edge: Profile, seed: int) -> None:
        _check_profiles(bundle, gateway, edge)
        self.scenario, self.bundle, self._gateway = scenario, bundle, gateway
        self._rng = np.random.default_rng(seed)
        # A task at the edge takes real time here, scaled by how fast the edge's profile is against this machine's.
        self._profiled_s = gateway.latency(0.0, 1)
        self.edge_factor = scenario.constants.edge_task_s / self._profiled_s
        self._station = _station(scenario, bundle, gateway)
        self._stack = ExitStack()
        self.gateways: list[Worker] = []

    def __enter__(self) -> "Trial":
        for g in range(self.scenario.gateways):
            self.gateways.append(self._stack.enter_context(Worker(f"gateway {g + 1}", self._station)))
        self.edge = self._stack.enter_context(Worker("edge", self._station))
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def _windows(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        chosen = self._rng.integers(0, len(self.bundle.labels), count)
        return chosen, self.bundle.labels[chosen]

    def speed(self) -> float:
        """Time of the complete model here and now, divided by its time when the gateway was profiled."""
        seconds, _ = self.gateways[0].run(0.0, [0] * SPEED_RUNS, 1)
        return float(np.median(seconds)) / self._profiled_s

    def slot(self, number: int, repeat: int, state: State, action: Action, *, probe: bool) -> list[TaskRow]:
        """Carry out one slot (a batch of one); one row per task."""
        outcome = evaluate(self.scenario, state, action)
        predicted = outcome.delay_of_tasks(state, action)[0]
        expected = outcome.served_tasks(state, action)[0]
        rows = []
        for g in range(self.scenario.gateways):
            place = Place(number, repeat, probe, g, state, action, outcome, predicted[g], expected[g])
            rows += self._local(place)
            rows += self._offloaded(place)
        return rows

    def _local(self, place: Place) -> list[TaskRow]:
        """Run the batch that a gateway keeps."""
        g, level = place.gateway, place.level
        tasks = np.flatnonzero((level != PADDING) & ~place.action.offload[0, g])
        if not len(tasks):
            return []
        model = self.scenario.models[int(place.action.model[0, g])]
        windows, labels = self._windows(len(tasks))
        seconds, classes = self.gateways[g].run(model.rate, windows.tolist(), len(tasks))
        took = seconds[0]
        rows = []
        for i, m in enumerate(tasks):
            asked = self.scenario.qos[level[m]]
            accurate = model.accuracy >= asked.min_accuracy
            predicted = float(place.predicted_s[m])
            rows.append(
                place.row(
                    int(m),
                    rate=model.rate,
                    batch=len(tasks),
                    in_order_s=predicted,
                    measured_s=took,
                    factor=took / predicted,
                    correct=classes[i] == int(labels[i]),
                    cause="late" if took > asked.max_delay_s else "" if accurate else "inaccurate",
                )
            )
        return rows

    def _offloaded(self, place: Place) -> list[TaskRow]:
        """Send what a gateway offloads, one task after the other, and run it at the edge."""
        g, level, constants = place.gateway, place.level, self.scenario.constants
        tasks = np.flatnonzero(place.action.offload[0, g])
        if not len(tasks):
            return []
        # Higher criticality first, equals in any order (section II-C1).
        order = tasks[np.lexsort((self._rng.random(len(tasks)), -level[tasks]))]
        windows, labels = self._windows(len(order))
        seconds, classes = self.edge.run(0.0, windows.tolist(), 1)
        channel = int(place.state.channel[0, g])
        hold, sending = float(constants.hold_s[g, channel]), float(constants.transmission_s[g, channel])
        part = float(place.action.share[0, g]) + constants.epsilon
        planned_s = float(place.outcome.edge_s[0, g])
        rows = []
        for i, m in enumerate(order):
            edge_s = seconds[i] * self.edge_factor / part
            took = i * hold + sending + edge_s
            late = took > self.scenario.qos[level[m]].max_delay_s
            rows.append(
                place.row(
                    int(m),
                    rate=0.0,
                    batch=1,
                    in_order_s=i * hold + sending + planned_s,
                    measured_s=took,
                    factor=edge_s / planned_s,
                    correct=classes[i] == int(labels[i]),
                    cause="late" if late else "edge slower than link, (17f)" if edge_s > sending else "",
                )
            )
        return rows

    def accuracies(self) -> list[AccuracyRow]:
        """Accuracy of each model on the whole test part, in the trial's runtime."""
        every = list(range(len(self.bundle.labels)))
        independent = int(self.bundle.independent.sum())
        found = []
        for rate in self._station.onnx:
            _, classes = self.gateways[0].run(rate, every, 1)
            measured = float((np.array(classes) == self.bundle.labels).mean())
            low, high = wilson(measured, independent)
            stated = self._gateway.model(rate).accuracy
            found.append(
                AccuracyRow(
                    rate=rate,
                    measured=measured,
                    low=low,
                    high=high,
                    independent=independent,
                    predicted=measured if stated is None else float(stated),
                )
            )
        return found
