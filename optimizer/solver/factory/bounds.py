"""An upper bound on what the levels that are still to be decided can add, linear in time and places used (by numba).

Levels are decided from the most critical one down. Once levels K-1 .. k are decided, have sent S tasks and taken T
seconds, the rest adds at most base[k] - second[k] * T - place[k] * S. The proof is by induction over the levels: relax
the level's deadline and its limit on the queue with prices of at least 0, and take the level's best option. Its waiting
cost, price * T * (tasks kept), makes that best a convex function of T, which lies below its chord.

Where a search on this bound gets wide, `with_grid` computes a closer one: the same induction, but with the deadlines
kept and the time used known up to a cell of a grid, so that a level can no longer mix its options.
"""

from typing import NamedTuple, no_type_check

import numpy as np

from optimizer.solver.compiled import inner_kernel
from optimizer.solver.factory.prices import best_number, best_option
from optimizer.solver.factory.regimes import worth_of_sending

CELLS = 300  # of the grid of time; picked by hand
ROUNDING = 1e-9  # of a cell


class Bounds(NamedTuple):
    """The bound, and what it rests on. All but `longest` are at the number of levels still to be decided.

    Attributes:
        base: Constant of the bound.
        second: What the bound loses for each second used.
        place: What the bound loses for each task sent.
        safe: Time until which no later deadline can be missed, whatever is decided.
        tasks: Number of tasks in the levels still to be decided.
        grid: At [levels to be decided, cell of the time used]: another constant of the bound, infinite if not known.
        cell: Length of a cell in seconds.
    """

    base: np.ndarray
    second: np.ndarray
    place: np.ndarray
    safe: np.ndarray
    tasks: np.ndarray
    grid: np.ndarray
    cell: float


@no_type_check
@inner_kernel
def bounds_of(gate, options, caps, longest, first, step, prices):
    """The `Bounds` that these prices give."""
    levels = len(caps)
    base, second, place = np.zeros(levels + 1), np.zeros(levels + 1), np.zeros(levels + 1)
    safe, tasks = np.full(levels + 1, np.inf), np.zeros(levels + 1, np.int64)
    n = best_number(first, step, prices.sent, caps[0])
    base[0] = worth_of_sending(first, step, n) - prices.sent * n
    place[0] = -prices.sent
    for k in range(levels):
        latest = 0.0  # the latest time at which level k can begin
        if k + 1 < levels:
            latest = min(gate.deadlines[k + 1], longest[k + 1 :].sum())
        s, p = second[k] + prices.second[k], place[k] + prices.place[k]
        early = best_option(options, k, gate.counts[k], caps[k], s, p, 0.0)[0]
        late = early
        if gate.price > 0 and latest > 0:
            late = best_option(options, k, gate.counts[k], caps[k], s, p, gate.price * latest)[0]
        second[k + 1] = s + ((early - late) / latest if latest > 0 else 0.0)
        place[k + 1] = p
        base[k + 1] = base[k] + prices.second[k] * gate.deadlines[k] + prices.place[k] * caps[k] + early
        safe[k + 1] = min(safe[k], gate.deadlines[k]) - longest[k]
        tasks[k + 1] = tasks[k] + gate.counts[k]
    return Bounds(base, second, place, safe, tasks, np.full((levels + 1, 1), np.inf), np.inf)


@no_type_check
@inner_kernel
def constant_at(bounds, k, seconds):
    """The constant of the bound with k levels still to be decided and so much time used."""
    return min(bounds.base[k], bounds.grid[k, int(seconds / bounds.cell)])


@no_type_check
@inner_kernel
def with_grid(gate, options, caps, bounds):
    """The same bounds with a grid of time.

    `grid[k, i]` is at least the most that k levels can add after T seconds, plus second[k] * T, for every T of cell i.
    """
    levels = len(caps)
    cell = gate.deadlines[0] / CELLS
    grid = np.full((levels + 1, CELLS + 2), -np.inf)
    grid[0] = bounds.base[0]
    for k in range(levels):
        below, row = grid[k], grid[k + 1]
        rise = bounds.second[k + 1] - bounds.second[k]
        sending = max(0.0, -bounds.place[k + 1])
        limit = (bounds.place[k + 1] - bounds.place[k]) * caps[k]
        for o in range(options.first[k], options.first[k + 1]):
            kept, seconds = options.kept[o], options.seconds[o]
            slope = rise - gate.price * kept
            constant = options.own[o] + sending * min(gate.counts[k] - kept, caps[k]) + limit
            constant += max(slope, 0.0) * cell - bounds.second[k] * seconds
            low, high = int(max(seconds / cell - ROUNDING, 0.0)), int(seconds / cell + ROUNDING) + 1
            last = CELLS + 1
            if kept > 0:
                last = min(int((gate.deadlines[k] - seconds) / cell + ROUNDING), CELLS + 1 - high)
            for i in range(last + 1):
                ahead = max(below[min(i + low, CELLS + 1)], below[min(i + high, CELLS + 1)])
                ahead = max(ahead, below[min(i + low + 1, CELLS + 1)])
                row[i] = max(row[i], constant + slope * (i * cell) + ahead)
    return Bounds(bounds.base, bounds.second, bounds.place, bounds.safe, bounds.tasks, grid, cell)
