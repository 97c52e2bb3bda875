"""Partial decisions of a gateway that works by level, and which of them need not be followed (by numba).

A label is what matters of the decisions for the levels from the most critical one down to some level: how many tasks
they send, how much time they take, and what they are worth.
"""

from typing import NamedTuple, no_type_check

import numpy as np

from optimizer.solver.compiled import inner_kernel
from optimizer.solver.factory.bounds import constant_at
from optimizer.solver.factory.regimes import worth_of_sending


class Labels(NamedTuple):
    """Lists of labels, at [list, label]: one for each number of decided levels, and two to work in.

    Attributes:
        sent: Tasks sent so far.
        seconds: Time taken so far.
        worth: Worth so far, without that of the tasks sent.
        before: The label of the previous level that it continues.
        option: The option taken by its last level.
        own: Tasks sent by its last level.
        work: How many labels were made in this slot, and how many may be made before the search gets narrow.
    """

    sent: np.ndarray
    seconds: np.ndarray
    worth: np.ndarray
    before: np.ndarray
    option: np.ndarray
    own: np.ndarray
    work: np.ndarray


ROOM = 4  # so many times the labels that are kept can be made before they are thinned out; picked by hand
WORK = 2000  # labels made in a slot for each one that may be kept; 4 million take about 0.3 s


@no_type_check
@inner_kernel
def make_labels(levels, most):
    """Empty lists. Memory that is not written to is not taken."""
    shape = (levels + 3, ROOM * most)
    return Labels(
        np.empty(shape, np.int64),
        np.empty(shape),
        np.empty(shape),
        np.empty(shape, np.int64),
        np.empty(shape, np.int64),
        np.empty(shape, np.int64),
        np.array([0, WORK * most]),
    )


@no_type_check
@inner_kernel
def copy_label(labels, a, i, b, j):
    """Copy label i of list a to place j of list b."""
    labels.sent[b, j], labels.seconds[b, j], labels.worth[b, j] = (
        labels.sent[a, i],
        labels.seconds[a, i],
        labels.worth[a, i],
    )
    labels.before[b, j], labels.option[b, j], labels.own[b, j] = (
        labels.before[a, i],
        labels.option[a, i],
        labels.own[a, i],
    )


@no_type_check
@inner_kernel
def in_order(sent, seconds, count):
    """Indices of labels by tasks sent, then by time."""
    by_time = np.argsort(seconds[:count])
    most = 0
    for i in range(count):
        most = max(most, sent[i])
    begin = np.zeros(most + 2, np.int64)
    for i in range(count):
        begin[sent[i] + 1] += 1
    begin = begin.cumsum()
    order = np.empty(count, np.int64)
    for i in by_time:
        s = sent[i]
        order[begin[s]] = i
        begin[s] += 1
    return order


@no_type_check
@inner_kernel
def undominated(sent, seconds, worth, count, first, step, wait, safe):
    """Mark the labels that no other one replaces.

    A replaces B if A sends no more tasks, and one of two holds. A is no later and, with what is sent so far, worth at
    least as much: then A can continue as B does, as a further task at the edge adds no more the more tasks are there
    before. Or A is later, but so early that no deadline can be missed any more, and worth more by what waiting can cost
    all later tasks, `wait` for each second.
    """
    order = in_order(sent, seconds, count)
    keep = np.zeros(count, np.bool_)
    front, merged = np.empty(count, np.int64), np.empty(count, np.int64)
    total = np.empty(count)
    for i in range(count):
        total[i] = worth[i] + worth_of_sending(first, step, sent[i])
    size, begin = 0, 0
    while begin < count:
        end = begin
        while end < count and sent[order[end]] == sent[order[begin]]:
            end += 1
        a, b, n, best = 0, begin, 0, -np.inf
        while a < size or b < end:  # merge by time; keep what is worth more than everything earlier
            if b >= end or (a < size and seconds[front[a]] <= seconds[order[b]]):
                i, a = front[a], a + 1
            else:
                i, b = order[b], b + 1
            if total[i] > best:
                best = total[i]
                merged[n] = i
                keep[i] = True
                n += 1
        size, best = 0, -np.inf
        for m in range(n - 1, -1, -1):
            i = merged[m]
            value = total[i] - wait * seconds[i]
            if value <= best:
                if sent[i] == sent[order[begin]]:
                    keep[i] = False
                continue
            if seconds[i] <= safe:
                best = value
            front[size] = i
            size += 1
        for m in range(size // 2):  # it was filled from the latest on
            front[m], front[size - 1 - m] = front[size - 1 - m], front[m]
        begin = end
    return keep


@no_type_check
@inner_kernel
def thin(labels, source, count, terms, bounds, k, price, most, target):
    """Copy the labels worth following from one list to another, at most `most` of them, those of the highest bounds.

    Returns their number, and the highest bound of a label that was left out for want of room.
    """
    sent, seconds, worth = labels.sent[source], labels.seconds[source], labels.worth[source]
    keep = undominated(sent, seconds, worth, count, terms[0], terms[1], price * bounds.tasks[k], bounds.safe[k])
    kept = np.flatnonzero(keep)
    left_out = -np.inf
    if len(kept) > most:
        bound = np.empty(len(kept))
        for m in range(len(kept)):
            i = kept[m]
            bound[m] = worth[i] - bounds.second[k] * seconds[i] - bounds.place[k] * sent[i]
            bound[m] += constant_at(bounds, k, seconds[i])
        order = np.argsort(-bound)
        left_out = bound[order[most]]
        kept = kept[order[:most]]
    for m in range(len(kept)):
        copy_label(labels, source, kept[m], target, m)
    return len(kept), left_out
