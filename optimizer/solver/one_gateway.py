"""The best that one gateway can do with a share of the edge: exact, for every share at once (numba).

With everything else fixed, a decision of a gateway (how many tasks of each level it offloads, which model it runs) is
worth `constant + slope * x`, x = E the seconds of a task at the edge, as long as x is short enough for its deadlines
and for (17f). So the best value is the upper envelope of such *pieces*, each valid from a least share `start` on. This
module finds the pieces that can ever be on it. `docs/optimum.md` has the argument.

Kinds of reward: 0 utilization (21), 1 goodput, 2 delay.
"""

from typing import no_type_check

import numpy as np

from optimizer.solver.compiled import kernel
from optimizer.solver.queue import (
    UNREACHABLE,
    edge_seconds,
    fill_queue,
    least_share,
    local_worth,
    position_limits,
    prefixes,
    unshed_tables,
)

SLACK_S = 1e-13  # a deadline is met by this much, so that rounding never breaks it

# Columns of a piece.
START, CONSTANT, SLOPE, MODEL, SENT, SHED, PREFIX, COLUMNS = 0, 1, 2, 3, 4, 5, 6, 7


@no_type_check
@kernel
def keep_envelope(constants, slope_unit, fresh, x_low, x_high, kept):
    """Which of the lines constants[n] + slope_unit * n * x reach the upper envelope on [x_low, x_high].

    Sets `kept[n]` for those on it that are `fresh`.
    """
    count = len(constants)
    kept[:] = False
    sign = 1 if slope_unit >= 0 else -1
    x = x_low
    now = -1
    for i in range(count):
        n = i if sign > 0 else count - 1 - i  # by ascending slope, so that ties take the steeper one
        if constants[n] == UNREACHABLE:
            continue
        if now < 0 or constants[n] + slope_unit * n * x >= constants[now] + slope_unit * now * x:
            now = n
    while now >= 0:
        if fresh[now]:
            kept[now] = True
        if slope_unit == 0.0:
            return
        following, at = -1, x_high
        steeper = now + sign
        while 0 <= steeper < count:
            if constants[steeper] != UNREACHABLE:
                cross = (constants[now] - constants[steeper]) / (slope_unit * (steeper - now))
                if cross <= at:
                    following, at = steeper, cross
            steeper += sign
        now, x = following, at


@no_type_check
@kernel
def worth_above(constant, slope, low_line, high_line, constants, slope_unit, x_low, x_high):
    """Whether a line could rise above the envelope of which two lines are given."""
    for n in (low_line, high_line):
        if n >= 0 and constants[n] != UNREACHABLE:
            margin = constants[n] - constant
            unit = slope_unit * n - slope
            if margin + unit * x_low >= 0 and margin + unit * x_high >= 0:
                return False
    return True


@no_type_check
@kernel
def best_line(constants, slope_unit, x):
    """The highest of the lines at x, -1 without any."""
    now = -1
    for n in range(len(constants)):
        if constants[n] != UNREACHABLE and (
            now < 0 or constants[n] + slope_unit * n * x > constants[now] + slope_unit * now * x
        ):
            now = n
    return now


@no_type_check
@kernel
def thresholds(counts, transmission, hold, deadlines, shortest, tasks, found):
    """Edge times at which more becomes possible, descending: Omega (17f), and positions that just meet a deadline."""
    total = 0
    if transmission - SLACK_S >= shortest:
        found[0] = transmission - SLACK_S
        total = 1
    else:
        return 0
    for k in range(len(counts)):
        if counts[k] == 0:
            continue
        first = max(0, int(np.floor(2 * (deadlines[k] - 2 * transmission) / hold)))
        for h in range(first, 2 * tasks):
            x = deadlines[k] - transmission - hold * (h / 2) - SLACK_S
            if x < shortest:
                break
            if x < found[0] and total < len(found):
                found[total] = x
                total += 1
    found[:total] = -np.sort(-found[:total])
    return total


