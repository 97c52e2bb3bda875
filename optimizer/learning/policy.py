"""The project's own policy: a soft actor-critic made for this network.

What the paper's agent learns with one network over N + 2G numbers is split along the structure of the problem:

* *Continuous part, an actor*: each gateway names the share of the edge that it claims, a Gaussian in the share's
  logarithm. One gateway takes what the others leave. (The optimum looks like that, see docs/optimum.md. Shares that sum
  to 1 by a softmax cannot express it when gateways look alike.)
* *Discrete part, in closed form*: for a finite set of actions the minimiser of eq. (26) is a softmax of the critic over
  the temperature, so no network has to learn it. A gateway chooses how many tasks it sends (the most critical first, of
  each level as many as the critic expects to arrive in time) and the model for the others; the gateway that takes the
  rest of the edge is chosen by the sum of the critic's values.
* The critic (`critic`) judges one gateway and is shared by all.

Everything is learned from what `step` returns. Nothing here knows a latency, a rate of the link, or the optimum.
"""

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from optimizer.learning.critic import CriticValues, GatewayCritic
from optimizer.learning.decisions import (
    BEST,
    Channels,
    Claims,
    Counts,
    Decision,
    Exploration,
    NetworkFacts,
    PerGateway,
    Plan,
    Slots,
)
from optimizer.learning.laws import mlp
from optimizer.network.scenario import Scenario

# Picked by hand:
LEAST_LOG_SHARE = -9.0  # no claim is below 0.012 % of the edge
LOG_2 = float(np.log(2))  # claims start at half of an even share
SMOOTH = 1e-4  # rounds off the kink of the absolute value within 1 % of the bound
GRID = 60  # shares that the search for claims tries, 15 % apart
ALIKE = 1e-3  # the search takes the smallest share whose value is within this of the best
IN_TIME = 0.05  # a level sends only from places whose tasks are expected to be dropped less often than this
LEAST_SHARE = 1e-9  # keeps logarithms of shares finite
IMPOSSIBLE = -1e9  # value of a decision that does not exist
ANY = 1e6  # scale of random values that outweigh every temperature


