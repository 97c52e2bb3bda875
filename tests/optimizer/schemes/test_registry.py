"""Schemes by name: a new one is an object and a line in the registry."""

import json

import numpy as np
import pytest

from optimizer import Action, OptimizerError, Scenario, draw_states, evaluate, make_scheme
from optimizer.evaluation.compare import compare
from optimizer.schemes.registry import SCHEMES, Scheme, Search, mid_pruned
from optimizer.schemes.rollout import carry_out, run_policy
from optimizer.solve import SolveConfig, run

PAPER = Scenario.load("paper")


class OddTasks:
    """Every other task goes to the edge, whatever it is."""

    name = "odd tasks"

    def __init__(self, scenario):
        self.scenario, self.calls = scenario, 0

    def decide(self, state):
        self.calls += 1
        offload = (state.level >= 0) & (np.arange(state.level.shape[2]) % 2 == 1)
        shape = state.channel.shape
        return Action(offload, np.zeros(shape, np.int64), np.full(shape, 1 / shape[1]))


@pytest.fixture
def toy(monkeypatch):
    """The recipe for a new scheme: a policy and a line in the registry."""
    monkeypatch.setitem(SCHEMES, "odd", Scheme("odd", "odd tasks", "every other task", lambda s, *_: OddTasks(s)))


def test_a_toy_scheme_is_compared_with_the_optimum(toy):
    state = draw_states(PAPER, 20, seed=0)
    found = compare(PAPER, state, {}, ["odd"], seed=0)
    outcome = evaluate(PAPER, state, OddTasks(PAPER).decide(state))
    assert found.policies["odd"].summary.reward == pytest.approx(outcome.reward.mean())
    assert found.policies["odd"].summary.offloading_ratio == pytest.approx(0.5)
    assert found.policies["odd"].gap > 0


def test_a_toy_scheme_is_solved_by_the_command(toy, tmp_path, capsys):
    out = tmp_path / "solved.json"
    run(SolveConfig(slots=5, schemes=("optimum", "odd"), json=out))
    assert "odd tasks" in capsys.readouterr().out
    assert [r["scheme"] for r in json.loads(out.read_text())["runs"]] == ["optimum", "odd tasks"]


def test_a_rollout_decides_in_chunks_and_checks_what_was_decided():
    state = draw_states(PAPER, 10, seed=0)
    policy = OddTasks(PAPER)
    action, outcome = carry_out(PAPER, state, policy, chunk=4)
    assert policy.calls == 3
    assert len(action) == 10
    assert outcome.reward == pytest.approx(run_policy(PAPER, state, policy).reward)
    policy.decide = lambda state: Action(
        np.ones(state.level.shape, bool), np.full(state.channel.shape, 9), np.full(state.channel.shape, 0.2)
    )
    with pytest.raises(OptimizerError, match="model: expected indices from 0 to 5"):
        run_policy(PAPER, state, policy)


def test_a_scheme_is_labelled_as_its_policy_is_named():
    small = PAPER.change(groups=(1, 1))
    for scheme in SCHEMES.values():
        assert scheme.make(small, Search(20), 0).name == scheme.label


def test_the_mid_pruned_model_is_the_nearest_to_0_7():
    assert mid_pruned(PAPER) == 0.7
    assert mid_pruned(PAPER.with_models((0.1, 0.5, 0.9))) in (0.5, 0.9)


def test_an_unknown_scheme_is_told_with_all_names():
    with pytest.raises(OptimizerError, match="no scheme 'best'") as told:
        make_scheme("best", PAPER)
    assert "exhaustive" in str(told.value)
