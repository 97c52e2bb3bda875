"""A batch of slots in networks that can refuse tasks, solved one after the other (numba).

The edge is first divided as if every gateway could do what its upper bounds say. Then each gateway is solved exactly at
the share that it got, which lowers its bounds, and the edge is divided anew, until what was promised is kept.
"""

from typing import NamedTuple, no_type_check

import numpy as np

from optimizer.solver.compiled import kernel
from optimizer.solver.edge_shares import TOLERANCE, allocate_exactly, allocate_on_grid, best_piece
from optimizer.solver.envelope import UNREACHABLE
from optimizer.solver.factory.cells import NEAR, choices_of, make_rows, refine
from optimizer.solver.factory.regimes import regime_at, sending_terms, worth_of_sending
from optimizer.solver.problem import COLUMNS, CONSTANT, END, MODEL, NO_END, SENT, SLOPE, START
from optimizer.solver.queue import edge_seconds, least_share
from optimizer.solver.slot_kernels import at_gateway, count_levels, in_slot

ROW = MODEL  # a piece names the row of `Rows` that it comes from, where the paper's names its model
MOST_TURNS = 100


class Decided(NamedTuple):
    """Decisions of a batch of slots, filled by the kernels.

    Attributes:
        offload: At [slot, gateway, task].
        refused: At [slot, gateway, task].
        model: At [slot, gateway, level]; with one batch, all levels of a gateway have the same.
        share: At [slot, gateway].
        reward: Reward of each slot.
        bound: No decision is worth more than this.
    """

    offload: np.ndarray
    refused: np.ndarray
    model: np.ndarray
    share: np.ndarray
    reward: np.ndarray
    bound: np.ndarray


@no_type_check
@kernel
def add_piece(pieces, count, start, end, row, n, constant, slope):
    """Write one more piece; returns their number."""
    pieces[count, START], pieces[count, END] = start, end
    pieces[count, CONSTANT], pieces[count, SLOPE] = constant, slope
    pieces[count, ROW], pieces[count, SENT] = row, n
    return count + 1


@no_type_check
@kernel
def promised(rows, choices, edge):
    """The pieces of a gateway, from its upper bounds."""
    gate, regimes = choices.gate, choices.regimes
    used = rows.used[0]
    pieces = np.zeros((2 * used * rows.upper.shape[1] + 1, COLUMNS))
    order = np.argsort(rows.regime[:used])
    even = least_share(gate.link.hold_s, edge)  # from this share on the link is slower than the edge
    count = 0
    for i in range(used):
        row = order[i]
        since = rows.regime[order[i - 1]] + 1 if i > 0 else 0
        for n in range(regimes.rank[rows.regime[row]] + 1):
            if i > 0 and regimes.first[n] < since and rows.upper[row, n] <= rows.upper[order[i - 1], n]:
                continue  # the row before promises as much from a smaller share on
            start = regimes.start[max(since, regimes.first[n])]
            pairs = gate.price * (n * (n - 1) / 2)
            constant, slope = rows.upper[row, n] + gate.head * n, gate.slope * n
            if gate.fifo and pairs > 0 and start < even:
                count = add_piece(pieces, count, start, min(even, 1.0), row, n, constant, slope - pairs)
                if even <= 1.0:
                    count = add_piece(
                        pieces, count, even, NO_END, row, n, constant - pairs * gate.link.hold_s, slope
                    )
            else:
                count = add_piece(pieces, count, start, NO_END, row, n, constant - pairs * gate.link.hold_s, slope)
    return pieces[:count]


@no_type_check
@kernel
def all_promised(known, choices, edge):
    """The pieces of all gateways, as `edge_shares` takes them, and their numbers."""
    lists = [promised(known[g], choices[g], edge) for g in range(len(known))]
    rows = np.array([len(x) for x in lists])
    pieces = np.zeros((len(lists), rows.max(), COLUMNS))
    for g in range(len(lists)):
        pieces[g, : rows[g]] = lists[g]
    return pieces, rows


