"""The transmission queue of one gateway: which tasks meet their deadlines, eq. (3), (7) and (16) (by numba).

`docs/optimum.md` has the argument. Deadlines get shorter and required accuracies higher with the level.
"""

from typing import no_type_check

import numpy as np

from optimizer.solver.compiled import kernel
from optimizer.solver.envelope import UNREACHABLE


@no_type_check
@kernel
def edge_seconds(share, edge):
    """E of eq. (3): seconds that a task takes with this share of the edge."""
    return edge.task_s / (share + edge.epsilon)


@no_type_check
@kernel
def least_share(x, edge):
    """The smallest share at which a task takes at most x seconds at the edge; above 1 if no share is enough."""
    return 2.0 if x <= 0 else max(0.0, edge.task_s / x - edge.epsilon)


@no_type_check
@kernel
def position_limits(x, link, deadlines, most, limits):
    """Twice the last queue position that meets each level's deadline, eq. (7) and (16); -1 if no position does.

    Positions are looked at up to `most`; x is the time at the edge.
    """
    hold = link.hold_s
    for k in range(len(deadlines)):
        path = x + link.transmission_s
        h = int(min(np.floor(2 * (deadlines[k] - path) / hold), 2.0 * most))
        while h >= 0 and path + hold * (h / 2) > deadlines[k]:
            h -= 1
        while h >= -1 and h < 2 * most and path + hold * ((h + 1) / 2) <= deadlines[k]:
            h += 1
        limits[k] = max(h, -1)


@no_type_check
@kernel
def furthest(low, high, count, limit):
    """Largest number of tasks sent up to and including a level.

    Before the level, any number from `low` to `high` were sent; it has `count` tasks, and twice their mean position
    must not exceed `limit`. From s one reaches every s + a with a <= count and 2s + a - 1 <= limit; over an interval
    of s that is an interval.
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
    """Decisions that serve every offloaded task: the most tasks that can be offloaded from the levels above a prefix.

    Fills `high[j + 1, A]`, for a total of A offloaded tasks and the levels up to j served locally; -1 if no such
    decision exists. The number of local tasks served is then (tasks in levels <= j) - A + high.
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
    """Decisions that drop some offloaded tasks: a dynamic programme over levels, the most critical first.

    Its state is the number of tasks sent so far and how many of them are dropped, at most `shed`. A level's offloaded
    tasks share their mean position, so all of them are served or all are dropped. Fills `value[sent, dropped]` with
    local_weight * (local tasks in levels <= prefix) - wait_weight * (sum of the served tasks' positions), and
    `choice[k, sent, dropped]` with the number of tasks that level k sends on the best way there.
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
def prefixes(local, levels, tasks, found):
    """The last level that each model serves locally when so many tasks are sent; -1 for none.

    Fills `found[model, sent]`. `local` holds the models of one gateway; a local batch of
    `tasks - sent` must meet (17a) and (17b) of the level.
    """
    deadlines, asked = levels.max_delay_s, levels.min_accuracy
    for v in range(len(local.accuracy)):
        reachable = -1
        while reachable + 1 < len(asked) and asked[reachable + 1] <= local.accuracy[v]:
            reachable += 1
        for a in range(tasks + 1):
            j = reachable if a < tasks else -1
            while j >= 0 and local.seconds[v, tasks - a] > deadlines[j]:
                j -= 1
            found[v, a] = j
