"""AGDM: accuracy-guaranteed delay minimisation, the paper's second benchmark, after reference [28].

W. Wu, P. Yang, W. Zhang, C. Zhou and X. Shen, "Accuracy-guaranteed collaborative DNN inference in industrial IoT via
deep reinforcement learning", IEEE Trans. Ind. Informat. 17(7), 2021. There, the average delay of services is minimised
under a long-run accuracy guarantee; a Lyapunov queue of accuracy deficits turns the guarantee into a price in each
slot, the edge's computing is allocated by an embedded closed form, and a DRL agent decides the rest. The next state
does not depend on what is decided, so the agent's problem falls apart into slots, and here each slot is solved by
alternation instead of learned: as good as the scheme gets.
"""

import numpy as np
from jaxtyping import Float64, Int64

from optimizer.errors import OptimizerError
from optimizer.network.scenario import Scenario
from optimizer.network.slots import PADDING, Action, State

ROUNDS = 20  # of the alternation; it settles after a few

Numbers = Int64[np.ndarray, " gateways"]
Shares = Float64[np.ndarray, " gateways"]


def least_delay_shares(sent: Numbers, epsilon: float) -> Shares:
    """The shares at which the offloaded tasks spend the least time at the edge.

    The embedded allocation of the scheme: sum(n_g / (c_g + epsilon)) is least when c_g + epsilon is proportional to
    sqrt(n_g), where a gateway whose share would be negative gets none.

    Args:
        sent: Number of tasks that each gateway sends, n_g.
        epsilon: Regularisation of eq. (3).

    Returns:
        Shares of at least 0 that sum to 1; equal ones if nothing is sent.
    """
    share = np.zeros(len(sent))
    active = sent > 0
    if not active.any():
        return np.full(len(sent), 1 / len(sent))
    while True:
        root = np.sqrt(sent[active])
        wanted = root * (1 + active.sum() * epsilon) / root.sum() - epsilon
        if wanted.min() >= 0:
            share[active] = wanted
            return share
        active[np.flatnonzero(active)[wanted < 0]] = False


