"""What happened in many slots: the metrics of section V, and the quantiles that a user wants beside them."""

from dataclasses import asdict, dataclass, fields

from optimizer.network.metrics import METRICS
from optimizer.network.outcome import Outcome

# Fields whose metric has another name.
METRIC_OF = {"local": "local_utilization", "bandwidth": "bandwidth_utilization", "edge": "edge_utilization"}


@dataclass(frozen=True)
class Summary:
    """Means over slots, or over served tasks; `network.metrics.METRICS` defines them.

    Utilizations are busy times divided by the slot length, summed over gateways; ratios are fractions of the tasks.

    Attributes:
        slots: Number of slots.
        reward: Reward, eq. (21) or the scenario's own.
        reward_interval: Half of its 95 % interval over slots.
        utilization: Busy time for served tasks, eq. (15).
        local: The gateways' part of it, eq. (12).
        bandwidth: The link's part, eq. (13).
        edge: The edge server's part, eq. (14).
        wasted: Busy time for dropped tasks.
        offloading_ratio: Share of the tasks that were offloaded.
        drop_ratio: Share of the tasks that were dropped. A dropped task can have several of the following causes.
        late_locally: Share of the tasks that missed (17a) on the gateway.
        inaccurate: Share of the tasks that missed (17b).
        late_at_edge: Share of the tasks that missed (17a) by way of the edge.
        edge_slower: Share of the tasks that missed (17f).
        unsent: Share of the tasks that were not sent within the slot.
        accuracy: Mean accuracy of the served tasks, relative to the complete model; None if none was served.
        delay_s: Mean delay of the served tasks in seconds, eq. (16); None if none was served.
        delay_p99_s: 99th percentile of their delays; None if none was served.
        served_per_s: Tasks served per second.
        correct_per_s: Expected correct answers per second.
        flops: FLOP per served task, those of dropped tasks included; None if none was served.
        refused: Share of the tasks that were refused.
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
    refused: float = 0.0

    def dump(self) -> dict[str, float | int | None]:
        """The summary as JSON would hold it."""
        return asdict(self)


def summarise(outcome: Outcome) -> Summary:
    """All figures of a batch of slots."""
    _, interval = METRICS["reward"].mean([outcome])
    own = {
        "slots": len(outcome.reward),
        "reward_interval": interval,
        "delay_p99_s": outcome.delay_quantile(0.99) if outcome.served.sum() else None,
    }
    names = [field.name for field in fields(Summary) if field.name not in own]
    means = {name: METRICS[METRIC_OF.get(name, name)].mean([outcome])[0] for name in names}
    return Summary(**own, **means)  # type: ignore[arg-type]  # the metrics over slots are never None
