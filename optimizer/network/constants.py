"""A scenario's numbers as arrays, so that every equation is a lookup."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64

from data.common.interpolation import piecewise_linear
from optimizer.network.parts import Edge, Gateway, Level, Link, LocalModel, Task

MOST_MINISLOTS = 1e9  # that one task may hold; the paper's network has up to 4


@dataclass(frozen=True, eq=False)
class Constants:
    """The numbers that the equations look up, in seconds, FLOP and bits; levels ascend in criticality.

    Attributes:
        present: True where the padded (gateways, width) grid holds a sensor.
        groups: Number of sensors of each gateway, M_g.
        criticality: Criticality of each level, 0 to 1.
        level_probability: Probability of each level.
        min_accuracy: Least accuracy of each level, (17b).
        max_delay_s: Longest delay of each level in seconds, (17a).
        accuracy: Accuracy of each model, relative to the complete one.
        local_s: Seconds of a batch at [gateway, model, tasks], eq. (2); 0 for an empty batch.
        local_flops: FLOP of one task with each model.
        edge_flops: FLOP of one task at the edge.
        rate: Uplink rate in bit/s at [gateway, channel state], eq. (5).
        max_rate: Rate of the whole band in the best channel state in bit/s, R^max.
        minislot_s: Length of a mini-slot in seconds, tau.
        minislots: Number of mini-slots that one task holds at [gateway, channel state], delta.
        transmission_s: Seconds that sending one task takes at [gateway, channel state], eq. (6).
        hold_s: Seconds that one transmission holds the queue, delta * tau; shaped alike.
        edge_task_s: Seconds that one task takes on the whole edge server, H I / C_e.
        epsilon: Regularisation of eq. (3), chosen so that a task without any share takes a whole slot.
        transitions: Transition probabilities at [from state, to state], eq. (28).
        stationary: Long-run probability of each channel state.
    """

    present: Bool[np.ndarray, "gateways width"]
    groups: Int64[np.ndarray, " gateways"]
    criticality: Float64[np.ndarray, " levels"]
    level_probability: Float64[np.ndarray, " levels"]
    min_accuracy: Float64[np.ndarray, " levels"]
    max_delay_s: Float64[np.ndarray, " levels"]
    accuracy: Float64[np.ndarray, " models"]
    local_s: Float64[np.ndarray, "gateways models batches"]
    local_flops: Float64[np.ndarray, " models"]
    edge_flops: float
    rate: Float64[np.ndarray, "gateways states"]
    max_rate: float
    minislot_s: float
    minislots: Int64[np.ndarray, "gateways states"]
    transmission_s: Float64[np.ndarray, "gateways states"]
    hold_s: Float64[np.ndarray, "gateways states"]
    edge_task_s: float
    epsilon: float
    transitions: Float64[np.ndarray, "states states"]
    stationary: Float64[np.ndarray, " states"]


def uplink_rate(
    gain: Float64[np.ndarray, "*shape"],
    share: Float64[np.ndarray, "*shape"],
    power_w: Float64[np.ndarray, "*shape"],
    bandwidth_hz: float,
    noise_w_per_hz: float,
) -> Float64[np.ndarray, "*shape"]:
    """Uplink rate in bit/s, eq. (5): W share log2(1 + z gain / (N0 W share)).

    Args:
        gain: Channel gain.
        share: Share of the band that the gateway holds, 0 to 1.
        power_w: Transmit power in watts, z.
        bandwidth_hz: Width of the whole band in hertz, W.
        noise_w_per_hz: Noise density in watts per hertz, N0.
    """
    width = share * bandwidth_hz
    return width * np.log2(1 + power_w * gain / (noise_w_per_hz * width))


def minislots_per_task(rate: Float64[np.ndarray, "*shape"], max_rate: float) -> Int64[np.ndarray, "*shape"]:
    """Mini-slots that one task holds: ceil(R^max / R_g); the paper prints the inverse, which is always 1."""
    return np.ceil(max_rate / rate - 1e-9).astype(np.int64)


def batch_seconds(
    model: LocalModel, sizes: Int64[np.ndarray, " sizes"], task_flops: float, capacity: float | None
) -> Float64[np.ndarray, " sizes"]:
    """Seconds that a model takes for batches of these sizes, eq. (2) or the lines between measured points.

    A batch larger than the largest measured one runs in portions of that size and a rest, one right after the other: it
    takes as long as these were measured to take, and needs no more memory.
    """
    if model.latency_s is None:
        assert capacity is not None
        return sizes * (model_flops(model, task_flops) / capacity)
    points = np.array(model.latency_s, dtype=np.float64)
    portions, rest = np.divmod(sizes, int(points[-1, 0]))
    return portions * points[-1, 1] + np.where(rest == 0, 0.0, piecewise_linear(rest, points[:, 0], points[:, 1]))


def model_flops(model: LocalModel, task_flops: float) -> float:
    """FLOP of one task with a model: as given, or (1 - rate) times the complete model's."""
    return model.flops if model.flops is not None else (1 - model.rate) * task_flops


