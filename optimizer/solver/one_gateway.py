"""The best that one gateway can do with a share of the edge: exact, for every share at once (by numba).

With everything else fixed, a decision of a gateway (how many tasks of each level it offloads, which model it runs) is
worth `constant + slope * x`, where x = E is the time of a task at the edge, as long as x is short enough for its
deadlines and for (17f). So the best value is the upper envelope of such *pieces*, each valid from a least share on.
This module finds the pieces that can ever be on it. `docs/optimum.md` has the argument.
"""

from typing import NamedTuple, no_type_check

import numpy as np

from optimizer.solver.compiled import kernel
from optimizer.solver.envelope import UNREACHABLE, best_line, keep_envelope, rises_above
from optimizer.solver.problem import COLUMNS, CONSTANT, END, MODEL, NO_END, PREFIX, SENT, SHED, SLOPE, START
from optimizer.solver.queue import edge_seconds, fill_queue, least_share, position_limits, prefixes, unshed_tables
from optimizer.solver.worth import Gains, edge_gains, gains_of, local_gain

SLACK_S = 1e-13  # a deadline is met by this much, so that rounding never breaks it
KNOWN = -1.0  # start of a line that was found in an earlier regime, and is a piece already if it can be one


class Tasks(NamedTuple):
    """The tasks of one gateway in one slot, and what serving them is worth.

    Attributes:
        counts: Number of tasks of each level.
        within: Number of tasks in the levels up to j, at j + 1.
        prefix: The last level served locally, at [model, tasks sent]; -1 for none.
        gains: What serving one task adds to the reward.
    """

    counts: np.ndarray
    within: np.ndarray
    prefix: np.ndarray
    gains: Gains


@no_type_check
@kernel
def describe_tasks(counts, link, local, levels, worth):
    """The `Tasks` of a gateway."""
    tasks = counts.sum()
    prefix = np.empty((len(local.accuracy), tasks + 1), np.int64)
    prefixes(local, levels, tasks, prefix)
    within = np.zeros(len(counts) + 1, np.int64)
    for k in range(len(counts)):
        within[k + 1] = within[k] + counts[k]
    return Tasks(counts, within, prefix, gains_of(worth, link, local, tasks))


@no_type_check
@kernel
def improve(lines, served, worth, start, model, sent, shed, prefix):
    """Keep a decision if it is the best one known that has so many tasks served at the edge.

    `lines` has one row per number of tasks served at the edge, with the columns of a piece.
    """
    if worth > lines[served, CONSTANT]:
        lines[served, CONSTANT] = worth
        lines[served, START] = start
        lines[served, MODEL] = model
        lines[served, SENT] = sent
        lines[served, SHED] = shed
        lines[served, PREFIX] = prefix


@no_type_check
@kernel
def thresholds(counts, link, deadlines, shortest, tasks, found):
    """Times at the edge at which more becomes possible: Omega, (17f), and those that just meet a deadline.

    Fills `found` in descending order and returns how many there are; none is shorter than `shortest`.
    """
    transmission, hold = link.transmission_s, link.hold_s
    if transmission - SLACK_S < shortest:
        return 0
    found[0] = transmission - SLACK_S
    total = 1
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
def without_edge(of, lines):
    """Decisions that have no task served at the edge: what is sent is dropped.

    The levels that no model serves locally are sent first.
    """
    within, prefix, gain = of.within, of.prefix, of.gains.local
    tasks = within[-1]
    for v in range(len(prefix)):
        for a in range(tasks + 1):
            j = prefix[v, a]
            improve(lines, 0, min(tasks - a, within[j + 1]) * gain[v, tasks - a], 0.0, v, a, a, j)


@no_type_check
@kernel
def without_drops(of, limits, start, high, lines):
    """Decisions that have every task they send served at the edge; `high` is filled on the way."""
    within, prefix, gain = of.within, of.prefix, of.gains.local
    edge, wait, tasks = of.gains.edge, of.gains.wait, of.within[-1]
    unshed_tables(of.counts, limits, tasks, high)
    for v in range(len(prefix)):
        for a in range(tasks + 1):
            j = prefix[v, a]
            if high[j + 1, a] < 0:
                continue
            served = within[j + 1] - a + high[j + 1, a]
            # The positions of a tasks add up to a (a - 1) / 2, in whatever order they are sent.
            total = served * gain[v, tasks - a] + a * edge - wait * (a * (a - 1) / 2)
            improve(lines, a, total, start, v, a, 0, j)


@no_type_check
@kernel
def worth_shedding(of, lines, x_low, x_high, wanted, most):
    """How many of the tasks sent may pay to be dropped: at most `wanted[model, sent]`, and `most` by prefix + 1.

    Sending a task to be dropped is the only way to shed local load. Such a decision serves at most all tasks but those
    it sheds, so a cheap bound rules it out nearly always.
    """
    within, prefix, gain = of.within, of.prefix, of.gains.local
    edge, unit, tasks = of.gains.edge, of.gains.slope, of.within[-1]
    low_line, high_line = best_line(lines, unit, x_low), best_line(lines, unit, x_high)
    for v in range(len(prefix)):
        for a in range(1, tasks + 1):
            j = prefix[v, a]
            local = min(tasks - a, within[j + 1]) * gain[v, tasks - a]
            for w in range(1, a + 1):
                constant, slope = local + (a - w) * edge, unit * (a - w)
                if not (
                    rises_above(constant, slope, lines, low_line, unit, x_low, x_high)
                    and rises_above(constant, slope, lines, high_line, unit, x_low, x_high)
                ):
                    break
                wanted[v, a] = w
                most[j + 1] = max(most[j + 1], w)