@no_type_check
@kernel
def keep_promise(rows, choices, edge, share, piece, most):
    """What a gateway can really do at its share.

    Returns the row and the number of tasks sent of the best decision known there, its worth, a bound on it, and
    whether anything new was learned.
    """
    row, n = int(piece[ROW]), int(piece[SENT])
    regime = regime_at(choices.regimes, share)
    terms = sending_terms(choices.gate, edge_seconds(share, edge))
    if rows.since[row, n] <= regime and rows.found[row, n] >= rows.upper[row, n] - 4 * NEAR * choices.scale:
        worth = rows.found[row, n] + worth_of_sending(terms[0], terms[1], n)
        return row, n, worth, worth, False
    for i in range(rows.used[0]):
        if rows.regime[i] == regime and rows.solved[i] == edge_seconds(share, edge):  # it was cut off
            best, sent = -np.inf, 0
            for m in range(choices.regimes.rank[regime] + 1):
                worth = rows.found[i, m] + worth_of_sending(terms[0], terms[1], m)
                if rows.found[i, m] > UNREACHABLE and worth > best:
                    best, sent = worth, m
            return i, sent, best, rows.upper[row, n] + worth_of_sending(terms[0], terms[1], n), False
    row, n, worth, proven = refine(rows, choices, edge, regime, share, most, True)
    return row, n, worth, proven, row >= 0


@no_type_check
@kernel
def solve_fixed(known, choices, edge, share, most, row, sent):
    """The best decisions at given shares."""
    total = bound = 0.0
    for g in range(len(share)):
        regime = regime_at(choices[g].regimes, share[g])
        row[g], sent[g], worth, proven = refine(known[g], choices[g], edge, regime, share[g], most, True)
        total += worth
        bound += proven
    return total, bound


@no_type_check
@kernel
def divide(known, choices, edge, allowed, most, share, row, sent):
    """The best shares and decisions; fills `share`, `row` and `sent`, returns their worth and a bound on the best."""
    gateways = len(share)
    for g in range(gateways):
        last = len(choices[g].regimes.start) - 1
        refine(known[g], choices[g], edge, last, 1.0 / gateways, most, False)
    trial = np.empty(gateways)
    at, n = np.zeros(gateways, np.int64), np.zeros(gateways, np.int64)
    best, upper = UNREACHABLE, np.inf
    for _ in range(MOST_TURNS):
        pieces, rows = all_promised(known, choices, edge)
        if allowed.steps > 0:
            bound = allocate_on_grid(pieces, rows, allowed.steps, edge, trial)
        else:
            _, bound, _ = allocate_exactly(pieces, rows, edge, allowed.most_boxes, trial)
        upper = min(upper, bound)
        total, learned = 0.0, False
        for g in range(gateways):
            piece = pieces[g, best_piece(pieces[g], rows[g], trial[g], edge)[0]]
            at[g], n[g], worth, _, new = keep_promise(known[g], choices[g], edge, trial[g], piece, most)
            total += worth if at[g] >= 0 else UNREACHABLE
            learned |= new
        if total > best:
            best = total
            share[:], row[:], sent[:] = trial, at, n
        if not learned or upper <= best + TOLERANCE:
            break
    return best, max(upper, best)


@no_type_check
@kernel
def write_tasks(level, plan, offload, refused):
    """The fate of every task of a gateway: of each level first those sent, then those kept, then those refused."""
    left = plan.copy()
    for m in range(len(level)):
        k = level[m]
        if k < 0:
            continue
        if left[k, 2] > 0:
            offload[m] = True
            left[k, 2] -= 1
        elif left[k, 0] > 0:
            left[k, 0] -= 1
        else:
            refused[m] = True


@no_type_check
@kernel
def solve_slots(problem, by_level, fifo, channel, level, allowed, most, decided):
    """The best decision of each slot over the allowed shares of the edge, written to `decided`."""
    gateways, levels = level.shape[1], len(problem.levels.max_delay_s)
    counts = np.zeros((gateways, levels), np.int64)
    row, sent = np.zeros(gateways, np.int64), np.zeros(gateways, np.int64)
    for b in range(len(channel)):
        count_levels(level[b], counts)
        tasks = counts.sum()
        worth = in_slot(problem.worth, tasks)
        choices = []
        known = []
        for g in range(gateways):
            link, local = at_gateway(problem, channel[b], g)
            of = choices_of(counts[g].copy(), link, local, problem.levels, worth, problem.edge, by_level, fifo)
            choices.append(of)
            known.append(make_rows(of))
        share = decided.share[b]
        if len(allowed.fixed) > 0:
            share[:] = allowed.fixed
            total, bound = solve_fixed(known, choices, problem.edge, share, most, row, sent)
        else:
            total, bound = divide(known, choices, problem.edge, allowed, most, share, row, sent)
        lost = worth.penalty if tasks > 0 else 0.0
        decided.reward[b], decided.bound[b] = total - lost, bound - lost
        for g in range(gateways):
            plan = known[g].plan[row[g], sent[g]]
            decided.model[b, g] = plan[:, 1]
            write_tasks(level[b, g], plan, decided.offload[b, g], decided.refused[b, g])
