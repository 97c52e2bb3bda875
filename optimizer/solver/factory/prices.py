"""Prices of time and of places in the queue at one gateway, by linear programming with column generation (by numba).

The relaxation lets a level mix its options. Its dual solution prices a second before each deadline, a place in the
queue and a task sent. Any prices give a valid bound in `bounds`; good ones give a tight bound. So nothing here needs to
be exact, and the waiting of later levels is only estimated.
"""

from typing import NamedTuple, no_type_check

import numpy as np

from optimizer.solver.compiled import inner_kernel
from optimizer.solver.factory.regimes import worth_of_sending

MOST_PIVOTS = 400
PIVOT = 1e-9  # smaller entries do not become pivots


class Prices(NamedTuple):
    """What a level's decisions are charged for.

    Attributes:
        second: Price of a second before each level's deadline, at least 0.
        place: Price of a place in the queue that each level and those above it can use, at least 0.
        sent: What a task sent is paid.
    """

    second: np.ndarray
    place: np.ndarray
    sent: float


@no_type_check
@inner_kernel
def best_number(first, step, price, most):
    """The number of tasks up to `most` that maximises the worth of sending them less a price for each."""
    if first - price <= 0:
        return 0
    if step <= 0:
        return most
    n = min(most, int(min((first - price) / step, 1e9)) + 1)
    while n > 0 and worth_of_sending(first, step, n) - price * n < worth_of_sending(first, step, n - 1) - price * (
        n - 1
    ):
        n -= 1
    return n


@no_type_check
@inner_kernel
def best_option(options, k, count, cap, second, place, waiting):
    """The option of level k that is worth most at these prices, what it is worth, and how many tasks it sends."""
    sending = max(0.0, -place)
    best, chosen = -1.0, options.first[k]
    for i in range(options.first[k], options.first[k + 1]):
        worth = options.own[i] - second * options.seconds[i] - waiting * options.kept[i]
        worth += sending * min(count - options.kept[i], cap)
        if worth > best:
            best, chosen = worth, i
    return best, chosen, min(count - options.kept[chosen], cap) if sending > 0 else 0


@no_type_check
@inner_kernel
def enter(inverse, solution, cost, column, value):
    """Let a column enter the basis; returns the row that it takes, -1 if there is none."""
    size = len(solution)
    change = inverse @ column
    row, ratio = -1, np.inf
    for i in range(size):
        if change[i] > PIVOT:
            r = max(solution[i], 0.0) / change[i]
            if r < ratio - 1e-12 or (r <= ratio and row >= 0 and change[i] > change[row]):
                row, ratio = i, r
    if row < 0:
        return row
    pivot = inverse[row] / change[row]
    amount = solution[row] / change[row]
    for i in range(size):
        if i != row and change[i] != 0.0:
            for j in range(size):
                inverse[i, j] -= change[i] * pivot[j]
            solution[i] -= change[i] * amount
    inverse[row] = pivot
    solution[row] = amount
    cost[row] = value
    return row


@no_type_check
@inner_kernel
def choose_column(gate, options, caps, rank, first, step, dual, later, waiting, column, tolerance):
    """The column of largest reduced cost, written to `column`.

    Returns its level (-1 for a slack or a number of tasks sent; -2 if no column improves), its option, and its cost.
    """
    levels = len(caps)
    best, level, option, sent = tolerance, -2, -1, 0
    for i in range(levels, 3 * levels + 1):  # slacks
        if -dual[i] > best:
            best, level, option = -dual[i], -1, i
    second, place = 0.0, -dual[3 * levels]
    for k in range(levels):
        second += dual[levels + k]
        place += dual[2 * levels + k]
        worth, i, e = best_option(
            options, k, gate.counts[k], caps[k], second + gate.price * later[k], place, gate.price * waiting[k]
        )
        if worth - dual[k] > best:
            best, level, option, sent = worth - dual[k], k, i, e
    n = best_number(first, step, dual[3 * levels], rank)
    gain = worth_of_sending(first, step, n) - dual[3 * levels] * n - dual[3 * levels + 1]
    column[:] = 0.0
    if gain > best:
        column[3 * levels], column[3 * levels + 1] = n, 1.0
        return -1, -1, worth_of_sending(first, step, n)
    if level >= 0:
        column[level] = 1.0
        column[3 * levels] = -sent
        for j in range(level + 1):
            column[levels + j] = options.seconds[option]
            column[2 * levels + j] = sent
        wait = later[level] * options.seconds[option] + waiting[level] * options.kept[option]
        return level, option, options.own[option] - gate.price * wait
    if level == -1:
        column[option] = 1.0
    return level, -1, 0.0


@no_type_check
@inner_kernel
def find_prices(gate, options, caps, first, step, scale):
    """`Prices` from the relaxation, solved twice: without waiting, and with the waiting that the first solution has."""
    levels = len(caps)
    size = 3 * levels + 2
    inverse = np.eye(size)
    solution = np.ones(size)
    solution[levels : 2 * levels] = gate.deadlines
    solution[2 * levels : 3 * levels] = caps
    solution[3 * levels] = 0.0
    cost, column = np.zeros(size), np.empty(size)
    basic_level, basic_option = np.full(size, -1, np.int64), np.zeros(size, np.int64)
    basic_level[:levels] = np.arange(levels)
    basic_option[:levels] = options.first[:levels]
    later, waiting = np.zeros(levels), np.zeros(levels)
    dual = np.zeros(size)
    for turn in range(2 if gate.price > 0 else 1):
        if turn == 1:
            estimate_waiting(gate, options, solution, basic_level, basic_option, later, waiting, cost)
        for _ in range(MOST_PIVOTS):
            dual = cost @ inverse
            level, option, value = choose_column(
                gate, options, caps, caps[0], first, step, dual, later, waiting, column, 1e-11 * scale
            )
            if level == -2:
                break
            row = enter(inverse, solution, cost, column, value)
            if row < 0:
                break
            basic_level[row], basic_option[row] = level, option
    return Prices(
        np.maximum(dual[levels : 2 * levels], 0.0), np.maximum(dual[2 * levels : 3 * levels], 0.0), dual[3 * levels]
    )


@no_type_check
@inner_kernel
def estimate_waiting(gate, options, solution, basic_level, basic_option, later, waiting, cost):
    """How long each level waits (`waiting`) and how many local tasks wait for it (`later`); updates `cost`."""
    levels = len(later)
    seconds, kept = np.zeros(levels), np.zeros(levels)
    for i in range(len(solution)):
        if basic_level[i] >= 0:
            seconds[basic_level[i]] += solution[i] * options.seconds[basic_option[i]]
            kept[basic_level[i]] += solution[i] * options.kept[basic_option[i]]
    for k in range(levels):
        later[k], waiting[k] = kept[:k].sum(), seconds[k + 1 :].sum()
    for i in range(len(solution)):
        k, o = basic_level[i], basic_option[i]
        if k >= 0:
            cost[i] = options.own[o] - gate.price * (later[k] * options.seconds[o] + waiting[k] * options.kept[o])
