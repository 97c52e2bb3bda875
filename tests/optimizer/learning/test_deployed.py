"""A policy as it is deployed: what it decides, which networks it serves, and what it refuses."""

import numpy as np
import pytest

from optimizer import OptimizerError, Scenario, draw_states, optimum
from optimizer.learning.deployed import LearnedPolicy
from optimizer.network.checks import check_action
from optimizer.network.outcome import evaluate
from optimizer.network.slots import State


@pytest.mark.parametrize("name", ["one/n20-seed0", "many/mixed-seed0", "paper/n20-seed0"])
def test_a_policy_decides_without_ever_beating_the_optimum(policies, name):
    policy = LearnedPolicy(policies / name, Scenario.load("paper").with_sensors(20))
    state = draw_states(policy.scenario, 100, 3)
    action = policy.decide(state)
    check_action(action, state, policy.scenario)
    best = optimum(policy.scenario, state).reward
    assert (evaluate(policy.scenario, state, action).reward <= best + 1e-9).all()
    one = policy.decide(state[4:5])
    assert np.array_equal(one.model[0], action.model[4])
    assert one.share[0] == pytest.approx(action.share[4], abs=1e-5)


def test_a_policy_serves_numbers_of_sensors_it_never_saw(policies):
    policy = LearnedPolicy(policies / "many" / "mixed-seed0", Scenario.load("paper").with_sensors(40))
    state = draw_states(policy.scenario, 5, 0)
    check_action(policy.decide(state), state, policy.scenario)


def test_more_sensors_than_a_policy_reaches(policies):
    with pytest.raises(OptimizerError, match="serves gateways of up to 8 sensors; got one of 20"):
        LearnedPolicy(policies / "one" / "n20-seed0", Scenario.load("paper"))


def test_another_number_of_sensors_for_the_papers_network(policies):
    with pytest.raises(OptimizerError, match="decides for 20 sensors"):
        LearnedPolicy(policies / "paper" / "n20-seed0", Scenario.load("paper").with_sensors(25))


def test_another_scenario(policies):
    with pytest.raises(OptimizerError, match="this network differs in edge, task"):
        LearnedPolicy(policies / "one" / "n20-seed0", Scenario.load("paper-heavy").with_sensors(20))


def test_a_state_of_another_network(policies):
    policy = LearnedPolicy(policies / "one" / "n20-seed0")
    with pytest.raises(OptimizerError, match="expected level of shape"):
        policy.decide(draw_states(Scenario.load("paper"), 2, 0))
    state = draw_states(policy.scenario, 1, 0)
    with pytest.raises(OptimizerError, match="criticality levels are indices below 6"):
        policy.decide(State(state.channel, np.full_like(state.level, 7)))


def test_an_altered_file(policies, tmp_path):
    for path in (policies / "one" / "n20-seed0").iterdir():
        if path.is_file():
            (tmp_path / path.name).write_bytes(path.read_bytes())
    with (tmp_path / "policy.onnx").open("ab") as file:
        file.write(b"x")
    with pytest.raises(OptimizerError, match="SHA-256 differs"):
        LearnedPolicy(tmp_path)
