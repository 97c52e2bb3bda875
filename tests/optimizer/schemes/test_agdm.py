"""AGDM: its cost, its alternation and its guarantee."""

import numpy as np
import pytest
from scipy.optimize import minimize

from optimizer import Action, OptimizerError, Scenario, draw_states
from optimizer.network.outcome import evaluate
from optimizer.schemes.agdm import Agdm, least_delay_shares

PAPER = Scenario.load("paper")
HEAVY = Scenario.load("paper-heavy")


def test_agdms_shares_are_those_of_a_general_optimiser():
    epsilon = PAPER.constants.epsilon
    for sent in ([1, 4, 9, 0, 16], [20, 1, 1, 1, 1], [0, 0, 3, 0, 0]):
        numbers = np.array(sent)
        shares = least_delay_shares(numbers, epsilon)
        assert shares.sum() == pytest.approx(1)
        assert (shares[numbers == 0] == 0).all()

        def cost(c, numbers=numbers):
            return float((numbers / (np.abs(c) / np.abs(c).sum() + epsilon)).sum())

        active = np.maximum(numbers, 1e-3) / np.maximum(numbers, 1e-3).sum()
        best = minimize(cost, active, method="Nelder-Mead", options={"maxiter": 20_000, "fatol": 1e-9, "xatol": 1e-9})
        assert cost(shares) <= best.fun * (1 + 1e-6)


def test_agdms_cost_is_the_mean_delay_and_the_price_of_missing_accuracy():
    """By evaluating the decision: without deadlines every task counts, served or not."""
    scenario = HEAVY.change(groups=(5, 4))
    agdm = Agdm(scenario, weight=2.0, seed=1)
    agdm.deficit = np.array([0.03, 0.4])
    state = draw_states(scenario, 1, seed=0)
    sent, share = np.array([3, 1]), np.array([0.7, 0.3])
    offload = np.arange(5)[None, None] < sent[None, :, None]
    made = Action(offload, np.full((1, 2), 3), share[None])
    delay = np.nansum(evaluate(scenario, state, made).delay_of_tasks(state, made)) / 9
    accuracy = scenario.models[3].accuracy
    missing = [agdm.asked[0] - (2 * accuracy + 3) / 5, agdm.asked[1] - (3 * accuracy + 1) / 4]
    expected = 2.0 * delay + 0.03 * missing[0] + 0.4 * missing[1]
    channel = state.channel[0].astype(int)
    assert agdm.cost(channel, np.array([5, 4]), sent, share) == pytest.approx(expected)


def test_agdms_decision_is_the_least_cost_of_all_numbers_sent():
    """Drift plus penalty by trying every combination of numbers, at the shares that are best for each."""
    scenario = HEAVY.change(groups=(5, 4))
    agdm = Agdm(scenario, weight=2.0, seed=1)
    agdm.deficit = np.array([0.03, 0.4])
    channel, tasks = np.array([0, 2]), np.array([5, 4])

    def total(numbers):
        return agdm.cost(channel, tasks, numbers, least_delay_shares(numbers, scenario.constants.epsilon))

    sent, share = agdm.solve(channel, tasks)
    assert agdm.cost(channel, tasks, sent, share) == pytest.approx(total(sent))
    assert total(sent) == pytest.approx(min(total(np.array([a, b])) for a in range(6) for b in range(5)))


def test_agdm_keeps_its_accuracy_guarantee_in_the_long_run():
    """The deficit stays bounded, so the mean accuracy delivered reaches what the static levels ask for."""
    state = draw_states(HEAVY, 600, seed=0)
    agdm = Agdm(HEAVY, weight=1.0)
    action = agdm.decide(state)
    accuracy = HEAVY.constants.accuracy[3]
    delivered = 1 - (1 - accuracy) * (~action.offload).mean(axis=(0, 2))
    assert (delivered >= agdm.asked - 0.002).all()
    assert agdm.deficit.max() < 5


def test_agdm_goes_on_where_it_stopped():
    whole, parts = Agdm(HEAVY), Agdm(HEAVY)
    state = draw_states(HEAVY, 30, seed=2)
    once = whole.decide(state)
    twice = [parts.decide(state[:11]), parts.decide(state[11:])]
    assert np.array_equal(once.offload, np.concatenate([a.offload for a in twice]))


def test_agdm_ignores_how_criticality_changes():
    """Static requirements: the same channels, other criticalities, the same decision."""
    first = draw_states(PAPER, 10, seed=0)
    other = type(first)(first.channel, draw_states(PAPER, 10, seed=9).level)
    assert np.array_equal(Agdm(PAPER).decide(first).offload, Agdm(PAPER).decide(other).offload)


def test_agdm_without_the_models_rate_is_refused():
    with pytest.raises(OptimizerError, match="no model of rate"):
        Agdm(PAPER, rate=0.6)
