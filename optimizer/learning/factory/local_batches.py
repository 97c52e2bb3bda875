"""The best batches of one gateway for the tasks that are not sent, on the learned times (by numba).

By level: dynamic programming over the levels, the most critical first, on states (time so far, worth so far). In one
batch: all models and all levels that the batch may reach up to. A task that does not fit is refused.
"""

from typing import NamedTuple, no_type_check

import numpy as np

from optimizer.solver.compiled import inner_kernel

# Picked by hand:
FRONT = 24  # states of the dynamic programme that are kept for each level
PARTS = 8  # a level may be kept in eighths; what fits beyond is added afterwards
LARGEST_STEP = 64  # tasks that are added at once
IMPOSSIBLE = -1e18


class Rules(NamedTuple):
    """What holds for all gateways of a slot.

    Attributes:
        by_level: Whether each level is a batch of its own.
        fifo: Whether tasks queue at the edge.
        deadline: Longest delay of each level, in seconds.
        usable: Whether a model is accurate enough for a level, at [model, level].
        answer: Worth of an answer by each model, times the tasks of the slot.
        edge_answer: The same at the edge.
        busy: Worth of one second of busy time.
        local_busy: The same for seconds of local batches that are planned with a margin.
        local_delay: Worth of one second of a local task's delay, planned with a margin.
        edge_delay: The same by way of the edge.
        per_task: 1 / N.
        penalty: Cost of one lost task.
    """

    by_level: bool
    fifo: bool
    deadline: np.ndarray
    usable: np.ndarray
    answer: np.ndarray
    edge_answer: float
    busy: float
    local_busy: float
    local_delay: float
    edge_delay: float
    per_task: float
    penalty: float


@no_type_check
@inner_kernel
def fits(seconds, most, limit):
    """The largest batch of at most so many tasks that is done within the limit, by bisection."""
    low, high = 0, most + 1
    while high - low > 1:
        middle = (low + high) // 2
        if seconds[middle] <= limit:
            low = middle
        else:
            high = middle
    return low


@no_type_check
@inner_kernel
def list_options(rules, seconds, k, tasks, partial, sizes, models):
    """Batches of a level that may be best, written to `sizes` and `models`; how many there are."""
    count = 0
    for v in range(len(seconds)):
        if not rules.usable[v, k]:
            continue
        beaten = False
        if rules.busy == 0:
            for w in range(len(seconds)):
                if w != v and rules.usable[w, k] and rules.answer[w] >= rules.answer[v]:
                    faster = seconds[w, tasks] < seconds[v, tasks]
                    equal = seconds[w, tasks] == seconds[v, tasks] and (rules.answer[w] > rules.answer[v] or w < v)
                    if faster or equal:
                        beaten = True
        if not beaten:
            sizes[count], models[count] = tasks, v
            count += 1
    if partial:
        sizes[count], models[count] = 0, 0
        count += 1
        for part in range(1, PARTS):
            n = tasks * part // PARTS
            best = fastest(rules, seconds, k, n)
            if n > 0 and best >= 0 and n != sizes[count - 1]:
                sizes[count], models[count] = n, best
                count += 1
    return count


@no_type_check
@inner_kernel
def fastest(rules, seconds, k, tasks):
    """The model that is done first with so many tasks of a level; -1 if none is accurate enough."""
    best = -1
    for v in range(len(seconds)):
        if rules.usable[v, k] and (best < 0 or seconds[v, tasks] < seconds[best, tasks]):
            best = v
    return best


class Front(NamedTuple):
    """States after a level: time so far, worth so far, the state before, and the level's batch (size and model)."""

    time: np.ndarray
    value: np.ndarray
    parent: np.ndarray
    n: np.ndarray
    v: np.ndarray


@no_type_check
@inner_kernel
def make_front(rows, size):
    """Room for so many rows of states."""
    return Front(
        np.zeros((rows, size)), np.zeros((rows, size)), np.zeros((rows, size), np.int64),
        np.zeros((rows, size), np.int64), np.zeros((rows, size), np.int64),
    )  # fmt: skip


