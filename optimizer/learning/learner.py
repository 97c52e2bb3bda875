"""Training the project's own policy (`policy`) from what the environment's `step` returns.

An update: a batch of slots is decided (softly, some at random), the environment answers with each gateway's reward and
dropped tasks, the critic is fitted to them, and the actor's claims move along the score-function gradient with the
critic's expectation as the baseline. The next state does not depend on the action, eq. (20), so there is no discount
and no bootstrapping. Everything random is drawn anew for each block of updates from (seed, block), so that a training
that goes on from the end of a block gives the same weights as one that was never stopped.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float64
from torch import Tensor, nn

from optimizer.errors import OptimizerError
from optimizer.learning.course import Course, to_action
from optimizer.learning.critic import CriticValues
from optimizer.learning.decisions import Decision, Exploration, PerGateway, Slots
from optimizer.learning.gateway_types import find_gateway_types, gateway_types_of
from optimizer.learning.policy import LOG_2, Jopa
from optimizer.learning.schedule import LearnerConfig, Phase, Schedule
from optimizer.network.equations import tasks_ahead
from optimizer.network.scenario import Scenario
from optimizer.network.world import World

# Picked by hand, except where a figure is given:
GATEWAY_GAIN = 10.0  # the critic's scale makes the first decisions of a gateway gain this much on average
LEAST_SCALE = 1e-9
SEARCH_SLOTS = 64  # slots on which claims are searched for
DROP_WEIGHT, GAIN_WEIGHT = 10.0, 0.1  # of the critic's two losses: a drop costs far more than gains differ
LEAST_PROBABILITY = 1e-6  # of a drop, so that its logarithm is finite
LARGEST_GRADIENT = 1.0  # of the critic's networks; with it, `paper-heavy` no longer collapses to sending everything
MOMENTS = (0.9, 0.99)  # of the critic's Adam; with 0.999 the distance from the optimum is 1.39 % instead of 0.34 %


@dataclass(frozen=True)
class Design:
    """Parts of the learner that can be left out, to see what they bring (`benchmarks.learning --parts ablation`).

    Attributes:
        frozen: Groups of `GatewayCritic.parameter_groups` that stay as they are before training.
        even_shares: Claim even shares, and do not learn claims.
        credit_limit: Number of dropped tasks that a failed claim counts as at most.
        moments: Decay rates of the critic's Adam.
    """

    frozen: tuple[str, ...] = ()
    even_shares: bool = False
    credit_limit: float = 1.0
    moments: tuple[float, float] = MOMENTS


@dataclass(frozen=True)
class Report:
    """What happened in a block of updates; the last three are means over its slots or updates."""

    updates: int
    slots: int
    reward: float
    drop_ratio: float
    critic_loss: float


@dataclass(frozen=True, eq=False)
class Experience:
    """A batch of slots as it was decided and what came of it.

    Attributes:
        slots: The slots.
        decision: What was decided.
        at_random: Gateways that decided at random.
        worth: What each gateway added to the reward, penalty included, in the critic's scale.
        dropped: Number of tasks that each gateway dropped.
    """

    slots: Slots
    decision: Decision
    at_random: Bool[Tensor, "batch gateways"]
    worth: PerGateway
    dropped: PerGateway


class Learner:
    """A training under way.

    Args:
        scenarios: One network, or several that differ in their numbers of sensors: the policy is trained on all.
        config: Settings.
        seed: Random seed of everything that is drawn.
        world: What really happens where it differs from the scenario (`world.World`).
        design: Parts of the learner to leave out.
    """

    def __init__(
        self,
        scenarios: Sequence[Scenario],
        config: LearnerConfig,
        seed: int,
        world: World | None = None,
        design: Design | None = None,
    ) -> None:
        self.config, self.seed, self.design = config, seed, design or Design()
        own = [gateway_types_of(s) for s in scenarios]
        self.gateway_types: Float64[np.ndarray, "types 3"] = np.unique(np.concatenate(own), axis=0)
        self.courses = [
            Course(s, find_gateway_types(types, self.gateway_types), config.slots, world)
            for s, types in zip(scenarios, own, strict=True)
        ]
        self.width = max(s.width for s in scenarios)
        self.scenario = scenarios[0]
        self.schedule = Schedule(config)
        self.done = 0
        torch.manual_seed(seed)
        self.policy = Jopa(self.scenario, self.gateway_types, self.width)
        groups = self.policy.critic.parameter_groups()
        for name in self.design.frozen:
            for parameter in groups[name]:
                parameter.requires_grad_(False)
        self._networks = groups.pop("networks")
        others = [parameter for group in groups.values() for parameter in group]
        self.critic_adam = torch.optim.Adam([{"params": others}, {"params": self._networks}], betas=self.design.moments)
        self.actor_adam = torch.optim.Adam([*self.policy.claim_network.parameters(), self.policy.claim_free])
        if self.design.even_shares:
            self.policy.claim_free.data.fill_(LOG_2)

    @property
    def finished(self) -> bool:
        """Whether all updates were made."""
        return self.done >= self.config.updates

    def run_block(self) -> Report:
        """The next updates, up to a checkpoint."""
        block = self.done // self.config.block
        torch.manual_seed(hash_seed(self.seed, block))
        for i, course in enumerate(self.courses):
            course.environment.reset(seed=hash_seed(self.seed, block, 1 + i))
        until = min(self.config.updates, (block + 1) * self.config.block)
        rows = []
        while self.done < until:
            course = self.courses[int(torch.randint(len(self.courses), ()))]
            rows.append(self._update(course, self.schedule.at(self.done)))
            self.done += 1
        reward, drop, loss = (float(np.mean(column)) for column in zip(*rows, strict=True))
        return Report(len(rows), len(rows) * self.config.slots, reward, drop, loss)

    def _update(self, course: Course, phase: Phase) -> tuple[float, float, float]:
        """One update; the mean reward, the mean drop ratio and the critic's loss."""
        policy, scale = self.policy, self.policy.critic.scale
        state = course.environment.state
        assert state is not None
        slots = course.slots(policy, state)
        values = policy.critic.values(course.scenario.width)
        at_random = torch.rand(slots.channel.shape) < phase.explore
        with torch.no_grad():
            how = Exploration(phase.temperature, phase.spread, at_random)
            decision = policy(values.detach(), slots, how)
        reward, gain, dropped, drop_ratio = course.play(to_action(decision, state))
        if self.done == 0:
            whole = gain + slots.facts.penalty * scale * dropped
            scale.fill_(max(float(whole.abs().mean()) / GATEWAY_GAIN, LEAST_SCALE))
            slots = course.slots(policy, state)
        seen = Experience(slots, decision, at_random, gain / scale, dropped)
        loss = self._fit_critic(values, seen, phase)
        if not self.design.even_shares:
            if not phase.searching:
                self._improve_claims(seen, phase)
            elif phase.search_now:
                policy.search_claims(values.detach(), slots.first(SEARCH_SLOTS))
        return float(reward.mean()), drop_ratio, loss

    def _expected(self, values: CriticValues, seen: Experience) -> tuple[PerGateway, PerGateway]:
        """What the critic expected of each gateway's decision: its gain and its number of dropped tasks."""
        slots, decision = seen.slots, seen.decision
        types, claims = slots.types, decision.claims
        local = slots.counts - decision.sent
        size = local.sum(dim=2)
        ahead = tasks_ahead(decision.sent)
        place = (2 * ahead + decision.sent - 1).clamp(min=0)
        local_drop = values.local_drop[types, decision.model, size]
        levels = torch.arange(slots.counts.shape[2])
        late = values.queue_drop[
            types[..., None], claims.takes.long()[..., None], slots.channel[..., None], levels, place
        ]
        edge = self.policy.critic.edge(slots.facts.gateway_type, slots.channel, claims.log_share)
        arrives = (1 - late) * edge.accepted[..., None]
        dropped = (local * local_drop).sum(-1) + (decision.sent * (1 - arrives)).sum(-1)
        arrived = decision.sent * arrives.detach()
        gain = (
            (local * (1 - local_drop.detach())).sum(-1) * values.gain[types, decision.model, size]
            + arrived.sum(-1) * edge.gain
            + (arrived * place).sum(-1) / 2 * edge.wait
        )
        return gain, dropped

    def _fit_critic(self, values: CriticValues, seen: Experience, phase: Phase) -> float:
        """One step of the critic towards what the gateways reported, eq. (24) with r for y; the loss."""
        facts = seen.slots.facts
        expected, lost = self._expected(values, seen)
        share = (lost / facts.groups).clamp(LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
        loss = DROP_WEIGHT * nn.functional.binary_cross_entropy(share, seen.dropped / facts.groups)
        gain = seen.worth + facts.penalty * seen.dropped
        loss = loss + GAIN_WEIGHT * (expected - gain).square().mean()
        if not torch.isfinite(loss):
            raise OptimizerError(f"the critic's loss is {float(loss)} after {self.done} updates, seed {self.seed}.")
        for group, rate in zip(self.critic_adam.param_groups, (phase.critic_lr, phase.network_lr), strict=True):
            group["lr"] = rate
        self.critic_adam.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch's
        nn.utils.clip_grad_norm_(self._networks, LARGEST_GRADIENT)
        self.critic_adam.step()
        return float(loss.detach())

    def _improve_claims(self, seen: Experience, phase: Phase) -> None:
        """One step of the actor, eq. (26): a claim is credited with what it and the gateway with the rest gained."""
        slots, claims = seen.slots, seen.decision.claims
        better = seen.worth - claims.expected
        rest = claims.rest[:, None]
        advantage = better + torch.gather(better, 1, rest)
        # A claim that fails loses all that its gateway sent; one task's penalty is enough of a lesson, and keeps
        # Adam's step from being set by the rare failures (without it claims stop far above the least share).
        limit = self.design.credit_limit * slots.facts.penalty
        advantage = advantage.clamp(-limit, limit)
        counted = ~seen.at_random & ~torch.gather(seen.at_random, 1, rest) & ~claims.takes
        mean = self.policy.claim(slots)
        score = advantage * claims.noise / phase.spread * counted
        loss = -(score * mean).sum() / counted.sum().clamp(min=1)
        self.actor_adam.param_groups[0]["lr"] = phase.claim_lr
        self.actor_adam.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch's
        self.actor_adam.step()


def hash_seed(*parts: int) -> int:
    """A seed made of several numbers."""
    return int(np.random.SeedSequence(parts).generate_state(1, np.uint64)[0] >> np.uint64(1)) % (2**63 - 1)
