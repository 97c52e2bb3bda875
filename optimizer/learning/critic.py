"""What a decision brings at one gateway, learned from what gateways report: a critic that is a sum over tasks.

Tasks of one level at one gateway are exchangeable and the reward is a sum over tasks, so the critic is one too: an
offloaded task brings what its place in the queue and its gateway's share bring, a local one what its batch, model and
level bring. Each of these few thousand numbers comes from a law (`laws`), a small network and a free correction:
neighbours learn from each other, and each entry can still become exact. How long anything takes is learned.

Indices: type of gateway, model, level, channel state; `tasks` of a local batch; `place` in the queue, which is twice
the mean queue position of eq. (7) so that it is a whole number; `rest`, 1 for the gateway that takes what the others
leave of the edge.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from optimizer.learning.laws import (
    GAIN_NETWORK_STEP,
    QUEUE_STEP,
    START_STEEPNESS,
    TYPICAL,
    AccuracyRequirement,
    BatchTime,
    Correction,
    Deadline,
    EdgeLaw,
    GainLaw,
    QueueTime,
    mlp,
)
from optimizer.network.scenario import Scenario

MARGIN_SCALE = 50.0  # a model that is 2 % more accurate than a level asks for counts as surely accurate; picked by hand
COUNT_SCALE = 4.0  # brings log(1 + tasks) to about 1; picked by hand


@dataclass(frozen=True, eq=False)
class Features:
    """What the networks are told of each index. None of it is a latency or a rate of the link.

    Attributes:
        gateway_type: Rows of `gateway_types_of`.
        model: Pruning rate and relative accuracy.
        level: Deadline in slots and required accuracy, Table II.
        margin: How much more accurate a model is than a level asks for, from -1 to 1.
        channel: Channel gain relative to the best state's.
    """

    gateway_type: Float[Tensor, "types 3"]
    model: Float[Tensor, "models 2"]
    level: Float[Tensor, "levels 2"]
    margin: Float[Tensor, "models levels"]
    channel: Float[Tensor, "channels 1"]

    @classmethod
    def of(cls, scenario: Scenario, gateway_types: Float[np.ndarray, "types 3"]) -> "Features":
        """The features of a scenario's models, levels and channel states."""
        constants = scenario.constants
        rate = np.array([m.rate for m in scenario.models])
        gains = np.array(scenario.link.gains)
        asked = constants.min_accuracy
        parts = (
            gateway_types,
            np.stack([rate, constants.accuracy], axis=1),
            np.stack([constants.max_delay_s / scenario.slot_s, asked], axis=1),
            np.clip(MARGIN_SCALE * (constants.accuracy[:, None] - asked), -1, 1),
            (gains / gains.max())[:, None],
        )
        return cls(*(torch.tensor(part, dtype=torch.float32) for part in parts))


@dataclass(frozen=True, eq=False)
class CriticValues:
    """All the critic's numbers for gateways of up to a number of tasks. Gains are in units of `GatewayCritic.scale`.

    Attributes:
        gain: Gain of one served local task.
        local_drop: Probability that a local task is dropped.
        queue_drop: Probability that a task sent from a place is dropped although the edge keeps up.
    """

    gain: Float[Tensor, "types models tasks"]
    local_drop: Float[Tensor, "types models tasks levels"]
    queue_drop: Float[Tensor, "types 2 channels levels places"]

    def detach(self) -> "CriticValues":
        """The same numbers without gradients."""
        return CriticValues(self.gain.detach(), self.local_drop.detach(), self.queue_drop.detach())