@no_type_check
@inner_kernel
def thin_front(wide, count, front, row):
    """Copy what is not beaten in time and value, at most FRONT states, to a row of a front; how many there are."""
    order = np.argsort(wide.time[0, :count])
    kept, best = 0, -np.inf
    for i in order:
        if wide.value[0, i] > best:
            best = wide.value[0, i]
            order[kept] = i
            kept += 1
    size = min(kept, FRONT)
    for j in range(size):
        i = order[j if kept <= FRONT else (j * (kept - 1)) // (FRONT - 1)]
        front.time[row, j], front.value[row, j] = wide.time[0, i], wide.value[0, i]
        front.parent[row, j], front.n[row, j], front.v[row, j] = wide.parent[0, i], wide.n[0, i], wide.v[0, i]
    return size


@no_type_check
@inner_kernel
def extend_front(rules, seconds, k, tasks, front, row, size, partial, wide, sizes, models):
    """All states after level k, from a row of those before it, written to `wide`; how many there are."""
    count, options, quickest = 0, 1, -1
    sizes[0], models[0] = 0, 0
    if tasks > 0:
        options = list_options(rules, seconds, k, tasks, partial, sizes, models)
        if partial:
            quickest = fastest(rules, seconds, k, tasks)
    for i in range(size):
        start = front.time[row, i]
        if quickest >= 0:  # what just fits after this state
            sizes[options] = fits(seconds[quickest], tasks, rules.deadline[k] - start)
            models[options] = quickest
        for o in range(options + (quickest >= 0)):
            n, v = sizes[o], models[o]
            took = seconds[v, n] if n > 0 else 0.0
            done = start + took
            if n > 0 and done > rules.deadline[k]:
                continue
            gain = n * (rules.answer[v] * rules.per_task + rules.local_delay * done) + rules.local_busy * took
            wide.time[0, count], wide.parent[0, count] = done, i
            wide.value[0, count] = front.value[row, i] + gain - rules.penalty * (tasks - n)
            wide.n[0, count], wide.v[0, count] = n, v
            count += 1
    return count


@no_type_check
@inner_kernel
def local_chain(rules, seconds, left, partial, kept, model):
    """Levels one after the other, the most critical first; writes `kept` and `model`, and returns the worth."""
    levels, choices = len(left), len(seconds) + PARTS + 2
    front, wide = make_front(levels + 1, FRONT), make_front(1, FRONT * choices)
    sizes, models = np.empty(choices, np.int64), np.empty(choices, np.int64)
    size = 1
    for k in range(levels - 1, -1, -1):
        count = extend_front(rules, seconds, k, left[k], front, k + 1, size, partial, wide, sizes, models)
        if count == 0:
            return IMPOSSIBLE
        size = thin_front(wide, count, front, k)
    state = np.argmax(front.value[0, :size])
    worth = front.value[0, state]
    for k in range(levels):
        kept[k], model[k] = front.n[k, state], front.v[k, state]
        state = front.parent[k, state]
    return worth


@no_type_check
@inner_kernel
def chain_worth(rules, seconds, left, kept, model):
    """Worth of given batches by level; impossible where one is late."""
    clock, value = 0.0, 0.0
    for k in range(len(left) - 1, -1, -1):
        if kept[k] > 0:
            took = seconds[model[k], kept[k]]
            clock += took
            if clock > rules.deadline[k]:
                return IMPOSSIBLE
            value += (
                kept[k] * (rules.answer[model[k]] * rules.per_task + rules.local_delay * clock)
                + rules.local_busy * took
            )
        value -= rules.penalty * (left[k] - kept[k])
    return value


@no_type_check
@inner_kernel
def fill_up(rules, seconds, left, kept, model, value):
    """Keep more of the levels that are kept in part, as long as that is worth more."""
    step = LARGEST_STEP
    while step >= 1:
        for k in range(len(left)):
            while kept[k] + step <= left[k]:
                before = model[k]
                if kept[k] == 0:
                    model[k] = fastest(rules, seconds, k, step)
                if model[k] < 0:
                    model[k] = before
                    break
                kept[k] += step
                found = chain_worth(rules, seconds, left, kept, model)
                if found <= value:
                    kept[k] -= step
                    model[k] = before
                    break
                value = found
        step //= 2
    return value


@no_type_check
@inner_kernel
def local_by_level(rules, seconds, left, kept, model):
    """The best batches by level: all tasks if that is possible, otherwise some are refused."""
    value = local_chain(rules, seconds, left, False, kept, model)
    if value > IMPOSSIBLE:
        return value
    value = local_chain(rules, seconds, left, True, kept, model)
    return fill_up(rules, seconds, left, kept, model, value)


@no_type_check
@inner_kernel
def local_one_batch(rules, seconds, left, kept, model):
    """The best single batch: the model, the most critical level in it, and how many tasks it holds."""
    best, all_left = -rules.penalty * left.sum(), left.sum()
    kept[:] = 0
    model[:] = 0
    for v in range(len(seconds)):
        for top in range(len(left)):
            if left[top] == 0 or not rules.usable[v, top]:
                continue
            tasks = 0
            for k in range(top + 1):
                tasks += left[k] if rules.usable[v, k] else 0
            n = tasks if seconds[v, tasks] <= rules.deadline[top] else fits(seconds[v], tasks, rules.deadline[top])
            took = seconds[v, n]
            value = n * (rules.answer[v] * rules.per_task + rules.local_delay * took) + rules.local_busy * took
            value -= rules.penalty * (all_left - n)
            if n > 0 and value > best:
                best = value
                kept[:] = 0
                model[:] = v
                for k in range(top, -1, -1):
                    if rules.usable[v, k]:
                        kept[k] = min(left[k], n)
                        n -= kept[k]
    return best
