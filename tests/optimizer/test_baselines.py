"""The schemes that the optimum is compared with."""

import numpy as np
import pytest
from scipy.optimize import minimize

from optimizer import Action, OptimizerError, Scenario, draw_states, optimum
from optimizer.network.checks import check_action
from optimizer.network.outcome import evaluate
from optimizer.schemes.agdm import Agdm, least_delay_shares
from optimizer.schemes.base import Policy
from optimizer.schemes.baselines import AllEdge, AllLocal, BestPossible, Greedy
from optimizer.schemes.exhaustive import Exhaustive
from optimizer.schemes.registry import SCHEMES, make_scheme, mid_pruned

PAPER = Scenario.load("paper")
HEAVY = Scenario.load("paper-heavy")
STATE = draw_states(PAPER, 40, seed=0)


@pytest.mark.parametrize("name", SCHEMES)
def test_every_scheme_is_a_policy_whose_actions_are_valid_in_unequal_groups(name):
    scenario = PAPER.change(groups=(3, 1, 2))
    state = draw_states(scenario, 5, seed=0)
    policy = make_scheme(name, scenario, 20, 0)
    assert isinstance(policy, Policy)
    check_action(policy.decide(state), state, scenario)


def test_all_local_takes_the_model_that_earns_most():
    action = AllLocal(HEAVY).decide(STATE)
    assert not action.offload.any()
    best = evaluate(HEAVY, STATE, action).worth
    for v in range(6):
        other = type(action)(action.offload, np.full_like(action.model, v), action.share)
        assert (best >= evaluate(HEAVY, STATE, other).worth - 1e-12).all()


def test_all_edge_sends_everything():
    outcome = evaluate(PAPER, STATE, AllEdge(PAPER).decide(STATE))
    assert outcome.offloading_ratio == pytest.approx(np.ones(40))


def test_jopav1_uses_its_one_model_and_earns_less_than_jopa():
    action = BestPossible(HEAVY, rates=(0.7,)).decide(STATE)
    assert (action.model == 3).all()
    assert (evaluate(HEAVY, STATE, action).reward < optimum(HEAVY, STATE).reward).all()
    alone = HEAVY.with_models((0.7,))
    assert evaluate(HEAVY, STATE, action).reward == pytest.approx(optimum(alone, STATE).reward, abs=1e-9)


def test_equal_shares_are_equal_and_worth_less():
    action = BestPossible(PAPER, equal=True).decide(STATE)
    assert (action.share == 0.2).all()
    assert (evaluate(PAPER, STATE, action).reward <= optimum(PAPER, STATE).reward).all()


def test_greedy_sends_the_most_critical_first_and_drops_nothing_that_it_sends():
    slow = PAPER.change(groups=(40, 40), link=dict(PAPER.link) | {"task_bits": 160_000.0})
    state = draw_states(slow, 30, seed=1)
    action = Greedy(slow).decide(state)
    outcome = evaluate(slow, state, action)
    assert 0 < outcome.offloading_ratio.mean() < 1
    assert outcome.late_at_edge.sum() + outcome.edge_slower.sum() == 0
    sent, kept = outcome.offloaded, outcome.local
    for k in range(1, 6):  # where a level is sent in part, what is less critical waits for places behind it
        full = kept[:, :, k] == 0
        assert (sent[:, :, k][full] == (sent + kept)[:, :, k][full]).all()
    last = outcome.queueing_s + slow.constants.hold_s[0, 0] / 2
    assert last.max() <= 1.0 + 0.2


@pytest.mark.parametrize("name", ["paper", "paper-heavy", "paper-printed"])
def test_exhaustive_search_agrees_with_the_dynamic_programme(name):
    scenario = Scenario.load(name).change(groups=(2, 2, 2))
    state = draw_states(scenario, 10, seed=4)
    found = evaluate(scenario, state, Exhaustive(scenario, 20).decide(state)).reward
    assert found == pytest.approx(optimum(scenario, state, 20).reward, abs=1e-9)


def test_exhaustive_search_refuses_large_networks():
    with pytest.raises(OptimizerError, match="too large"):
        Exhaustive(PAPER)


# AGDM.


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
    outcome = evaluate(scenario, state, Action(offload, np.full((1, 2), 3), share[None]))
    delay = np.nansum(outcome.delay_of_tasks(state, offload)) / 9
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


def test_the_papers_order_of_schemes_holds_in_paper_heavy():
    """Fig. 9(d) and (f): JOPA, then JOPAV1, then AGDM; AGDM drops most."""
    state = draw_states(HEAVY, 200, seed=0)
    outcomes = [
        evaluate(HEAVY, state, make_scheme(n, HEAVY, "exact", 0).decide(state)) for n in ("optimum", "jopav1", "agdm")
    ]
    used = [o.overall_utilization.mean() for o in outcomes]
    assert used == sorted(used, reverse=True)
    assert outcomes[2].drop_ratio.mean() > outcomes[1].drop_ratio.mean() == outcomes[0].drop_ratio.mean() == 0


def test_the_mid_pruned_model_is_the_nearest_to_0_7():
    assert mid_pruned(PAPER) == 0.7
    assert mid_pruned(PAPER.with_models((0.1, 0.5, 0.9))) in (0.5, 0.9)
    with pytest.raises(OptimizerError, match="no model of rate"):
        Agdm(PAPER, rate=0.6)
    with pytest.raises(OptimizerError, match="no scheme"):
        make_scheme("best", PAPER, "exact", 0)