class Jopa(nn.Module):
    """Actor and critic of all gateways.

    Args:
        scenario: Scenario that defines the models, levels and channel states.
        gateway_types: Types of gateways, as rows of `gateway_types_of`.
        width: Number of tasks of the largest gateway in training.
    """

    def __init__(self, scenario: Scenario, gateway_types: Float[np.ndarray, "types 3"], width: int) -> None:
        super().__init__()
        self.critic = GatewayCritic(scenario, gateway_types, width)
        levels, channels = len(scenario.qos), len(scenario.link.states)
        self.claim_network = mlp(3 + channels + levels, 1, 32)
        self.claim_free = nn.Parameter(torch.zeros(len(gateway_types), channels))
        # Nobody claims more than an even share: claims that leave nothing for the last gateway are a trap, since none
        # of them alone can mend that (3 of 9 trainings ended there without it).
        self.most = -float(np.log(scenario.gateways))

    def facts(
        self,
        gateway_type: Int64[Tensor, " gateways"],
        groups: Int64[Tensor, " gateways"],
        penalty: float | Tensor,
        width: int,
        unit: float = 1.0,
    ) -> NetworkFacts:
        """What the policy is told about a network.

        Args:
            gateway_type: Index of each gateway's type.
            groups: Number of tasks of each gateway.
            penalty: Cost of one dropped task, in reward.
            width: Number of tasks up to which the critic's values go.
            unit: Reward that makes one unit of gain, see `units`.
        """
        return NetworkFacts(gateway_type, groups, penalty / (self.critic.scale * unit), width)

    def claim(self, slots: Slots) -> PerGateway:
        """Mean of the logarithm of the share that each gateway claims."""
        f = self.critic.features
        shape = slots.channel.shape
        seen = torch.cat(
            [
                f.gateway_type[slots.facts.gateway_type].expand(*shape, 3),
                nn.functional.one_hot(slots.channel, len(f.channel)).to(torch.float32),
                slots.counts / slots.counts.sum(dim=2, keepdim=True),
            ],
            dim=-1,
        )
        free = self.claim_free[slots.types, slots.channel]
        # The absolute value, smoothed, keeps a gradient right up to the bound.
        below = torch.sqrt((self.claim_network(seen)[..., 0] + free - LOG_2).square() + SMOOTH)
        return (self.most - below).clamp(min=LEAST_LOG_SHARE)

    def plan(self, values: CriticValues, slots: Slots, rest: int, *, capped: bool = True) -> Plan:
        """Every number of tasks to send.

        Args:
            values: The critic's values.
            slots: The slots.
            rest: 1 for gateways that take the rest of the edge, else 0.
            capped: Send of each level only what is expected to arrive in time; otherwise everything may be sent.
        """
        facts, counts = slots.facts, slots.counts
        late = values.queue_drop[slots.types, rest, slots.channel]  # batch gateways levels places
        most, before, available = _send_limits(late, counts, capped=capped)
        totals = torch.arange(facts.width + 1)
        sent = torch.minimum((totals[:, None] - before[:, :, None, :]).clamp(min=0), most[:, :, None, :])
        place = (2 * torch.minimum(totals[:, None], before[:, :, None, :]) + sent - 1).clamp(min=0)
        lost = torch.gather(late, 3, place.transpose(2, 3)).transpose(2, 3)
        at_home = (counts[:, :, None, :] - sent).to(torch.float32)
        tasks = (facts.groups[:, None] - totals).clamp(min=0)  # gateways totals
        worth = (1 - values.local_drop) * values.gain[..., None] - facts.penalty * values.local_drop
        worth = worth[facts.gateway_type[:, None], :, tasks]  # gateways totals models levels
        return Plan(
            sent=sent,
            possible=totals <= available[..., None],
            local=torch.einsum("bgak,gavk->bgav", at_home, worth),
            lost=(sent * lost).sum(dim=-1),
            places=(sent * (1 - lost) * place).sum(dim=-1) / 2,
        )

    def judge(self, plan: Plan, slots: Slots, log_share: PerGateway) -> Float[Tensor, "batch gateways totals models"]:
        """The critic's value of every decision of a plan with these shares, in its scale of gains."""
        facts = slots.facts
        edge = self.critic.edge(facts.gateway_type, slots.channel, log_share)
        total = plan.sent.sum(dim=-1)
        arrive = total - plan.lost
        value = (
            edge.accepted[..., None]
            * (arrive * (edge.gain[..., None] + facts.penalty) + plan.places * edge.wait[..., None])
            - facts.penalty * total
        )
        return torch.where(plan.possible[..., None], plan.local + value[..., None], IMPOSSIBLE)

    def forward(self, values: CriticValues, slots: Slots, how: Exploration = BEST) -> Decision:
        """Decide for a batch of slots.

        Args:
            values: The critic's values.
            slots: The slots.
            how: How far to depart from the best decisions.
        """
        usual, with_rest = (self.plan(values, slots, rest) for rest in (0, 1))
        claims = self._claim_shares(usual, with_rest, slots, how)
        takes = claims.takes[..., None, None]
        value = torch.where(
            takes, self.judge(with_rest, slots, claims.log_share), self.judge(usual, slots, claims.log_share)
        )
        sent = torch.where(takes, with_rest.sent, usual.sent)
        if how.at_random is not None:
            free = self.plan(values, slots, 0, capped=False)
            chance = torch.where(free.possible[..., None], torch.rand(value.shape) * ANY, IMPOSSIBLE)
            random = how.at_random[..., None, None]
            value, sent = torch.where(random, chance, value), torch.where(random, free.sent, sent)
        chosen = _choose(value.flatten(2), how.temperature)
        models = value.shape[-1]
        total = (chosen // models)[..., None, None].expand(-1, -1, 1, sent.shape[-1])
        return Decision(torch.gather(sent, 2, total)[:, :, 0], chosen % models, claims)

    def _claim_shares(self, usual: Plan, with_rest: Plan, slots: Slots, how: Exploration) -> Claims:
        """Let each gateway claim a share, and choose the gateway that takes what the others leave."""
        mean = self.claim(slots)
        share, left = _shares(torch.exp(mean))
        value = self.judge(usual, slots, _log(share)).flatten(2).amax(dim=2)
        value_with_rest = self.judge(with_rest, slots, _log(left)).flatten(2).amax(dim=2)
        rest = _choose(value_with_rest - value, how.temperature)
        takes = nn.functional.one_hot(rest, mean.shape[1]).to(torch.bool)
        noise = torch.randn(mean.shape) if how.spread > 0 else torch.zeros(mean.shape)
        log_share = (mean + how.spread * noise).clamp(LEAST_LOG_SHARE, self.most)
        if how.at_random is not None:
            anything = LEAST_LOG_SHARE + torch.rand(mean.shape) * (self.most - LEAST_LOG_SHARE)
            log_share = torch.where(how.at_random, anything, log_share)
        given = _shares_with_rest(torch.exp(log_share), takes)
        return Claims(rest, takes, given, _log(given), noise, torch.where(takes, value_with_rest, value))

    @torch.no_grad()
    def search_claims(self, values: CriticValues, slots: Slots) -> None:
        """Set the claim of each type of gateway in each channel state to the critic's best of a grid, eq. (26).

        The grid is coarse and covers all orders of magnitude; of nearly equal shares the smallest is taken. The
        score-function gradient does the rest.
        """
        plan = self.plan(values, slots, 0)
        grid = torch.linspace(LEAST_LOG_SHARE, self.most, GRID)
        shape = slots.channel.shape
        worth = torch.stack([self.judge(plan, slots, x.expand(shape)).flatten(2).amax(dim=2) for x in grid], dim=-1)
        for u in range(self.claim_free.shape[0]):
            for state in range(self.claim_free.shape[1]):
                own = (slots.types == u) & (slots.channel == state)
                if own.any():
                    mean = worth[own].mean(dim=0)
                    best = grid[int((mean >= mean.max() - ALIKE).to(torch.int8).argmax())]
                    self.claim_free[u, state] = best - self.most + LOG_2


def _send_limits(
    late: Float[Tensor, "batch gateways levels places"], counts: Counts, *, capped: bool
) -> tuple[Counts, Counts, Channels]:
    """Tasks of each level that may be sent, tasks sent before each level, and all tasks that may be sent.

    Levels are sent from the most critical down. A capped level stops at the first place where tasks are too often late.
    """
    places = late.shape[-1]
    first_late = torch.where(late >= IN_TIME, torch.arange(places), places).amin(dim=-1)
    before = torch.zeros(counts.shape[:2], dtype=torch.int64)
    limits, befores = [], []
    for k in range(counts.shape[2] - 1, -1, -1):
        limit = counts[..., k]
        if capped:
            limit = torch.minimum((first_late[..., k] - 2 * before).clamp(min=0), limit)
        limits.append(limit)
        befores.append(before)
        before = before + limit
    return torch.stack(limits[::-1], dim=-1), torch.stack(befores[::-1], dim=-1), before


def _log(share: PerGateway) -> PerGateway:
    return torch.log(share.clamp(min=LEAST_SHARE))


def _shares(claimed: PerGateway) -> tuple[PerGateway, PerGateway]:
    """Shares as claimed, scaled down where the others' claims exceed the edge, and what would be left for each."""
    others = claimed.sum(dim=1, keepdim=True) - claimed
    over = others.amax(dim=1, keepdim=True).clamp(min=1.0)
    return claimed / over, (1 - others).clamp(min=0)


def _shares_with_rest(claimed: PerGateway, takes: Bool[Tensor, "batch gateways"]) -> PerGateway:
    """Shares that sum to 1: as claimed, scaled down where they exceed the edge, and the rest for one gateway."""
    others = torch.where(takes, 0.0, claimed).sum(dim=1, keepdim=True)
    return torch.where(takes, (1 - others).clamp(min=0), claimed / others.clamp(min=1.0))


def _choose(value: Float[Tensor, "*rest options"], temperature: float) -> Int64[Tensor, "*rest"]:
    """A sample of softmax(value / temperature); the best at 0."""
    if temperature > 0:
        value = value - temperature * torch.log(-torch.log(torch.rand(value.shape).clamp(1e-12, 1 - 1e-7)))
    return value.argmax(dim=-1)
