"""What the learned policy decides: members of the action space, whatever the order of sensors and gateways."""

import numpy as np
import pytest
import torch

from optimizer import Scenario, draw_states
from optimizer.learning.course import Course, to_action
from optimizer.learning.decisions import Exploration
from optimizer.learning.policy import Jopa
from optimizer.network.checks import check_action
from optimizer.network.outcome import evaluate
from optimizer.network.slots import State, count_tasks


def test_decisions_are_members_of_the_action_space(trained):
    learner, _ = trained
    course = learner.courses[0]
    state = draw_states(course.scenario, 50, 5)
    check_action(course.decide(learner.policy, state), state, course.scenario)


def test_tasks_of_a_level_are_exchangeable(trained):
    """Shuffling the sensors of each gateway changes neither how many are sent of each level, nor models, nor shares."""
    learner, _ = trained
    course = learner.courses[0]
    state = draw_states(course.scenario, 20, 6)
    shuffled = State(state.channel, np.random.default_rng(0).permuted(state.level, axis=2))
    a, b = (course.decide(learner.policy, s) for s in (state, shuffled))
    sent = [count_tasks(s, x.offload, 6)[0] for s, x in ((state, a), (shuffled, b))]
    assert np.array_equal(*sent)
    assert np.array_equal(a.model, b.model)
    assert a.share == pytest.approx(b.share)


def test_gateways_are_treated_alike(trained):
    """Another order of the gateways gives the same decisions in that order."""
    learner, _ = trained
    course = learner.courses[0]
    state = draw_states(course.scenario, 20, 7)
    order = np.array([3, 0, 4, 1, 2])
    a = course.decide(learner.policy, state)
    b = course.decide(learner.policy, State(state.channel[:, order], state.level[:, order]))
    assert evaluate(course.scenario, state, a).reward == pytest.approx(
        evaluate(course.scenario, State(state.channel[:, order], state.level[:, order]), b).reward, abs=1e-6
    )


def test_shares_are_a_simplex_and_claims_leave_something():
    scenario = Scenario.load("paper").with_sensors(10)
    course = Course(scenario, np.zeros(5, np.int64), 8, None)
    policy = Jopa(scenario, np.zeros((1, 3)), scenario.width)
    torch.nn.init.constant_(policy.claim_free, 9.0)  # everyone claims as much as possible
    state = draw_states(scenario, 8, 0)
    with torch.no_grad():
        how = Exploration(temperature=0.5, spread=0.1)
        decision = policy(policy.critic.values(2), course.slots(policy, state), how)
    assert decision.claims.share.sum(dim=1).numpy() == pytest.approx(1, abs=1e-5)
    check_action(to_action(decision, state), state, scenario)


def test_the_penalty_is_scaled_once_whatever_the_unit():
    """J / N in the critic's scale; where gains are counted per task, in that unit."""
    policy = Jopa(Scenario.load("paper"), np.zeros((1, 3)), 20)
    policy.critic.scale.fill_(0.5)
    types, groups = torch.zeros(5, dtype=torch.int64), torch.full((5,), 20)
    assert float(policy.facts(types, groups, 3.0, 20).penalty) == 6.0
    assert float(policy.facts(types, groups, 3.0, 20, unit=0.01).penalty) == pytest.approx(600.0)
