"""The simple schemes that the optimum and the learned policies are compared with, each a `Policy`."""

import numpy as np
from jaxtyping import Bool, Float64, Int64

from optimizer.network.equations import edge_delay, queue_hold, transmission_delay
from optimizer.network.outcome import evaluate
from optimizer.network.scenario import Scenario
from optimizer.network.slots import Action, State, count_tasks, send_first
from optimizer.solver.exact import optimum


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
        shares: "exact" for continuous shares of the edge, or the number of steps of a grid.
        rates: Pruning rates of the models that may be used, e.g. (0.7,) for JOPAV1; by default all.
        equal: Give every gateway the same share of the edge and optimise the rest.
        name: Name in tables.
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
        self._steps = None if shares == "exact" else int(shares)
        self._fixed = np.full(scenario.gateways, 1 / scenario.gateways) if equal else None

    def decide(self, state: State) -> Action:
        """The best decision for each slot."""
        found = optimum(self._scenario, state, self._steps or "exact", fixed=self._fixed).action
        return Action(found.offload, self._index[found.model], found.share)


class AllLocal:
    """Nothing is offloaded; each gateway runs the model that is worth most."""

    name = "all local"

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario

    def decide(self, state: State) -> Action:
        """Keep all tasks on the gateways."""
        offload = np.zeros(state.level.shape, np.bool_)
        share = equal_shares(self._scenario, state)
        return Action(offload, best_models(self._scenario, state, offload, share), share)


class AllEdge:
    """Everything is offloaded; the edge is shared equally."""

    name = "all edge"

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario

    def decide(self, state: State) -> Action:
        """Send all tasks to the edge."""
        return Action(state.level >= 0, np.zeros(state.channel.shape, np.int64), equal_shares(self._scenario, state))


class RandomChoice:
    """Every decision is uniform: a coin for each task, any model, and shares uniform on the simplex."""

    name = "random"

    def __init__(self, scenario: Scenario, seed: int = 0) -> None:
        self._scenario = scenario
        self._rng = np.random.default_rng(seed)

    def decide(self, state: State) -> Action:
        """Draw a decision for each slot."""
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
        """Fill each gateway's queue in order of criticality."""
        scenario, share = self._scenario, equal_shares(self._scenario, state)
        constants, levels = scenario.constants, len(scenario.qos)
        counts = count_tasks(state, state.level >= 0, levels)[0]
        edge, sending = edge_delay(share, constants), transmission_delay(state.channel, constants)
        hold = queue_hold(state.channel, constants)
        sent = np.zeros_like(counts)
        ahead = np.zeros(share.shape, np.int64)
        for k in range(levels - 1, -1, -1):
            # (a - 1) / 2 + ahead is the mean position of a tasks of this level, eq. (7).
            last = (constants.max_delay_s[k] - edge - sending) / hold
            most = np.floor(2 * (last - ahead) + 1 - 1e-9).astype(np.int64)
            sent[:, :, k] = np.where(edge <= sending, np.clip(most, 0, counts[:, :, k]), 0)
            ahead = ahead + sent[:, :, k]
        offload = send_first(state.level, sent)
        return Action(offload, best_models(scenario, state, offload, share), share)
