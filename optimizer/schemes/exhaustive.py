"""The best of all combinations by trying them: a check of the exact solver, for networks of a few sensors."""

import itertools

import numpy as np
from jaxtyping import Int64

from optimizer.errors import OptimizerError
from optimizer.network.outcome import evaluate
from optimizer.network.scenario import Scenario
from optimizer.network.slots import Action, State

MOST_COMBINATIONS = 2_000_000


class Exhaustive:
    """The best of all combinations on a grid of shares, each tried with `network.outcome.evaluate`.

    Gateways are tried one by one for each share and then combined in every way, as the reward is a sum over gateways.

    Args:
        scenario: A small network.
        shares: Number of steps of the grid of shares.

    Raises:
        OptimizerError: Too many combinations, or a network in which tasks can be refused.
    """

    name = "exhaustive"

    def __init__(self, scenario: Scenario, shares: int = 20) -> None:
        if scenario.can_refuse:
            raise OptimizerError(
                "exhaustive: it tries the paper's decisions only, without models by level and refused tasks.",
                'Use `optimum`, or a network with execution = "one batch" and queue = "none".',
            )
        self._scenario, self._steps = scenario, shares
        self._splits = _compositions(shares, scenario.gateways)
        each = 2**scenario.width * len(scenario.models) * (shares + 1)
        if max(each, len(self._splits)) > MOST_COMBINATIONS:
            raise OptimizerError(
                f"exhaustive search over {scenario.sensors} sensors, {len(scenario.models)} models and {shares} shares "
                f"is too large ({max(each, len(self._splits)):.1e} combinations; at most {MOST_COMBINATIONS:.0e}).",
                "Use a network of a few sensors per gateway; `optimum` has no such limit.",
            )

    def decide(self, state: State) -> Action:
        """The best combination of each slot."""
        parts = [self._slot(state[i : i + 1]) for i in range(len(state))]
        return Action(*(np.concatenate(x) for x in zip(*parts, strict=True)))

    def _slot(self, state: State) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        scenario, gateways = self._scenario, self._scenario.gateways
        best = np.empty((gateways, self._steps + 1))
        masks, models = [], []
        for g in range(gateways):
            tasks = scenario.groups[g]
            offload = np.array(list(itertools.product([False, True], repeat=tasks)))
            shape = (len(offload), len(scenario.models), self._steps + 1)
            o, v, z = (x.ravel() for x in np.indices(shape))
            worth = self._worth(state, g, offload[o], v, z / self._steps).reshape(-1, self._steps + 1)
            best[g] = worth.max(axis=0)
            chosen = worth.argmax(axis=0)
            masks.append(offload[chosen // len(scenario.models)])
            models.append(chosen % len(scenario.models))
        totals = best[np.arange(gateways), self._splits].sum(axis=1)
        split = self._splits[int(totals.argmax())]
        mask = np.zeros((1, gateways, scenario.width), np.bool_)
        for g in range(gateways):
            mask[0, g, : scenario.groups[g]] = masks[g][split[g]]
        model = np.array([[models[g][split[g]] for g in range(gateways)]], dtype=np.int64)
        return mask & (state.level >= 0), model, split[None] / self._steps

    def _worth(self, state: State, g: int, offload: np.ndarray, model: np.ndarray, share: np.ndarray) -> np.ndarray:
        """What gateway g adds to the reward with each of these decisions."""
        count, gateways = len(model), self._scenario.gateways
        mask = np.zeros((count, gateways, self._scenario.width), np.bool_)
        mask[:, g, : offload.shape[1]] = offload
        models = np.zeros((count, gateways), np.int64)
        models[:, g] = model
        shares = np.zeros((count, gateways))
        shares[:, g] = share
        many = State(np.repeat(state.channel, count, axis=0), np.repeat(state.level, count, axis=0))
        return evaluate(self._scenario, many, Action(mask, models, shares)).worth[:, g]


def _compositions(total: int, parts: int) -> Int64[np.ndarray, "count parts"]:
    """All ways to split `total` steps over `parts` gateways."""
    found = [()] if parts > 1 else [(total,)]
    for place in range(parts - 1):
        found = [(*x, n) for x in found for n in range(total - sum(x) + 1)]
        if place == parts - 2:
            found = [(*x, total - sum(x)) for x in found]
        if len(found) > MOST_COMBINATIONS:
            break
    return np.array(found, dtype=np.int64)
