"""What a decision brings at one gateway, learned from what gateways report: a critic that is additive over tasks.

Tasks of one level at one gateway are exchangeable and the reward is a sum over tasks, so the critic is one too: an
offloaded task brings what its place in the queue and its gateway's share bring, a local one what its batch, model and
level bring. Each of these few thousand numbers is a small function's output plus a free correction, so that neighbours
learn from each other and every entry can still be exact. The shape of eq. (2), (3) and (7) is built in (time falls with
the share and grows with the batch and the place, and a deadline is met or not); how long anything takes is learned.

Indices: kind of gateway, model, level, channel state; `tasks` in a local batch; `place`, twice the mean queue position
of eq. (7) less the wait for nobody (so that it is whole); `rest`, 1 for the gateway that takes what the others leave of
the edge.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from optimizer.network.scenario import Scenario

TYPICAL = 40.0  # tasks: scales the features


@dataclass(frozen=True, eq=False)
class Features:
    """What the networks know of each index: requirements, accuracies and rates as in Table II, channel gains."""

    kind: Float[Tensor, "kinds 3"]
    model: Float[Tensor, "models 2"]
    level: Float[Tensor, "levels 2"]
    margin: Float[Tensor, "models levels"]
    channel: Float[Tensor, "channels 1"]

    @classmethod
    def of(cls, scenario: Scenario, kinds: Float[np.ndarray, "kinds 3"]) -> "Features":
        """The features of a scenario's models, levels and channel states."""
        tables = scenario.constants
        rate = np.array([m.rate for m in scenario.models])
        gains = np.array(scenario.link.gains)
        asked = tables.min_accuracy
        margin = np.clip(50 * (tables.accuracy[:, None] - asked), -1, 1)
        return cls(
            *(
                torch.tensor(x, dtype=torch.float32)
                for x in (
                    kinds,
                    np.stack([rate, tables.accuracy], axis=1),
                    np.stack([tables.max_delay_s / scenario.slot_s, asked], axis=1),
                    margin,
                    (gains / gains.max())[:, None],
                )
            )
        )


