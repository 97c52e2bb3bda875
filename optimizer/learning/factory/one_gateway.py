"""The best decision of one gateway in one slot, searched for on the learned laws at a given share of the edge (numba).

A decision is how many tasks of each level are sent, how many are refused, and the models that run the rest. For given
numbers of sent tasks the local part is found by dynamic programming over the levels (`local_by_level`) or by trying all
models (`local_one_batch`); the numbers themselves are a few patterns and then coordinate ascent.
"""

from typing import NamedTuple, no_type_check

import numpy as np

from optimizer.solver.compiled import kernel

# Picked by hand:
FRONT = 24  # states of the dynamic programme that are kept for each level
PARTS = 8  # a level may be kept in eighths; what fits beyond is added afterwards
MOST_TRIES = 200  # of the ascent
IMPOSSIBLE = -1e18
PLENTY = 1 << 40  # places, where nothing limits them


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
        delay: Worth of one second of one task's delay.
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
    delay: float
    per_task: float
    penalty: float


class Edge(NamedTuple):
    """The way to the edge, as one gateway has it in one slot, with the margin that it is planned with.

    Attributes:
        first: Delay of the first task in seconds.
        spacing: Seconds by which each further task is later.
        work: Seconds that one task keeps link and edge busy.
        works: False where the edge is slower than the link, (17f), in a network that loses tasks for it.
    """

    first: float
    spacing: float
    work: float
    works: bool


@no_type_check
@kernel
def room(rules, edge, k, ahead):
    """How many tasks of a level can be sent in time behind so many others."""
    if not edge.works or edge.first > rules.deadline[k]:
        return 0
    if edge.spacing <= 0:
        return PLENTY
    places = (rules.deadline[k] - edge.first) / edge.spacing
    if rules.fifo:
        return max(int(np.floor(places + 1e-12)) + 1 - ahead, 0)
    return max(int(np.floor(2 * (places - ahead) + 1 + 1e-12)), 0)


@no_type_check
@kernel
def worth_at_edge(rules, edge, sent):
    """Worth of the tasks that are sent; impossible where one of them is late."""
    value, ahead = 0.0, 0
    for k in range(len(sent) - 1, -1, -1):
        n = sent[k]
        if n > 0:
            if n > room(rules, edge, k, ahead):
                return IMPOSSIBLE
            delays = n * (edge.first + ahead * edge.spacing) + edge.spacing * n * (n - 1) / 2
            value += n * (rules.edge_answer * rules.per_task + rules.busy * edge.work) + rules.delay * delays
            ahead += n
    return value


@no_type_check
@kernel
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
@kernel
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
@kernel
def fastest(rules, seconds, k, tasks):
    """The model that is done first with so many tasks of a level; -1 if none is accurate enough."""
    best = -1
    for v in range(len(seconds)):
        if rules.usable[v, k] and (best < 0 or seconds[v, tasks] < seconds[best, tasks]):
            best = v
    return best


