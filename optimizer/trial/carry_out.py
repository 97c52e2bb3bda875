"""Slots carried out: every contender's decisions with the times that real inference took."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from optimizer.network.slots import PADDING, State
from optimizer.trial.machines import Machines
from optimizer.trial.setting import Contender, ModelKey, Setting
from optimizer.trial.slots import NO_TASK, Batch, Predicted, batches_of, fates, predict, queue_of, through_queue

OUTLIER = 1.15  # picked by hand: times the median of all runs so far, both over what was planned
MORE = 2  # times that an outlier is run again


@dataclass(eq=False)
class Tally:
    """What happened to every task of one contender, at [slot, gateway, task].

    Attributes:
        contender: The scheme or policy that made the decisions.
        predicted: What the system model says.
        delay_s: Seconds until the task was answered; NaN where it was refused or there is none.
        again_s: The same with the median of three for runs that stood out and were run twice more.
        correct: Whether its predicted class was right.
        fate: What became of it, as in `slots`.
        fate_again: The same by `again_s`.
        slower: Whether (17f) would have called it lost by its measured time at the edge.
        batches: (model, size) of each batch on a gateway.
    """

    contender: Contender
    predicted: Predicted
    delay_s: np.ndarray
    again_s: np.ndarray
    correct: np.ndarray
    fate: np.ndarray
    fate_again: np.ndarray
    slower: np.ndarray
    batches: list[tuple[int, int]] = field(default_factory=list)

    @classmethod
    def empty(cls, contender: Contender, state: State) -> "Tally":
        """Before anything has happened."""
        shape = state.level.shape
        return cls(
            contender,
            predict(state, contender.action, contender.outcome),
            np.full(shape, np.nan),
            np.full(shape, np.nan),
            np.zeros(shape, bool),
            np.full(shape, NO_TASK, np.int8),
            np.full(shape, NO_TASK, np.int8),
            np.zeros(shape, bool),
        )


@dataclass
class Ratios:
    """Measured over predicted inference times, once for each gateway and slot in which they were measured."""

    local: list[float] = field(default_factory=list)
    edge: list[float] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class EdgeTimes:
    """Seconds and classes of each test window on the complete model in one slot; NaN where nobody offloads it."""

    seconds: np.ndarray
    classes: np.ndarray


@dataclass(eq=False)
class Turn:
    """A gateway's batches of a slot, run one right after the other, for all contenders that ask for the very same.

    Attributes:
        gateway: Index of the gateway.
        jobs: Model and windows of each batch.
        planned_s: Seconds that all of them take by the profile.
        classes: Class of each window of each batch.
        took_s: Seconds of each batch; these count.
        again_s: The same, or the median of three where it stood out and was run twice more.
    """

    gateway: int
    jobs: list[tuple[ModelKey, np.ndarray]]
    planned_s: float
    classes: list[list[int]]
    took_s: list[float]
    again_s: list[float]


class Rehearsal:
    """Carries out slots.

    Args:
        setting: What is tried.
        machines: The processes.
        edge_factor: Time of a task on the whole edge server divided by its time on this machine.
        seed: Random seed for drawing each task's window.
    """

    def __init__(self, setting: Setting, machines: Machines, edge_factor: float, seed: int) -> None:
        self._setting, self._machines, self._edge_factor = setting, machines, edge_factor
        shape = setting.state.level.shape
        self._windows = np.random.default_rng(seed).integers(0, len(setting.bundle.labels), shape)
        self.tallies = [Tally.empty(c, setting.state) for c in setting.contenders]
        self.ratios = Ratios()
        self._turns: dict[tuple[int, tuple[tuple[ModelKey, bytes], ...]], Turn] = {}  # of this slot
        self._asked: list[tuple[Tally, int, Sequence[Batch], Turn]] = []

    def run(self, advance: Callable[[], None]) -> None:
        """Carry out all slots; in each, the contenders take turns in another order."""
        for slot in range(len(self._setting.state)):
            edge = self._edge_times(slot)
            for i in range(len(self.tallies)):
                self._contender(slot, self.tallies[(slot + i) % len(self.tallies)], edge)
            self._repeat_outliers()
            self._count(slot)
            advance()
        for tally in self.tallies:
            self._judge(tally)

    def _edge_times(self, slot: int) -> EdgeTimes:
        """Run every window once that any contender offloads in this slot, in the order of the sensors."""
        offloaded = np.any([c.action.offload[slot] for c in self._setting.contenders], axis=0)
        test = len(self._setting.bundle.labels)
        seconds, classes = np.full(test, np.nan), np.full(test, -1)
        if offloaded.any():
            windows = np.array(list(dict.fromkeys(self._windows[slot][offloaded].tolist())), np.int64)
            seconds[windows], classes[windows] = self._machines.run_edge(windows)
        return EdgeTimes(seconds, classes)

    def _contender(self, slot: int, tally: Tally, edge: EdgeTimes) -> None:
        setting = self._setting
        for g in range(setting.scenario.gateways):
            batches = batches_of(tally.contender.action, setting.state, slot, g, len(setting.scenario.qos))
            if batches:
                self._local(slot, g, tally, batches)
            queue = queue_of(tally.contender.action, setting.state, slot, g)
            if len(queue):
                self._offloaded(slot, g, tally, queue, edge)

    def _local(self, slot: int, g: int, tally: Tally, batches: Sequence[Batch]) -> None:
        """Run what a gateway keeps, batch after batch."""
        setting = self._setting
        jobs = [(setting.models[b.model], self._windows[slot, g, b.tasks]) for b in batches]
        asked = (g, tuple((model, windows.tobytes()) for model, windows in jobs))
        if asked not in self._turns:
            answers = self._machines.run_batches(g, jobs)
            planned = sum(float(setting.scenario.constants.local_s[g, b.model, len(b.tasks)]) for b in batches)
            took = [seconds for seconds, _ in answers]
            self._turns[asked] = Turn(g, jobs, planned, [classes for _, classes in answers], took, took)
            self.ratios.local.append(sum(took) / planned)
        turn = self._turns[asked]
        for batch, (_, windows), classes in zip(batches, jobs, turn.classes, strict=True):
            tally.correct[slot, g, batch.tasks] = np.array(classes) == setting.bundle.labels[windows]
            tally.batches.append((batch.model, len(batch.tasks)))
        self._asked.append((tally, g, batches, turn))

    def _repeat_outliers(self) -> None:
        """Run again what took much longer than the rest: does it always take so long? What was measured counts."""
        if not self.ratios.local:
            return
        limit = OUTLIER * float(np.median(self.ratios.local))
        for turn in self._turns.values():
            if sum(turn.took_s) > limit * turn.planned_s:
                self._machines.repeats.outliers += 1
                again = [self._machines.run_batches(turn.gateway, turn.jobs) for _ in range(MORE)]
                took = [[seconds for seconds, _ in answers] for answers in again]
                turn.again_s = np.median([turn.took_s, *took], axis=0).tolist()

    def _count(self, slot: int) -> None:
        """A batch is done at the sum of the times up to its own."""
        for tally, g, batches, turn in self._asked:
            for batch, done, again in zip(batches, np.cumsum(turn.took_s), np.cumsum(turn.again_s), strict=True):
                tally.delay_s[slot, g, batch.tasks] = done
                tally.again_s[slot, g, batch.tasks] = again
        self._turns.clear()
        self._asked.clear()

    def _offloaded(self, slot: int, g: int, tally: Tally, queue: np.ndarray, edge: EdgeTimes) -> None:
        """Send what a gateway offloads, task after task, through the queue at its part of the edge."""
        setting, constants = self._setting, self._setting.scenario.constants
        windows = self._windows[slot, g, queue]
        channel = int(setting.state.channel[slot, g])
        hold, sending = float(constants.hold_s[g, channel]), float(constants.transmission_s[g, channel])
        part = float(tally.contender.action.share[slot, g]) + constants.epsilon
        service = edge.seconds[windows] * self._edge_factor / part
        tally.delay_s[slot, g, queue] = through_queue(np.arange(len(queue)) * hold + sending, service)
        tally.again_s[slot, g, queue] = tally.delay_s[slot, g, queue]
        tally.correct[slot, g, queue] = edge.classes[windows] == setting.bundle.labels[windows]
        tally.slower[slot, g, queue] = service > sending
        self.ratios.edge.append(float(service.mean()) / (constants.edge_task_s / part))

    def _judge(self, tally: Tally) -> None:
        """Every task's fate by its measured delay."""
        constants, state, action = self._setting.scenario.constants, self._setting.state, tally.contender.action
        level = np.maximum(state.level, 0).astype(np.int64)
        refused = np.zeros_like(action.offload) if action.refused is None else action.refused
        accurate = tally.predicted.accuracy >= np.where(action.offload, 0.0, constants.min_accuracy[level])
        limit = constants.max_delay_s[level]
        tally.fate = fates(tally.delay_s, accurate, limit, state.level, refused)
        tally.fate_again = fates(tally.again_s, accurate, limit, state.level, refused)
        tally.correct &= state.level != PADDING


def sizes_of(setting: Setting) -> set[tuple[int, ModelKey, int]]:
    """Every (gateway, model, batch size) that will be run."""
    found = set()
    for contender in setting.contenders:
        for slot in range(len(setting.state)):
            for g in range(setting.scenario.gateways):
                for b in batches_of(contender.action, setting.state, slot, g, len(setting.scenario.qos)):
                    found.add((g, setting.models[b.model], len(b.tasks)))
    return found
