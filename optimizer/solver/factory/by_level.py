"""The best decision of a gateway that works level by level, at one share of the edge (by numba).

Labels (see `labels`) are extended level by level, the most critical first, as far as the bound of `bounds` leaves a
chance to exceed a threshold. The threshold starts just below the bound and falls until a decision is found above it:
that decision is the best one.
"""

from typing import no_type_check

import numpy as np

from optimizer.solver.compiled import inner_kernel
from optimizer.solver.factory.bounds import constant_at, with_grid
from optimizer.solver.factory.labels import copy_label, thin
from optimizer.solver.factory.regimes import worth_of_sending

FIRST_GAP = 1e-3  # of the worth of a task: where the search for the threshold begins; picked by hand
WIDER = 4.0  # how much further the threshold is lowered each time; picked by hand
WIDE_GAP = 0.01  # of the worth of a task: from where on the closer bound pays; picked by hand
LOOKS = 8  # options looked at take about as long as one label made
NARROW = 64  # labels kept per level where only some good decision is sought; picked by hand


@no_type_check
@inner_kernel
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
@inner_kernel
def extend(gate, options, k, caps, limits, bounds, terms, threshold, labels, now, count, most):
    """Continue the labels of list `now` by level k, into the list after it.

    Returns their number, and the highest bound of one that was left out for want of room.
    """
    fresh, held = len(labels.sent) - 2, len(labels.sent) - 1
    left_out, total = -np.inf, 0
    top = -np.inf
    base = np.empty(count)
    for i in range(count):
        base[i] = labels.worth[now, i] + bounds.base[k] - bounds.second[k] * labels.seconds[now, i]
        base[i] -= bounds.place[k] * labels.sent[now, i]
        top = max(top, base[i])
    chosen, value = promising(options, k, gate.counts[k], caps[k], bounds, top - threshold)
    place = bounds.place[k]
    for i in range(count):
        sent, begun = labels.sent[now, i], labels.seconds[now, i]
        if i >= NARROW and labels.work[0] >= labels.work[1] and len(chosen) > 0:
            left_out = max(left_out, base[i:].max() + value[0])
            break
        labels.work[0] += len(chosen) // LOOKS
        for c in range(len(chosen)):
            if base[i] + value[c] <= threshold:
                break
            o = chosen[c]
            seconds = begun + options.seconds[o]
            if options.kept[o] > 0 and seconds > gate.deadlines[k]:
                continue
            worth = labels.worth[now, i] + options.own[o] - gate.price * options.kept[o] * begun
            bound = worth + constant_at(bounds, k, seconds) - bounds.second[k] * seconds - place * sent
            spare = min(gate.counts[k] - options.kept[o], caps[k] - sent)
            if not gate.fifo:
                spare = min(spare, limits[k] + 1 - 2 * sent)
            spare = max(spare, 0)
            for turn in range(spare + 1):
                e = spare - turn if place < 0 else turn
                if bound - place * e <= threshold:
                    break
                if total == labels.sent.shape[1]:
                    total, lost = thin(labels, fresh, total, terms, bounds, k, gate.price, most, held)
                    left_out = max(left_out, lost)
                    for m in range(total):
                        copy_label(labels, held, m, fresh, m)
                labels.sent[fresh, total] = sent + e
                labels.seconds[fresh, total] = seconds
                labels.worth[fresh, total] = worth
                labels.before[fresh, total] = i
                labels.option[fresh, total] = o
                labels.own[fresh, total] = e
                total += 1
                labels.work[0] += 1
    total, lost = thin(labels, fresh, total, terms, bounds, k, gate.price, most, now + 1)
    return total, max(left_out, lost)


@no_type_check
@inner_kernel
def above(gate, options, caps, limits, bounds, terms, threshold, labels, most, plan):
    """The best decision worth more than a threshold, written to `plan[level]` = kept, model, sent.

    Returns its worth (minus infinity if none was found), and the highest bound of what was left out for want of room.
    """
    levels = len(caps)
    labels.sent[0, 0], labels.seconds[0, 0], labels.worth[0, 0] = 0, 0.0, 0.0
    count, left_out = 1, -np.inf
    for k in range(levels - 1, -1, -1):
        now = levels - 1 - k
        count, lost = extend(gate, options, k, caps, limits, bounds, terms, threshold, labels, now, count, most)
        left_out = max(left_out, lost)
    best, at = -np.inf, -1
    for i in range(count):
        worth = labels.worth[levels, i] + worth_of_sending(terms[0], terms[1], labels.sent[levels, i])
        if worth > best:
            best, at = worth, i
    if at >= 0:
        for k in range(levels):
            o = labels.option[levels - k, at]
            plan[k, 0], plan[k, 1], plan[k, 2] = options.kept[o], options.model[o], labels.own[levels - k, at]
            at = labels.before[levels - k, at]
    return best, left_out


@no_type_check
@inner_kernel
def best_by_level(gate, options, caps, limits, bounds, terms, scale, labels, most, plan):
    """The best decision of a gateway, written to `plan`; returns its worth and a bound on that of any decision.

    The two are equal unless `most` labels per level were not enough.
    """
    top = bounds.base[len(caps)]
    gap = FIRST_GAP * scale
    proven, floor = top, 1e-12 * scale
    keep = most
    while True:
        threshold = max(top - gap, -floor)
        if labels.work[0] >= labels.work[1]:
            keep = min(keep, NARROW)
        best, left_out = above(gate, options, caps, limits, bounds, terms, threshold, labels, keep, plan)
        proven = min(proven, max(max(threshold, best), left_out))
        if best > threshold:
            break
        if threshold == -floor:  # nothing pays: refuse everything
            plan[:] = 0
            best = 0.0
            proven = max(proven, 0.0)
            break
        if np.isinf(bounds.cell) and (left_out > threshold or gap > WIDE_GAP * scale):
            bounds = with_grid(gate, options, caps, bounds)
            top = min(top, bounds.grid[-1, 0])
            proven, gap = min(proven, top), FIRST_GAP * scale
            continue
        if left_out > threshold:
            keep = min(keep, NARROW)
        gap *= WIDER
    if proven > best and labels.work[0] < labels.work[1]:
        better = np.empty_like(plan)
        found, left_out = above(gate, options, caps, limits, bounds, terms, best, labels, max(most // 4, 1), better)
        proven = min(proven, max(max(best, found), left_out))
        if found > best:
            best = found
            plan[:] = better
    return best, max(best, proven)
