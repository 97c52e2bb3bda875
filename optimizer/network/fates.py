"""What becomes of tasks on a gateway's processor, on the link and at the edge: delays and constraints, eq. (2) to (17).

The paper's network runs one batch per gateway and loses tasks where the edge is slower than the link. A factory's
network runs a batch per level, the most critical first, and queues tasks at the edge. Shapes are those of `equations`.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64

from optimizer.network.equations import (
    Counts,
    Gateways,
    Holds,
    Levels,
    accurate,
    batch_delays,
    edge_delay,
    edge_keeps_up,
    edge_path_delay,
    in_time,
    local_delay,
    queue_hold,
    queueing_delay,
    sent_in_slot,
    tasks_ahead,
    transmission_delay,
)
from optimizer.network.scenario import Scenario
from optimizer.network.slots import Action, State

Models = Int64[np.ndarray, "batch gateways levels"]


@dataclass(frozen=True)
class LocalFates:
    """What becomes of the tasks that gateways keep. A level's tasks all meet the same fate.

    Attributes:
        model: Index of the model that runs each level's tasks.
        done_s: Seconds until each level's tasks are done, L of eq. (2).
        work_s: Seconds of the processor for each of the level's tasks.
        in_time: Whether the level meets its deadline, (17a).
        accurate: Whether the level's model is accurate enough, (17b).
    """

    model: Models
    done_s: Levels
    work_s: Levels
    in_time: Holds
    accurate: Holds


@dataclass(frozen=True)
class EdgeFates:
    """What becomes of the tasks that are sent.

    Attributes:
        served: Number of tasks served: the first ones of a level in the order of sending.
        late: Number of tasks that miss their deadline, (17a).
        slower: Number of tasks lost because the edge is slower than the link, (17f).
        unsent: Number of tasks that are not sent within the slot.
        first_s: Delay of each level's first task, eq. (16).
        spacing_s: Seconds by which each further task of the same level is later; 0 where equals share their mean.
        task_s: Time of one task at the edge, E of eq. (3).
        transmission_s: Time to send one task, Omega of eq. (6).
    """

    served: Counts
    late: Counts
    slower: Counts
    unsent: Counts
    first_s: Levels
    spacing_s: Gateways
    task_s: Gateways
    transmission_s: Gateways


def local_fates(scenario: Scenario, local: Counts, action: Action, factor: Gateways | None) -> LocalFates:
    """What becomes of the tasks that gateways keep.

    Args:
        scenario: The network.
        local: Number of tasks kept of each level.
        action: The decisions: the models, in one batch or by level.
        factor: Factor on each gateway's times; None for 1.
    """
    constants = scenario.constants
    scale = 1.0 if factor is None else factor[..., None]
    if action.by_level:
        model, batches = action.model, batch_delays(local, action.model, constants) * scale
        # Level k waits for the levels above it: a sum from the last level downwards.
        done = np.flip(np.flip(batches, axis=2).cumsum(axis=2), axis=2)
        work = batches / np.maximum(local, 1)
    else:
        model = np.broadcast_to(action.model[..., None], local.shape)
        batch = local_delay(local, action.model, constants)[..., None] * scale
        done = np.broadcast_to(batch, local.shape)
        work = np.broadcast_to(batch / np.maximum(local.sum(axis=2, keepdims=True), 1), local.shape)
    return LocalFates(model, done, work, in_time(done, constants), accurate(model, constants))


def edge_fates(
    scenario: Scenario, state: State, offloaded: Counts, share: Gateways, factor: Gateways | None
) -> EdgeFates:
    """What becomes of the tasks that are sent.

    Args:
        scenario: The network.
        state: The slots.
        offloaded: Number of tasks sent of each level.
        share: Each gateway's share of the edge.
        factor: Factor on each gateway's times at the edge; None for 1.
    """
    constants = scenario.constants
    task = edge_delay(share, constants)
    if factor is not None:
        task = task * factor
    sending = transmission_delay(state.channel, constants)
    hold = queue_hold(state.channel, constants)
    if scenario.fifo:
        return _queue_at_edge(scenario, offloaded, task, sending, hold)
    queueing = queueing_delay(offloaded, hold)
    path = edge_path_delay(task, sending, queueing)
    on_time = in_time(path, constants)
    fast = edge_keeps_up(task, sending)[..., None]
    return EdgeFates(
        served=offloaded * (on_time & fast),
        late=offloaded * ~on_time,
        slower=offloaded * ~fast,
        unsent=offloaded * ~sent_in_slot(queueing, sending, scenario.slot_s),
        first_s=path,
        spacing_s=np.zeros_like(task),
        task_s=task,
        transmission_s=sending,
    )


def places_within(
    base: Float64[np.ndarray, "batch gateways levels"], spacing: Levels, limit: Levels
) -> Int64[np.ndarray, "batch gateways levels"]:
    """How many places of a queue keep a limit: the j from 0 on with base + j * spacing <= limit."""
    j = np.floor((limit - base) / spacing)
    j = np.where(base + (j + 1) * spacing <= limit, j + 1, j)  # the quotient was rounded down
    j = np.where((j >= 0) & (base + j * spacing > limit), j - 1, j)
    return np.maximum(j + 1, 0).astype(np.int64)


def _queue_at_edge(
    scenario: Scenario, offloaded: Counts, task: Gateways, sending: Gateways, hold: Gateways
) -> EdgeFates:
    """Tasks wait for the link and for each other at the edge: place j is answered after Omega + E + j max(hold, E)."""
    constants = scenario.constants
    shape = offloaded.shape
    spacing = np.maximum(hold, task)
    wide = np.broadcast_to(spacing[..., None], shape)
    base = np.broadcast_to((task + sending)[..., None], shape)
    ahead = tasks_ahead(offloaded)
    served = np.clip(places_within(base, wide, np.broadcast_to(constants.max_delay_s, shape)) - ahead, 0, offloaded)
    slot = np.full(shape, scenario.slot_s)
    sent = places_within(np.broadcast_to(sending[..., None], shape), np.broadcast_to(hold[..., None], shape), slot)
    return EdgeFates(
        served=served,
        late=offloaded - served,
        slower=np.zeros_like(offloaded),
        unsent=offloaded - np.clip(sent - ahead, 0, offloaded),
        first_s=base + ahead * wide,
        spacing_s=spacing,
        task_s=task,
        transmission_s=sending,
    )


def rank_in_level(
    level: np.ndarray, chosen: Bool[np.ndarray, "batch gateways width"], levels: int
) -> Int64[np.ndarray, "batch gateways width"]:
    """How many chosen tasks of the same level and gateway come before each task, in sensor order."""
    rank = np.zeros(level.shape, np.int64)
    for k in range(levels):
        own = chosen & (level == k)
        rank = np.where(own, own.cumsum(axis=2) - 1, rank)
    return rank
