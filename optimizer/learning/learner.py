"""Training the project's own policy (`jopa`) from what the environment's `step` returns.

An update: a batch of slots is decided (softly, some at random), the environment answers with each gateway's reward and
dropped tasks, the critic is fitted to them, and the actor's claims move along the score-function gradient with the
critic's expectation as the baseline. The next state does not depend on the action, eq. (20), so there is no discount
and no bootstrapping. Everything random is drawn anew for each block of updates from (seed, block), so that a training
that goes on from the end of a block gives the same weights as one that was never stopped.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float64, Int64
from torch import Tensor, nn

from optimizer.environment.env import OffloadingVectorEnv
from optimizer.errors import BadSlotError, OptimizerError
from optimizer.learning.critic import CriticTables
from optimizer.learning.gateway_types import find_gateway_types, gateway_types_of
from optimizer.learning.policy import Counts, Decision, Jopa, Network, PerGateway
from optimizer.learning.units import gain_unit
from optimizer.network.outcome import Outcome, evaluate
from optimizer.network.readings import describe_slot
from optimizer.network.scenario import Scenario
from optimizer.network.slots import Action, State, count_tasks, draw_states, send_first
from optimizer.network.world import World
from optimizer.solver.exact import optimum

VALIDATION_SEED = 987_654_321
VALIDATION_SLOTS = 200


@dataclass(frozen=True)
class LearnerConfig:
    """Settings of the default policy's training. Temperatures and spreads fall over the updates."""

    updates: int = 1500
    """How many."""
    slots: int = 256
    """Slots decided in each update, in parallel networks."""
    block: int = 25
    """Updates between two checkpoints."""
    critic_lr: float = 1e-2
    """Adam's rate for the critic's free entries; falls fiftyfold over the second half."""
    network_lr: float = 3e-3
    """... for its networks."""
    explore: float = 0.5
    """Share of gateways that decide at random at first; falls to `explore_last` by half of the updates."""
    explore_last: float = 0.02
    """... at last."""
    temperature: float = 2.0
    """Of the discrete decisions at first, in the critic's scale of gains (a tenth of a gateway's gain)."""
    temperature_last: float = 0.004
    """... at last."""
    spread: float = 0.1
    """Standard deviation of the claims' logarithms at first."""
    spread_half: float = 0.04
    """... after half of the updates."""
    spread_last: float = 0.0018
    """... at last."""
    search: float = 0.3
    """Share of the updates in which claims are set by searching the critic, before their own gradient takes over."""
    claim_lr: float = 0.1
    """Adam's rate for the claims, in spreads."""

    def __post_init__(self) -> None:
        if self.updates < 1 or self.slots < 1 or self.block < 1:
            raise OptimizerError("--default.updates, --default.slots and --default.block: expected at least 1.")


@dataclass
class Report:
    """What happened in a block: means over its slots."""

    updates: int
    slots: int
    reward: float
    drop_ratio: float
    critic_loss: float
    figures: dict[str, float] = field(default_factory=dict)


def count_levels(state: State, scenario: Scenario) -> Counts:
    """Tasks of each level at [batch, gateway, level]."""
    return torch.from_numpy(count_tasks(state, state.level >= 0, len(scenario.qos))[0])


def to_action(decision: Decision, state: State) -> Action:
    """A decision over counts as one over tasks; shares sum to 1 in float64."""
    share = decision.share.to(torch.float64).numpy()
    return Action(
        send_first(state.level, decision.sent.numpy()),
        decision.model.numpy(),
        share / share.sum(axis=1, keepdims=True),
    )


class Course:
    """One network to train on: its environment and what the policy must be told of it."""

    def __init__(
        self, scenario: Scenario, gateway_type: Int64[np.ndarray, " gateways"], slots: int, world: World | None
    ) -> None:
        self.scenario = scenario
        self.gateway_type = torch.from_numpy(gateway_type)
        self.groups = torch.tensor(scenario.groups)
        self.unit = gain_unit(scenario)
        self.environment = OffloadingVectorEnv(slots, scenario, episode_length=2**31, world=world)
        self.validation = draw_states(scenario, VALIDATION_SLOTS, VALIDATION_SEED)
        self._best: float | None = None

    def network(self, scale: Tensor) -> Network:
        """The network in the critic's scale of gains."""
        penalty = self.scenario.penalty / self.scenario.sensors / (scale * self.unit)
        return Network(self.gateway_type, self.groups, penalty, self.scenario.width)

    def decide(self, policy: Jopa, state: State) -> Action:
        """The policy's best decisions."""
        with torch.no_grad():
            tables = policy.critic.tables(self.scenario.width)
            channel = torch.from_numpy(state.channel).long()
            counts = count_levels(state, self.scenario)
            return to_action(policy(tables, self.network(policy.critic.scale), counts, channel), state)

    def validate(self, policy: Jopa) -> Outcome:
        """What the policy's best decisions do in the planner's model on slots kept for this."""
        return evaluate(self.scenario, self.validation, self.decide(policy, self.validation))

    def best(self) -> float | None:
        """The optimum's mean reward on the same slots; None for `literal`, which has none. Only for display."""
        if self._best is None and self.scenario.objective.solvable:
            self._best = float(optimum(self.scenario, self.validation).reward.mean())
        return self._best