def network(inputs: int, outputs: int, hidden: int = 64) -> nn.Sequential:
    """A small perceptron that starts near zero."""
    last = nn.Linear(hidden, outputs)
    nn.init.normal_(last.weight, std=0.01)
    nn.init.zeros_(last.bias)
    return nn.Sequential(nn.Linear(inputs, hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU(), last)


@dataclass(frozen=True, eq=False)
class CriticTables:
    """All the critic's numbers for one width. Gains are in units of `GatewayCritic.scale`.

    Attributes:
        gain: Of one served local task.
        local_drop: Probability that a local task is dropped.
        queue_drop: Probability that a task sent from this place is dropped though the edge keeps up.
    """

    gain: Float[Tensor, "kinds models tasks"]
    local_drop: Float[Tensor, "kinds models tasks levels"]
    queue_drop: Float[Tensor, "kinds 2 channels levels places"]


class GatewayCritic(nn.Module):
    """Expected gain and number of dropped tasks of a gateway's decision.

    Args:
        scenario: Whose models, levels and channel states it is for.
        kinds: Kinds of gateways, as rows of `kinds.kinds_of`.
        width: Tasks of the largest gateway that it is trained on; larger ones use the networks alone.
    """

    def __init__(self, scenario: Scenario, kinds: Float[np.ndarray, "kinds 3"], width: int) -> None:
        super().__init__()
        self.features = Features.of(scenario, kinds)
        count, models, levels = len(kinds), len(scenario.models), len(scenario.qos)
        channels = len(scenario.link.states)
        self.width = width
        self.epsilon = scenario.constants.epsilon
        self.local_net = network(3 + 2 + models + 3, 1)
        # A third of the logarithm, in slots, so that Adam's steps are large: what a task and a batch at all take.
        # Steepnesses likewise. How soon a probability saturates decides how small a gain is still seen beside the
        # penalty: with small networks (3 gateways, 6 sensors) that is one part in 20,000.
        self.task_time = nn.Parameter(torch.full((count, models), -1.0))
        self.batch_time = nn.Parameter(torch.full((count, models), -1.3))
        self.batch_steepness = nn.Parameter(torch.tensor(0.8))
        self.accuracy_net = network(2 + 2 + 1, 1, 32)
        self.accuracy_free = nn.Parameter(torch.zeros(models, levels))
        self.place_time = nn.Parameter(torch.full((count,), -1.8))
        self.place_channel = nn.Parameter(torch.zeros(count, channels))
        # The whole logarithm: slower, so that what a place takes explains a drop before what comes on top does.
        self.wait_more = nn.Parameter(torch.full((count, 2, channels), -6.0))
        self.wait_steepness = nn.Parameter(torch.tensor(0.8))
        self.gain_law = nn.Parameter(torch.zeros(count, models, 3))
        self.gain_free = nn.Parameter(torch.zeros(count, models, width + 1))
        self.drop_free = nn.Parameter(torch.zeros(count, models, width + 1, levels))
        self.queue_free = nn.Parameter(torch.zeros(count, 2, channels, levels, 2 * width + 1))
        # An offloaded task: E falls with the share as in eq. (3), and must not exceed what the link takes, (17f).
        self.edge_gain = nn.Parameter(torch.zeros(count, channels, 2))
        self.edge_time = nn.Parameter(torch.full((count, channels), -float(np.log(10 * scenario.gateways))))
        self.edge_sign = scenario.objective.edge_sign(scenario.sensors)
        self.edge_bar = nn.Parameter(torch.full((count, channels), -3.0))
        self.edge_steepness = nn.Parameter(torch.tensor(0.2))
        self.register_buffer("scale", torch.tensor(1.0))
        self.scale: Tensor

    def tables(self, width: int) -> CriticTables:
        """The numbers for gateways of up to so many tasks."""
        f = self.features
        kinds, models, levels = len(f.kind), len(f.model), len(f.level)
        tasks = torch.arange(width + 1, dtype=torch.float32)
        places = torch.arange(2 * width + 1, dtype=torch.float32)
        work = tasks[None, :] * (1 - f.model[:, :1]) / TYPICAL
        count = torch.stack([tasks / TYPICAL, torch.log1p(tasks) / 4], dim=-1)
        shape = (kinds, models, width + 1)
        base = torch.cat(
            [
                f.kind[:, None, None].expand(*shape, 3),
                f.model[None, :, None].expand(*shape, 2),
                torch.eye(models)[None, :, None].expand(*shape, models),
                count[None, None].expand(*shape, 2),
                work[None, :, :, None].expand(*shape, 1),
            ],
            dim=-1,
        )
        # What a batch earns is nearly affine in its size, or a task's wait is. Sizes apart learn slowly: few slots show
        # each, and what their noise leaves would decide between near equals.
        law = torch.stack([torch.ones_like(tasks), 1 / tasks.clamp(min=1), tasks / TYPICAL], dim=-1)
        own = self.gain_law @ law.T + 0.1 * fit(self.gain_free, (width + 1,))
        gain = own + 0.3 * self.local_net(base)[..., 0]
        deadline = f.level[:, 0]
        # A batch takes longer with each task, and a level's tasks are late where that exceeds its deadline, (17a); the
        # model is accurate enough for a level or not, (17b): Table II says which, and outcomes correct it.
        lasts = torch.exp(3 * self.batch_time)[..., None] + torch.exp(3 * self.task_time)[..., None] * tasks
        late = torch.exp(3 * self.batch_steepness) * torch.log(lasts[..., None] / deadline)
        seen = torch.cat(
            [
                f.model[:, None].expand(models, levels, 2),
                f.level.expand(models, levels, 2),
                f.margin[..., None],
            ],
            dim=-1,
        )
        inaccurate = self.accuracy_net(seen)[..., 0] + self.accuracy_free - 8 * f.margin
        free = fit(self.drop_free.transpose(2, 3), (width + 1,)).transpose(2, 3)
        local_drop = torch.sigmoid(torch.logaddexp(late, inaccurate[:, None]) + free)
        # Waiting grows with the place, and a level can wait as long as its deadline says, (7) and (17a): how long a
        # place takes and what comes on top is learned, and what is learned of one level tells of the others.
        # What one channel state teaches holds for the others until they show otherwise: states apart learn slowly.
        slower = torch.exp(3 * self.place_time[:, None] + 0.03 * self.place_channel)[:, None, :, None]
        waited = slower * (places / 2) + torch.exp(self.wait_more)[..., None]  # kinds 2 channels places
        late = torch.exp(3 * self.wait_steepness) * torch.log(waited[..., None, :] / deadline[:, None])
        queue_drop = torch.sigmoid(late + 0.5 * fit(self.queue_free, (2 * width + 1,)))
        return CriticTables(gain, local_drop, queue_drop)

    def edge(
        self,
        kind: Int64[Tensor, " gateways"],
        channel: Int64[Tensor, "batch gateways"],
        log_share: Float[Tensor, "batch gateways"],
    ) -> tuple[Float[Tensor, "batch gateways"], Float[Tensor, "batch gateways"], Float[Tensor, "batch gateways"]]:
        """Of a task at the edge with this share: gain at the head of the queue, gain a place, chance to be accepted."""
        kinds = kind.expand(channel.shape)
        gain = self.edge_gain[kinds, channel]
        time = torch.exp(self.edge_time[kinds, channel]) / (torch.exp(log_share) + self.epsilon)
        accepted = torch.sigmoid(torch.exp(3 * self.edge_steepness) * (log_share - self.edge_bar[kinds, channel]))
        return gain[..., 0] + self.edge_sign * time, gain[..., 1], accepted


def fit(free: Float[Tensor, "*rest size"], size: tuple[int, ...]) -> Float[Tensor, "*rest other"]:
    """A free correction cut to a size, or continued with zeros."""
    wanted = size[0]
    have = free.shape[-1]
    return free[..., :wanted] if wanted <= have else nn.functional.pad(free, (0, wanted - have))