class GatewayCritic(nn.Module):
    """Expected gain and number of dropped tasks of a gateway's decision.

    Args:
        scenario: Scenario that defines the models, levels and channel states.
        gateway_types: Types of gateways, as rows of `gateway_types_of`.
        width: Number of tasks of the largest gateway in training. For larger ones the laws and networks go on alone.
    """

    def __init__(self, scenario: Scenario, gateway_types: Float[np.ndarray, "types 3"], width: int) -> None:
        super().__init__()
        self.features = Features.of(scenario, gateway_types)
        types, models, levels = len(gateway_types), len(scenario.models), len(scenario.qos)
        channels = len(scenario.link.states)
        sign = scenario.objective.edge_sign(scenario.sensors)
        self.gain = GainLaw(types, models, width)
        self.gain_network = mlp(3 + 2 + models + 3, 1)
        self.batch_time = BatchTime(types, models)
        self.batch_deadline = Deadline(START_STEEPNESS)
        self.accuracy = AccuracyRequirement(models, levels)
        self.local_free = Correction((types, models, levels, width + 1))
        self.queue_time = QueueTime(types, channels)
        self.queue_deadline = Deadline(START_STEEPNESS)
        self.queue_free = Correction((types, 2, channels, levels, 2 * width + 1), QUEUE_STEP)
        self.edge = EdgeLaw(types, channels, scenario.gateways, sign)
        self.register_buffer("scale", torch.tensor(1.0))
        self.scale: Tensor

    def parameter_groups(self) -> dict[str, list[nn.Parameter]]:
        """All parameters by what they are: networks, laws, corrections (free entries), steepness, edge."""
        queue, edge = self.queue_time, self.edge
        return {
            "networks": [*self.gain_network.parameters(), *self.accuracy.network.parameters()],
            "laws": [self.gain.law, *self.batch_time.parameters(), *queue.parameters()],
            "corrections": [
                *self.gain.each_size.parameters(),
                *self.local_free.parameters(),
                *self.queue_free.parameters(),
                self.accuracy.free,
            ],
            "steepness": [
                *self.batch_deadline.parameters(),
                *self.queue_deadline.parameters(),
                *edge.deadline.parameters(),
            ],
            "edge": [
                edge.gain,
                *(p for part in (edge.time, edge.epsilon, edge.least_share) for p in part.parameters()),
            ],
        }

    def values(self, width: int) -> CriticValues:
        """The numbers for gateways of up to `width` tasks."""
        tasks = torch.arange(width + 1, dtype=torch.float32)
        gain = self.gain(tasks) + GAIN_NETWORK_STEP * self._gain_network(tasks)
        return CriticValues(gain, self._local_drop(tasks), self._queue_drop(width))

    def _gain_network(self, tasks: Float[Tensor, " tasks"]) -> Float[Tensor, "types models tasks"]:
        """What the network adds to the law of gains: models and types of gateways learn from each other."""
        f = self.features
        models = len(f.model)
        shape = (len(f.gateway_type), models, len(tasks))
        work = tasks[None, :] * (1 - f.model[:, :1]) / TYPICAL
        count = torch.stack([tasks / TYPICAL, torch.log1p(tasks) / COUNT_SCALE], dim=-1)
        seen = torch.cat(
            [
                f.gateway_type[:, None, None].expand(*shape, 3),
                f.model[None, :, None].expand(*shape, 2),
                torch.eye(models)[None, :, None].expand(*shape, models),
                count[None, None].expand(*shape, 2),
                work[None, :, :, None].expand(*shape, 1),
            ],
            dim=-1,
        )
        return self.gain_network(seen)[..., 0]

    def _local_drop(self, tasks: Float[Tensor, " tasks"]) -> Float[Tensor, "types models tasks levels"]:
        """A local task is dropped if its batch takes longer than its deadline, (17a), or its model is inaccurate."""
        f = self.features
        lasts = self.batch_time(tasks)[..., None]
        late = self.batch_deadline.logit(torch.log(lasts / f.level[:, 0]))
        inaccurate = self.accuracy(f.model, f.level, f.margin)
        free = self.local_free(len(tasks)).transpose(2, 3).contiguous()
        return torch.sigmoid(torch.logaddexp(late, inaccurate[:, None]) + free)

    def _queue_drop(self, width: int) -> Float[Tensor, "types 2 channels levels places"]:
        """An offloaded task is dropped if it waits longer than its deadline, (17a); one law serves all levels."""
        places = torch.arange(2 * width + 1, dtype=torch.float32)
        waits = self.queue_time(places)[..., None, :]
        return self.queue_deadline(waits, self.features.level[:, :1], self.queue_free(len(places)))