@no_type_check
@kernel
def thin_front(time, value, parent, option_n, option_v, count, to):
    """Keep what is not beaten in time and value, at most FRONT states; `to` holds their rows."""
    order = np.argsort(time[:count])
    kept, best = 0, -np.inf
    for i in order:
        if value[i] > best:
            best = value[i]
            order[kept] = i
            kept += 1
    size = min(kept, FRONT)
    for j in range(size):
        i = order[j if kept <= FRONT else (j * (kept - 1)) // (FRONT - 1)]
        to.time[j], to.value[j], to.parent[j] = time[i], value[i], parent[i]
        to.n[j], to.v[j] = option_n[i], option_v[i]
    return size


class Front(NamedTuple):
    """States after a level: time so far, worth so far, the state before, and the level's batch."""

    time: np.ndarray
    value: np.ndarray
    parent: np.ndarray
    n: np.ndarray
    v: np.ndarray


@no_type_check
@kernel
def local_chain(rules, seconds, left, partial, kept, model):
    """Levels one after the other, the most critical first; writes `kept` and `model`, and returns the worth."""
    levels, most = len(left), FRONT * (len(seconds) + PARTS + 2)
    times, values = np.zeros((levels + 1, FRONT)), np.zeros((levels + 1, FRONT))
    parents = np.zeros((levels + 1, FRONT), np.int64)
    ns, vs = np.zeros((levels + 1, FRONT), np.int64), np.zeros((levels + 1, FRONT), np.int64)
    time, value, parent = np.empty(most), np.empty(most), np.empty(most, np.int64)
    option_n, option_v = np.empty(most, np.int64), np.empty(most, np.int64)
    sizes, models = np.empty(len(seconds) + PARTS + 2, np.int64), np.empty(len(seconds) + PARTS + 2, np.int64)
    size, row = 1, levels
    for k in range(levels - 1, -1, -1):
        tasks, count = left[k], 0
        options = 0
        if tasks > 0:
            options = list_options(rules, seconds, k, tasks, partial, sizes, models)
        else:
            sizes[0], models[0], options = 0, 0, 1
        for i in range(size):
            start = times[row, i]
            extra = 0
            if partial and tasks > 0:  # what just fits after this state
                best = fastest(rules, seconds, k, tasks)
                if best >= 0:
                    sizes[options] = fits(seconds[best], tasks, rules.deadline[k] - start)
                    models[options], extra = best, 1
            for o in range(options + extra):
                n, v = sizes[o], models[o]
                took = seconds[v, n] if n > 0 else 0.0
                done = start + took
                if n > 0 and done > rules.deadline[k]:
                    continue
                gain = n * (rules.answer[v] * rules.per_task + rules.delay * done) + rules.busy * took
                time[count], parent[count] = done, i
                value[count] = values[row, i] + gain - rules.penalty * (tasks - n)
                option_n[count], option_v[count] = n, v
                count += 1
        if count == 0:
            return IMPOSSIBLE
        size = thin_front(time, value, parent, option_n, option_v, count, Front(times[k], values[k], parents[k], ns[k], vs[k]))
        row = k
    state = np.argmax(values[0, :size])
    worth = values[0, state]
    for k in range(levels):
        kept[k], model[k] = ns[k, state], vs[k, state]
        state = parents[k, state]
    return worth


@no_type_check
@kernel
def chain_worth(rules, seconds, left, kept, model):
    """Worth of given batches by level; impossible where one is late."""
    clock, value = 0.0, 0.0
    for k in range(len(left) - 1, -1, -1):
        if kept[k] > 0:
            took = seconds[model[k], kept[k]]
            clock += took
            if clock > rules.deadline[k]:
                return IMPOSSIBLE
            value += kept[k] * (rules.answer[model[k]] * rules.per_task + rules.delay * clock) + rules.busy * took
        value -= rules.penalty * (left[k] - kept[k])
    return value


@no_type_check
@kernel
def fill_up(rules, seconds, left, kept, model, value):
    """Keep more of the levels that are kept in part, as long as that is worth more."""
    step = 64
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
@kernel
def local_by_level(rules, seconds, left, kept, model):
    """The best batches by level: all tasks if that is possible, otherwise some are refused."""
    value = local_chain(rules, seconds, left, False, kept, model)
    if value > IMPOSSIBLE:
        return value
    value = local_chain(rules, seconds, left, True, kept, model)
    return fill_up(rules, seconds, left, kept, model, value)


@no_type_check
@kernel
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
            value = n * (rules.answer[v] * rules.per_task + rules.delay * took) + rules.busy * took
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


@no_type_check
@kernel
def try_sending(rules, seconds, edge, counts, sent, least, kept, model):
    """Worth of sending so many of each level, with the best of the rest; impossible if it cannot exceed `least`."""
    value = worth_at_edge(rules, edge, sent)
    if value <= IMPOSSIBLE:
        return IMPOSSIBLE
    left = counts - sent
    if rules.busy == 0 and value + rules.per_task * rules.answer.max() * left.sum() <= least:
        return IMPOSSIBLE
    if rules.by_level:
        return value + local_by_level(rules, seconds, left, kept, model)
    return value + local_one_batch(rules, seconds, left, kept, model)


class Best(NamedTuple):
    """The best decision so far, at [level]: sent, kept and model."""

    sent: np.ndarray
    kept: np.ndarray
    model: np.ndarray


@no_type_check
@kernel
def send_pattern(rules, edge, counts, top, sent):
    """As many tasks as arrive in time, from level `top` down, the most critical first; -1 sends nothing."""
    sent[:] = 0
    ahead = 0
    for k in range(top, -1, -1):
        sent[k] = min(counts[k], room(rules, edge, k, ahead))
        ahead += sent[k]


@no_type_check
@kernel
def decide_gateway(rules, seconds, edge, counts, thorough, best):
    """The best decision that the search finds, written to `best`; its worth."""
    levels = len(counts)
    sent, kept, model = np.zeros(levels, np.int64), np.zeros(levels, np.int64), np.zeros(levels, np.int64)
    value = IMPOSSIBLE
    step = 1 if thorough else max(levels // 2, 1)
    for top in range(levels - 1, -1 - step, -step):
        send_pattern(rules, edge, counts, max(top, -1), sent)
        found = try_sending(rules, seconds, edge, counts, sent, value, kept, model)
        if found > value:
            value = found
            best.sent[:], best.kept[:], best.model[:] = sent, kept, model
    if thorough:
        value = ascend(rules, seconds, edge, counts, best, value)
    return value


@no_type_check
@kernel
def ascend(rules, seconds, edge, counts, best, value):
    """Send a few more or fewer of a level, or of one instead of another, as long as that is worth more."""
    levels, tries = len(counts), 0
    sent, kept, model = np.zeros(levels, np.int64), np.zeros(levels, np.int64), np.zeros(levels, np.int64)
    step = 16
    while step >= 1:
        improved = True
        while improved:
            improved = False
            for up in range(-1, levels):
                for down in range(-1, levels):
                    if up == down or tries >= MOST_TRIES:
                        continue
                    sent[:] = best.sent
                    if up >= 0:
                        sent[up] = min(sent[up] + step, counts[up])
                    if down >= 0:
                        sent[down] = max(sent[down] - step, 0)
                    if (sent == best.sent).all():
                        continue
                    found = try_sending(rules, seconds, edge, counts, sent, value, kept, model)
                    if found > IMPOSSIBLE:
                        tries += 1
                    if found > value + 1e-12:
                        value, improved = found, True
                        best.sent[:], best.kept[:], best.model[:] = sent, kept, model
        step //= 4
    return value
