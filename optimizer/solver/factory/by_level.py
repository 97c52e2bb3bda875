"""The best decision of a gateway that works level by level, at one share of the edge (numba).

Labels (see `labels`) are extended level by level, the most critical first, as far as the bound of `bounds` leaves a
chance to exceed a threshold. The threshold starts just below the bound and falls until a decision is found above it:
that decision is the best one.
"""

from typing import no_type_check

import numpy as np

from optimizer.solver.compiled import kernel
from optimizer.solver.factory.labels import make_labels, thin
from optimizer.solver.factory.regimes import worth_of_sending

FIRST_GAP = 1e-3  # of the worth of a task: where the search for the threshold begins; picked by hand
WIDER = 4.0  # how much further the threshold is lowered each time; picked by hand


@no_type_check
@kernel
def promising(options, k, count, cap, bounds, room):
    """Options of level k, the best first, whose worth at the bound's prices exceeds -`room`; and that worth."""
    begin, end = options.first[k], options.first[k + 1]
    sending = max(0.0, -bounds.place[k])
    found, value = np.empty(end - begin, np.int64), np.empty(end - begin)
    total = 0
    for i in range(begin, end):
        worth = options.own[i] - bounds.second[k] * options.seconds[i]
        worth += sending * min(count - options.kept[i], cap)
        if worth + room > 0:
            found[total], value[total] = i, worth
            total += 1
    order = np.argsort(-value[:total])
    return found[:total][order], value[:total][order]


@no_type_check
@kernel
def extend(gate, options, k, caps, limits, bounds, terms, threshold, labels, count, most, fresh, target):
    """Continue labels by level k. `fresh` is room to work in, `target` takes the result.

    Returns the number of labels, and the highest bound of one that was left out for want of room.
    """
    first, step = terms
    left_out, total = -np.inf, 0
    top = -np.inf
    base = np.empty(count)
    for i in range(count):
        base[i] = labels.worth[i] + bounds.base[k] - bounds.second[k] * labels.seconds[i]
        base[i] -= bounds.place[k] * labels.sent[i]
        top = max(top, base[i])
    chosen, value = promising(options, k, gate.counts[k], caps[k], bounds, top - threshold)
    room, held = len(fresh.sent), make_labels(most)
    place = bounds.place[k]
    for i in range(count):
        for c in range(len(chosen)):
            if base[i] + value[c] <= threshold:
                break
            o = chosen[c]
            seconds = labels.seconds[i] + options.seconds[o]
            if options.kept[o] > 0 and seconds > gate.deadlines[k]:
                continue
            worth = labels.worth[i] + options.own[o] - gate.price * options.kept[o] * labels.seconds[i]
            bound = worth + bounds.base[k] - bounds.second[k] * seconds - place * labels.sent[i]
            spare = min(gate.counts[k] - options.kept[o], caps[k] - labels.sent[i])
            if not gate.fifo:
                spare = min(spare, limits[k] + 1 - 2 * labels.sent[i])
            spare = max(spare, 0)
            for turn in range(spare + 1):
                e = spare - turn if place < 0 else turn
                if bound - place * e <= threshold:
                    break
                if total == room:
                    total, lost = thin(fresh, total, first, step, bounds, k, gate.price, most, held)
                    left_out = max(left_out, lost)
                    for m in range(total):
                        copy_to(held, m, fresh)
                fresh.sent[total], fresh.seconds[total], fresh.worth[total] = labels.sent[i] + e, seconds, worth
                fresh.before[total], fresh.option[total], fresh.own[total] = i, o, e
                total += 1
    total, lost = thin(fresh, total, first, step, bounds, k, gate.price, most, target)
    return total, max(left_out, lost)


@no_type_check
@kernel
def copy_to(held, m, fresh):
    """Copy label m to the same place of another list."""
    fresh.sent[m], fresh.seconds[m], fresh.worth[m] = held.sent[m], held.seconds[m], held.worth[m]
    fresh.before[m], fresh.option[m], fresh.own[m] = held.before[m], held.option[m], held.own[m]


@no_type_check
@kernel
def above(gate, options, caps, limits, bounds, terms, threshold, most, plan):
    """The best decision worth more than a threshold, written to `plan[level]` = kept, model, sent.

    Returns its worth (minus infinity if none was found), and the highest bound of what was left out for want of room.
    """
    levels = len(caps)
    stages = [make_labels(1)]
    stages[0].sent[0], stages[0].seconds[0], stages[0].worth[0] = 0, 0.0, 0.0
    fresh = make_labels(4 * most)
    count, left_out = 1, -np.inf
    for k in range(levels - 1, -1, -1):
        target = make_labels(most)
        count, lost = extend(
            gate, options, k, caps, limits, bounds, terms, threshold, stages[-1], count, most, fresh, target
        )
        stages.append(target)
        left_out = max(left_out, lost)
    best, at = -np.inf, -1
    last = stages[-1]
    for i in range(count):
        worth = last.worth[i] + worth_of_sending(terms[0], terms[1], last.sent[i])
        if worth > best:
            best, at = worth, i
    if at >= 0:
        for k in range(levels):
            stage = stages[levels - k]
            o = stage.option[at]
            plan[k, 0], plan[k, 1], plan[k, 2] = options.kept[o], options.model[o], stage.own[at]
            at = stage.before[at]
    return best, left_out


@no_type_check
@kernel
def best_by_level(gate, options, caps, limits, bounds, terms, scale, most, plan):
    """The best decision of a gateway, written to `plan`; returns its worth and a bound on that of any decision.

    The two are equal unless `most` labels per level were not enough.
    """
    top = bounds.base[len(caps)]
    gap = FIRST_GAP * scale
    proven = top
    floor = 1e-12 * scale
    while True:
        threshold = max(top - gap, -floor)
        best, left_out = above(gate, options, caps, limits, bounds, terms, threshold, most, plan)
        proven = min(proven, max(max(threshold, best), left_out))
        if best > threshold:
            break
        if threshold == -floor:  # nothing pays: refuse everything
            plan[:] = 0
            best = 0.0
            proven = max(proven, 0.0)
            break
        gap *= WIDER
    if proven > best:
        better = np.empty_like(plan)
        found, left_out = above(gate, options, caps, limits, bounds, terms, best, most, better)
        proven = min(proven, max(max(best, found), left_out))
        if found > best:
            best = found
            plan[:] = better
    return best, max(best, proven)