@no_type_check
@kernel
def shed_candidates(
    limits, counts, within, tasks, found, local_s, accuracy, kind, slot_s, per_task, bonus, edge_worth, slope_unit,
    wait_weight, x_low, x_high, constants, source, fresh,
):  # fmt: skip
    """Decisions that drop some of what they send, where a bound cannot rule them out; improves `constants`.

    Sending a task to be dropped is the only way to shed local load. Such a decision serves at most all but the tasks it
    sheds, so a cheap bound rules it out nearly always; where not, `fill_queue` finds the best exactly.
    """
    levels = len(counts)
    low_line = best_line(constants, slope_unit, x_low)
    high_line = best_line(constants, slope_unit, x_high)
    most = np.zeros(levels + 1, np.int64)  # tasks worth shedding, by prefix + 1
    models = len(accuracy)
    wanted = np.zeros((models, tasks + 1), np.int64)
    for v in range(models):
        for a in range(1, tasks + 1):
            j = found[v, a]
            worth = local_worth(kind, local_s[v, tasks - a], tasks - a, accuracy[v], slot_s, per_task) + bonus
            local = min(tasks - a, within[j + 1]) * worth
            for w in range(1, a + 1):
                if not worth_above(
                    local + (a - w) * edge_worth, slope_unit * (a - w), low_line, high_line, constants, slope_unit,
                    x_low, x_high,
                ):  # fmt: skip
                    break
                wanted[v, a] = w
                most[j + 1] = max(most[j + 1], w)
    if most.max() == 0:
        return
    cap = most.max()
    value = np.empty((tasks + 1, cap + 1))
    choice = np.empty((levels, tasks + 1, cap + 1), np.int16)
    for j in range(-1, levels):
        if most[j + 1] == 0:
            continue
        if wait_weight == 0.0:
            fill_queue(counts, limits, j, most[j + 1], 1.0, 0.0, value, choice)
        for v in range(models):
            for a in range(1, tasks + 1):
                if found[v, a] != j or wanted[v, a] == 0:
                    continue
                worth = local_worth(kind, local_s[v, tasks - a], tasks - a, accuracy[v], slot_s, per_task) + bonus
                if wait_weight != 0.0:
                    fill_queue(counts, limits, j, wanted[v, a], worth, wait_weight, value, choice)
                for w in range(1, wanted[v, a] + 1):
                    if value[a, w] == UNREACHABLE:
                        continue
                    total = (value[a, w] if wait_weight != 0.0 else value[a, w] * worth) + (a - w) * edge_worth
                    if total > constants[a - w]:
                        constants[a - w] = total
                        fresh[a - w] = True
                        source[a - w, 0], source[a - w, 1], source[a - w, 2], source[a - w, 3] = v, a, w, j


@no_type_check
@kernel
def write_piece(row, start, constant, slope, source):
    """Fill a row of the columns above; `source` is (model, sent, shed, prefix)."""
    row[START], row[CONSTANT], row[SLOPE] = start, constant, slope
    row[MODEL], row[SENT], row[SHED], row[PREFIX] = source[0], source[1], source[2], source[3]


