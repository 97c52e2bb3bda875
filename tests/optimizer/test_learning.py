"""The learned policy: what it is told, that it learns, that nothing beats the optimum, and that it is deployable."""

import numpy as np
import pytest
import torch

from optimizer import OptimizerError, Scenario, draw_states, optimum
from optimizer.environment.env import OffloadingVectorEnv
from optimizer.learning.critic import GatewayCritic
from optimizer.learning.gateway_types import find_gateway_types, gateway_types_of
from optimizer.learning.learner import Course, Learner, LearnerConfig, count_levels, to_action
from optimizer.learning.onnx_export import to_onnx
from optimizer.learning.policy import Jopa
from optimizer.network.checks import check_action
from optimizer.network.outcome import evaluate
from optimizer.network.slots import State, count_tasks
from optimizer.network.world import World, play

QUICK = LearnerConfig(updates=800, slots=64)


@pytest.fixture(scope="module")
def trained():
    torch.set_num_threads(1)
    learner = Learner([Scenario.load("paper").with_sensors(200)], QUICK, seed=0)
    gaps = []
    while not learner.finished:
        learner.run_block()
        course = learner.courses[0]
        best = optimum(course.scenario, course.validation).reward
        gaps.append(best - course.validate(learner.policy).reward)
    return learner, np.array(gaps)


def test_it_learns_from_interaction_within_seconds(trained):
    learner, _ = trained
    course = learner.courses[0]
    outcome = course.validate(learner.policy)
    assert 1 - outcome.reward.mean() / course.best() < 0.1
    assert outcome.drop_ratio.mean() < 0.002


def test_no_checkpoint_ever_beats_the_optimum_on_any_slot(trained):
    assert trained[1].min() > -1e-9


def test_decisions_are_members_of_the_action_space(trained):
    learner, _ = trained
    course = learner.courses[0]
    state = draw_states(course.scenario, 50, 5)
    action = course.decide(learner.policy, state)
    check_action(action, state, course.scenario)


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


def test_the_policy_is_told_nothing_of_latencies(trained):
    """Two networks that differ only in how fast things are give the same features and the same untrained policy."""
    slow = Scenario.parse({"base": "paper", "gateway": {"capacity_flop_per_s": 5e9}, "edge": {"task_s": 0.3}}, "slow")
    policies = []
    for scenario in (Scenario.load("paper"), slow):
        torch.manual_seed(0)
        policies.append(Jopa(scenario, np.zeros((1, 3)), scenario.width))
    a, b = (p.critic.features for p in policies)
    for name in ("kind", "model", "level", "margin", "channel"):
        assert torch.equal(getattr(a, name), getattr(b, name))


def test_onnx_decides_as_torch_does(trained):
    import onnxruntime

    learner, _ = trained
    course = learner.courses[0]
    session = onnxruntime.InferenceSession(to_onnx(learner.policy, 2 * learner.width, 5))
    state = draw_states(course.scenario, 30, 8)
    action = course.decide(learner.policy, state)
    for i in range(3):  # batches of 1 and of 30
        part = state[i : i + 1] if i else state
        sent, model, share = session.run(
            None,
            {
                "counts": count_levels(part, course.scenario).numpy(),
                "channel": part.channel.astype(np.int64),
                "kind": course.gateway_type.numpy(),
                "groups": course.groups.numpy(),
                "penalty": np.array(course.scenario.penalty / course.scenario.sensors, np.float32),
            },
        )
        expected = action[i : i + 1] if i else action
        assert np.array_equal(model, expected.model)
        assert np.array_equal(sent, count_tasks(part, expected.offload, 6)[0])
        assert share == pytest.approx(expected.share, abs=1e-5)


@pytest.mark.parametrize("reward", ["goodput", "delay"])
def test_other_rewards_are_learned_too(reward):
    torch.set_num_threads(1)
    learner = Learner([Scenario.load("paper").with_sensors(20).change(reward=reward)], QUICK, seed=0)
    while not learner.finished:
        learner.run_block()
    course = learner.courses[0]
    outcome, best = course.validate(learner.policy), course.best()
    assert outcome.drop_ratio.mean() < 0.01
    assert best - outcome.reward.mean() < 0.1 * max(abs(best), 0.1) + 0.3
    assert (optimum(course.scenario, course.validation).reward >= outcome.reward - 1e-9).all()


