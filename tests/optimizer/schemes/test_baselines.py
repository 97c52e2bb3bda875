"""The schemes that the optimum is compared with."""

import numpy as np
import pytest

from optimizer import OptimizerError, Scenario, draw_states, optimum
from optimizer.network.checks import check_action
from optimizer.network.outcome import evaluate
from optimizer.schemes.base import Policy
from optimizer.schemes.baselines import AllEdge, AllLocal, BestPossible, Greedy
from optimizer.schemes.exhaustive import Exhaustive
from optimizer.schemes.registry import SCHEMES, make_scheme

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


def test_the_papers_order_of_schemes_holds_in_paper_heavy():
    """Fig. 9(d) and (f): JOPA, then JOPAV1, then AGDM; AGDM drops most."""
    state = draw_states(HEAVY, 200, seed=0)
    outcomes = [
        evaluate(HEAVY, state, make_scheme(n, HEAVY, "exact", 0).decide(state)) for n in ("optimum", "jopav1", "agdm")
    ]
    used = [o.overall_utilization.mean() for o in outcomes]
    assert used == sorted(used, reverse=True)
    assert outcomes[2].drop_ratio.mean() > outcomes[1].drop_ratio.mean() == outcomes[0].drop_ratio.mean() == 0
