"""What is known of a gateway's own worth, for each regime of the edge and each number of tasks sent (by numba).

A *row* belongs to a regime. It holds for each number n of tasks sent an upper bound on what the gateway can do with the
other tasks, and the best decision that was found. A looser regime allows more, so its upper bounds hold in all tighter
ones too. `refine` solves a gateway exactly at one share of the edge, and lowers the bounds of its regime.
"""

from typing import NamedTuple, no_type_check

import numpy as np

from optimizer.solver.compiled import inner_kernel
from optimizer.solver.envelope import UNREACHABLE
from optimizer.solver.factory.bounds import bounds_of
from optimizer.solver.factory.by_level import best_by_level
from optimizer.solver.factory.one_batch import best_in_one_batch, best_sizes, send_least_critical
from optimizer.solver.factory.options import Options, longest_batches, options_of, some_of
from optimizer.solver.factory.prices import find_prices
from optimizer.solver.factory.regimes import (
    Gate,
    Regimes,
    can_send,
    most_sent,
    regimes_of,
    sending_limits,
    sending_terms,
    worth_of_sending,
)
from optimizer.solver.queue import edge_seconds
from optimizer.solver.worth import edge_gains

MOST_ROWS = 160
NEAR = 1e-12  # worths that differ by less are the same


class Choices(NamedTuple):
    """What one gateway has to choose from in one slot.

    Attributes:
        gate: The gateway.
        regimes: Its regimes.
        by_level: Whether it works level by level.
        options: Its local batches, by level.
        some: A selection of them.
        longest: The longest batch of each level.
        scale: What a local task is worth at most.
        gain: With one batch: the most a served task is worth, at [prefix, size].
        model: The model that gives it.
    """

    gate: Gate
    regimes: Regimes
    by_level: bool
    options: Options
    some: Options
    longest: np.ndarray
    scale: float
    gain: np.ndarray
    model: np.ndarray


class Rows(NamedTuple):
    """What is known of one gateway.

    Attributes:
        used: Number of rows, as an array of one number.
        regime: The regime of each row.
        solved: The time at the edge at which the row was solved last; -1 for never.
        upper: Upper bound on the local worth, at [row, tasks sent].
        found: Local worth of the best decision found.
        since: The tightest regime in which that decision is possible.
        plan: The decision: at [row, tasks sent, level] tasks kept, model and tasks sent.
    """

    used: np.ndarray
    regime: np.ndarray
    solved: np.ndarray
    upper: np.ndarray
    found: np.ndarray
    since: np.ndarray
    plan: np.ndarray


@no_type_check
@inner_kernel
def choices_of(counts, link, local, levels, worth, edge, by_level, fifo):
    """The `Choices` of a gateway."""
    head, slope, _ = edge_gains(worth, link)
    gate = Gate(counts, levels.max_delay_s, link, fifo, head, slope, -worth.delay * worth.per_task)
    longest = np.zeros(len(counts))
    if by_level:
        options = options_of(counts, local, levels, worth)
        gain, model = np.empty((0, 0)), np.empty((0, 0), np.int64)
    else:
        options = options_of(counts[:0], local, levels, worth)
        gain, model = best_sizes(counts, local, levels, worth)
    scale = longest_batches(options, levels.max_delay_s, longest[: len(options.first) - 1])
    scale = max(scale, abs(head), 1e-12)
    some = some_of(options, counts[: len(options.first) - 1])
    return Choices(gate, regimes_of(gate, edge), by_level, options, some, longest, scale, gain, model)


@no_type_check
@inner_kernel
def make_rows(choices):
    """Nothing known."""
    width = choices.regimes.rank[-1] + 1
    levels = len(choices.gate.counts)
    return Rows(
        np.zeros(1, np.int64),
        np.zeros(MOST_ROWS, np.int64),
        np.full(MOST_ROWS, -1.0),
        np.empty((MOST_ROWS, width)),
        np.empty((MOST_ROWS, width)),
        np.empty((MOST_ROWS, width), np.int64),
        np.empty((MOST_ROWS, width, levels, 3), np.int64),
    )


@no_type_check
@inner_kernel
def row_of(rows, choices, regime):
    """The row of a regime, made if need be from the nearest looser one; -1 if there is no room."""
    looser = -1
    for i in range(rows.used[0]):
        if rows.regime[i] == regime:
            return i
        if rows.regime[i] > regime and (looser < 0 or rows.regime[i] < rows.regime[looser]):
            looser = i
    if rows.used[0] == MOST_ROWS:
        return -1
    i = rows.used[0]
    rows.used[0] += 1
    rows.regime[i] = regime
    rank = choices.regimes.rank[regime]
    for n in range(rows.upper.shape[1]):
        if n > rank:
            rows.upper[i, n] = UNREACHABLE
        else:
            rows.upper[i, n] = rows.upper[looser, n] if looser >= 0 else np.inf
        rows.found[i, n] = UNREACHABLE
        rows.since[i, n] = regime
        if looser >= 0 and n <= rank and rows.since[looser, n] <= regime:
            rows.found[i, n], rows.since[i, n] = rows.found[looser, n], rows.since[looser, n]
            rows.plan[i, n] = rows.plan[looser, n]
    return i


@no_type_check
@inner_kernel
def lower(rows, row, n, value):
    """Local worth with n tasks sent is at most `value` in this row's regime, and so in all tighter ones."""
    for i in range(rows.used[0]):
        if rows.regime[i] <= rows.regime[row] and rows.upper[i, n] > value:
            rows.upper[i, n] = value