class Agdm:
    """Least average delay, with a long-run accuracy guarantee for each gateway and *static* criticalities.

    Criticality is drawn once, as in the paper: the scheme does not see how it changes. A gateway's guarantee is the
    mean accuracy that its static levels ask for; Z_g(t+1) = max(Z_g(t) + asked - delivered, 0), and a slot minimises
    weight * (mean delay) + sum_g Z_g * (asked - delivered) over the number of tasks sent by each gateway and the
    shares. Tasks of the highest static level are sent first. The scheme does not know deadlines.

    Args:
        scenario: The network.
        rate: Pruning rate of the one model that it uses.
        weight: Weight of the delay against the accuracy deficit (Lyapunov's V), per slot of delay.
        seed: Random seed for the static criticalities.

    Attributes:
        asked: Mean accuracy that each gateway's static levels ask for.
        deficit: Z_g, each gateway's accuracy deficit so far.

    Raises:
        OptimizerError: The scenario has no model of that rate.
    """

    name = "AGDM"

    def __init__(self, scenario: Scenario, rate: float = 0.7, weight: float = 1.0, seed: int = 0) -> None:
        rates = [m.rate for m in scenario.models]
        near = [i for i, r in enumerate(rates) if abs(r - rate) < 1e-9]
        if not near:
            raise OptimizerError(
                f"AGDM: no model of rate {rate:g}.", f"There are {', '.join(f'{r:g}' for r in rates)}."
            )
        self._scenario, self._model, self._weight = scenario, near[0], weight
        constants = scenario.constants
        rng = np.random.default_rng(seed)
        level = rng.choice(len(scenario.qos), size=constants.present.shape, p=constants.level_probability)
        level = np.where(constants.present, level, PADDING)
        wanted = np.where(constants.present, constants.min_accuracy[np.maximum(level, 0)], 0.0)
        self.asked = wanted.sum(axis=1) / constants.groups
        self._order = np.argsort(-level, axis=1, kind="stable")  # sensors in their order of sending
        self.deficit = np.zeros(scenario.gateways)

    def decide(self, state: State) -> Action:
        """Decide the slots of the batch in order; the deficits carry over to the next call."""
        batch, gateways = state.channel.shape
        sent = np.empty((batch, gateways), np.int64)
        share = np.empty((batch, gateways))
        active = state.level != PADDING
        tasks = active.sum(axis=2)
        for t in range(batch):
            channel = state.channel[t].astype(np.int64)
            sent[t], share[t] = self.solve(channel, tasks[t])
            missing = self.asked - self._delivered(sent[t], tasks[t])
            self.deficit = np.maximum(self.deficit + np.where(tasks[t] > 0, missing, 0.0), 0)
        order = np.broadcast_to(self._order, active.shape)
        place = np.empty(active.shape, np.int64)  # each task's place in its gateway's order of sending
        np.put_along_axis(place, order, np.take_along_axis(active, order, axis=2).cumsum(axis=2) - 1, axis=2)
        offload = active & (place < sent[:, :, None])
        return Action(offload, np.full((batch, gateways), self._model, dtype=np.int64), share)

    def solve(self, channel: Numbers, tasks: Numbers) -> tuple[Numbers, Shares]:
        """One slot: the numbers of tasks sent and the shares, at the present deficits.

        The two are improved in turn from two starts, each half exactly.

        Args:
            channel: Index of each gateway's channel state.
            tasks: Number of tasks of each gateway.
        """
        best, chosen = np.inf, None
        epsilon = self._scenario.constants.epsilon
        apart = self._cost_but_edge(channel, tasks)
        for start in (np.minimum(tasks, 1), tasks):
            sent = start
            for _ in range(ROUNDS):
                cost = apart + self._edge_cost(tasks, least_delay_shares(sent, epsilon))
                before, sent = sent, np.argmin(cost, axis=1)
                if np.array_equal(before, sent):
                    break
            share = least_delay_shares(sent, epsilon)
            total = self._total(apart + self._edge_cost(tasks, share), sent)
            if total < best:
                best, chosen = total, (sent, share)
        assert chosen is not None
        return chosen

    def cost(self, channel: Numbers, tasks: Numbers, sent: Numbers, share: Shares) -> float:
        """Drift plus penalty of a decision in one slot, which `solve` makes least."""
        return self._total(self._cost_but_edge(channel, tasks) + self._edge_cost(tasks, share), sent)

    @staticmethod
    def _total(cost: Float64[np.ndarray, "gateways numbers"], sent: Numbers) -> float:
        return float(cost[np.arange(len(sent)), sent].sum())

    def _delivered(self, sent: np.ndarray, tasks: np.ndarray) -> np.ndarray:
        """Mean accuracy of a gateway's tasks when so many are sent to the complete model; 1 for a gateway without."""
        accuracy = self._scenario.constants.accuracy[self._model]
        return 1 - (1 - accuracy) * (tasks - sent) / np.maximum(tasks, 1)

    def _unit(self, tasks: Numbers) -> float:
        """Cost of a second of one task's delay."""
        return self._weight / (max(int(tasks.sum()), 1) * self._scenario.slot_s)

    def _cost_but_edge(self, channel: Numbers, tasks: Numbers) -> Float64[np.ndarray, "gateways numbers"]:
        """Drift plus penalty of each number sent, without the time at the edge; infinite for more than the tasks."""
        constants = self._scenario.constants
        g = np.arange(len(channel))
        sent = np.arange(self._scenario.width + 1)[None, :]
        local = tasks[:, None] - sent
        seconds = np.take_along_axis(constants.local_s[g, self._model], np.maximum(local, 0), axis=1) * local
        queue = sent * constants.transmission_s[g, channel][:, None]
        # The places of a queue add up to sent (sent - 1) / 2, eq. (7).
        queue = queue + constants.hold_s[g, channel][:, None] * sent * (sent - 1) / 2
        missing = self.asked[:, None] - self._delivered(sent, tasks[:, None])
        cost = self._unit(tasks) * (seconds + queue) + self.deficit[:, None] * missing
        return np.where(local < 0, np.inf, cost)

    def _edge_cost(self, tasks: Numbers, share: Shares) -> Float64[np.ndarray, "gateways numbers"]:
        """The part of the cost that is the time at the edge, for each number sent."""
        edge = self._scenario.constants.edge_task_s / (share + self._scenario.constants.epsilon)
        return self._unit(tasks) * np.arange(self._scenario.width + 1)[None, :] * edge[:, None]
