"""One network to train on: the environment that answers, and the slots as the policy sees them."""

import numpy as np
import torch
from jaxtyping import Float64, Int64

from optimizer.environment.env import OffloadingVectorEnv
from optimizer.errors import BadSlotError
from optimizer.learning.decisions import Counts, Decision, PerGateway, Slots
from optimizer.learning.policy import Jopa
from optimizer.learning.units import gain_unit
from optimizer.network.outcome import Outcome, evaluate
from optimizer.network.readings import describe_slot
from optimizer.network.scenario import Scenario
from optimizer.network.slots import Action, State, count_tasks, draw_states, send_first
from optimizer.network.world import World
from optimizer.solver.exact import optimum

VALIDATION_SEED = 987_654_321
VALIDATION_SLOTS = 200
EPISODE = 2**31  # slots: a block never reaches the end of an episode


def count_levels(state: State, scenario: Scenario) -> Counts:
    """Number of tasks of each level at [batch, gateway, level]."""
    return torch.from_numpy(count_tasks(state, state.level >= 0, len(scenario.qos))[0])


def to_action(decision: Decision, state: State) -> Action:
    """A decision over counts as one over tasks; shares sum to 1 in float64."""
    share = decision.claims.share.to(torch.float64).numpy()
    return Action(
        send_first(state.level, decision.sent.numpy()),
        decision.model.numpy(),
        share / share.sum(axis=1, keepdims=True),
    )


class Course:
    """One network to train on: its environment, and what the policy is told about it.

    Args:
        scenario: The network.
        gateway_type: Index of each gateway's type.
        slots: Number of slots in each update.
        world: What really happens where it differs from the scenario.
    """

    def __init__(
        self, scenario: Scenario, gateway_type: Int64[np.ndarray, " gateways"], slots: int, world: World | None
    ) -> None:
        self.scenario = scenario
        self.gateway_type = torch.from_numpy(gateway_type)
        self.groups = torch.tensor(scenario.groups)
        self.unit = gain_unit(scenario)
        self.environment = OffloadingVectorEnv(slots, scenario, episode_length=EPISODE, world=world)
        self.validation = draw_states(scenario, VALIDATION_SLOTS, VALIDATION_SEED)
        self._best: float | None = None

    def slots(self, policy: Jopa, state: State) -> Slots:
        """States as the policy sees them."""
        penalty = self.scenario.penalty / self.scenario.sensors
        facts = policy.facts(self.gateway_type, self.groups, penalty, self.scenario.width, self.unit)
        return Slots(facts, count_levels(state, self.scenario), torch.from_numpy(state.channel).long())

    def decide(self, policy: Jopa, state: State) -> Action:
        """The policy's best decisions."""
        with torch.no_grad():
            values = policy.critic.values(self.scenario.width)
            return to_action(policy(values, self.slots(policy, state)), state)

    def play(self, action: Action) -> tuple[Float64[np.ndarray, " batch"], PerGateway, PerGateway, float]:
        """Play decisions in the environment.

        Returns:
            Rewards, each gateway's worth in units of gain, each gateway's dropped tasks, and the mean drop ratio.

        Raises:
            BadSlotError: A reward is not finite.
        """
        state = self.environment.state
        assert state is not None
        present = self.scenario.constants.present
        _, reward, _, _, info = self.environment.step(
            {"offload": action.offload[:, present], "model": action.model, "share": action.share}
        )
        if not np.isfinite(reward).all():
            bad = int(np.flatnonzero(~np.isfinite(reward))[0])
            slot = describe_slot(state, bad, self.scenario)
            raise BadSlotError(f"the environment returned a reward of {reward[bad]}.", slot)
        gain = torch.from_numpy(info["gateway_reward"]).float() / self.unit
        dropped = torch.from_numpy(info["gateway_dropped"]).float()
        return reward, gain, dropped, float(info["drop_ratio"].mean())

    def validate(self, policy: Jopa) -> Outcome:
        """What the policy's best decisions do on slots that training never sees, if the scenario is right."""
        return evaluate(self.scenario, self.validation, self.decide(policy, self.validation))

    def best(self) -> float | None:
        """The optimum's mean reward on the same slots, for display only; None where the reward has no optimum."""
        if self._best is None and self.scenario.objective.solvable:
            self._best = float(optimum(self.scenario, self.validation).reward.mean())
        return self._best