def test_unequal_groups_and_processors_are_served():
    scenario = Scenario.load("paper").change(groups=(4, 9, 2))
    scenario = scenario.change(gateway=scenario.gateway.model_copy(update={"capacity_flop_per_s": (4e11, 8e11, 8e11)}))
    learner = Learner([scenario], LearnerConfig(updates=30, slots=32), seed=1)
    while not learner.finished:
        learner.run_block()
    course = learner.courses[0]
    state = draw_states(scenario, 10, 1)
    check_action(course.decide(learner.policy, state), state, scenario)
    assert len(learner.gateway_types) == 3


def test_a_gateway_unlike_all_trained_ones_is_refused():
    known = np.unique(gateway_types_of(Scenario.load("paper")), axis=0)
    with pytest.raises(OptimizerError, match="unlike those"):
        find_gateway_types(gateway_types_of(Scenario.load("paper").change(groups=(1, 1, 1, 1, 96))), known)


def test_the_critic_continues_beyond_its_width():
    scenario = Scenario.load("paper").with_sensors(10)
    tables = GatewayCritic(scenario, np.zeros((1, 3)), 2).tables(7)
    assert tables.gain.shape == (1, 6, 8)
    assert tables.local_drop.shape == (1, 6, 8, 6)
    assert tables.queue_drop.shape == (1, 2, 3, 6, 15)


def test_a_reward_that_is_not_finite_stops_the_training(monkeypatch):
    learner = Learner([Scenario.load("paper").with_sensors(10)], LearnerConfig(updates=5, slots=4), seed=0)
    step = OffloadingVectorEnv.step

    def broken(self, actions):
        seen, reward, *rest = step(self, actions)
        return seen, reward * np.nan, *rest

    monkeypatch.setattr(OffloadingVectorEnv, "step", broken)
    with pytest.raises(OptimizerError, match="reward of nan"):
        learner.run_block()


class TestWorld:
    scenario = Scenario.load("paper-heavy").with_sensors(20)

    def test_without_differences_it_is_the_scenario(self):
        state = draw_states(self.scenario, 30, 0)
        action = optimum(self.scenario, state).action
        outcome = play(self.scenario, state, action, World(), np.random.default_rng(0))
        assert outcome.reward == pytest.approx(evaluate(self.scenario, state, action).reward)

    def test_slow_gateways_make_the_planners_optimum_miss_deadlines(self):
        state = draw_states(self.scenario, 30, 0)
        action = optimum(self.scenario, state).action
        outcome = play(self.scenario, state, action, World(bias=1.3), np.random.default_rng(0))
        assert outcome.late_locally.sum() > 0
        assert outcome.reward.mean() < evaluate(self.scenario, state, action).reward.mean()

    def test_stale_channels_are_those_of_the_slot_before(self):
        env = OffloadingVectorEnv(3, self.scenario, world=World(stale=True))
        env.reset(seed=0)
        action = env.action_space.sample()
        true = []
        for _ in range(5):
            true.append(env.slots.true_state.channel)
            env.step(action)
            assert np.array_equal(env.state.channel, true[-1])

    @pytest.mark.parametrize(
        "wrong", [{"bias": 0}, {"tail": 2}, {"spread": -1}, {"edge_spread": -0.1}, {"samples": (0.0,)}]
    )
    def test_impossible_worlds_are_refused(self, wrong):
        with pytest.raises(OptimizerError, match="world"):
            World(**wrong)


def test_shares_are_a_simplex_and_claims_leave_something():
    scenario = Scenario.load("paper").with_sensors(10)
    course = Course(scenario, np.zeros(5, np.int64), 8, None)
    policy = Jopa(scenario, np.zeros((1, 3)), scenario.width)
    torch.nn.init.constant_(policy.claim_free, 9.0)  # everyone claims as much as possible
    state = draw_states(scenario, 8, 0)
    with torch.no_grad():
        decision = policy(
            policy.critic.tables(2), course.network(policy.critic.scale), count_levels(state, scenario),
            torch.from_numpy(state.channel).long(), spread=0.1, temperature=0.5,
        )  # fmt: skip
    assert decision.share.sum(dim=1).numpy() == pytest.approx(1, abs=1e-5)
    check_action(to_action(decision, state), state, scenario)
