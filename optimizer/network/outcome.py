"""What a decision does in a slot: every task's fate, and the figures that follow from it, eq. (12) to (15), (21), (22).

Shapes are those of `equations`, which has the delays and constraints: [batch, gateway, level], seconds and FLOP.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float64

from optimizer.network.equations import Counts, Gateways, Levels, sum_of
from optimizer.network.fates import Models, edge_fates, local_fates, rank_in_level
from optimizer.network.scenario import Scenario
from optimizer.network.slots import PADDING, Action, State, count_tasks

Slots = Float64[np.ndarray, " batch"]


@dataclass(frozen=True, eq=False)
class Outcome:
    """What happened in a batch of slots.

    Numbers of tasks are at [batch, gateway, level], times are in seconds. A served task meets (17a), (17b) and (17f),
    beta of eq. (22); every other task is dropped, for one or several of five causes, or because it was refused. All
    other figures are derived when they are asked for.

    Attributes:
        scenario: The network.
        model: Index of the model that runs each level's tasks.
        local: Number of tasks kept on the gateway.
        offloaded: Number of tasks sent to the edge.
        refused: Number of tasks refused.
        local_served: Number of local tasks served.
        edge_served: Number of offloaded tasks served; the first ones in the order of sending.
        late_locally: Number of local tasks that miss their deadline, (17a).
        inaccurate: Number of local tasks whose model is not accurate enough, (17b).
        late_at_edge: Number of offloaded tasks that miss their deadline, (17a).
        edge_slower: Number of offloaded tasks for which the edge is slower than the link, (17f).
        unsent: Number of offloaded tasks that are not sent within the slot.
        local_s: Delay of local tasks, eq. (2).
        local_work_s: Seconds of the processor for each local task.
        edge_path_s: Delay of a level's first offloaded task, eq. (16).
        edge_spacing_s: Seconds by which each further task of a level is later; 0 where equals share their mean.
        edge_s: Time of one task at the edge, E of eq. (3).
        transmission_s: Time to send one task, Omega of eq. (6).
    """

    scenario: Scenario
    model: Models
    local: Counts
    offloaded: Counts
    refused: Counts
    local_served: Counts
    edge_served: Counts
    late_locally: Counts
    inaccurate: Counts
    late_at_edge: Counts
    edge_slower: Counts
    unsent: Counts
    local_s: Levels
    local_work_s: Levels
    edge_path_s: Levels
    edge_spacing_s: Gateways
    edge_s: Gateways
    transmission_s: Gateways

    def _use(self, local: Counts, edge: Counts) -> tuple[Gateways, Gateways, Gateways]:
        """Share of the slot that these tasks keep processor, link and edge busy: (12), (13) and (14)."""
        sent = edge.sum(axis=2)
        slot = self.scenario.slot_s
        return (
            (self.local_work_s * local).sum(axis=2) / slot,
            self.transmission_s * sent / slot,
            self.edge_s * sent / slot,
        )

    @cached_property
    def tasks_of_level(self) -> Counts:
        """Number of tasks of each level: those of sensors that are not silent."""
        return self.local + self.offloaded + self.refused

    @cached_property
    def edge_delays_s(self) -> Levels:
        """Sum of the delays of each level's served offloaded tasks."""
        served = self.edge_served
        return self.edge_path_s * served + self.edge_spacing_s[..., None] * (served * (served - 1) / 2)

    @property
    def queueing_s(self) -> Levels:
        """Wait of each level's first offloaded task in the transmission queue (and at the edge), B of eq. (7)."""
        return self.edge_path_s - (self.edge_s + self.transmission_s)[..., None]

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
        return self.tasks_of_level.sum(axis=(1, 2)).astype(np.float64)

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
        return (accuracy * self.local_served).sum(axis=(1, 2)) + self.edge_served.sum(axis=(1, 2))

    @property
    def accuracy(self) -> Slots:
        """Mean relative accuracy of each slot's served tasks (1 at the edge); NaN if none was served."""
        return np.divide(self.correct, self.served, out=np.full(len(self.served), np.nan), where=self.served > 0)

    @cached_property
    def total_delay(self) -> Slots:
        """Sum of the served tasks' delays, eq. (16), in seconds."""
        return (self.local_s * self.local_served).sum(axis=(1, 2)) + self.edge_delays_s.sum(axis=(1, 2))

    @property
    def delay(self) -> Slots:
        """Mean delay of each slot's served tasks in seconds; NaN if none was served."""
        return np.divide(self.total_delay, self.served, out=np.full(len(self.served), np.nan), where=self.served > 0)

    @property
    def flops(self) -> Slots:
        """FLOP spent in each slot, on dropped tasks too."""
        constants = self.scenario.constants
        local = (constants.local_flops[self.model] * self.local).sum(axis=(1, 2))
        return local + constants.edge_flops * self.offloaded.sum(axis=(1, 2))

    @cached_property
    def worth(self) -> Gateways:
        """What each gateway adds to the reward; the gateways' decisions affect each other only through their shares."""
        objective, slot_s = self.scenario.objective, self.scenario.slot_s
        local, edge = self.local_served, self.edge_served
        accuracy = self.scenario.constants.accuracy
        answers = (objective.answer(accuracy)[self.model] * local + objective.answer(np.ones(1)) * edge).sum(axis=2)
        delays = (self.local_s * local + self.edge_delays_s).sum(axis=2)
        busy = sum_of(self.occupied if objective.counts_dropped else self.utilization)
        tasks = np.maximum(self.tasks, 1)[:, None]
        dropped = (self.tasks_of_level - local - edge).sum(axis=2)
        gain = objective.busy * busy + (answers + objective.delay / slot_s * delays) / tasks
        return gain - self.scenario.penalty / tasks * dropped

    @cached_property
    def reward(self) -> Slots:
        """The reward of each slot: r of eq. (21), with the gain that the scenario's `reward` names."""
        return self.worth.sum(axis=1)

    def delay_quantile(self, q: float) -> float:
        """A quantile of the delay over all served tasks of the batch, in seconds; NaN if none was served."""
        delays, counts = self._delays()
        order = np.argsort(delays)
        reached = counts[order].cumsum()
        if not len(reached) or not reached[-1]:
            return float("nan")
        return float(delays[order][np.searchsorted(reached, q * reached[-1])])

    def _delays(self) -> tuple[np.ndarray, np.ndarray]:
        """Delays of served tasks, and how many tasks have each."""
        edge = self.edge_served.ravel()
        first = self.edge_path_s.ravel()
        spacing = np.broadcast_to(self.edge_spacing_s[..., None], self.edge_served.shape).ravel()
        if spacing.any():  # each task has a delay of its own
            rank = np.arange(edge.sum()) - np.repeat(edge.cumsum() - edge, edge)
            first, edge = np.repeat(first, edge) + rank * np.repeat(spacing, edge), np.ones(len(rank), np.int64)
        return np.concatenate([self.local_s.ravel(), first]), np.concatenate([self.local_served.ravel(), edge])

    def served_tasks(self, state: State, action: Action) -> Bool[np.ndarray, "batch gateways width"]:
        """Beta of every task, eq. (22)."""
        level = np.maximum(state.level, 0).astype(np.int64)
        rank = rank_in_level(state.level, action.offload, len(self.scenario.qos))
        local = np.take_along_axis(self.local_served > 0, level, axis=2)
        edge = rank < np.take_along_axis(self.edge_served, level, axis=2)
        served = np.where(action.offload, edge, local) & (state.level != PADDING)
        return served if action.refused is None else served & ~action.refused

    def delay_of_tasks(self, state: State, action: Action) -> Float64[np.ndarray, "batch gateways width"]:
        """D of every task in seconds, eq. (16); NaN where there is no task, or where it is refused."""
        level = np.maximum(state.level, 0).astype(np.int64)
        rank = rank_in_level(state.level, action.offload, len(self.scenario.qos))
        edge = np.take_along_axis(self.edge_path_s, level, axis=2) + rank * self.edge_spacing_s[..., None]
        local = np.take_along_axis(self.local_s, level, axis=2)
        missing = state.level == PADDING if action.refused is None else (state.level == PADDING) | action.refused
        return np.where(missing, np.nan, np.where(action.offload, edge, local))


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
        action: A decision for each slot. A decision with one model per gateway runs each gateway's tasks as one batch,
            also in a network whose gateways can work by level.
        local_factor: Factor on the time of each gateway's local batches; by default 1.
        edge_factor: Factor on the time of each gateway's tasks at the edge; by default 1.
    """
    levels = len(scenario.qos)
    refused, kept = np.zeros((*state.channel.shape, levels), np.int64), state
    if action.refused is not None:
        refused = count_tasks(state, action.refused, levels)[0]
        kept = State(state.channel, np.where(action.refused, np.int8(PADDING), state.level))
    offloaded, local = count_tasks(kept, action.offload, levels)
    on_gateway = local_fates(scenario, local, action, local_factor)
    at_edge = edge_fates(scenario, state, offloaded, action.share, edge_factor)
    return Outcome(
        scenario=scenario,
        model=on_gateway.model,
        local=local,
        offloaded=offloaded,
        refused=refused,
        local_served=local * (on_gateway.in_time & on_gateway.accurate),
        edge_served=at_edge.served,
        late_locally=local * ~on_gateway.in_time,
        inaccurate=local * ~on_gateway.accurate,
        late_at_edge=at_edge.late,
        edge_slower=at_edge.slower,
        unsent=at_edge.unsent,
        local_s=on_gateway.done_s,
        local_work_s=on_gateway.work_s,
        edge_path_s=at_edge.first_s,
        edge_spacing_s=at_edge.spacing_s,
        edge_s=at_edge.task_s,
        transmission_s=at_edge.transmission_s,
    )
