"""What one served task adds to the reward, locally and at the edge: the one place that knows a reward's terms.

The coefficients come from `network.rewards.Reward`; a new reward needs no change here.
"""

from typing import NamedTuple, no_type_check

import numpy as np

from optimizer.solver.compiled import kernel


class Gains(NamedTuple):
    """What serving one task adds to the reward of a slot, the avoided penalty included.

    Attributes:
        local: Gain of a local task, at [model, tasks in the batch].
        edge: Gain of an offloaded task that waits for nobody, but for the time at the edge.
        slope: What each second at the edge adds to it.
        wait: What each place in the queue takes from it, at least 0.
    """

    local: np.ndarray
    edge: float
    slope: float
    wait: float


@no_type_check
@kernel
def local_gain(worth, model, seconds, batch):
    """Gain of serving one task of a local batch that takes so many seconds; the avoided penalty alone for no batch."""
    gain = worth.penalty * worth.per_task
    if batch > 0:
        gain += worth.busy * (seconds / batch) + (worth.answer[model] + worth.delay * seconds) * worth.per_task
    return gain


@no_type_check
@kernel
def edge_gains(worth, link):
    """Gain of serving one offloaded task: at the queue's head, per second at the edge, and the loss per place."""
    delay = worth.delay * worth.per_task
    head = (worth.busy + delay) * link.transmission_s + (worth.edge_answer + worth.penalty) * worth.per_task
    return head, worth.busy + delay, -delay * link.hold_s


@no_type_check
@kernel
def gains_of(worth, link, local, tasks):
    """All gains at one gateway with so many tasks."""
    models = len(local.accuracy)
    seconds = local.seconds
    table = np.empty((models, tasks + 1))
    for v in range(models):
        for n in range(tasks + 1):
            table[v, n] = local_gain(worth, v, seconds[v, n], n)
    head, slope, wait = edge_gains(worth, link)
    return Gains(table, head, slope, wait)
