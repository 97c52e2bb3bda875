"""Levels inside one gateway: which queues meet their deadlines, and what is then served (numba).

`docs/optimum.md` has the argument. Deadlines fall and accuracies rise with the level.
"""

from typing import no_type_check

import numpy as np

from optimizer.solver.compiled import kernel

UNREACHABLE = -1e300


@no_type_check
@kernel
def edge_seconds(share, task_s, epsilon):
    """X = E of eq. (3)."""
    return task_s / (share + epsilon)


@no_type_check
@kernel
def least_share(x, task_s, epsilon):
    """The smallest share at which a task takes at most x seconds at the edge; above 1 where none does."""
    return 2.0 if x <= 0 else max(0.0, task_s / x - epsilon)


@no_type_check
@kernel
def position_limits(x, transmission, hold, deadlines, most, limits):
    """Twice the last queue position that meets each level's deadline, eq. (7) and (16); -1 where none does."""
    for k in range(len(deadlines)):
        path = x + transmission
        h = int(min(np.floor(2 * (deadlines[k] - path) / hold), 2.0 * most))
        while h >= 0 and path + hold * (h / 2) > deadlines[k]:
            h -= 1
        while h >= -1 and h < 2 * most and path + hold * ((h + 1) / 2) <= deadlines[k]:
            h += 1
        limits[k] = max(h, -1)


@no_type_check
@kernel
def furthest(low, high, count, limit):
    """The most tasks sent after a level, from `low` to `high` sent before it, of `count` tasks under a position limit.

    From s one reaches every s + a with a <= count and 2s + a - 1 <= limit; over an interval of s that is an interval.
    """
    best = high
    crossing = (limit + 1 - count) // 2
    for s in (crossing, crossing + 1):
        t = min(max(s, low), high)
        best = max(best, min(t + count, limit + 1 - t))
    return best


@no_type_check
@kernel
def unshed_tables(counts, limits, tasks, high):
    """Where every offloaded task is served: the most tasks offloaded from the levels above each prefix.

    Fills `high[j + 1, A]`, for a total of A offloaded and the levels up to j served locally; -1 where no such decision
    exists. The local tasks served are then (tasks in levels <= j) - A + high.
    """
    levels = len(counts)
    for j in range(-1, levels):
        for a in range(tasks + 1):
            high[j + 1, a] = -1
    reach = 0
    for j in range(levels - 1, -2, -1):  # the levels above j are j + 1, ..., levels - 1
        if j + 1 < levels:
            reach = furthest(0, reach, counts[j + 1], limits[j + 1])
        done = -1
        for h in range(reach, -1, -1):
            far = h
            for k in range(j, -1, -1):
                far = furthest(h, far, counts[k], limits[k])
            if done < 0:
                for a in range(reach + 1):
                    high[j + 1, a] = a
                done = reach
            for a in range(done + 1, min(far, tasks) + 1):
                high[j + 1, a] = h
            done = max(done, far)


@no_type_check
@kernel
def fill_queue(counts, limits, prefix, shed, local_weight, wait_weight, value, choice):
    """Dynamic programme over levels, the most critical first: state (tasks sent so far, of them dropped).

    A level's offloaded tasks share their mean position, so all are served or all dropped. Fills `value[sent, dropped]`
    with local_weight * (local tasks in levels <= prefix) - wait_weight * (sum of the served tasks' positions), and
    `choice[k, sent, dropped]` with the number that level k sends to arrive there; at most `shed` are dropped.
    """
    levels = len(counts)
    width = value.shape[0]
    value[:] = UNREACHABLE
    value[0, 0] = 0.0
    reached = 0
    for k in range(levels - 1, -1, -1):
        before = value.copy()
        value[:] = UNREACHABLE
        for s in range(reached + 1):
            for w in range(shed + 1):
                base = before[s, w]
                if base == UNREACHABLE:
                    continue
                for a in range(min(counts[k], width - 1 - s) + 1):
                    served = 2 * s + a - 1 <= limits[k]
                    w2 = w if served or a == 0 else w + a
                    if w2 > shed:
                        break
                    gain = base
                    if k <= prefix:
                        gain += local_weight * (counts[k] - a)
                    if served:
                        gain -= wait_weight * a * (s + (a - 1) / 2)
                    if gain > value[s + a, w2]:
                        value[s + a, w2] = gain
                        choice[k, s + a, w2] = a
        reached = min(reached + counts[k], width - 1)


@no_type_check
@kernel
def prefixes(local_s, accuracy, min_accuracy, deadlines, tasks, found):
    """The last level that each model serves locally at each number sent: `found[model, sent]`, -1 for none."""
    levels = len(deadlines)
    for v in range(len(accuracy)):
        reachable = -1
        while reachable + 1 < levels and min_accuracy[reachable + 1] <= accuracy[v]:
            reachable += 1
        for a in range(tasks + 1):
            j = reachable if a < tasks else -1
            while j >= 0 and local_s[v, tasks - a] > deadlines[j]:
                j -= 1
            found[v, a] = j


@no_type_check
@kernel
def local_worth(kind, seconds, batch, accuracy, slot_s, per_task):
    """What a task served locally adds to the reward."""
    if batch == 0:
        return 0.0
    if kind == 0:
        return seconds / batch / slot_s
    if kind == 1:
        return accuracy * per_task
    return -seconds * per_task / slot_s
