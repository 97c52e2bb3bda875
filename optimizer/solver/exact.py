"""The exact optimum of every slot: offloading, models and shares of the edge, at any size.

    from optimizer import Scenario, draw_states, optimum

    scenario = Scenario.load("paper").with_sensors(200)
    best = optimum(scenario, draw_states(scenario, 1000, seed=0))
    best.reward.mean(), best.action.share[0]

Tasks of one level at one gateway are exchangeable, and gateways meet only in sum(c_g) = 1. `one_gateway` solves a
gateway for all shares at once, `edge_shares` shares out the edge; `docs/optimum.md` has the proof.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float64

from optimizer.errors import OptimizerError
from optimizer.network.checks import check_state
from optimizer.network.rewards import REWARDS
from optimizer.network.scenario import Scenario
from optimizer.network.slots import Action, State
from optimizer.solver.factory.slots import Decided
from optimizer.solver.factory.slots import solve_slots as solve_factory_slots
from optimizer.solver.problem import Problem, make_problem
from optimizer.solver.slot_kernels import Allowed, Found, solve_slots

MOST_BOXES = 20_000
FEW = 20  # gateways: with no more, the search goes on until the optimum is proven, unless a gap is given
GAP = 1e-3  # with more gateways: the share of the reward at which the search ends
MOST_LABELS = 2_000
PROVEN = 2e-9  # rewards that differ by no more are the same


@dataclass(frozen=True, eq=False)
class Optimum:
    """The optimum of a batch of slots.

    Attributes:
        action: The decisions that attain it; `network.outcome.evaluate` gives exactly `reward` for them.
        reward: Reward of each slot.
        bound: Upper bound on the reward of any decision. On a grid it equals `reward`; over continuous shares it
            exceeds it by at most 1e-9, unless the search was allowed a gap or cut off at its limit of boxes.
    """

    action: Action
    reward: Float64[np.ndarray, " batch"]
    bound: Float64[np.ndarray, " batch"]

    @property
    def gap(self) -> Float64[np.ndarray, " batch"]:
        """The certificate: no decision's reward is higher by more than this share of it. 0 where it is the optimum."""
        missing = self.bound - self.reward
        return np.where(missing <= PROVEN, 0.0, missing / np.maximum(np.abs(self.reward), PROVEN))


def check_solvable(scenario: Scenario) -> None:
    """Refuse a network whose reward has no exact optimum.

    Raises:
        OptimizerError: The reward pays for dropped tasks (`literal`).
    """
    if not scenario.objective.solvable:
        solvable = ", ".join(name for name, reward in REWARDS.items() if reward.solvable)
        raise OptimizerError(
            f"no optimum for reward = {scenario.reward!r}: it pays for dropped tasks.", f"Choose one of {solvable}."
        )


def check_gap(gap: float | None) -> None:
    """Refuse a gap that is not a share of the reward. Raises OptimizerError."""
    if gap is not None and not 0 <= gap < 1:
        raise OptimizerError(f"--gap: expected a share of the reward from 0 to 1; got {gap:g}.", "0.001 is 0.1 %.")


def _most_boxes(gateways: int, gap: float | None) -> int:
    """How long shares are searched for: a box takes time in proportion to the gateways."""
    if gap == 0:
        return 10 * MOST_BOXES
    return MOST_BOXES if gateways <= FEW else max(1, 5 * MOST_BOXES // gateways)


def optimum(
    scenario: Scenario,
    state: State,
    shares: Literal["exact"] | int = "exact",
    *,
    fixed: Float64[np.ndarray, " gateways"] | None = None,
    gap: float | None = None,
    threads: int | None = None,
    most_boxes: int | None = None,
    most_labels: int = MOST_LABELS,
) -> Optimum:
    """The decision of highest reward in each slot of a batch.

    Args:
        scenario: The network; its `reward` says what is maximised.
        state: The slots. A sensor may be silent.
        shares: "exact" for continuous shares of the edge, or the number of steps of a grid (the paper's 20).
        fixed: Shares that are given and not chosen, e.g. equal ones.
        gap: Share of the reward that a decision may leave, at most, when the search ends; `Optimum.gap` says how much
            was proven. By default 0 with up to 20 gateways and 0.001 with more. 0 gets ten times as many boxes.
        threads: Number of threads that solve slots; by default one thread per core.
        most_boxes: Limit of the search over continuous shares; `Optimum.bound` says how much may be lost by it. By
            default 20,000 with up to 20 gateways, and 100,000 divided by the number of gateways with more.
        most_labels: Limit of the search of a gateway that works by level; `Optimum.bound` says the same of it.

    Raises:
        OptimizerError: A state that does not fit the scenario, a wrong number of steps, or a reward that has no exact
            optimum because it pays for dropped tasks (`literal`).
    """
    check_solvable(scenario)
    if shares != "exact" and (not isinstance(shares, int) or isinstance(shares, bool) or shares < 1):
        raise OptimizerError(f"--shares: expected 'exact' or a number of steps of at least 1; got {shares!r}.")
    check_state(state, scenario)
    check_gap(gap)
    problem = make_problem(scenario)
    allowed = Allowed(
        fixed=np.empty(0) if fixed is None else np.ascontiguousarray(fixed, dtype=np.float64),
        steps=0 if isinstance(shares, str) else int(shares),
        most_boxes=most_boxes or _most_boxes(scenario.gateways, gap),
        gap=(0.0 if scenario.gateways <= FEW else GAP) if gap is None else gap,
    )
    workers = min(threads or len(os.sched_getaffinity(0)), len(state))
    if scenario.can_refuse:
        return _with_refusals(scenario, problem, state, allowed, most_labels, workers)
    found = Found(
        offload=np.zeros(state.level.shape, np.bool_),
        model=np.zeros(state.channel.shape, np.int64),
        share=np.zeros(state.channel.shape),
        reward=np.zeros(len(state)),
        bound=np.zeros(len(state)),
    )

    def solve(part: slice) -> None:
        solve_slots(problem, state.channel[part], state.level[part], allowed, Found(*(x[part] for x in found)))

    _in_parallel(solve, len(state), workers)
    return Optimum(Action(found.offload, found.model, found.share), found.reward, found.bound)


def _with_refusals(
    scenario: Scenario, problem: Problem, state: State, allowed: Allowed, most_labels: int, workers: int
) -> Optimum:
    """The optimum where tasks can be refused, by `solver.factory`."""
    found = Decided(
        offload=np.zeros(state.level.shape, np.bool_),
        refused=np.zeros(state.level.shape, np.bool_),
        model=np.zeros((*state.channel.shape, len(scenario.qos)), np.int64),
        share=np.zeros(state.channel.shape),
        reward=np.zeros(len(state)),
        bound=np.zeros(len(state)),
    )

    def solve(part: slice) -> None:
        decided = Decided(*(x[part] for x in found))
        channel, level = state.channel[part], state.level[part]
        solve_factory_slots(problem, scenario.by_level, scenario.fifo, channel, level, allowed, most_labels, decided)

    _in_parallel(solve, len(state), workers)
    model = found.model if scenario.by_level else np.ascontiguousarray(found.model[:, :, 0])
    return Optimum(Action(found.offload, model, found.share, found.refused), found.reward, found.bound)


def _in_parallel(solve: Callable[[slice], None], slots: int, workers: int) -> None:
    """Solve parts of a batch on several threads."""
    if workers <= 1:
        solve(slice(0, slots))
        return
    size = max(1, -(-slots // (8 * workers)))
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(solve, [slice(i, i + size) for i in range(0, slots, size)]))
