"""How the laws of a factory's network are learned: sums over what gateways report, from which `FactoryLaws` follow."""

from dataclasses import replace

import numpy as np

from optimizer.learning.factory.batch_times import BatchTimes
from optimizer.learning.factory.edge_law import EdgeDelays, fit_edge
from optimizer.learning.factory.laws import FactoryLaws
from optimizer.learning.factory.reports import Report
from optimizer.network.equations import tasks_ahead
from optimizer.network.scenario import Scenario

RIDGE = 1e-6  # observations of an answer of no worth, so that models that never served are worth nothing


class Statistics:
    """What was reported so far.

    Args:
        laws: The laws before training, for their sizes.
        scenario: The network: its deadlines and prices are used, none of its times and accuracies.
    """

    def __init__(self, laws: FactoryLaws, scenario: Scenario) -> None:
        gateways, models, _ = laws.seconds.shape
        self.scenario = scenario
        self.channels = laws.sending_s.shape[1]
        self.deadline = np.array([level.max_delay_s for level in scenario.qos])
        self.times = BatchTimes(gateways, models, laws.knots)
        self.delays = EdgeDelays()
        self.tried, self.met = np.zeros(laws.usable.shape), np.zeros(laws.usable.shape)
        self.gram, self.gained = np.zeros((models + 1, models + 1)), np.zeros(models + 1)

    def arrays(self) -> dict[str, np.ndarray]:
        """All sums by name; writing to them changes the statistics."""
        times = {"own": self.times.own, "next": self.times.next, "seen": self.times.seen}
        rest = {"tried": self.tried, "met": self.met, "gram": self.gram, "gained": self.gained}
        return times | rest | {"delays": self.delays.rows}

    def observe(self, report: Report, laws: FactoryLaws) -> None:
        """Add what was reported; the laws so far are used where busy time at the edge counts."""
        size, took = report.batches if self.scenario.by_level else report.one_batch
        at = np.nonzero(size > 0)
        self.times.observe(at[1].astype(np.int64), report.decision.model[at], size[at], took[at])
        self._observe_accuracy(report)
        self._observe_edge(report)
        self._observe_answers(report, took / np.maximum(size, 1), laws)

    def _observe_accuracy(self, report: Report) -> None:
        """Local tasks that were in time and not served had a model that is not accurate enough."""
        kept = report.decision.kept
        at = np.nonzero((kept > 0) & (report.local_s <= self.deadline))
        which = report.decision.model[at], at[2]
        np.add.at(self.tried, which, kept[at].astype(np.float64))
        np.add.at(self.met, which, report.local_served[at].astype(np.float64))

    def _observe_edge(self, report: Report) -> None:
        sent = report.decision.sent
        ahead = tasks_ahead(sent)
        if self.scenario.fifo:
            at = np.nonzero((sent > 0) & (ahead == 0))  # the head of each queue
            total = sent.sum(axis=2)[at[:2]]
            apart = report.edge_last_s.max(axis=2)[at[:2]] - report.edge_first_s[at]
            place, spacing = np.zeros(len(total)), np.where(total > 1, apart / np.maximum(total - 1, 1), 0.0)
        else:
            at = np.nonzero(sent > 0)
            place, spacing = (ahead + (sent - 1) / 2)[at], np.zeros(len(at[0]))
        rows = (at[1], report.channel[at[:2]], report.decision.share[at[:2]], place, report.edge_first_s[at], spacing)
        self.delays.observe(np.stack([np.asarray(row, dtype=np.float64) for row in rows], axis=1))

    def _observe_answers(self, report: Report, each_s: np.ndarray, laws: FactoryLaws) -> None:
        """What a gateway gained, less what its delays and busy times are worth, is the worth of its answers."""
        objective, slot_s = self.scenario.objective, self.scenario.slot_s
        decision, models = report.decision, len(self.met)
        every = decision.sent + decision.kept
        tasks = (every.sum(axis=(1, 2)) + self._refused(report))[:, None]
        local, edge = report.local_served, report.edge_served
        apart = np.where(decision.sent > 1, report.edge_last_s - report.edge_first_s, 0.0)
        spacing = apart / np.maximum(decision.sent - 1, 1)
        delays = (report.local_s * local + edge * report.edge_first_s + spacing * edge * (edge - 1) / 2).sum(axis=2)
        if not self.scenario.by_level:
            each_s = np.broadcast_to(each_s[..., :1], local.shape)
        busy = (each_s * local).sum(axis=2) + self._edge_work(report, laws) * edge.sum(axis=2)
        gain = tasks * (report.reward - objective.busy * busy / slot_s) + self.scenario.penalty * report.dropped
        gain = gain - objective.delay * delays / slot_s
        served = np.zeros((*gain.shape, models + 1))
        for v in range(models):
            served[..., v] = np.where(decision.model == v, local, 0).sum(axis=2)
        served[..., models] = edge.sum(axis=2)
        flat = served.reshape(-1, models + 1)
        self.gram += flat.T @ flat
        self.gained += flat.T @ gain.ravel()

    def _refused(self, report: Report) -> np.ndarray:
        """Tasks that were refused: lost ones that were neither sent nor kept."""
        decision = report.decision
        failed = (decision.sent - report.edge_served + decision.kept - report.local_served).sum(axis=(1, 2))
        return report.dropped.sum(axis=1) - failed

    def _edge_work(self, report: Report, laws: FactoryLaws) -> np.ndarray:
        """Busy time of one task on link and edge: the delay at the head of the queue."""
        if self.scenario.fifo:
            head = np.where(report.edge_first_s > 0, report.edge_first_s, np.inf).min(axis=2)
            return np.where(np.isfinite(head), head, 0.0)
        task = laws.edge[0] / (report.decision.share + laws.edge[1])
        return np.take_along_axis(laws.sending_s, report.channel.T, axis=1).T + task

    def fit(self, laws: FactoryLaws) -> FactoryLaws:
        """The laws that fit best to all that was reported; margins stay."""
        usable = (self.met > 0.5 * self.tried) & (self.tried > 0)
        # What is accurate enough for a level is so for every level that asks for less.
        for k in range(usable.shape[1] - 2, -1, -1):
            usable[:, k] |= (self.tried[:, k] == 0) & usable[:, k + 1]
        worth = np.linalg.solve(self.gram + RIDGE * np.eye(len(self.gram)), self.gained)
        found = replace(laws, seconds=self.times.fit(), usable=usable, answer=worth[:-1], edge_answer=worth[-1:])
        if not self.delays.stored:
            return found
        sending, hold, edge = fit_edge(self.delays.samples, len(laws.seconds), self.channels, fifo=self.scenario.fifo)
        return replace(found, sending_s=sending, hold_s=hold, edge=edge)