@no_type_check
@inner_kernel
def keep_plan(rows, choices, edge, row, n, value, plan):
    """Remember a decision in its row, and the tightest regime in which it is possible."""
    if value <= rows.found[row, n] + NEAR * choices.scale:
        return
    gate = choices.gate
    limits = np.empty(len(gate.counts), np.int64)
    low, high = choices.regimes.first[n], rows.regime[row]
    while low < high:
        middle = (low + high) // 2
        sending_limits(gate, edge_seconds(choices.regimes.start[middle], edge), gate.counts.sum(), limits)
        if can_send(gate, limits, plan[:, 2]):
            high = middle
        else:
            low = middle + 1
    rows.found[row, n], rows.since[row, n] = value, high
    rows.plan[row, n] = plan


@no_type_check
@inner_kernel
def lower_all(rows, row, rank, bounds, prices):
    """Lower the bounds of a regime to those that prices give."""
    base = bounds.base[-1] - bounds.base[0]
    for n in range(rank + 1):
        lower(rows, row, n, base - prices.sent * n)


@no_type_check
@inner_kernel
def lower_looser(rows, choices, edge, row, terms, prices):
    """Give rows of their own to some regimes between this one and the next looser one that has a row.

    Their bounds come from this regime's prices. Without them, the looser row would promise too much for all of them.
    """
    gate, levels = choices.gate, len(choices.gate.counts)
    regime, top = rows.regime[row], -1
    for i in range(rows.used[0]):
        if rows.regime[i] > regime and (top < 0 or rows.regime[i] < top):
            top = rows.regime[i]
    limits, caps = np.empty(levels, np.int64), np.empty(levels, np.int64)
    for part in (8, 2):
        between = regime + (top - regime) // part
        if top < 0 or between <= regime or rows.used[0] >= MOST_ROWS // 2:
            continue
        i = row_of(rows, choices, between)
        sending_limits(gate, edge_seconds(choices.regimes.start[between], edge), gate.counts.sum(), limits)
        rank = most_sent(gate, limits, caps)
        bounds = bounds_of(gate, choices.options, caps, choices.longest, terms[0], terms[1], prices)
        lower_all(rows, i, rank, bounds, prices)


@no_type_check
@inner_kernel
def refine(rows, choices, edge, regime, share, labels, most, search):
    """Solve a gateway at one share of the edge. Returns the row, the tasks sent, the worth and a bound on it.

    Without `search` the bounds of the regime are lowered cheaply, and nothing else is returned. The row is -1 if there
    is no room for it. `labels` is room to work in.
    """
    gate, levels = choices.gate, len(choices.gate.counts)
    row = row_of(rows, choices, regime)
    if row < 0:
        return -1, 0, 0.0, 0.0
    limits, caps = np.empty(levels, np.int64), np.empty(levels, np.int64)
    sending_limits(gate, edge_seconds(choices.regimes.start[regime], edge), gate.counts.sum(), limits)
    rank = most_sent(gate, limits, caps)
    terms = sending_terms(gate, edge_seconds(share, edge))
    if not choices.by_level:
        return refine_one_batch(rows, choices, edge, row, caps, rank, terms)
    prices = find_prices(gate, choices.some, caps, terms[0], terms[1], choices.scale)
    bounds = bounds_of(gate, choices.options, caps, choices.longest, terms[0], terms[1], prices)
    lower_all(rows, row, rank, bounds, prices)
    if not search:
        return row, 0, 0.0, 0.0
    lower_looser(rows, choices, edge, row, terms, prices)
    plan = np.zeros((levels, 3), np.int64)
    worth, proven = best_by_level(gate, choices.options, caps, limits, bounds, terms, choices.scale, labels, most, plan)
    for n in range(rank + 1):
        lower(rows, row, n, proven - worth_of_sending(terms[0], terms[1], n))
    n = plan[:, 2].sum()
    keep_plan(rows, choices, edge, row, n, worth - worth_of_sending(terms[0], terms[1], n), plan)
    rows.solved[row] = edge_seconds(share, edge)
    return row, n, worth, proven


@no_type_check
@inner_kernel
def refine_one_batch(rows, choices, edge, row, caps, rank, terms):
    """The same with one batch, exactly for every number of tasks sent."""
    gate, levels = choices.gate, len(choices.gate.counts)
    worths, plans = np.empty(rank + 1), np.empty((rank + 1, 3), np.int64)
    plan = np.zeros((levels, 3), np.int64)
    best, sent = -np.inf, 0
    if rows.solved[row] < 0:
        best_in_one_batch(gate.counts, choices.gain, choices.model, caps, worths, plans)
        for n in range(rank + 1):
            lower(rows, row, n, worths[n])
            j = plans[n, 0]
            send_least_critical(gate.counts, j, caps[j + 1] if j + 1 < levels else 0, n, plan[:, 2])
            keep_in_batch(gate.counts, plans[n], plan)
            keep_plan(rows, choices, edge, row, n, worths[n], plan)
        rows.solved[row] = 1.0
    for n in range(rank + 1):
        worth = rows.found[row, n] + worth_of_sending(terms[0], terms[1], n)
        if worth > best:
            best, sent = worth, n
    return row, sent, best, best


@no_type_check
@inner_kernel
def keep_in_batch(counts, chosen, plan):
    """How many tasks of each level are kept: first those of the prefix, then those that fill the batch up."""
    left = chosen[2]
    for k in range(len(counts)):
        plan[k, 0] = min(left, counts[k] - plan[k, 2])
        plan[k, 1] = chosen[1]
        left -= plan[k, 0]
