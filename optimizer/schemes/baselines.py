"""The simple schemes that the optimum and the learned policies are compared with, each a `Policy`."""

import numpy as np
from jaxtyping import Bool, Float64, Int64

from optimizer.network.equations import Counts, Gateways, edge_delay, queue_hold, tasks_ahead, transmission_delay
from optimizer.network.fates import places_within
from optimizer.network.outcome import evaluate
from optimizer.network.parts import LocalModel
from optimizer.network.scenario import Scenario
from optimizer.network.slots import Action, State, count_tasks, send_first
from optimizer.schemes.by_level import work_by_level
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
        gap: Share of the reward that may be left, as in `optimum`.
        name: Name in tables.

    Attributes:
        largest_gap: The largest `Optimum.gap` of all slots decided so far.
    """

    def __init__(
        self,
        scenario: Scenario,
        shares: str | int = "exact",
        rates: tuple[float, ...] | None = None,
        *,
        equal: bool = False,
        gap: float | None = None,
        name: str = "optimum",
    ) -> None:
        self.name = name
        self.largest_gap = 0.0
        self._gap = gap
        self._scenario = scenario if rates is None else scenario.with_models(rates)
        self._index = np.array([scenario.models.index(m) for m in self._scenario.models])
        self._steps = None if shares == "exact" else int(shares)
        self._fixed = np.full(scenario.gateways, 1 / scenario.gateways) if equal else None

    def decide(self, state: State) -> Action:
        """The best decision for each slot."""
        best = optimum(self._scenario, state, self._steps or "exact", fixed=self._fixed, gap=self._gap)
        self.largest_gap, found = max(self.largest_gap, float(best.gap.max(initial=0.0))), best.action
        return Action(found.offload, self._index[found.model], found.share, found.refused)


def paper_problem(scenario: Scenario, model: LocalModel | None = None) -> Scenario:
    """The same network as the paper would see it: one batch per gateway, (17f) and no refusals.

    The reward `service` becomes `goodput`: its price on delay, which decides between equals, would make the search for
    the optimum of an overloaded network some hundred times as long.

    Args:
        scenario: A network of a factory.
        model: The one model that may be used; None for all.
    """
    return scenario.change(
        gateway=scenario.gateway.model_copy(update={"execution": "one batch"}),
        edge=scenario.edge.model_copy(update={"queue": "none"}),
        models=scenario.models if model is None else (model,),
        reward="goodput" if scenario.reward == "service" else scenario.reward,
    )


class PaperOptimum:
    """The exact optimum of the paper's problem, carried out in a network that queues tasks at the edge.

    Args:
        scenario: The network of a factory.
        shares: "exact" for continuous shares of the edge, or the number of steps of a grid.
        model: The one model that may be used, for JOPAV1; None for all.
        gap: Share of the reward that may be left, as in `optimum`.
        name: Name in tables.
    """

    def __init__(
        self,
        scenario: Scenario,
        shares: str | int = "exact",
        model: LocalModel | None = None,
        *,
        gap: float | None = None,
        name: str,
    ) -> None:
        self.name = name
        self._model = None if model is None else scenario.models.index(model)
        self._policy = BestPossible(paper_problem(scenario, model), shares, gap=gap, name=name)

    def decide(self, state: State) -> Action:
        """The best decision of the paper's problem for each slot."""
        found = self._policy.decide(state)
        model = found.model if self._model is None else np.full_like(found.model, self._model)
        return Action(found.offload, model, found.share)


def keep_by_level(
    scenario: Scenario,
    state: State,
    offload: Bool[np.ndarray, "batch gateways width"],
    share: Float64[np.ndarray, "batch gateways"],
) -> Action:
    """Keep by level what is not offloaded, as far as it is served in time; the rest is refused."""
    asking = count_tasks(state, offload, len(scenario.qos))[1]
    kept, model = work_by_level(scenario, asking)
    rest = np.where(offload, np.int8(-1), state.level)
    refused = (rest >= 0) & ~send_first(rest, kept)
    return Action(offload, model, share, refused)


class AllLocal:
    """Nothing is offloaded.

    In one batch each gateway runs the model that is worth most. By level, it serves what fits before the deadlines, the
    most critical first, and refuses the rest.

    Args:
        scenario: The network.
        by_level: Whether to work by level; by default as the network does.
        name: Name in tables.
    """

    def __init__(self, scenario: Scenario, *, by_level: bool | None = None, name: str = "all local") -> None:
        self.name = name
        self._scenario = scenario
        self._by_level = scenario.by_level if by_level is None else by_level

    def decide(self, state: State) -> Action:
        """Keep all tasks on the gateways."""
        offload = np.zeros(state.level.shape, np.bool_)
        share = equal_shares(self._scenario, state)
        if self._by_level:
            return keep_by_level(self._scenario, state, offload, share)
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

    The edge is shared equally; each gateway then runs the model that is worth most, or works by level.
    """

    name = "greedy"

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario

    def decide(self, state: State) -> Action:
        """Fill each gateway's queue in order of criticality."""
        scenario, share = self._scenario, equal_shares(self._scenario, state)
        counts = count_tasks(state, state.level >= 0, len(scenario.qos))[0]
        sent = (_fill_fifo if scenario.fifo else _fill_queue)(scenario, state, counts, share)
        offload = send_first(state.level, sent)
        if scenario.by_level:
            return keep_by_level(scenario, state, offload, share)
        return Action(offload, best_models(scenario, state, offload, share), share)


def _fill_queue(scenario: Scenario, state: State, counts: Counts, share: Gateways) -> Counts:
    """How many tasks of each level meet their deadline in the paper's queue, where equals share their mean wait."""
    constants = scenario.constants
    edge, sending = edge_delay(share, constants), transmission_delay(state.channel, constants)
    hold = queue_hold(state.channel, constants)
    sent = np.zeros_like(counts)
    ahead = np.zeros(share.shape, np.int64)
    for k in range(len(scenario.qos) - 1, -1, -1):
        # (a - 1) / 2 + ahead is the mean position of a tasks of this level, eq. (7).
        last = (constants.max_delay_s[k] - edge - sending) / hold
        most = np.floor(2 * (last - ahead) + 1 - 1e-9).astype(np.int64)
        sent[:, :, k] = np.where(edge <= sending, np.clip(most, 0, counts[:, :, k]), 0)
        ahead = ahead + sent[:, :, k]
    return sent


def _fill_fifo(scenario: Scenario, state: State, counts: Counts, share: Gateways) -> Counts:
    """How many tasks of each level meet their deadline in a queue where every task has a place of its own."""
    constants, shape = scenario.constants, counts.shape
    edge, sending = edge_delay(share, constants), transmission_delay(state.channel, constants)
    spacing = np.maximum(queue_hold(state.channel, constants), edge)
    base, wide = (np.broadcast_to(x[..., None], shape) for x in (edge + sending, spacing))
    places = places_within(base, wide, np.broadcast_to(constants.max_delay_s, shape))
    sent = np.zeros_like(counts)
    for k in range(len(scenario.qos) - 1, -1, -1):
        sent[:, :, k] = np.clip(places[:, :, k] - tasks_ahead(sent)[:, :, k], 0, counts[:, :, k])
    return sent
