"""A batch of slots in networks that can refuse tasks, solved one after the other (by numba).

The edge is first divided as if every gateway could do what its upper bounds say. Then each gateway is solved exactly at
the share that it got, which lowers its bounds, and the edge is divided anew, until what was promised is kept.
"""

from typing import NamedTuple, no_type_check

import numpy as np

from optimizer.solver.compiled import inner_kernel, kernel
from optimizer.solver.edge_shares import Gap, allocate, allocate_on_grid, best_piece, tolerance_of
from optimizer.solver.envelope import UNREACHABLE
from optimizer.solver.factory.cells import NEAR, choices_of, make_rows, refine
from optimizer.solver.factory.labels import WORK, make_labels
from optimizer.solver.factory.regimes import regime_at, sending_terms, worth_of_sending
from optimizer.solver.problem import COLUMNS, CONSTANT, END, MODEL, NO_END, SENT, SLOPE, START
from optimizer.solver.queue import edge_seconds, least_share
from optimizer.solver.slot_kernels import at_gateway, count_levels, in_slot

ROW = MODEL  # a piece names the row of `Rows` that it comes from, where the paper's names its model
MOST_TURNS = 100
FEW, MANY_BOXES = 20, 64  # with few gateways, a search that long is cheaper than another turn; picked by hand
MORE_BOXES = 8  # times as many, each time that fewer were not enough; picked by hand
FIRST_SHARES = (1.0, 0.3, 0.1, 0.03, 0.0)  # of an even one: where bounds are known at first; picked by hand


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
@inner_kernel
def add_piece(pieces, count, start, end, row, n, constant, slope):
    """Write one more piece; returns their number."""
    pieces[count, START], pieces[count, END] = start, end
    pieces[count, CONSTANT], pieces[count, SLOPE] = constant, slope
    pieces[count, ROW], pieces[count, SENT] = row, n
    return count + 1


@no_type_check
@inner_kernel
def line_of(rows, choices, row, n, x):
    """What a gateway is promised for n tasks sent by a row, when each takes x seconds at the edge."""
    first, step = sending_terms(choices.gate, x)
    return rows.upper[row, n] + worth_of_sending(first, step, n)


@no_type_check
@inner_kernel
def best_lines(rows, choices, edge, row, since, until):
    """The best that a row promises for the regimes from `since` to `until`, at the last share and at the first.

    Returns both numbers of tasks sent, and the time at the edge at the last share.
    """
    regimes = choices.regimes
    early = edge_seconds(regimes.start[since], edge)
    late = edge_seconds(regimes.start[until + 1] if until + 1 < len(regimes.start) else 1.0, edge)
    at_late, at_early, high, low = 0, 0, -np.inf, -np.inf
    for n in range(regimes.rank[until] + 1):
        worth = line_of(rows, choices, row, n, late)
        if worth > high:
            at_late, high = n, worth
        if regimes.first[n] <= since:
            worth = line_of(rows, choices, row, n, early)
            if worth > low:
                at_early, low = n, worth
    return at_late, at_early, late


@no_type_check
@inner_kernel
def replaced(rows, choices, row, n, other, begin, late, since):
    """Whether another number of tasks sent is promised at least as much wherever n tasks can be sent."""
    first = choices.regimes.first
    if other == n or max(first[other], since) > max(first[n], since):
        return False
    if line_of(rows, choices, row, other, late) < line_of(rows, choices, row, n, late):
        return False
    hold = choices.gate.link.hold_s  # with a queue at the edge, the lines bend there
    if late < hold < begin and line_of(rows, choices, row, other, hold) < line_of(rows, choices, row, n, hold):
        return False
    return line_of(rows, choices, row, other, begin) >= line_of(rows, choices, row, n, begin)


@no_type_check
@inner_kernel
def promised(rows, choices, edge):
    """The pieces of a gateway, from its upper bounds. Each row's pieces are those that its own regimes need."""
    gate, regimes = choices.gate, choices.regimes
    used = rows.used[0]
    pieces = np.zeros((2 * used * rows.upper.shape[1] + 1, COLUMNS))
    order = np.argsort(rows.regime[:used])
    even = least_share(gate.link.hold_s, edge)  # from this share on the link is slower than the edge
    count = 0
    for i in range(used):
        row, until = order[i], rows.regime[order[i]]
        since = rows.regime[order[i - 1]] + 1 if i > 0 else 0
        at_late, at_early, late = best_lines(rows, choices, edge, row, since, until)
        for n in range(regimes.rank[until] + 1):
            start = regimes.start[max(since, regimes.first[n])]
            begin = edge_seconds(start, edge)
            if (n != at_early and replaced(rows, choices, row, n, at_late, begin, late, since)) or (
                n != at_late and replaced(rows, choices, row, n, at_early, begin, late, since)
            ):
                continue
            pairs = gate.price * (n * (n - 1) / 2)
            constant, slope = rows.upper[row, n] + gate.head * n, gate.slope * n
            if gate.fifo and pairs > 0 and start < even:
                count = add_piece(pieces, count, start, min(even, 1.0), row, n, constant, slope - pairs)
                start = even
            if start <= 1.0:
                constant -= pairs * gate.link.hold_s
                count = add_piece(pieces, count, start, NO_END, row, n, constant, slope)
    return pieces[:count]