@no_type_check
@kernel
def gateway_pieces(
    counts, transmission, hold, local_s, accuracy, min_accuracy, deadlines, task_s, epsilon, slot_s, per_task, bonus,
    kind, pieces,
):  # fmt: skip
    """All pieces of one gateway in one slot.

    Args:
        counts: Tasks of each level.
        transmission: Omega, seconds.
        hold: delta * tau, seconds.
        local_s: Seconds at [model, batch].
        accuracy: Of each model.
        min_accuracy: Of each level, ascending.
        deadlines: Of each level in seconds, descending.
        task_s: H I / C_e, seconds.
        epsilon: Of eq. (3).
        slot_s: Gamma.
        per_task: 1 / N.
        bonus: J / N, what serving a task saves.
        kind: Of reward.
        pieces: Filled with rows of the columns above.

    Returns:
        The number of pieces. Their worth leaves out the constant -J * tasks / N.
    """
    levels, models, tasks = len(counts), len(accuracy), counts.sum()
    found = np.empty((models, tasks + 1), np.int64)
    prefixes(local_s, accuracy, min_accuracy, deadlines, tasks, found)
    within = np.zeros(levels + 1, np.int64)  # tasks in levels <= j at j + 1
    for k in range(levels):
        within[k + 1] = within[k] + counts[k]

    if kind == 0:
        edge_worth, slope_unit, wait_weight = transmission / slot_s + bonus, 1 / slot_s, 0.0
    elif kind == 1:
        edge_worth, slope_unit, wait_weight = per_task + bonus, 0.0, 0.0
    else:
        edge_worth = bonus - transmission * per_task / slot_s
        slope_unit, wait_weight = -per_task / slot_s, hold * per_task / slot_s

    constants = np.full(tasks + 1, UNREACHABLE)
    source = np.empty((tasks + 1, 4), np.int64)
    # No edge at all: what is sent is dropped, from the levels first that nothing serves locally.
    for v in range(models):
        for a in range(tasks + 1):
            j = found[v, a]
            worth = local_worth(kind, local_s[v, tasks - a], tasks - a, accuracy[v], slot_s, per_task) + bonus
            total = min(tasks - a, within[j + 1]) * worth
            if total > constants[0]:
                constants[0] = total
                source[0, 0], source[0, 1], source[0, 2], source[0, 3] = v, a, a, j
    write_piece(pieces[0], 0.0, constants[0], 0.0, source[0])
    rows = 1

    shortest = edge_seconds(1.0, task_s, epsilon)
    edges = np.empty(4 * levels + 8)
    regimes = thresholds(counts, transmission, hold, deadlines, shortest, tasks, edges)
    limits = np.empty(levels, np.int64)
    high = np.empty((levels + 1, tasks + 1), np.int64)
    fresh = np.empty(tasks + 1, np.bool_)
    kept = np.empty(tasks + 1, np.bool_)
    for r in range(regimes):
        start = least_share(edges[r], task_s, epsilon)
        if start > 1.0:
            break
        x_high = edge_seconds(start, task_s, epsilon)
        position_limits(x_high, transmission, hold, deadlines, tasks, limits)
        unshed_tables(counts, limits, tasks, high)
        fresh[:] = False
        for v in range(models):
            for a in range(tasks + 1):
                j = found[v, a]
                if high[j + 1, a] < 0:
                    continue
                served = within[j + 1] - a + high[j + 1, a]
                worth = local_worth(kind, local_s[v, tasks - a], tasks - a, accuracy[v], slot_s, per_task) + bonus
                total = served * worth + a * edge_worth - wait_weight * (a * (a - 1) / 2)
                if total > constants[a]:
                    constants[a] = total
                    fresh[a] = True
                    source[a, 0], source[a, 1], source[a, 2], source[a, 3] = v, a, 0, j
        shed_candidates(
            limits, counts, within, tasks, found, local_s, accuracy, kind, slot_s, per_task, bonus, edge_worth,
            slope_unit, wait_weight, shortest, x_high, constants, source, fresh,
        )  # fmt: skip
        keep_envelope(constants, slope_unit, fresh, shortest, x_high, kept)
        for n in range(tasks + 1):
            if kept[n] and rows < len(pieces):
                write_piece(pieces[rows], start, constants[n], slope_unit * n, source[n])
                rows += 1
    return rows


@no_type_check
@kernel
def sent_per_level(
    piece,
    counts,
    transmission,
    hold,
    local_s,
    accuracy,
    deadlines,
    task_s,
    epsilon,
    slot_s,
    per_task,
    bonus,
    kind,
    sent,
):
    """How many tasks of each level a piece's decision offloads, written to `sent`."""
    levels, tasks = len(counts), counts.sum()
    v, total, shed, prefix = int(piece[MODEL]), int(piece[SENT]), int(piece[SHED]), int(piece[PREFIX])
    sent[:] = 0
    if total == shed:  # nothing is served at the edge: shed what is not served locally first, then the least critical
        left = total
        for k in range(levels - 1, prefix, -1):
            sent[k] = min(left, counts[k])
            left -= sent[k]
        for k in range(prefix + 1):
            sent[k] = min(left, counts[k])
            left -= sent[k]
        return
    limits = np.empty(levels, np.int64)
    x = edge_seconds(piece[START], task_s, epsilon)
    position_limits(x, transmission, hold, deadlines, tasks, limits)
    value = np.empty((total + 1, shed + 1))
    choice = np.zeros((levels, total + 1, shed + 1), np.int16)
    wait_weight = hold * per_task / slot_s if kind == 2 else 0.0
    worth = local_worth(kind, local_s[v, tasks - total], tasks - total, accuracy[v], slot_s, per_task) + bonus
    fill_queue(counts, limits, prefix, shed, worth, wait_weight, value, choice)
    s, w = total, shed
    for k in range(levels):
        a = choice[k, s, w]
        sent[k] = a
        s -= a
        if a > 0 and 2 * s + a - 1 > limits[k]:
            w -= a
