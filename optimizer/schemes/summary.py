"""What happened in many slots, as the figures of section V and what a user wants beside them."""

from dataclasses import asdict, dataclass

import numpy as np

from optimizer.network.outcome import Outcome


@dataclass(frozen=True)
class Summary:
    """Means over slots; utilizations and waste in slots a slot (sums over gateways), ratios are fractions.

    Attributes:
        slots: How many.
        reward: r of eq. (21), in the scenario's sense.
        reward_interval: Half of its 95 % interval, 1.96 standard errors over slots.
        utilization: u of eq. (15), of served tasks.
        local: Its part (12).
        bandwidth: Its part (13).
        edge: Its part (14).
        wasted: Time spent on tasks that were dropped.
        offloading_ratio: Share of the tasks that were offloaded.
        drop_ratio: Share of the tasks that were dropped.
        late_locally: Share of the tasks that missed (17a) on the gateway. A task can have several causes.
        inaccurate: ... that missed (17b).
        late_at_edge: ... that missed (17a) by way of the edge.
        edge_slower: ... that missed (17f).
        unsent: ... that were not sent within the slot.
        accuracy: Of the served tasks, relative to the complete model.
        delay_s: Mean of the served tasks, eq. (16).
        delay_p99_s: 99th percentile of the served tasks.
        served_per_s: Tasks served in time a second.
        correct_per_s: Expected correct answers a second.
        flops: FLOP a served task, those of dropped tasks included.
    """

    slots: int
    reward: float
    reward_interval: float
    utilization: float
    local: float
    bandwidth: float
    edge: float
    wasted: float
    offloading_ratio: float
    drop_ratio: float
    late_locally: float
    inaccurate: float
    late_at_edge: float
    edge_slower: float
    unsent: float
    accuracy: float | None
    delay_s: float | None
    delay_p99_s: float | None
    served_per_s: float
    correct_per_s: float
    flops: float | None

    def dump(self) -> dict[str, float | int | None]:
        """As JSON would hold it."""
        return asdict(self)


def summarise(outcome: Outcome) -> Summary:
    """All figures of a batch of slots; None where nothing was served."""
    reward = outcome.reward
    served = float(outcome.served.sum())
    slot_s = outcome.scenario.slot_s
    error = float(reward.std(ddof=1) / np.sqrt(len(reward))) if len(reward) > 1 else 0.0
    return Summary(
        slots=len(reward),
        reward=float(reward.mean()),
        reward_interval=1.96 * error,
        utilization=float(outcome.overall_utilization.mean()),
        local=float(outcome.local_utilization.mean()),
        bandwidth=float(outcome.bandwidth_utilization.mean()),
        edge=float(outcome.edge_utilization.mean()),
        wasted=max(0.0, float(outcome.wasted.mean())),
        offloading_ratio=float(outcome.offloading_ratio.mean()),
        drop_ratio=float(outcome.drop_ratio.mean()),
        late_locally=float(outcome.dropped_by(outcome.late_locally).mean()),
        inaccurate=float(outcome.dropped_by(outcome.inaccurate).mean()),
        late_at_edge=float(outcome.dropped_by(outcome.late_at_edge).mean()),
        edge_slower=float(outcome.dropped_by(outcome.edge_slower).mean()),
        unsent=float(outcome.dropped_by(outcome.unsent).mean()),
        accuracy=float(outcome.correct.sum()) / served if served else None,
        delay_s=float(outcome.total_delay.sum()) / served if served else None,
        delay_p99_s=outcome.delay_quantile(0.99) if served else None,
        served_per_s=float(outcome.served.mean()) / slot_s,
        correct_per_s=float(outcome.correct.mean()) / slot_s,
        flops=float(outcome.flops.sum()) / served if served else None,
    )
