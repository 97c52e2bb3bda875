"""Partial decisions of a gateway that works by level, and which of them need not be followed (numba).

A label is what matters of the decisions for the levels from the most critical one down to some level: how many tasks
they send, how much time they take, and what they are worth.
"""

from typing import NamedTuple, no_type_check

import numpy as np

from optimizer.solver.compiled import kernel
from optimizer.solver.factory.regimes import worth_of_sending


class Labels(NamedTuple):
    """A list of labels, with room for more.

    Attributes:
        sent: Tasks sent so far.
        seconds: Time taken so far.
        worth: Worth so far, without that of the tasks sent.
        before: The label of the previous level that it continues.
        option: The option taken by its last level.
        own: Tasks sent by its last level.
    """

    sent: np.ndarray
    seconds: np.ndarray
    worth: np.ndarray
    before: np.ndarray
    option: np.ndarray
    own: np.ndarray


@no_type_check
@kernel
def make_labels(room):
    """An empty list of labels."""
    return Labels(
        np.empty(room, np.int64),
        np.empty(room),
        np.empty(room),
        np.empty(room, np.int64),
        np.empty(room, np.int64),
        np.empty(room, np.int64),
    )


@no_type_check
@kernel
def copy_label(source, i, target, j):
    """Copy label i to place j of another list."""
    target.sent[j], target.seconds[j], target.worth[j] = source.sent[i], source.seconds[i], source.worth[i]
    target.before[j], target.option[j], target.own[j] = source.before[i], source.option[i], source.own[i]


@no_type_check
@kernel
def in_order(labels, count):
    """Indices of labels by tasks sent, then by time."""
    by_time = np.argsort(labels.seconds[:count])
    most = 0
    for i in range(count):
        most = max(most, labels.sent[i])
    begin = np.zeros(most + 2, np.int64)
    for i in range(count):
        begin[labels.sent[i] + 1] += 1
    begin = begin.cumsum()
    order = np.empty(count, np.int64)
    for i in by_time:
        s = labels.sent[i]
        order[begin[s]] = i
        begin[s] += 1
    return order


@no_type_check
@kernel
def undominated(labels, count, first, step, wait, safe):
    """Mark the labels that no other one replaces.

    A replaces B if A sends no more tasks, and one of two holds. A is no later and, with what is sent so far, worth at
    least as much: then A can continue as B does, as a further task at the edge adds no more the more tasks are there
    before. Or A is later, but so early that no deadline can be missed any more, and worth more by what waiting can cost
    all later tasks, `wait` for each second.
    """
    order = in_order(labels, count)
    keep = np.zeros(count, np.bool_)
    front, merged = np.empty(count, np.int64), np.empty(count, np.int64)
    total = np.empty(count)
    for i in range(count):
        total[i] = labels.worth[i] + worth_of_sending(first, step, labels.sent[i])
    size, begin = 0, 0
    while begin < count:
        end = begin
        while end < count and labels.sent[order[end]] == labels.sent[order[begin]]:
            end += 1
        a, b, n, best = 0, begin, 0, -np.inf
        while a < size or b < end:  # merge by time; keep what is worth more than everything earlier
            if b >= end or (a < size and labels.seconds[front[a]] <= labels.seconds[order[b]]):
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
            value = total[i] - wait * labels.seconds[i]
            if value <= best:
                if labels.sent[i] == labels.sent[order[begin]]:
                    keep[i] = False
                continue
            if labels.seconds[i] <= safe:
                best = value
            front[size] = i
            size += 1
        for m in range(size // 2):  # it was filled from the latest on
            front[m], front[size - 1 - m] = front[size - 1 - m], front[m]
        begin = end
    return keep


@no_type_check
@kernel
def thin(labels, count, first, step, bounds, k, price, most, target):
    """Copy the labels worth following to `target`, at most `most` of them, those of the highest bounds.

    Returns their number, and the highest bound of a label that was left out for want of room.
    """
    keep = undominated(labels, count, first, step, price * bounds.tasks[k], bounds.safe[k])
    kept = np.flatnonzero(keep)
    left_out = -np.inf
    if len(kept) > most:
        bound = np.empty(len(kept))
        for m in range(len(kept)):
            i = kept[m]
            bound[m] = labels.worth[i] - bounds.second[k] * labels.seconds[i] - bounds.place[k] * labels.sent[i]
        order = np.argsort(-bound)
        left_out = bound[order[most]] + bounds.base[k]
        kept = kept[order[:most]]
    for m in range(len(kept)):
        copy_label(labels, kept[m], target, m)
    return len(kept), left_out
