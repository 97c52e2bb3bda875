"""AGDM: accuracy-guaranteed delay minimisation, the paper's second benchmark, after reference [28].

W. Wu, P. Yang, W. Zhang, C. Zhou and X. Shen, "Accuracy-guaranteed collaborative DNN inference in industrial IoT via
deep reinforcement learning", IEEE Trans. Ind. Informat. 17(7), 2021. There, the average delay of services is minimised
under a long-run accuracy guarantee; a Lyapunov queue of accuracy deficits turns the guarantee into a price a slot, the
edge's computing is allocated by an embedded closed form, and a DRL agent decides the rest. The next state does not
depend on what is decided, so the agent's problem is a slot at a time, and here each slot is solved by alternation
instead of learned: as good as the scheme gets.
"""

import numpy as np
from jaxtyping import Float64, Int64

from optimizer.errors import OptimizerError
from optimizer.network.scenario import Scenario
from optimizer.network.slots import PADDING, Action, State

ROUNDS = 20


class Agdm:
    """Least average delay, with a long-run accuracy guarantee a gateway and *static* criticalities.

    Criticality is drawn once, as in the paper: the scheme does not see how it changes. A gateway's guarantee is the
    mean accuracy that its static levels ask for; Z_g(t+1) = max(Z_g(t) + asked - delivered, 0), and a slot minimises
    weight * (mean delay) + sum_g Z_g * (asked - delivered) over the number of tasks sent by each gateway and the
    shares. Tasks of the highest static level are sent first. Deadlines are not known to it.

    Args:
        scenario: The network.
        rate: Pruning rate of its one model.
        weight: Of the delay against the accuracy deficit (Lyapunov's V), in 1 / slots.
        seed: Of the static criticalities.

    Raises:
        OptimizerError: No model of that rate.
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
        asked = np.where(constants.present, constants.min_accuracy[np.maximum(level, 0)], 0.0)
        self._asked = asked.sum(axis=1) / constants.groups
        # Rank of each sensor in its gateway's order of sending; absent ones come last.
        order = np.argsort(-level, axis=1, kind="stable")
        self._rank = np.empty_like(order)
        np.put_along_axis(self._rank, order, np.arange(scenario.width)[None, :], axis=1)
        self.deficit = np.zeros(scenario.gateways)

    def decide(self, state: State) -> Action:
        """The slots of the batch in order; the deficits go on to the next call."""
        batch, gateways = state.channel.shape
        sent = np.empty((batch, gateways), np.int64)
        share = np.empty((batch, gateways))
        for t in range(batch):
            sent[t], share[t] = self._slot(state.channel[t].astype(np.int64))
            delivered = 1 - (1 - self._accuracy) * (1 - sent[t] / self._scenario.constants.groups)
            self.deficit = np.maximum(self.deficit + self._asked - delivered, 0)
        offload = self._rank[None] < sent[:, :, None]
        return Action(offload, np.full((batch, gateways), self._model, dtype=np.int64), share)

    @property
    def _accuracy(self) -> float:
        return float(self._scenario.constants.accuracy[self._model])

    def _slot(
        self, channel: Int64[np.ndarray, " gateways"]
    ) -> tuple[Int64[np.ndarray, " gateways"], Float64[np.ndarray, " gateways"]]:
        """Numbers sent and shares, by alternation from two starts: each half is solved exactly."""
        best, chosen = np.inf, None
        cost = self._cost_but_edge(channel)
        for start in (np.ones(self._scenario.gateways, np.int64), self._scenario.constants.groups):
            sent = start
            for _ in range(ROUNDS):
                share = self._shares(sent)
                edge = self._scenario.constants.edge_task_s / (share + self._scenario.constants.epsilon)
                before, sent = sent, self._numbers(cost, edge)
                if np.array_equal(before, sent):
                    break
            share = self._shares(sent)
            edge = self._scenario.constants.edge_task_s / (share + self._scenario.constants.epsilon)
            total = float((cost[np.arange(len(sent)), sent] + self._unit * sent * edge).sum())
            if total < best:
                best, chosen = total, (sent, share)
        assert chosen is not None
        return chosen

    @property
    def _unit(self) -> float:
        """Cost of a second of one task's delay."""
        return self._weight / (self._scenario.sensors * self._scenario.slot_s)

    def _cost_but_edge(self, channel: Int64[np.ndarray, " gateways"]) -> Float64[np.ndarray, "gateways numbers"]:
        """Drift plus penalty of each number sent, without the edge's delay; infinite beyond a gateway's tasks."""
        constants = self._scenario.constants
        g = np.arange(len(channel))
        sent = np.arange(self._scenario.width + 1)[None, :]
        local = constants.groups[:, None] - sent
        batch = constants.local_s[g, self._model][:, : self._scenario.width + 1]
        seconds = np.take_along_axis(batch, np.maximum(local, 0), axis=1) * local
        queue = sent * constants.transmission_s[g, channel][:, None]
        queue = queue + constants.hold_s[g, channel][:, None] * sent * (sent - 1) / 2
        delivered = 1 - (1 - self._accuracy) * local / constants.groups[:, None]
        cost = self._unit * (seconds + queue) + self.deficit[:, None] * (self._asked[:, None] - delivered)
        return np.where(local < 0, np.inf, cost)

    def _numbers(
        self, cost: Float64[np.ndarray, "gateways numbers"], edge: Float64[np.ndarray, " gateways"]
    ) -> Int64[np.ndarray, " gateways"]:
        """The best number for each gateway at given shares."""
        sent = np.arange(cost.shape[1])
        return np.argmin(cost + self._unit * sent[None, :] * edge[:, None], axis=1)

    def _shares(self, sent: Int64[np.ndarray, " gateways"]) -> Float64[np.ndarray, " gateways"]:
        """The embedded allocation: sum(n_g / (c_g + epsilon)) is least at c_g + epsilon in proportion to sqrt(n_g)."""
        epsilon = self._scenario.constants.epsilon
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
