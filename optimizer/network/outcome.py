"""What a decision does in a slot: every task's fate, and the figures that follow from it, eq. (12) to (15), (21), (22).

Shapes are those of `equations`, which has the delays and constraints: [batch, gateway, level], seconds and FLOP.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float64, Int64

from optimizer.network.equations import (
    Counts,
    Gateways,
    Levels,
    accurate,
    edge_delay,
    edge_keeps_up,
    edge_path_delay,
    in_time,
    local_delay,
    queue_hold,
    queueing_delay,
    sent_in_slot,
    sum_of,
    transmission_delay,
)
from optimizer.network.scenario import Scenario
from optimizer.network.slots import PADDING, Action, State, count_tasks

Slots = Float64[np.ndarray, " batch"]


@dataclass(frozen=True, eq=False)
class Outcome:
    """What happened in a batch of slots.

    Numbers of tasks are at [batch, gateway, level], times are in seconds. A served task meets (17a), (17b) and (17f),
    beta of eq. (22); every other task is dropped, for one or several of five causes. All other figures are derived when
    they are asked for.

    Attributes:
        scenario: The network.
        model: Index of each gateway's model.
        local: Number of tasks kept on the gateway.
        offloaded: Number of tasks sent to the edge.
        local_served: Number of local tasks served.
        edge_served: Number of offloaded tasks served.
        late_locally: Number of local tasks that miss their deadline, (17a).
        inaccurate: Number of local tasks whose model is not accurate enough, (17b).
        late_at_edge: Number of offloaded tasks that miss their deadline, (17a).
        edge_slower: Number of offloaded tasks for which the edge is slower than the link, (17f).
        unsent: Number of offloaded tasks that are not sent within the slot.
        local_s: Delay of local tasks, eq. (2).
        edge_path_s: Delay of offloaded tasks, eq. (16).
        edge_s: Time of one task at the edge, E of eq. (3).
        transmission_s: Time to send one task, Omega of eq. (6).
        queueing_s: Wait in the transmission queue, B of eq. (7).
    """

    scenario: Scenario
    model: Int64[np.ndarray, "batch gateways"]
    local: Counts
    offloaded: Counts
    local_served: Counts
    edge_served: Counts
    late_locally: Counts
    inaccurate: Counts
    late_at_edge: Counts
    edge_slower: Counts
    unsent: Counts
    local_s: Gateways
    edge_path_s: Levels
    edge_s: Gateways
    transmission_s: Gateways
    queueing_s: Levels

    def _use(self, local: Counts, edge: Counts) -> tuple[Gateways, Gateways, Gateways]:
        """Share of the slot that these tasks keep processor, link and edge busy: (12), (13) and (14)."""
        batch = np.maximum(self.local.sum(axis=2), 1)
        sent = edge.sum(axis=2)
        slot = self.scenario.slot_s
        return (
            self.local_s / batch * local.sum(axis=2) / slot,
            self.transmission_s * sent / slot,
            self.edge_s * sent / slot,
        )

    @cached_property
    def utilization(self) -> tuple[Gateways, Gateways, Gateways]:
        """u_l, u_b and u_e of each gateway, eq. (12) to (14), of served tasks; each adds its own share of time."""
        return self._use(self.local_served, self.edge_served)

    @cached_property
    def occupied(self) -> tuple[Gateways, Gateways, Gateways]:
        """The same with dropped tasks counted as busy time: the literal reading, see errata row 10."""
        return self._use(self.local, self.offloaded)

    @property
    def local_utilization(self) -> Slots:
        """Sum of (12) over gateways."""
        return self.utilization[0].sum(axis=1)

    @property
    def bandwidth_utilization(self) -> Slots:
        """Sum of (13) over gateways."""
        return self.utilization[1].sum(axis=1)

    @property
    def edge_utilization(self) -> Slots:
        """Sum of (14) over gateways."""
        return self.utilization[2].sum(axis=1)

    @property
    def overall_utilization(self) -> Slots:
        """u, eq. (15)."""
        return sum_of(self.utilization).sum(axis=1)

    @property
    def wasted(self) -> Slots:
        """Busy time for dropped tasks, divided by the slot length: the literal (15) less (15)."""
        return np.maximum(sum_of(self.occupied).sum(axis=1) - self.overall_utilization, 0.0)

    @cached_property
    def served(self) -> Slots:
        """Number of tasks served in each slot."""
        return (self.local_served.sum(axis=(1, 2)) + self.edge_served.sum(axis=(1, 2))).astype(np.float64)

    @cached_property
    def tasks(self) -> Slots:
        """Tasks in each slot: the sensors that are not silent."""
        return (self.local.sum(axis=(1, 2)) + self.offloaded.sum(axis=(1, 2))).astype(np.float64)

    def _of_tasks(self, count: Slots) -> Slots:
        """A number of tasks as a share of the slot's tasks; 0 in a slot without any task."""
        return np.divide(count, self.tasks, out=np.zeros(len(self.tasks)), where=self.tasks > 0)

    @property
    def drop_ratio(self) -> Slots:
        """Share of the tasks that were dropped, the bracket of eq. (21)."""
        return self._of_tasks(self.tasks - self.served)

    @property
    def offloading_ratio(self) -> Slots:
        """Share of the tasks that were offloaded."""
        return self._of_tasks(self.offloaded.sum(axis=(1, 2)).astype(np.float64))

    def dropped_by(self, cause: Counts) -> Slots:
        """Share of the tasks that one of the causes affected."""
        return self._of_tasks(cause.sum(axis=(1, 2)).astype(np.float64))

    @cached_property
    def correct(self) -> Slots:
        """Expected correct answers in each slot: the sum of the served tasks' relative accuracies."""
        accuracy = self.scenario.constants.accuracy[self.model]
        return (accuracy * self.local_served.sum(axis=2)).sum(axis=1) + self.edge_served.sum(axis=(1, 2))

    @property
    def accuracy(self) -> Slots:
        """Mean relative accuracy of each slot's served tasks (1 at the edge); NaN if none was served."""
        return np.divide(self.correct, self.served, out=np.full(len(self.served), np.nan), where=self.served > 0)

    @cached_property
    def total_delay(self) -> Slots:
        """Sum of the served tasks' delays, eq. (16), in seconds."""
        local = (self.local_s * self.local_served.sum(axis=2)).sum(axis=1)
        return local + (self.edge_path_s * self.edge_served).sum(axis=(1, 2))

    @property
    def delay(self) -> Slots:
        """Mean delay of each slot's served tasks in seconds; NaN if none was served."""
        return np.divide(self.total_delay, self.served, out=np.full(len(self.served), np.nan), where=self.served > 0)

    @property
    def flops(self) -> Slots:
        """FLOP spent in each slot, on dropped tasks too."""
        constants = self.scenario.constants
        local = (constants.local_flops[self.model] * self.local.sum(axis=2)).sum(axis=1)
        return local + constants.edge_flops * self.offloaded.sum(axis=(1, 2))

    @cached_property
    def worth(self) -> Gateways:
        """What each gateway adds to the reward; the gateways' decisions affect each other only through their shares."""
        objective, slot_s = self.scenario.objective, self.scenario.slot_s
        local, edge = self.local_served.sum(axis=2), self.edge_served.sum(axis=2)
        accuracy = self.scenario.constants.accuracy
        answers = objective.answer(accuracy)[self.model] * local + objective.answer(np.ones(1)) * edge
        delays = self.local_s * local + (self.edge_path_s * self.edge_served).sum(axis=2)
        busy = sum_of(self.occupied if objective.counts_dropped else self.utilization)
        tasks = np.maximum(self.tasks, 1)[:, None]
        dropped = (self.local + self.offloaded).sum(axis=2) - local - edge
        gain = objective.busy * busy + (answers + objective.delay / slot_s * delays) / tasks
        return gain - self.scenario.penalty / tasks * dropped

    @cached_property
    def reward(self) -> Slots:
        """The reward of each slot: r of eq. (21), with the gain that the scenario's `reward` names."""
        return self.worth.sum(axis=1)

    def delay_quantile(self, q: float) -> float:
        """A quantile of the delay over all served tasks of the batch, in seconds; NaN if none was served."""
        local = np.broadcast_to(self.local_s[..., None], self.local_served.shape)
        delays = np.concatenate([local.ravel(), self.edge_path_s.ravel()])
        counts = np.concatenate([self.local_served.ravel(), self.edge_served.ravel()])
        order = np.argsort(delays)
        reached = counts[order].cumsum()
        if not reached[-1]:
            return float("nan")
        return float(delays[order][np.searchsorted(reached, q * reached[-1])])

    def served_tasks(self, state: State, offload: Bool[np.ndarray, "batch gateways width"]) -> np.ndarray:
        """Beta of every task, eq. (22): bool at [batch, gateway, task]."""
        level = np.maximum(state.level, 0).astype(np.int64)
        local = np.take_along_axis(self.local_served > 0, level, axis=2)
        edge = np.take_along_axis(self.edge_served > 0, level, axis=2)
        return np.where(offload, edge, local) & (state.level != PADDING)

    def delay_of_tasks(self, state: State, offload: Bool[np.ndarray, "batch gateways width"]) -> np.ndarray:
        """D of every task, eq. (16): seconds at [batch, gateway, task]; NaN where there is no task."""
        level = np.maximum(state.level, 0).astype(np.int64)
        edge = np.take_along_axis(self.edge_path_s, level, axis=2)
        return np.where(state.level == PADDING, np.nan, np.where(offload, edge, self.local_s[..., None]))


