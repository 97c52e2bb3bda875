"""The best decision of one gateway in one slot, searched for on the learned laws at a given share of the edge.

A decision is how many tasks of each level are sent, how many are refused, and the models that run the rest. The local
part is `local_batches`; the numbers that are sent are a few patterns and then coordinate ascent.
"""

from typing import NamedTuple, no_type_check

import numpy as np

from optimizer.learning.factory.local_batches import IMPOSSIBLE, local_by_level, local_one_batch
from optimizer.solver.compiled import inner_kernel

# Picked by hand:
MOST_TRIES = 100  # of the ascent
LARGEST_STEP = 16  # tasks by which the ascent changes a number at first
PLENTY = 1 << 40  # places, where nothing limits them


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
@inner_kernel
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
@inner_kernel
def worth_at_edge(rules, edge, sent):
    """Worth of the tasks that are sent; impossible where one of them is late."""
    value, ahead = 0.0, 0
    for k in range(len(sent) - 1, -1, -1):
        n = sent[k]
        if n > 0:
            if n > room(rules, edge, k, ahead):
                return IMPOSSIBLE
            delays = n * (edge.first + ahead * edge.spacing) + edge.spacing * n * (n - 1) / 2
            value += n * (rules.edge_answer * rules.per_task + rules.busy * edge.work) + rules.edge_delay * delays
            ahead += n
    return value


@no_type_check
@inner_kernel
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
@inner_kernel
def send_pattern(rules, edge, counts, top, bottom, sent):
    """As many tasks as arrive in time, from level `top` down to `bottom`, the most critical first."""
    sent[:] = 0
    ahead = 0
    for k in range(top, bottom - 1, -1):
        sent[k] = min(counts[k], room(rules, edge, k, ahead))
        ahead += sent[k]


@no_type_check
@inner_kernel
def decide_gateway(rules, seconds, edge, counts, thorough, best):
    """The best decision that the search finds, written to `best`; its worth."""
    levels = len(counts)
    sent, kept, model = np.zeros(levels, np.int64), np.zeros(levels, np.int64), np.zeros(levels, np.int64)
    value = IMPOSSIBLE
    step = 1 if thorough else max(levels // 3, 1)
    for i in range(0, 2 * levels, step):  # all levels that are critical enough; then all that are not too critical
        top, bottom = (levels - 1, i) if i <= levels else (2 * levels - 1 - i, 0)
        send_pattern(rules, edge, counts, top, bottom, sent)
        found = try_sending(rules, seconds, edge, counts, sent, value, kept, model)
        if found > value:
            value = found
            best.sent[:], best.kept[:], best.model[:] = sent, kept, model
    if thorough:
        value = ascend(rules, seconds, edge, counts, best, value)
    return value


@no_type_check
@inner_kernel
def ascend(rules, seconds, edge, counts, best, value):
    """Send a few more or fewer of a level, or of one instead of another, as long as that is worth more."""
    levels, tries = len(counts), 0
    sent, kept, model = np.zeros(levels, np.int64), np.zeros(levels, np.int64), np.zeros(levels, np.int64)
    step = LARGEST_STEP
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