@no_type_check
@kernel
def with_drops(of, limits, start, x_low, x_high, lines):
    """Decisions that drop some of the tasks they send, where a bound cannot rule them out."""
    counts, prefix, gain = of.counts, of.prefix, of.gains.local
    edge, wait = of.gains.edge, of.gains.wait
    levels, tasks = len(counts), of.within[-1]
    wanted = np.zeros(prefix.shape, np.int64)
    most = np.zeros(levels + 1, np.int64)
    worth_shedding(of, lines, x_low, x_high, wanted, most)
    if most.max() == 0:
        return
    value = np.empty((tasks + 1, most.max() + 1))
    choice = np.empty((levels, tasks + 1, most.max() + 1), np.int16)
    for j in range(-1, levels):
        if most[j + 1] == 0:
            continue
        if wait == 0.0:  # then one table serves all models and all numbers sent
            fill_queue(counts, limits, j, most[j + 1], 1.0, 0.0, value, choice)
        for v in range(len(prefix)):
            for a in range(1, tasks + 1):
                if prefix[v, a] != j or wanted[v, a] == 0:
                    continue
                local = gain[v, tasks - a]
                if wait != 0.0:
                    fill_queue(counts, limits, j, wanted[v, a], local, wait, value, choice)
                for w in range(1, wanted[v, a] + 1):
                    if value[a, w] == UNREACHABLE:
                        continue
                    rest = value[a, w] if wait != 0.0 else value[a, w] * local
                    improve(lines, a - w, rest + (a - w) * edge, start, v, a, w, j)


@no_type_check
@kernel
def gateway_pieces(of, link, levels, edge, pieces):
    """All pieces of one gateway in one slot.

    Args:
        of: Its `Tasks`.
        link: Its `Link`, two numbers.
        levels: The `Levels`.
        edge: The `Edge`.
        pieces: Filled with rows of the columns of a piece.

    Returns:
        The number of pieces. Their worth leaves out the penalty for dropping all tasks of the gateway.
    """
    count, tasks = len(of.counts), of.within[-1]
    lines = np.zeros((tasks + 1, COLUMNS))
    lines[:, CONSTANT] = UNREACHABLE
    lines[:, END] = NO_END
    for n in range(tasks + 1):
        lines[n, SLOPE] = of.gains.slope * n
    without_edge(of, lines)
    pieces[0] = lines[0]
    rows = 1
    shortest = edge_seconds(1.0, edge)
    edges = np.empty(4 * count + 8)
    regimes = thresholds(of.counts, link, levels.max_delay_s, shortest, tasks, edges)
    limits = np.empty(count, np.int64)
    high = np.empty((count + 1, tasks + 1), np.int64)
    kept = np.empty(tasks + 1, np.bool_)
    for r in range(regimes):
        start = least_share(edges[r], edge)
        if start > 1.0:
            break
        longest = edge_seconds(start, edge)
        position_limits(longest, link, levels.max_delay_s, tasks, limits)
        lines[:, START] = KNOWN
        without_drops(of, limits, start, high, lines)
        with_drops(of, limits, start, shortest, longest, lines)
        keep_envelope(lines, of.gains.slope, shortest, longest, kept)
        for n in range(tasks + 1):
            if kept[n] and lines[n, START] != KNOWN and rows < len(pieces):
                pieces[rows] = lines[n]
                rows += 1
    return rows


@no_type_check
@kernel
def sent_per_level(piece, counts, link, local, levels, edge, worth, sent):
    """How many tasks of each level a piece's decision offloads, written to `sent`."""
    count, tasks = len(counts), counts.sum()
    v, total, shed, prefix = int(piece[MODEL]), int(piece[SENT]), int(piece[SHED]), int(piece[PREFIX])
    sent[:] = 0
    if total == shed:  # nothing is served at the edge: shed what is not served locally first, then the least critical
        left = total
        for k in range(count - 1, prefix, -1):
            sent[k] = min(left, counts[k])
            left -= sent[k]
        for k in range(prefix + 1):
            sent[k] = min(left, counts[k])
            left -= sent[k]
        return
    limits = np.empty(count, np.int64)
    position_limits(edge_seconds(piece[START], edge), link, levels.max_delay_s, tasks, limits)
    value = np.empty((total + 1, shed + 1))
    choice = np.zeros((count, total + 1, shed + 1), np.int16)
    gain = local_gain(worth, v, local.seconds[v, tasks - total], tasks - total)
    fill_queue(counts, limits, prefix, shed, gain, edge_gains(worth, link)[2], value, choice)
    s, w = total, shed
    for k in range(count):
        a = choice[k, s, w]
        sent[k] = a
        s -= a
        if a > 0 and 2 * s + a - 1 > limits[k]:
            w -= a
