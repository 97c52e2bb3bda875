"""The project's own policy: a soft actor-critic made for this network.

What the paper's agent learns with one network over N + 2G numbers is split along the structure of the problem:

* *Continuous part, an actor*: each gateway names the share of the edge that it claims, a Gaussian in the share's
  logarithm. One gateway takes what the others leave. (The optimum looks like that: docs/optimum.md. Shares that sum to
  1 by a softmax cannot express it when gateways look alike.)
* *Discrete part, in closed form*: for a finite set of actions the minimiser of eq. (26) is a softmax of the critic over
  the temperature, so no network has to learn it. A gateway chooses how many tasks it sends (the most critical first, of
  each level as many as the critic expects to arrive in time) and the model of the others; the gateway that takes the
  rest is chosen by the sum of the critic's values.
* The critic (`critic`) judges one gateway and is shared by all.

Everything is learned from what `step` returns. Nothing here knows a latency, a rate of the link, or the optimum.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from optimizer.learning.critic import CriticTables, GatewayCritic, network
from optimizer.network.scenario import Scenario

LEAST_LOG_SHARE = -9.0
GRID = 60
IN_TIME = 0.05  # a level sends only from places whose tasks are expected to be dropped less often than this

Counts = Int64[Tensor, "batch gateways levels"]
PerGateway = Float[Tensor, "batch gateways"]


@dataclass(frozen=True, eq=False)
class Network:
    """What the policy must be told about a network: eq. (18)'s constants.

    Attributes:
        kind: Index of each gateway's kind.
        groups: Tasks of each gateway.
        penalty: J / N over the critic's scale of gains: what a dropped task costs.
        width: Of the tables.
    """

    kind: Int64[Tensor, " gateways"]
    groups: Int64[Tensor, " gateways"]
    penalty: Float[Tensor, ""]
    width: int


@dataclass(frozen=True, eq=False)
class Plan:
    """Every decision that a gateway considers: `sent` tasks in all, by a model."""

    sent: Int64[Tensor, "batch gateways totals levels"]
    possible: Bool[Tensor, "batch gateways totals"]
    local: Float[Tensor, "batch gateways totals models"]
    lost: Float[Tensor, "batch gateways totals"]
    places: Float[Tensor, "batch gateways totals"]


@dataclass(frozen=True, eq=False)
class Decision:
    """What was decided, and what the learner needs of it: `expected` is the critic's value at the usual claims."""

    sent: Counts
    model: Int64[Tensor, "batch gateways"]
    share: PerGateway
    rest: Int64[Tensor, " batch"]
    log_share: PerGateway
    noise: PerGateway
    expected: PerGateway


