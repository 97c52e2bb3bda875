"""Worlds that differ from the scenario: what then really happens."""

import numpy as np
import pytest

from optimizer import OptimizerError, Scenario, draw_states, optimum
from optimizer.environment.env import OffloadingVectorEnv
from optimizer.network.outcome import evaluate
from optimizer.network.world import World, play


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