def evaluate(
    scenario: Scenario,
    state: State,
    action: Action,
    *,
    local_factor: Gateways | None = None,
    edge_factor: Gateways | None = None,
) -> Outcome:
    """What a batch of actions does in a batch of states. `checks` has the checks of both; they are not repeated here.

    Args:
        scenario: The network.
        state: The slots.
        action: A decision for each slot.
        local_factor: Factor on the time of each gateway's local batch; by default 1.
        edge_factor: Factor on the time of each gateway's tasks at the edge; by default 1.
    """
    constants = scenario.constants
    offloaded, local = count_tasks(state, action.offload, len(scenario.qos))
    local_s = local_delay(local, action.model, constants)
    edge_s = edge_delay(action.share, constants)
    if local_factor is not None:
        local_s = local_s * local_factor
    if edge_factor is not None:
        edge_s = edge_s * edge_factor
    transmission_s = transmission_delay(state.channel, constants)
    queueing_s = queueing_delay(offloaded, queue_hold(state.channel, constants))
    path_s = edge_path_delay(edge_s, transmission_s, queueing_s)

    local_in_time = in_time(np.broadcast_to(local_s[..., None], path_s.shape), constants)
    local_accurate = accurate(action.model, constants)
    edge_in_time = in_time(path_s, constants)
    fast = edge_keeps_up(edge_s, transmission_s)[..., None]
    sent = sent_in_slot(queueing_s, transmission_s, scenario.slot_s)
    return Outcome(
        scenario=scenario,
        model=action.model,
        local=local,
        offloaded=offloaded,
        local_served=local * (local_in_time & local_accurate),
        edge_served=offloaded * (edge_in_time & fast),
        late_locally=local * ~local_in_time,
        inaccurate=local * ~local_accurate,
        late_at_edge=offloaded * ~edge_in_time,
        edge_slower=offloaded * ~fast,
        unsent=offloaded * ~sent,
        local_s=local_s,
        edge_path_s=path_s,
        edge_s=edge_s,
        transmission_s=transmission_s,
        queueing_s=queueing_s,
    )
