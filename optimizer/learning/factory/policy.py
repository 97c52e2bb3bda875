"""How the policy of a factory's network decides: the best decision that a search finds on what has been learned.

It is told the tasks, the channel states, the deadlines, and the prices of the reward (of delay, busy time and lost
tasks). What batches, sending and answers take and are worth is `FactoryLaws`.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from optimizer.learning.factory.laws import FactoryLaws
from optimizer.learning.factory.local_batches import Rules
from optimizer.learning.factory.one_gateway import Best
from optimizer.learning.factory.shares import Network, Prices, decide_slots
from optimizer.network.scenario import Scenario
from optimizer.network.slots import PADDING, Action, State, count_tasks, send_first

Counts = Int64[np.ndarray, "batch gateways levels"]


@dataclass(frozen=True, eq=False)
class Decision:
    """Decisions by numbers of tasks, and what is expected of them.

    Attributes:
        sent: Tasks of each level that are sent.
        kept: Tasks of each level that stay; all others are refused.
        model: The model of each level.
        share: Shares of the edge.
        worth: What is expected of each slot.
    """

    sent: Counts
    kept: Counts
    model: Counts
    share: Float64[np.ndarray, "batch gateways"]
    worth: Float64[np.ndarray, " batch"]


def count_levels(state: State, scenario: Scenario) -> Counts:
    """Tasks of each level at each gateway."""
    return count_tasks(state, state.level != PADDING, len(scenario.qos))[0]


def decide(
    laws: FactoryLaws, scenario: Scenario, state: State, margins: tuple[float, float] | None = None, *,
    thorough: bool = True,
) -> Decision:  # fmt: skip
    """The best decision that is found for each slot.

    Args:
        laws: What has been learned.
        scenario: The network: its sizes, deadlines and prices are used, none of its times and accuracies.
        state: The slots.
        margins: Margins on local times and on the way by the edge; by default the learned ones.
        thorough: Whether decisions are improved by coordinate ascent.
    """
    local, by_edge = laws.margins if margins is None else margins
    objective = scenario.objective
    counts = count_levels(state, scenario)
    rules = Rules(
        by_level=scenario.by_level,
        fifo=scenario.fifo,
        deadline=np.array([level.max_delay_s for level in scenario.qos]),
        usable=laws.usable,
        answer=laws.answer,
        edge_answer=float(laws.edge_answer[0]),
        busy=0.0,
        local_busy=0.0,
        local_delay=0.0,
        edge_delay=0.0,
        per_task=0.0,
        penalty=0.0,
    )
    prices = Prices(objective.busy / scenario.slot_s, objective.delay / scenario.slot_s, float(scenario.penalty))
    network = Network(
        laws.batch_seconds(scenario.width) * (1 + local), laws.sending_s, laws.hold_s, float(laws.edge[0]),
        float(laws.edge[1]), 1.0 + local, 1.0 + by_edge,
    )  # fmt: skip
    share = np.zeros(state.channel.shape)
    found = Best(np.zeros_like(counts), np.zeros_like(counts), np.zeros_like(counts))
    channel = state.channel.astype(np.int64)
    worth = decide_slots(rules, prices, network, counts, channel, thorough, found, share)
    return Decision(found.sent, found.kept, found.model, share / share.sum(axis=1, keepdims=True), worth)


def to_action(decision: Decision, scenario: Scenario, state: State) -> Action:
    """A decision by numbers of tasks as one over tasks: the first ones of a level are sent, the next ones refused."""
    refused = count_levels(state, scenario) - decision.sent - decision.kept
    sent = send_first(state.level, decision.sent)
    away = send_first(state.level, decision.sent + refused)
    model = decision.model if scenario.by_level else decision.model[:, :, 0]
    return Action(sent, model, decision.share, away & ~sent)
