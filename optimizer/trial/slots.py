"""What becomes of a slot's tasks when inference takes the times that were measured: plain functions over arrays.

A gateway's local tasks run as one batch, or level by level as one batch each, the most critical first: a level is done
when the batches up to its own are. Offloaded tasks are sent one after the other, higher levels first and equals in
sensor order; at the edge each waits until the one before it is done. So every task has a delay of its own.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int8, Int64

from optimizer.network.equations import queue_hold, tasks_ahead
from optimizer.network.fates import rank_in_level
from optimizer.network.outcome import Outcome
from optimizer.network.slots import PADDING, Action, State

NO_TASK, SERVED, LATE, INACCURATE, REFUSED = range(5)  # fates
Tasks = Int64[np.ndarray, " tasks"]
Times = Float64[np.ndarray, " tasks"]


@dataclass(frozen=True, eq=False)
class Batch:
    """Tasks that a gateway runs at once.

    Attributes:
        model: Index of the model.
        tasks: Indices of the tasks, in sensor order.
    """

    model: int
    tasks: Tasks


def batches_of(action: Action, state: State, slot: int, gateway: int, levels: int) -> list[Batch]:
    """The batches of one gateway in a slot, in the order in which it runs them."""
    level = state.level[slot, gateway]
    kept = (level != PADDING) & ~action.offload[slot, gateway]
    if action.refused is not None:
        kept &= ~action.refused[slot, gateway]
    if not kept.any():
        return []
    if not action.by_level:
        return [Batch(int(action.model[slot, gateway]), np.flatnonzero(kept))]
    return [
        Batch(int(action.model[slot, gateway, k]), np.flatnonzero(kept & (level == k)))
        for k in range(levels - 1, -1, -1)
        if (kept & (level == k)).any()
    ]


def queue_of(action: Action, state: State, slot: int, gateway: int) -> Tasks:
    """The offloaded tasks of one gateway in the order of sending: higher levels first, equals in sensor order."""
    tasks = np.flatnonzero(action.offload[slot, gateway])
    return tasks[np.argsort(-state.level[slot, gateway, tasks].astype(np.int64), kind="stable")]


def through_queue(arrival: Times, service: Times) -> Times:
    """When each task leaves a first-come-first-served queue: it begins once it is there and the one before is done.

    Args:
        arrival: When each task arrives, ascending.
        service: How long each takes.
    """
    total = np.cumsum(service)
    return total + np.maximum.accumulate(arrival - (total - service))


def fates(
    delay: np.ndarray, accurate: Bool[np.ndarray, "*shape"], limit: np.ndarray, level: np.ndarray, refused: np.ndarray
) -> Int8[np.ndarray, "*shape"]:
    """What becomes of each task: of several causes, being late is named first.

    Args:
        delay: Seconds until each task is answered; NaN where it is not run.
        accurate: Whether its model is as accurate as its level asks.
        limit: Deadline of its level in seconds.
        level: Its level; -1 where there is no task.
        refused: Whether it is refused.
    """
    with np.errstate(invalid="ignore"):
        found = np.where(delay > limit, LATE, np.where(accurate, SERVED, INACCURATE))
    return np.where(level == PADDING, NO_TASK, np.where(refused, REFUSED, found)).astype(np.int8)


@dataclass(frozen=True, eq=False)
class Predicted:
    """What the system model says of every task, at [slot, gateway, task].

    Attributes:
        delay_s: Delay of the task itself; equals of the paper's queue have their own places, not their mean.
        fate: What becomes of it; what only (17f) would lose is served here.
        slower: Whether (17f) calls it lost: its gateway's part of the edge is slower than its link.
        accuracy: Accuracy of the model that runs it, relative to the complete model.
    """

    delay_s: np.ndarray
    fate: np.ndarray
    slower: np.ndarray
    accuracy: np.ndarray


def predict(state: State, action: Action, outcome: Outcome) -> Predicted:
    """What the system model says of every task of a contender's slots."""
    scenario = outcome.scenario
    constants, levels = scenario.constants, len(scenario.qos)
    level = np.maximum(state.level, 0).astype(np.int64)
    limit = constants.max_delay_s[level]
    refused = np.zeros_like(action.offload) if action.refused is None else action.refused
    accuracy = constants.accuracy[np.take_along_axis(outcome.model, level, axis=2)]
    accuracy = np.where(action.offload, 1.0, accuracy)
    accurate = action.offload | (accuracy >= constants.min_accuracy[level])
    delay = outcome.delay_of_tasks(state, action)
    fate = fates(delay, accurate, limit, state.level, refused)
    fate[outcome.served_tasks(state, action)] = SERVED  # the outcome rounds deadlines of queues its own way
    slower = action.offload & (outcome.edge_s > outcome.transmission_s)[..., None]
    if not scenario.fifo:
        delay = np.where(action.offload, _in_order(state, action, outcome, levels), delay)
    return Predicted(delay, fate, slower, accuracy)


def _in_order(state: State, action: Action, outcome: Outcome, levels: int) -> np.ndarray:
    """Delay of each offloaded task of the paper's queue by its own place: Omega + E + place times hold."""
    hold = queue_hold(state.channel, outcome.scenario.constants)
    ahead = np.take_along_axis(tasks_ahead(outcome.offloaded), np.maximum(state.level, 0).astype(np.int64), axis=2)
    place = ahead + rank_in_level(state.level, action.offload, levels)
    return (outcome.transmission_s + outcome.edge_s)[..., None] + place * hold[..., None]
