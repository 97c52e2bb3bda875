"""Shares of the edge for the gateways of a slot, and their decisions at these shares (by numba).

Where every gateway can have as much of the edge as is of use to it, shares are in proportion to that. Otherwise each
gateway's best worth is computed on a grid of shares; a price of the edge, found by bisection, and exchanges between
gateways decide.
"""

from typing import NamedTuple, no_type_check

import numpy as np

from optimizer.learning.factory.local_batches import IMPOSSIBLE, Rules
from optimizer.learning.factory.one_gateway import Best, Edge, decide_gateway
from optimizer.solver.compiled import inner_kernel, kernel

# Picked by hand:
GRID = 24  # shares that are tried for each gateway, from this part of what is enough
RANGE, BUSY_RANGE = 200.0, 1000.0  # the second one where busy time counts
MOST_EXCHANGES = 60
HALVINGS = 40  # of the price
SHARE_OF_LINK = 0.5  # in a network with (17f): a share is enough if the edge takes this part of the link's time


class Network(NamedTuple):
    """What has been learned, with the margins that are planned with.

    Attributes:
        seconds: Time of a batch at [gateway, model, tasks], with the margin.
        sending: Time to send one task at [gateway, channel state].
        hold: Time that one task holds the queue at [gateway, channel state].
        task_s: Time of one task on the whole edge.
        epsilon: That of eq. (3).
        slow: Factor on local times, their margin; `seconds` includes it.
        late: Factor on delays by way of the edge, their margin.
    """

    seconds: np.ndarray
    sending: np.ndarray
    hold: np.ndarray
    task_s: float
    epsilon: float
    slow: float
    late: float


@no_type_check
@inner_kernel
def edge_at(rules, network, g, state, share):
    """The way to the edge with a share."""
    task = network.task_s / (share + network.epsilon)
    sending, hold = network.sending[g, state], network.hold[g, state]
    spacing = max(hold, task) if rules.fifo else hold
    works = rules.fifo or task * network.late <= sending
    return Edge((sending + task) * network.late, spacing * network.late, sending + task, works)


@no_type_check
@inner_kernel
def enough(rules, network, g, state):
    """The share from which on more of the edge hardly helps a gateway."""
    sending, hold = network.sending[g, state], network.hold[g, state]
    limit = hold if rules.fifo and hold > 0 else sending
    if not rules.fifo:
        limit = min(SHARE_OF_LINK * sending, sending / network.late)
    return max(network.task_s / max(limit, 1e-12) - network.epsilon, 1e-9)


@no_type_check
@inner_kernel
def price_shares(rules, network, counts, channel, share):
    """Shares where the edge is scarce, or where time spent there counts: the best of a grid at one price."""
    gateways, levels = counts.shape
    most = np.empty(gateways)
    grid, worth = np.zeros((gateways, GRID)), np.empty((gateways, GRID))
    room = Best(np.zeros(levels, np.int64), np.zeros(levels, np.int64), np.zeros(levels, np.int64))
    for g in range(gateways):
        most[g] = min(enough(rules, network, g, channel[g]), 1.0)
        least = most[g] / (RANGE if rules.busy == 0 else BUSY_RANGE)
        for i in range(GRID):
            if i > 0:
                grid[g, i] = least * (most[g] / least) ** ((i - 1) / (GRID - 2))
            edge = edge_at(rules, network, g, channel[g], grid[g, i])
            worth[g, i] = decide_gateway(rules, network.seconds[g], edge, counts[g], False, room)
    low, high = 0.0, 1.0
    at = np.zeros(gateways, np.int64)
    while total_at(grid, worth, high, at) > 1.0:
        high *= 4
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        if total_at(grid, worth, middle, at) > 1.0:
            low = middle
        else:
            high = middle
    exchange(grid, worth, at, total_at(grid, worth, high, at))
    for g in range(gateways):
        share[g] = grid[g, at[g]]


@no_type_check
@inner_kernel
def total_at(grid, worth, price, at):
    """The sum of the shares that gateways take at a price; their points of the grid are written to `at`."""
    total = 0.0
    for g in range(len(grid)):
        at[g] = np.argmax(worth[g] - price * grid[g])
        total += grid[g, at[g]]
    return total