class Jopa(nn.Module):
    """Actor and critic of all gateways.

    Args:
        scenario: Whose models, levels and channel states it is for.
        kinds: Kinds of gateways, as rows of `kinds.kinds_of`.
        width: Tasks of the largest gateway that it is trained on.
    """

    def __init__(self, scenario: Scenario, kinds: Float[np.ndarray, "kinds 3"], width: int) -> None:
        super().__init__()
        self.critic = GatewayCritic(scenario, kinds, width)
        levels, channels = len(scenario.qos), len(scenario.link.states)
        self.claim_net = network(3 + channels + levels, 1, 32)
        self.claim_free = nn.Parameter(torch.zeros(len(kinds), channels))
        # Start from half of an even share. Nobody claims more than an even one: claims that leave nothing for the
        # last gateway are a trap, since none of them alone can mend that (3 of 9 trainings ended there without it).
        self.most = -float(np.log(scenario.gateways))

    def claim(self, counts: Counts, channel: Int64[Tensor, "batch gateways"], kind: Tensor) -> PerGateway:
        """Mean of the logarithm of the share that each gateway claims."""
        f = self.critic.features
        total = counts.sum(dim=2, keepdim=True)
        shape = channel.shape
        seen = torch.cat(
            [
                f.kind[kind].expand(*shape, 3),
                nn.functional.one_hot(channel, len(f.channel)).to(torch.float32),
                counts / total,
            ],
            dim=-1,
        )
        free = self.claim_free[kind.expand(shape), channel]
        # Half an even share at first. The absolute value, smoothed, keeps a gradient right up to the bound.
        below = torch.sqrt((self.claim_net(seen)[..., 0] + free - np.log(2)).square() + 1e-4)
        return (self.most - below).clamp(min=LEAST_LOG_SHARE)

    def plan(
        self, tables: CriticTables, net: Network, counts: Counts, channel: Int64[Tensor, "batch gateways"], rest: int,
        *, capped: bool = True,
    ) -> Plan:  # fmt: skip
        """Every total of tasks to send, as a gateway that takes the rest (1) or not (0).

        Args:
            tables: The critic's numbers.
            net: The network.
            counts: Tasks of each level.
            channel: Channel states.
            rest: 0 or 1.
            capped: Send of each level only what is expected to arrive in time; otherwise everything may be sent.
        """
        batch, gateways, levels = counts.shape
        late = tables.queue_drop[net.kind.expand(batch, gateways), rest, channel]  # batch gateways levels places
        first = torch.where(late >= IN_TIME, torch.arange(late.shape[-1]), late.shape[-1]).amin(
            dim=-1
        )  # first bad place
        ahead = torch.zeros(batch, gateways, dtype=torch.int64)
        caps, aheads = [], []
        for k in range(levels - 1, -1, -1):
            cap = torch.minimum((first[..., k] - 2 * ahead).clamp(min=0), counts[..., k]) if capped else counts[..., k]
            aheads.append(ahead)
            caps.append(cap)
            ahead = ahead + cap
        most = torch.stack(caps[::-1], dim=-1)  # at [batch, gateway, level]
        before = torch.stack(aheads[::-1], dim=-1)
        totals = torch.arange(net.width + 1)
        sent = torch.minimum((totals[:, None] - before[:, :, None, :]).clamp(min=0), most[:, :, None, :])
        place = (2 * torch.minimum(totals[:, None], before[:, :, None, :]) + sent - 1).clamp(min=0)
        lost = torch.gather(late, 3, place.transpose(2, 3).reshape(batch, gateways, levels, -1)).transpose(2, 3)
        at_home = (counts[:, :, None, :] - sent).to(torch.float32)
        tasks = (net.groups[:, None] - totals).clamp(min=0)  # gateways totals
        worth = (1 - tables.local_drop) * tables.gain[..., None] - net.penalty * tables.local_drop
        worth = worth[net.kind[:, None], :, tasks]  # gateways totals models levels
        return Plan(
            sent=sent,
            possible=totals <= ahead[..., None],
            local=torch.einsum("bgak,gavk->bgav", at_home, worth),
            lost=(sent * lost).sum(dim=-1),
            places=(sent * (1 - lost) * place).sum(dim=-1) / 2,
        )

    def values(
        self, plan: Plan, net: Network, channel: Int64[Tensor, "batch gateways"], log_share: PerGateway
    ) -> Float[Tensor, "batch gateways totals models"]:
        """The critic's value of every decision of a plan with these shares, in its scale of gains."""
        head, place, accepted = self.critic.edge(net.kind, channel, log_share)
        total = plan.sent.sum(dim=-1)
        arrive = total - plan.lost
        edge = (
            accepted[..., None] * (arrive * (head[..., None] + net.penalty) + plan.places * place[..., None])
            - net.penalty * total
        )
        return torch.where(plan.possible[..., None], plan.local + edge[..., None], -1e9)

    def forward(
        self,
        tables: CriticTables,
        net: Network,
        counts: Counts,
        channel: Int64[Tensor, "batch gateways"],
        *,
        temperature: float = 0.0,
        spread: float = 0.0,
        explore: Bool[Tensor, "batch gateways"] | None = None,
    ) -> Decision:
        """Decide for a batch of slots.

        Args:
            tables: The critic's numbers.
            net: The network.
            counts: Tasks of each level.
            channel: Channel states.
            temperature: Of the discrete decisions, in the critic's scale of gains; 0 takes the best.
            spread: Standard deviation of the claims' logarithms; 0 takes the mean.
            explore: Where to decide at random.
        """
        batch, gateways, _ = counts.shape
        mean = self.claim(counts, channel, net.kind)
        plans = [self.plan(tables, net, counts, channel, rest) for rest in (0, 1)]
        share, left = self._left(torch.exp(mean))
        usual = self.values(plans[0], net, channel, torch.log(share.clamp(min=1e-9))).flatten(2).amax(dim=2)
        with_rest = self.values(plans[1], net, channel, torch.log(left.clamp(min=1e-9))).flatten(2).amax(dim=2)
        rest = _choose(with_rest - usual, temperature)  # (batch,)
        takes = nn.functional.one_hot(rest, gateways).to(torch.bool)

        noise = torch.randn(batch, gateways) if spread > 0 else torch.zeros(batch, gateways)
        log_share = (mean + spread * noise).clamp(LEAST_LOG_SHARE, self.most)
        if explore is not None:
            anything = LEAST_LOG_SHARE + torch.rand(batch, gateways) * (self.most - LEAST_LOG_SHARE)
            log_share = torch.where(explore, anything, log_share)
        share, left = self._left(torch.exp(log_share), takes)
        given = torch.where(takes, left, share)
        log_given = torch.log(given.clamp(min=1e-9))
        value = torch.where(
            takes[..., None, None],
            self.values(plans[1], net, channel, log_given),
            self.values(plans[0], net, channel, log_given),
        )
        sent = torch.where(takes[..., None, None], plans[1].sent, plans[0].sent)
        if explore is not None:
            free = self.plan(tables, net, counts, channel, 0, capped=False)
            chance = torch.where(free.possible[..., None], torch.rand(value.shape) * 1e6, -1e9)
            value = torch.where(explore[..., None, None], chance, value)
            sent = torch.where(explore[..., None, None], free.sent, sent)
        chosen = _choose(value.flatten(2), temperature)
        models = value.shape[-1]
        total = chosen // models
        picked = torch.gather(sent, 2, total[..., None, None].expand(-1, -1, 1, sent.shape[-1]))[:, :, 0]
        return Decision(
            sent=picked,
            model=chosen % models,
            share=given,
            rest=rest,
            log_share=log_given,
            noise=noise,
            expected=torch.where(takes, with_rest, usual),
        )

    @torch.no_grad()
    def search_claims(
        self, tables: CriticTables, net: Network, counts: Counts, channel: Int64[Tensor, "batch gateways"]
    ) -> None:
        """Set the claim of each kind of gateway in each channel state to the critic's best of a grid, eq. (26).

        Coarse, over all orders of magnitude; the smallest of equals. The score-function gradient does the rest.
        """
        plan = self.plan(tables, net, counts, channel, 0)
        grid = torch.linspace(LEAST_LOG_SHARE, self.most, GRID)
        worth = torch.stack(
            [self.values(plan, net, channel, x.expand(channel.shape)).flatten(2).amax(dim=2) for x in grid], dim=-1
        )
        kind = net.kind.expand(channel.shape)
        for u in range(self.claim_free.shape[0]):
            for state in range(self.claim_free.shape[1]):
                own = (kind == u) & (channel == state)
                if own.any():
                    mean = worth[own].mean(dim=0)
                    best = grid[int((mean >= mean.max() - 1e-3).to(torch.int8).argmax())]
                    self.claim_free[u, state] = best - self.most + np.log(2)

    @staticmethod
    def _left(
        claimed: PerGateway, takes: Bool[Tensor, "batch gateways"] | None = None
    ) -> tuple[PerGateway, PerGateway]:
        """Shares as claimed, scaled down where the others' claims exceed the edge, and what is left for each."""
        if takes is None:
            others = claimed.sum(dim=1, keepdim=True) - claimed
            over = others.amax(dim=1, keepdim=True).clamp(min=1.0)
            return claimed / over, (1 - others).clamp(min=0)
        others = torch.where(takes, 0.0, claimed).sum(dim=1, keepdim=True)
        return claimed / others.clamp(min=1.0), (1 - others).clamp(min=0).expand_as(claimed)


def _choose(value: Float[Tensor, "*rest options"], temperature: float) -> Int64[Tensor, "*rest"]:
    """A sample of softmax(value / temperature); the best at 0."""
    if temperature > 0:
        value = value - temperature * torch.log(-torch.log(torch.rand(value.shape).clamp(1e-12, 1 - 1e-7)))
    return value.argmax(dim=-1)