class Learner:
    """A training under way.

    Args:
        scenarios: One network, or several that differ in their numbers of sensors: the policy is trained on all.
        config: Settings.
        seed: Of everything random.
        world: What really happens, where it differs from the scenario (`world.World`).
    """

    def __init__(
        self, scenarios: Sequence[Scenario], config: LearnerConfig, seed: int, world: World | None = None
    ) -> None:
        self.config, self.seed = config, seed
        own = [gateway_types_of(s) for s in scenarios]
        self.gateway_types: Float64[np.ndarray, "types 3"] = np.unique(np.concatenate(own), axis=0)
        self.courses = [
            Course(s, find_gateway_types(types, self.gateway_types), config.slots, world)
            for s, types in zip(scenarios, own, strict=True)
        ]
        self.width = max(s.width for s in scenarios)
        self.scenario = scenarios[0]
        torch.manual_seed(seed)
        self.policy = Jopa(self.scenario, self.gateway_types, self.width)
        named = dict(self.policy.critic.named_parameters())
        self._networks = [p for n, p in named.items() if "_net" in n]
        free = [p for n, p in named.items() if "_net" not in n]
        self._claims = [*self.policy.claim_net.parameters(), self.policy.claim_free]
        self._free_lr, self._net_lr = {"params": free}, {"params": self._networks}
        # The large gradients of the first updates must be forgotten for small drop probabilities to be learned at all.
        self.critic_adam = torch.optim.Adam([self._free_lr, self._net_lr], betas=(0.9, 0.99))
        self.actor_adam = torch.optim.Adam(self._claims)
        self.done = 0

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
        rewards, drops, losses = [], [], []
        while self.done < until:
            course = self.courses[int(torch.randint(len(self.courses), ()))]
            reward, drop, loss = self._update(course)
            rewards.append(reward)
            drops.append(drop)
            losses.append(loss)
            self.done += 1
        count = len(rewards)
        return Report(
            count, count * self.config.slots, float(np.mean(rewards)), float(np.mean(drops)), float(np.mean(losses))
        )

    def _schedule(self) -> tuple[float, float, float]:
        """Exploration, temperature and spread now; sets the rates of learning."""
        c, done = self.config, self.done / self.config.updates
        half, late = min(1.0, done / 0.5), min(1.0, max(0.0, (done - 0.5) / 0.4))
        explore = max(c.explore_last, c.explore * (1 - half))
        temperature = c.temperature * (c.temperature_last / c.temperature) ** min(1.0, done / 0.9)
        spread = c.spread * (c.spread_half / c.spread) ** half * (c.spread_last / c.spread_half) ** late
        decay = 1.0 if done < 0.5 else 0.02 ** ((done - 0.5) / 0.5)
        for group, rate in zip(self.critic_adam.param_groups, (c.critic_lr, c.network_lr), strict=True):
            group["lr"] = rate * decay
        self.actor_adam.param_groups[0]["lr"] = max(c.claim_lr * spread, 1e-4)
        if self.done < 10:  # nothing is known yet: everything is tried
            explore = 1.0
        return explore, temperature, spread

    def _update(self, course: Course) -> tuple[float, float, float]:
        """One update; the mean reward, share dropped and critic loss."""
        policy, critic = self.policy, self.policy.critic
        explore_share, temperature, spread = self._schedule()
        state = course.environment.state
        assert state is not None
        counts = count_levels(state, course.scenario)
        channel = torch.from_numpy(state.channel).long()
        tables = critic.tables(course.scenario.width)
        net = course.network(critic.scale)
        explore = torch.rand(channel.shape) < explore_share
        with torch.no_grad():
            known = CriticTables(tables.gain.detach(), tables.local_drop.detach(), tables.queue_drop.detach())
            decision = policy(known, net, counts, channel, temperature=temperature, spread=spread, explore=explore)
        action = to_action(decision, state)
        _, reward, _, _, info = course.environment.step(
            {
                "offload": action.offload[:, course.scenario.constants.present],
                "model": action.model,
                "share": action.share,
            }
        )
        if not np.isfinite(reward).all():
            bad = int(np.flatnonzero(~np.isfinite(reward))[0])
            slot = describe_slot(state, bad, course.scenario)
            raise BadSlotError(f"the environment returned a reward of {reward[bad]}.", slot)
        worth = torch.from_numpy(info["gateway_reward"]).float() / course.unit
        dropped = torch.from_numpy(info["gateway_dropped"]).float()
        if self.done == 0:  # a gateway's tasks gain about ten
            gain = worth + net.penalty * critic.scale * dropped
            critic.scale.fill_(max(float(gain.abs().mean()) / 10, 1e-9))
            net = course.network(critic.scale)
        worth = worth / critic.scale
        loss = self._fit_critic(tables, net, counts, channel, decision, worth + net.penalty * dropped, dropped)
        if self.done < self.config.search * self.config.updates:
            if self.done % 10 == 9:
                few = slice(0, 64)
                policy.search_claims(known, course.network(critic.scale), counts[few], channel[few])
        else:
            self._improve_claims(net, counts, channel, decision, worth, explore, spread)
        return float(reward.mean()), float(info["drop_ratio"].mean()), loss

    def _fit_critic(
        self,
        tables: CriticTables,
        net: Network,
        counts: Counts,
        channel: Tensor,
        decision: Decision,
        gain: PerGateway,
        dropped: PerGateway,
    ) -> float:
        """One step of the critic towards what the gateways reported, eq. (24) with r for y; the loss."""
        batch, gateways, levels = counts.shape
        kind = net.kind.expand(batch, gateways)
        takes = nn.functional.one_hot(decision.rest, gateways)
        local = counts - decision.sent
        size = local.sum(dim=2)
        ahead = decision.sent.flip(-1).cumsum(-1).flip(-1) - decision.sent
        place = (2 * ahead + decision.sent - 1).clamp(min=0)
        local_drop = tables.local_drop[kind, decision.model, size]
        late = tables.queue_drop[kind[..., None], takes[..., None], channel[..., None], torch.arange(levels), place]
        head, wait, accepted = self.policy.critic.edge(net.kind, channel, decision.log_share)
        arrives = (1 - late) * accepted[..., None]
        lost = (local * local_drop).sum(-1) + (decision.sent * (1 - arrives)).sum(-1)
        arrived = decision.sent * arrives.detach()
        expected = (
            (local * (1 - local_drop.detach())).sum(-1) * tables.gain[kind, decision.model, size]
            + arrived.sum(-1) * head
            + (arrived * place).sum(-1) / 2 * wait
        )
        share = (lost / net.groups).clamp(1e-6, 1 - 1e-6)
        loss = 10 * nn.functional.binary_cross_entropy(share, dropped / net.groups)
        loss = loss + 0.1 * (expected - gain).square().mean()
        if not torch.isfinite(loss):
            raise OptimizerError(f"the critic's loss is {float(loss)} after {self.done} updates, seed {self.seed}.")
        self.critic_adam.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch's
        nn.utils.clip_grad_norm_(self._networks, 1.0)
        self.critic_adam.step()
        return float(loss.detach())

    def _improve_claims(
        self,
        net: Network,
        counts: Counts,
        channel: Tensor,
        decision: Decision,
        worth: PerGateway,
        explore: Tensor,
        spread: float,
    ) -> None:
        """One step of the actor, eq. (26): a claim is credited with what it and the gateway with the rest gained."""
        better = worth - decision.expected
        rest = decision.rest[:, None]
        advantage = better + torch.gather(better, 1, rest)
        # A claim that fails loses all that its gateway sent; one task's penalty is enough of a lesson, and keeps
        # Adam's step from being set by the rare failures (without it claims stop far above the bar).
        advantage = advantage.clamp(-net.penalty, net.penalty)
        counted = ~explore & ~torch.gather(explore, 1, rest)
        counted &= ~nn.functional.one_hot(decision.rest, worth.shape[1]).bool()
        mean = self.policy.claim(counts, channel, net.kind)
        score = advantage * decision.noise / spread * counted
        loss = -(score * mean).sum() / counted.sum().clamp(min=1)
        self.actor_adam.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch's
        self.actor_adam.step()


def hash_seed(*parts: int) -> int:
    """A seed from several numbers."""
    return int(np.random.SeedSequence(parts).generate_state(1, np.uint64)[0] >> np.uint64(1)) % (2**63 - 1)