@no_type_check
@inner_kernel
def exchange(grid, worth, at, total):
    """Raise a gateway's share, at the cost of the rest or of one other gateway, as long as that is worth more."""
    gateways = len(grid)
    for _ in range(MOST_EXCHANGES):
        best, up, to, down, back = 1e-12, -1, 0, -1, 0
        for h in range(gateways):
            for i in range(at[h] + 1, GRID):
                need = total + grid[h, i] - grid[h, at[h]] - 1.0
                gain = worth[h, i] - worth[h, at[h]]
                if need <= 0:
                    if gain > best:
                        best, up, to, down = gain, h, i, -1
                    continue
                for g in range(gateways):
                    j = at[g] - 1
                    while g != h and j >= 0 and grid[g, at[g]] - grid[g, j] < need:
                        j -= 1
                    if g != h and j >= 0 and gain + worth[g, j] - worth[g, at[g]] > best:
                        best, up, to, down, back = gain + worth[g, j] - worth[g, at[g]], h, i, g, j
        if up < 0:
            return
        total += grid[up, to] - grid[up, at[up]]
        at[up] = to
        if down >= 0:
            total += grid[down, back] - grid[down, at[down]]
            at[down] = back


@no_type_check
@inner_kernel
def share_edge(rules, network, counts, channel, share):
    """Shares of a slot, written to `share`; they sum to 1."""
    gateways = len(counts)
    for g in range(gateways):
        share[g] = enough(rules, network, g, channel[g]) if counts[g].sum() > 0 else 0.0
    if rules.busy != 0 or share.sum() > 1.0:
        price_shares(rules, network, counts, channel, share)
    total = share.sum()
    if total <= 0:
        share[:] = 1.0 / gateways
    elif rules.busy != 0:
        give_rest(rules, network, counts, channel, share)
    else:
        share /= total


@no_type_check
@inner_kernel
def give_rest(rules, network, counts, channel, share):
    """Where time at the edge counts, one gateway takes what is left: the one to which it does least harm."""
    levels = counts.shape[1]
    room = Best(np.zeros(levels, np.int64), np.zeros(levels, np.int64), np.zeros(levels, np.int64))
    rest, best, who = 1.0 - share.sum(), IMPOSSIBLE, 0
    for g in range(len(counts)):
        now = edge_at(rules, network, g, channel[g], share[g])
        then = edge_at(rules, network, g, channel[g], share[g] + rest)
        gain = decide_gateway(rules, network.seconds[g], then, counts[g], False, room)
        gain -= decide_gateway(rules, network.seconds[g], now, counts[g], False, room)
        if gain > best:
            best, who = gain, g
    share[who] += rest


class Prices(NamedTuple):
    """What a reward pays for in a slot: a second of busy time, a second of mean delay, and losing all tasks."""

    busy: float
    delay: float
    penalty: float


@no_type_check
@kernel
def decide_slots(rules, prices, network, counts, channel, thorough, found, share):
    """Decide a batch of slots, one after the other.

    Args:
        rules: What holds for all; what is worth anything in it is set for each slot.
        prices: What the reward pays for.
        network: What has been learned.
        counts: Tasks at [slot, gateway, level].
        channel: Channel states at [slot, gateway].
        thorough: Whether decisions are improved by coordinate ascent.
        found: `Best` at [slot, gateway, level], written.
        share: Shares at [slot, gateway], written.

    Returns:
        The worth that is expected of each slot.
    """
    worth = np.zeros(len(counts))
    for b in range(len(counts)):
        each = 1.0 / max(counts[b].sum(), 1)
        own = Rules(
            rules.by_level, rules.fifo, rules.deadline, rules.usable, rules.answer, rules.edge_answer, prices.busy,
            prices.busy / network.slow, prices.delay * each / network.slow, prices.delay * each / network.late, each,
            prices.penalty * each,
        )  # fmt: skip
        share_edge(own, network, counts[b], channel[b], share[b])
        for g in range(counts.shape[1]):
            edge = edge_at(own, network, g, channel[b, g], share[b, g])
            best = Best(found.sent[b, g], found.kept[b, g], found.model[b, g])
            worth[b] += decide_gateway(own, network.seconds[g], edge, counts[b, g], thorough, best)
    return worth
