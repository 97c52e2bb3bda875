"""A batch of slots, solved one after the other: on a grid of shares, over continuous ones, or at given ones."""

from typing import NamedTuple, no_type_check

import numpy as np

from optimizer.solver.compiled import kernel
from optimizer.solver.edge_shares import Gap, allocate, allocate_on_grid, best_piece, total_worth
from optimizer.solver.one_gateway import describe_tasks, gateway_pieces, sent_per_level
from optimizer.solver.problem import COLUMNS, MODEL, Link, Local, Worth


class Allowed(NamedTuple):
    """Which shares of the edge a decision may have.

    Attributes:
        fixed: Given shares, at [gateway]; empty if they are chosen.
        steps: The shares are chosen among k / steps; 0 for continuous ones.
        most_boxes: Limit of the search over continuous shares.
        gap: Share of the reward by which a decision may fall short of the best before the search ends.
    """

    fixed: np.ndarray
    steps: int
    most_boxes: int
    gap: float


class Found(NamedTuple):
    """Decisions of a batch of slots, filled by the kernels.

    Attributes:
        offload: At [slot, gateway, task].
        model: At [slot, gateway].
        share: At [slot, gateway].
        reward: Reward of each slot.
        bound: No decision is worth more than this.
    """

    offload: np.ndarray
    model: np.ndarray
    share: np.ndarray
    reward: np.ndarray
    bound: np.ndarray


@no_type_check
@kernel
def count_levels(level, counts):
    """Tasks of each level at each gateway of one slot, written to `counts`; absent and silent sensors have none."""
    counts[:] = 0
    for g in range(level.shape[0]):
        for m in range(level.shape[1]):
            if level[g, m] >= 0:
                counts[g, level[g, m]] += 1


@no_type_check
@kernel
def in_slot(worth, tasks):
    """The worth of a task in a slot with so many tasks."""
    per_task = 1.0 / tasks if tasks > 0 else 0.0
    return Worth(worth.busy, worth.delay, worth.answer, worth.edge_answer, worth.penalty, per_task)


@no_type_check
@kernel
def at_gateway(problem, channel, g):
    """The link and the models of one gateway in one slot."""
    link, local = problem.link, problem.local
    state = channel[g]
    return Link(link.transmission_s[g, state], link.hold_s[g, state]), Local(local.seconds[g], local.accuracy)


@no_type_check
@kernel
def make_room(problem, level):
    """Room for the counts, pieces and numbers of pieces of one slot."""
    gateways, width = level.shape[1], level.shape[2]
    levels = len(problem.levels.max_delay_s)
    pieces = np.empty((gateways, (width + 1) * (4 * levels + 9), COLUMNS))
    return np.zeros((gateways, levels), np.int64), pieces, np.empty(gateways, np.int64)


@no_type_check
@kernel
def slot_pieces(problem, channel, level, counts, pieces, rows):
    """Find the pieces of every gateway of one slot; returns the penalty for dropping all of the slot's tasks."""
    count_levels(level, counts)
    tasks = counts.sum()
    worth = in_slot(problem.worth, tasks)
    for g in range(len(counts)):
        link, local = at_gateway(problem, channel, g)
        of = describe_tasks(counts[g], link, local, problem.levels, worth)
        rows[g] = gateway_pieces(of, link, problem.levels, problem.edge, pieces[g])
    return worth.penalty if tasks > 0 else 0.0


@no_type_check
@kernel
def write_decision(problem, channel, level, counts, pieces, rows, share, offload, model):
    """The decision of one slot at these shares, written to `offload` and `model`."""
    worth = in_slot(problem.worth, counts.sum())
    sent = np.empty(counts.shape[1], np.int64)
    for g in range(len(counts)):
        link, local = at_gateway(problem, channel, g)
        piece = pieces[g, best_piece(pieces[g], rows[g], share[g], problem.edge)[0]]
        model[g] = int(piece[MODEL])
        sent_per_level(piece, counts[g], link, local, problem.levels, problem.edge, worth, sent)
        for m in range(level.shape[1]):
            k = level[g, m]
            if k >= 0 and sent[k] > 0:
                offload[g, m] = True
                sent[k] -= 1


@no_type_check
@kernel
def solve_slots(problem, channel, level, allowed, found):
    """The best decision of each slot over the allowed shares of the edge, written to `found`."""
    counts, pieces, rows = make_room(problem, level)
    for b in range(len(channel)):
        lost = slot_pieces(problem, channel[b], level[b], counts, pieces, rows)
        share = found.share[b]
        if len(allowed.fixed) > 0:
            share[:] = allowed.fixed
            total = bound = total_worth(pieces, rows, share, problem.edge)
        elif allowed.steps > 0:
            total = bound = allocate_on_grid(pieces, rows, allowed.steps, problem.edge, share)
        else:
            total, bound, _ = allocate(pieces, rows, problem.edge, allowed.most_boxes, Gap(allowed.gap, lost), share)
        found.reward[b], found.bound[b] = total - lost, bound - lost
        write_decision(problem, channel[b], level[b], counts, pieces, rows, share, found.offload[b], found.model[b])
