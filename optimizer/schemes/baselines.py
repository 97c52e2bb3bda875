"""The schemes that the optimum and the learned policies are compared with, each a `Policy`."""

import itertools

import numpy as np
from jaxtyping import Bool, Float64, Int64

from optimizer.errors import OptimizerError
from optimizer.network.equations import edge_delay, queue_hold, transmission_delay
from optimizer.network.outcome import evaluate
from optimizer.network.scenario import Scenario
from optimizer.network.slots import Action, State, count_tasks, send_first
from optimizer.solver.exact import optimum

MOST_COMBINATIONS = 2_000_000


def best_models(
    scenario: Scenario,
    state: State,
    offload: Bool[np.ndarray, "batch gateways width"],
    share: Float64[np.ndarray, "batch gateways"],
) -> Int64[np.ndarray, "batch gateways"]:
    """The model of highest worth for each gateway when everything else is decided."""
    shape = share.shape
    worth = [
        evaluate(scenario, state, Action(offload, np.full(shape, v, dtype=np.int64), share)).worth
        for v in range(len(scenario.models))
    ]
    return np.argmax(np.stack(worth), axis=0).astype(np.int64)


def equal_shares(scenario: Scenario, state: State) -> Float64[np.ndarray, "batch gateways"]:
    """1 / G for every gateway."""
    return np.full(state.channel.shape, 1 / scenario.gateways)


class BestPossible:
    """The exact optimum as a policy.

    Args:
        scenario: The network.
        shares: "exact" or the steps of a grid.
        rates: Only the models of these rates, e.g. (0.7,) for JOPAV1; by default all.
        equal: Give every gateway the same share of the edge and optimise the rest.
        name: For tables.
    """

    def __init__(
        self,
        scenario: Scenario,
        shares: str | int = "exact",
        rates: tuple[float, ...] | None = None,
        *,
        equal: bool = False,
        name: str = "optimum",
    ) -> None:
        self.name = name
        self._scenario = scenario if rates is None else scenario.with_models(rates)
        self._index = np.array([scenario.models.index(m) for m in self._scenario.models])
        self._shares = "exact" if shares == "exact" else int(shares)
        self._fixed = np.full(scenario.gateways, 1 / scenario.gateways) if equal else None

    def decide(self, state: State) -> Action:
        """The best decision for each slot."""
        shares = "exact" if isinstance(self._shares, str) else self._shares
        found = optimum(self._scenario, state, shares, fixed=self._fixed).action  # type: ignore[arg-type]  # "exact"
        return Action(found.offload, self._index[found.model], found.share)


class AllLocal:
    """Nothing is offloaded; each gateway runs the model that is worth most."""

    name = "all local"

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario

    def decide(self, state: State) -> Action:
        """All tasks stay."""
        offload = np.zeros(state.level.shape, np.bool_)
        share = equal_shares(self._scenario, state)
        return Action(offload, best_models(self._scenario, state, offload, share), share)


class AllEdge:
    """Everything is offloaded; the edge is shared equally."""

    name = "all edge"

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario

    def decide(self, state: State) -> Action:
        """All tasks go."""
        return Action(state.level >= 0, np.zeros(state.channel.shape, np.int64), equal_shares(self._scenario, state))


class RandomChoice:
    """Every decision uniform: a coin a task, any model, shares uniform on the simplex."""

    name = "random"

    def __init__(self, scenario: Scenario, seed: int = 0) -> None:
        self._scenario = scenario
        self._rng = np.random.default_rng(seed)

    def decide(self, state: State) -> Action:
        """Anything."""
        shape = state.channel.shape
        offload = (self._rng.random(state.level.shape) < 0.5) & (state.level >= 0)
        model = self._rng.integers(0, len(self._scenario.models), shape)
        return Action(offload, model, self._rng.dirichlet(np.ones(shape[1]), shape[0]))


class Greedy:
    """Offloads by criticality: level by level, the most critical first, as many as meet their deadline in the queue.

    The edge is shared equally; each gateway then runs the model that is worth most.
    """

    name = "greedy"

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario

    def decide(self, state: State) -> Action:
        """What the queue holds, in order of criticality."""
        scenario, share = self._scenario, equal_shares(self._scenario, state)
        levels = len(scenario.qos)
        counts = count_tasks(state, state.level >= 0, levels)[0]
        edge, sending = edge_delay(share, scenario.constants), transmission_delay(state.channel, scenario.constants)
        hold = queue_hold(state.channel, scenario.constants)
        sent = np.zeros_like(counts)
        ahead = np.zeros(share.shape, np.int64)
        for k in range(levels - 1, -1, -1):
            # (a - 1) / 2 + ahead is the mean position of a tasks of this level, eq. (7).
            last = (scenario.constants.max_delay_s[k] - edge - sending) / hold
            most = np.floor(2 * (last - ahead) + 1 - 1e-9).astype(np.int64)
            sent[:, :, k] = np.where(edge <= sending, np.clip(most, 0, counts[:, :, k]), 0)
            ahead = ahead + sent[:, :, k]
        offload = send_first(state.level, sent)
        return Action(offload, best_models(scenario, state, offload, share), share)


class Exhaustive:
    """The best of all combinations on a grid of shares, by trying them with `system.evaluate`: small networks only.

    Gateways are tried one by one for each share and then combined in every way: the reward is a sum over gateways.

    Raises:
        OptimizerError: Too many combinations.
    """

    name = "exhaustive"

    def __init__(self, scenario: Scenario, shares: int = 20) -> None:
        self._scenario, self._steps = scenario, shares
        self._splits = _compositions(shares, scenario.gateways)
        each = 2**scenario.width * len(scenario.models) * (shares + 1)
        if max(each, len(self._splits)) > MOST_COMBINATIONS:
            raise OptimizerError(
                f"exhaustive search over {scenario.sensors} sensors, {len(scenario.models)} models and {shares} shares "
                f"is too large ({max(each, len(self._splits)):.1e} combinations; at most {MOST_COMBINATIONS:.0e}).",
                "Use a network of a few sensors a gateway; `optimum` has no such limit.",
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
        return mask, model, split[None] / self._steps

    def _worth(self, state: State, g: int, offload: np.ndarray, model: np.ndarray, share: np.ndarray) -> np.ndarray:
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
