"""The exact optimum of every slot: offloading, models and shares of the edge, at any size.

    from optimizer import Scenario, optimum
    from optimizer.network.slots import draw_states

    scenario = Scenario.load("paper").with_sensors(200)
    best = optimum(scenario, draw_states(scenario, 1000, seed=0))
    best.reward.mean(), best.action.share[0]

Tasks of one level at one gateway are exchangeable, and gateways meet only in sum(c_g) = 1. `gateway` solves a gateway
for all shares at once, `allocation` shares out the edge; `docs/optimum.md` proves it.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal, no_type_check

import numpy as np
from jaxtyping import Float64

from optimizer.errors import OptimizerError
from optimizer.network.checks import check_state
from optimizer.network.scenario import Scenario
from optimizer.network.slots import Action, State
from optimizer.solver.compiled import kernel
from optimizer.solver.edge_shares import allocate_exactly, allocate_on_grid, best_piece
from optimizer.solver.one_gateway import COLUMNS, MODEL, gateway_pieces, sent_per_level

KINDS = {"utilization": 0, "goodput": 1, "delay": 2}
MOST_BOXES = 20_000


@dataclass(frozen=True, eq=False)
class Optimum:
    """The optimum of a batch of slots.

    Attributes:
        action: What attains it; `system.evaluate` gives exactly `reward`.
        reward: Of each slot.
        bound: No decision is worth more than this. On a grid it equals `reward`; over continuous shares it exceeds it
        by
            at most 1e-9, unless the search was cut off at its limit of boxes.
    """

    action: Action
    reward: Float64[np.ndarray, " batch"]
    bound: Float64[np.ndarray, " batch"]


@no_type_check
@kernel
def _solve_slots(
    channel, level, groups, transmission_s, hold_s, local_s, accuracy, min_accuracy, deadlines, task_s, epsilon, slot_s,
    penalty, kind, steps, fixed, most_boxes, offload, model, share, reward, limit,
):  # fmt: skip
    batch, gateways = channel.shape
    levels = len(deadlines)
    width = level.shape[2]
    per_task = 1.0 / groups.sum()
    bonus = penalty * per_task
    counts = np.zeros((gateways, levels), np.int64)
    pieces = np.empty((gateways, (width + 1) * (4 * levels + 9), COLUMNS))
    rows = np.empty(gateways, np.int64)
    sent = np.empty(levels, np.int64)
    for b in range(batch):
        counts[:] = 0
        for g in range(gateways):
            for m in range(groups[g]):
                counts[g, level[b, g, m]] += 1
            state = channel[b, g]
            rows[g] = gateway_pieces(
                counts[g], transmission_s[g, state], hold_s[g, state], local_s[g], accuracy, min_accuracy, deadlines,
                task_s, epsilon, slot_s, per_task, bonus, kind, pieces[g],
            )  # fmt: skip
        if steps > 0:
            total = allocate_on_grid(pieces, rows, steps, task_s, epsilon, share[b])
            best = total
        elif steps == 0:
            total, best, _ = allocate_exactly(pieces, rows, task_s, epsilon, most_boxes, share[b])
        else:
            share[b] = fixed
            total = 0.0
            for g in range(gateways):
                total += best_piece(pieces[g], rows[g], fixed[g], task_s, epsilon)[1]
            best = total
        reward[b] = total - penalty
        limit[b] = best - penalty
        for g in range(gateways):
            chosen = best_piece(pieces[g], rows[g], share[b, g], task_s, epsilon)[0]
            piece = pieces[g, chosen]
            model[b, g] = int(piece[MODEL])
            state = channel[b, g]
            sent_per_level(
                piece, counts[g], transmission_s[g, state], hold_s[g, state], local_s[g], accuracy, deadlines, task_s,
                epsilon, slot_s, per_task, bonus, kind, sent,
            )  # fmt: skip
            for m in range(groups[g]):
                k = level[b, g, m]
                if sent[k] > 0:
                    offload[b, g, m] = True
                    sent[k] -= 1


def optimum(
    scenario: Scenario,
    state: State,
    shares: Literal["exact"] | int = "exact",
    *,
    fixed: Float64[np.ndarray, " gateways"] | None = None,
    threads: int | None = None,
    most_boxes: int = MOST_BOXES,
) -> Optimum:
    """The decision of highest reward in each slot of a batch.

    Args:
        scenario: The network; its `reward` says what is maximised.
        state: The slots.
        shares: "exact" for continuous shares of the edge, or the number of steps of a grid (the paper's 20).
        fixed: Shares that are given and not chosen, e.g. equal ones.
        threads: Slots are solved on so many threads, by default one a core.
        most_boxes: Where to cut off the search over continuous shares; `Optimum.bound` says what may be lost.

    Raises:
        OptimizerError: A state that does not fit the scenario, or `reward = "literal"`, which has no honest optimum.
    """
    if scenario.reward not in KINDS:
        raise OptimizerError(
            f"no optimum for reward = {scenario.reward!r}: it pays for dropped tasks.",
            f"Choose one of {', '.join(KINDS)}.",
        )
    if shares != "exact" and (not isinstance(shares, int) or isinstance(shares, bool) or shares < 1):
        raise OptimizerError(f"--shares: expected 'exact' or a number of steps of at least 1; got {shares!r}.")
    check_state(state, scenario)
    tables = scenario.constants
    batch, gateways, width = state.level.shape
    steps = -1 if fixed is not None else 0 if shares == "exact" else int(shares)
    offload = np.zeros((batch, gateways, width), np.bool_)
    model = np.zeros((batch, gateways), np.int64)
    share = np.zeros((batch, gateways))
    reward, limit = np.zeros(batch), np.zeros(batch)
    given = np.zeros(gateways) if fixed is None else fixed

    def solve(part: slice) -> None:
        _solve_slots(
            state.channel[part], state.level[part], tables.groups, tables.transmission_s, tables.hold_s,
            tables.local_s, tables.accuracy, tables.min_accuracy, tables.max_delay_s, tables.edge_task_s,
            tables.epsilon, scenario.slot_s, scenario.penalty, KINDS[scenario.reward], steps, given, most_boxes,
            offload[part], model[part], share[part], reward[part], limit[part],
        )  # fmt: skip

    workers = min(threads or len(os.sched_getaffinity(0)), batch)
    if workers <= 1:
        solve(slice(0, batch))
    else:
        size = max(1, -(-batch // (8 * workers)))
        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(solve, [slice(i, i + size) for i in range(0, batch, size)]))
    return Optimum(Action(offload, model, share), reward, limit)