def stationary_distribution(transitions: Float64[np.ndarray, "states states"]) -> Float64[np.ndarray, " states"]:
    """Long-run probabilities of the channel states, pi = pi P; one solution (by least squares) if there are several."""
    count = len(transitions)
    system = np.vstack([transitions.T - np.eye(count), np.ones(count)])
    found = np.linalg.lstsq(system, np.append(np.zeros(count), 1.0), rcond=None)[0]
    found = np.maximum(found, 0)
    return found / found.sum()


def build_constants(
    groups: Sequence[int],
    slot_s: float,
    link: Link,
    qos: Sequence[Level],
    models: Sequence[LocalModel],
    task: Task,
    gateway: Gateway,
    edge: Edge,
) -> Constants:
    """All arrays of a network, from its parts.

    Args:
        groups: Number of sensors of each gateway, M_g.
        slot_s: Length of a slot in seconds, Gamma.
        link: The uplink.
        qos: Criticality levels, ascending.
        models: The pruned models.
        task: The work in one task.
        gateway: The gateways' processors.
        edge: The edge server.
    """
    sizes = np.array(groups, dtype=np.int64)
    width = int(sizes.max())
    rate, max_rate = _uplink(sizes, link)
    minislots = minislots_per_task(rate, max_rate)
    minislot_s = link.task_bits / max_rate
    capacity = gateway.capacity_flop_per_s
    capacities = list(capacity) if isinstance(capacity, tuple) else [capacity] * len(sizes)
    batches = np.arange(width + 1)
    edge_task_s = edge.task_s
    if edge_task_s is None:
        assert edge.capacity_flop_per_s is not None
        edge_task_s = task.flops / edge.capacity_flop_per_s
    given = [level.probability for level in qos]
    return Constants(
        present=np.arange(width)[None, :] < sizes[:, None],
        groups=sizes,
        criticality=np.array([level.criticality for level in qos]),
        level_probability=np.array([1 / len(qos) if p is None else p for p in given]),
        min_accuracy=np.array([level.min_accuracy for level in qos]),
        max_delay_s=np.array([level.max_delay_s for level in qos]),
        accuracy=np.array([m.accuracy for m in models]),
        local_s=np.array([[batch_seconds(m, batches, task.flops, c) for m in models] for c in capacities]),
        local_flops=np.array([model_flops(m, task.flops) for m in models]),
        edge_flops=task.flops,
        rate=rate,
        max_rate=max_rate,
        minislot_s=minislot_s,
        minislots=minislots,
        transmission_s=link.task_bits / rate,
        hold_s=minislots * minislot_s,
        edge_task_s=edge_task_s,
        epsilon=edge_task_s / slot_s,
        transitions=np.array(link.transitions),
        stationary=stationary_distribution(np.array(link.transitions)),
    )


def check_link(groups: Sequence[int], link: Link) -> None:
    """Refuse a link that carries nothing, or so unevenly that mini-slots cannot be counted.

    Raises:
        ValueError: The channel state is named.
    """
    rate, best = _uplink(np.array(groups, dtype=np.int64), link)
    slowest = rate.min(axis=0)
    for state, own in zip(link.states, slowest.tolist(), strict=True):
        if not (np.isfinite(best) and own > 0 and best / own <= MOST_MINISLOTS):
            raise ValueError(
                f"link: in the state {state!r} a gateway sends {own:g} bit/s, and the whole band carries {best:g} "
                f"bit/s at best: expected rates above 0 that differ by a factor of at most {MOST_MINISLOTS:g}"
            )


def _uplink(sizes: Int64[np.ndarray, " gateways"], link: Link) -> tuple[Float64[np.ndarray, "gateways states"], float]:
    """Rates of each gateway in each channel state, and R^max, the whole band's rate in the best state."""
    gains = np.array(link.gains)
    power = np.broadcast_to(np.asarray(link.transmit_power_w, dtype=np.float64), sizes.shape)
    shape = (len(sizes), len(gains))
    rate = uplink_rate(
        np.broadcast_to(gains, shape),
        np.broadcast_to((sizes / sizes.sum())[:, None], shape),
        np.broadcast_to(power[:, None], shape),
        link.bandwidth_hz,
        link.noise_w_per_hz,
    )
    best = uplink_rate(
        gains.max(keepdims=True), np.ones(1), power.max(keepdims=True), link.bandwidth_hz, link.noise_w_per_hz
    )
    return rate, float(best[0])
