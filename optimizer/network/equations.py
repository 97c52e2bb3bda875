"""The paper's equations (2), (3), (6) to (11), (16) and (17) as pure functions over batches of slots.

Shapes: the first axis is a batch of slots, then gateways, then criticality levels. Tasks of one level at one gateway
that are both offloaded or both local have the same delay and accuracy in every equation, so they are counted: a slot is
the numbers `offloaded` and `local` at [batch, gateway, level]. Eq. (4) is in `slots`, (5) in `constants`, and (12) to
(15), (21) and (22) are in `outcome`. Seconds, bits, FLOP (a multiply-accumulate is 2). Where the paper contradicts
itself, `docs/errata.md` says what is done.
"""

from typing import Any, TypeVar

import numpy as np
from jaxtyping import Bool, Float64, Int8, Int64

from optimizer.network.constants import Constants

Counts = Int64[np.ndarray, "batch gateways levels"]
Levels = Float64[np.ndarray, "batch gateways levels"]
Holds = Bool[np.ndarray, "batch gateways levels"]
Gateways = Float64[np.ndarray, "batch gateways"]
Models = Int64[np.ndarray, "batch gateways"]
Channels = Int8[np.ndarray, "batch gateways"]
Array = TypeVar("Array", bound=Any)


def local_delay(local: Counts, model: Models, constants: Constants) -> Gateways:
    """L, seconds that a gateway's batch of local tasks takes, eq. (2); 0 for an empty batch."""
    gateway = np.arange(local.shape[1])
    return constants.local_s[gateway, model, local.sum(axis=2)]


def batch_delays(local: Counts, model: Int64[np.ndarray, "batch gateways levels"], constants: Constants) -> Levels:
    """Seconds of each level's own batch of local tasks, eq. (2) level by level; 0 for an empty batch."""
    gateway = np.arange(local.shape[1])[:, None]
    return constants.local_s[gateway, model, local]


def edge_delay(share: Gateways, constants: Constants) -> Gateways:
    """E, seconds that one task takes at the edge, eq. (3): H I / (C_e (c + epsilon)), see errata row 4."""
    return constants.edge_task_s / (share + constants.epsilon)


def transmission_delay(channel: Channels, constants: Constants) -> Gateways:
    """Omega, seconds that one task is sent for, eq. (6)."""
    return constants.transmission_s[np.arange(channel.shape[1]), channel]


def queue_hold(channel: Channels, constants: Constants) -> Gateways:
    """Seconds that one transmission holds its gateway's queue: delta mini-slots of tau."""
    return constants.hold_s[np.arange(channel.shape[1]), channel]


def tasks_ahead(offloaded: Array) -> Array:
    """s, the offloaded tasks of higher criticality at the same gateway, eq. (8) and (10).

    Args:
        offloaded: Whole numbers of offloaded tasks, with the levels on the last axis: a numpy array or a torch tensor.
    """
    up_to = offloaded.cumsum(-1)
    return up_to[..., -1:] - up_to


def queue_position(offloaded: Counts) -> Levels:
    """S + (b - 1) / 2: how many tasks are sent before one of this level on average, eq. (7) to (11).

    Equals share the mean of their positions, and b counts the task itself (the paper's eq. (11) leaves it out, which
    gives a lone task a negative delay). Meaningless where nothing is offloaded.
    """
    return tasks_ahead(offloaded) + (offloaded - 1) / 2


def queueing_delay(offloaded: Counts, hold: Gateways) -> Levels:
    """B, seconds that a task waits in its gateway's transmission queue, eq. (7); 0 where nothing is offloaded."""
    return np.where(offloaded > 0, hold[..., None] * queue_position(offloaded), 0.0)


def edge_path_delay(edge: Gateways, transmission: Gateways, queueing: Levels) -> Levels:
    """D of an offloaded task, eq. (16): E + Omega + B."""
    return (edge + transmission)[..., None] + queueing


def in_time(delay: Levels, constants: Constants) -> Holds:
    """(17a): the delay is at most that of the task's level."""
    return delay <= constants.max_delay_s


def accurate(model: Int64[np.ndarray, "batch gateways levels"], constants: Constants) -> Holds:
    """(17b): the model that runs a level's tasks is at least as accurate as the level asks for."""
    return constants.accuracy[model] >= constants.min_accuracy


def edge_keeps_up(edge: Gateways, transmission: Gateways) -> Bool[np.ndarray, "batch gateways"]:
    """(17f): the edge is at least as fast as the link, so that no queue forms there."""
    return edge <= transmission


def sent_in_slot(queueing: Levels, transmission: Gateways, slot_s: float) -> Holds:
    """Whether a task is sent within its slot (implied by (17a), as no deadline is longer than a slot)."""
    return queueing + transmission[..., None] <= slot_s


def sum_of(parts: tuple[Gateways, Gateways, Gateways]) -> Gateways:
    """The inner sum of eq. (15)."""
    return parts[0] + parts[1] + parts[2]
