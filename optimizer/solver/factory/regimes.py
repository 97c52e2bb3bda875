"""How many tasks a gateway can send at which share of the edge, and what they are worth there (by numba).

The time of a task at the edge, x = E of eq. (3), decides which places of the queue meet which deadlines. Between two
*thresholds* of x nothing changes: such a range of shares is a *regime*. Regimes are numbered from the smallest share
on; a looser regime (a larger share) allows everything that a tighter one allows.
"""

from typing import NamedTuple, no_type_check

import numpy as np

from optimizer.solver.compiled import inner_kernel
from optimizer.solver.one_gateway import SLACK_S, thresholds
from optimizer.solver.problem import Link
from optimizer.solver.queue import edge_seconds, furthest, least_share, position_limits


class Gate(NamedTuple):
    """One gateway in one slot.

    Attributes:
        counts: Number of tasks of each level.
        deadlines: Deadline of each level in seconds.
        link: Its uplink, two numbers.
        fifo: Whether tasks queue at the edge (`[edge] queue = "fifo"`), instead of the paper's (17f).
        head: Worth of a task at the edge that waits for nobody, but for its time there.
        slope: What each second at the edge adds to that.
        price: What each second of a task's delay costs, at least 0.
    """

    counts: np.ndarray
    deadlines: np.ndarray
    link: Link
    fifo: bool
    head: float
    slope: float
    price: float


class Regimes(NamedTuple):
    """The regimes of one gateway in one slot.

    Attributes:
        start: Least share of each regime, ascending from 0.
        rank: The most tasks that can be sent in each regime.
        first: The tightest regime in which n tasks can be sent, at n.
    """

    start: np.ndarray
    rank: np.ndarray
    first: np.ndarray


@no_type_check
@inner_kernel
def sending_terms(gate, x):
    """Sending n tasks is worth first * n - step * n (n - 1) / 2 when each takes x seconds at the edge."""
    wait = max(gate.link.hold_s, x) if gate.fifo else gate.link.hold_s
    return gate.head + gate.slope * x, gate.price * wait


@no_type_check
@inner_kernel
def worth_of_sending(first, step, n):
    """Worth of n tasks at the edge, all of them served."""
    return first * n - step * (n * (n - 1) / 2)


@no_type_check
@inner_kernel
def sending_limits(gate, x, most, limits):
    """What each level's last task in the queue must keep to meet its deadline.

    With a queue at the edge, `limits[k]` is the number of places that meet level k's deadline. Without one it is twice
    the last mean position, as in `solver.queue.position_limits`; -1 where nothing does.
    """
    if not gate.fifo:
        if x > gate.link.transmission_s:
            limits[:] = -1
        else:
            position_limits(x, gate.link, gate.deadlines, most, limits)
        return
    base, wait = x + gate.link.transmission_s, max(gate.link.hold_s, x)
    for k in range(len(limits)):
        n = int(max(-1.0, min(np.floor((gate.deadlines[k] - base) / wait), float(most)))) + 1
        while n > 0 and base + (n - 1) * wait > gate.deadlines[k]:
            n -= 1
        while n < most and base + n * wait <= gate.deadlines[k]:
            n += 1
        limits[k] = min(n, most)


@no_type_check
@inner_kernel
def most_sent(gate, limits, caps):
    """The most tasks that the levels from k on can send together, written to `caps[k]`; returns that of all levels."""
    reach = 0
    for k in range(len(limits) - 1, -1, -1):
        if gate.fifo:
            reach = max(reach, min(reach + gate.counts[k], limits[k]))
        else:
            reach = furthest(0, reach, gate.counts[k], limits[k])
        caps[k] = reach
    return reach


@no_type_check
@inner_kernel
def can_send(gate, limits, sent):
    """Whether so many tasks of each level all meet their deadlines."""
    ahead = 0
    for k in range(len(limits) - 1, -1, -1):
        n = sent[k]
        if n > 0 and (ahead + n > limits[k] if gate.fifo else 2 * ahead + n - 1 > limits[k]):
            return False
        ahead += n
    return True


@no_type_check
@inner_kernel
def queue_thresholds(gate, shortest, tasks, found):
    """Times at the edge at which a place of its queue just meets a deadline, written to `found`; returns how many."""
    hold, total = gate.link.hold_s, 0
    if hold >= shortest:
        found[0] = hold
        total = 1
    for k in range(len(gate.counts)):
        if gate.counts[k] == 0:
            continue
        left = gate.deadlines[k] - gate.link.transmission_s
        for j in range(tasks):
            x = left / (j + 1)
            if x <= hold:
                x = left - j * hold
            x -= SLACK_S
            if x < shortest:
                break
            found[total] = x
            total += 1
    return total


@no_type_check
@inner_kernel
def regimes_of(gate, edge):
    """The `Regimes` of a gateway."""
    levels, tasks = len(gate.counts), gate.counts.sum()
    shortest = edge_seconds(1.0, edge)
    times = np.empty(levels * (tasks + 4) + 9)
    if gate.fifo:
        total = queue_thresholds(gate, shortest, tasks, times)
    else:
        total = thresholds(gate.counts, gate.link, gate.deadlines, shortest, tasks, times[: 4 * levels + 8])
    start = np.zeros(total + 1)
    for r in range(total):
        start[r + 1] = least_share(times[r], edge)
    start.sort()
    while total > 0 and start[total] > 1.0:
        total -= 1
    start = start[: total + 1]
    rank = np.zeros(total + 1, np.int64)
    limits, caps = np.empty(levels, np.int64), np.empty(levels, np.int64)
    for r in range(total + 1):
        sending_limits(gate, edge_seconds(start[r], edge), tasks, limits)
        rank[r] = most_sent(gate, limits, caps)
        if r > 0:
            rank[r] = max(rank[r], rank[r - 1])
    first = np.empty(rank[total] + 1, np.int64)
    n = 0
    for r in range(total + 1):
        while n <= rank[r]:
            first[n] = r
            n += 1
    return Regimes(start, rank, first)


@no_type_check
@inner_kernel
def regime_at(regimes, share):
    """The regime of a share: the last one that begins at or before it."""
    return np.searchsorted(regimes.start, share, side="right") - 1