@no_type_check
@inner_kernel
def together(lists):
    """The pieces of all gateways, as `edge_shares` takes them, and their numbers."""
    rows = np.array([len(x) for x in lists])
    pieces = np.zeros((len(lists), rows.max(), COLUMNS))
    for g in range(len(lists)):
        pieces[g, : rows[g]] = lists[g]
    return pieces, rows


@no_type_check
@inner_kernel
def keep_promise(rows, choices, edge, share, piece, labels, most):
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
    row, n, worth, proven = refine(rows, choices, edge, regime, share, labels, most, True)
    return row, n, worth, proven, row >= 0


@no_type_check
@inner_kernel
def solve_fixed(known, choices, edge, share, labels, most, row, sent):
    """The best decisions at given shares."""
    total = bound = 0.0
    for g in range(len(share)):
        regime = regime_at(choices[g].regimes, share[g])
        row[g], sent[g], worth, proven = refine(known[g], choices[g], edge, regime, share[g], labels, most, True)
        total += worth
        bound += proven
    return total, bound


@no_type_check
@inner_kernel
def first_promises(rows, choices, edge, even, labels, most):
    """Cheap upper bounds for the loosest regime and for some others around the share `even`."""
    last = len(choices.regimes.start) - 1
    refine(rows, choices, edge, last, 1.0, labels, most, False)
    for part in FIRST_SHARES:
        regime = regime_at(choices.regimes, even * part)
        if regime < last:
            refine(rows, choices, edge, regime, even * part, labels, most, False)


@no_type_check
@inner_kernel
def give_slack(known, choices, share, row, sent):
    """Where the time at the edge has no price, scale the least shares of the decisions up to the whole edge."""
    gate = choices[0].gate
    if gate.slope != 0 or gate.price != 0:
        return
    least = np.zeros(len(share))
    for g in range(len(share)):
        if sent[g] > 0:
            least[g] = choices[g].regimes.start[known[g].since[row[g], sent[g]]]
    if 0 < least.sum() <= 1:
        share[:] = least / least.sum()


@no_type_check
@inner_kernel
def divide(known, choices, edge, allowed, gap, share, labels, most, row, sent):
    """The best shares and decisions; fills `share`, `row` and `sent`, returns their worth and a bound on the best."""
    gateways = len(share)
    for g in range(gateways):
        first_promises(known[g], choices[g], edge, 1.0 / gateways, labels, most)
    trial = np.empty(gateways)
    at, n = np.zeros(gateways, np.int64), np.zeros(gateways, np.int64)
    best, upper = UNREACHABLE, np.inf
    boxes, used = MANY_BOXES if gateways <= FEW else 1, 0
    lists = [promised(known[g], choices[g], edge) for g in range(gateways)]
    for _ in range(MOST_TURNS):
        pieces, rows = together(lists)
        if allowed.steps > 0:
            bound = allocate_on_grid(pieces, rows, allowed.steps, edge, trial)
        else:
            _, bound, used = allocate(pieces, rows, edge, boxes, gap, trial)
        upper = min(upper, bound)
        total, learned = 0.0, False
        for g in range(gateways):
            piece = pieces[g, best_piece(pieces[g], rows[g], trial[g], edge)[0]]
            at[g], n[g], worth, _, new = keep_promise(known[g], choices[g], edge, trial[g], piece, labels, most)
            total += worth if at[g] >= 0 else UNREACHABLE
            if new:
                lists[g] = promised(known[g], choices[g], edge)
                learned = True
        if total > best:
            best = total
            share[:], row[:], sent[:] = trial, at, n
        if upper <= best + tolerance_of(best, gap) or labels.work[0] > labels.work[1]:
            break
        if not learned:  # all promises are kept: only a longer search for the shares can bring more
            if used < boxes or boxes >= allowed.most_boxes:
                break
            boxes = min(MORE_BOXES * boxes, allowed.most_boxes)
    if allowed.steps == 0:
        give_slack(known, choices, share, row, sent)
    return best, max(upper, best)


@no_type_check
@inner_kernel
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
    labels = make_labels(levels, most)
    for b in range(len(channel)):
        labels.work[0] = 0
        labels.work[1] = WORK * most * max(1, gateways // 5)
        count_levels(level[b], counts)
        tasks = counts.sum()
        worth = in_slot(problem.worth, tasks)
        lost = worth.penalty if tasks > 0 else 0.0
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
            total, bound = solve_fixed(known, choices, problem.edge, share, labels, most, row, sent)
        else:
            gap = Gap(allowed.gap, lost)
            total, bound = divide(known, choices, problem.edge, allowed, gap, share, labels, most, row, sent)
        decided.reward[b], decided.bound[b] = total - lost, bound - lost
        for g in range(gateways):
            plan = known[g].plan[row[g], sent[g]]
            decided.model[b, g] = plan[:, 1]
            write_tasks(level[b, g], plan, decided.offload[b, g], decided.refused[b, g])
