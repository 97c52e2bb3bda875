"""The laws that the critic is composed of: how long things take, which deadlines they miss, what they are worth.

The shape of each law is the paper's (time grows with a batch and with the place in a queue, eq. (2) and (7), and falls
with the share of the edge, eq. (3)); all its constants are learned. Times are in slots, gains in units of
`GatewayCritic.scale`. Numbers in capitals were picked by hand unless a comment says more.
"""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

STEP = 3.0  # times and steepnesses: Adam's step of 0.01 changes them by 3 %, which a few hundred updates need
TYPICAL = 40.0  # number of tasks: scales features and the affine law of gains

START_TASK_TIME = math.exp(-3.0)  # 0.05 slots for each task of a batch
START_BATCH_TIME = math.exp(-3.9)  # 0.02 slots for a batch of any size
START_PLACE_TIME = math.exp(-5.4)  # 0.0045 slots for each place in the queue
START_EXTRA_WAIT = math.exp(-6.0)  # 0.0025 slots on top of the wait for places
START_EVEN_SHARES = 10  # a task takes a tenth of a slot at the edge with an even share
# Shares far below 0.03 % are alike at first. Picked by hand among exp(-6), exp(-8) and exp(-10): of two to three seeds
# each on `paper-heavy`, N = 100, one, none and two ended 0.8 % below the optimum, the others at most 0.12 %.
START_EPSILON = math.exp(-8.0)
START_LEAST_SHARE = math.exp(-3.0)  # the edge keeps up from a share of 5 %

# How sharp a deadline gets decides how small a gain is still seen beside the penalty for a lost task: with 3 gateways
# of 2 sensors that is one part in 20,000.
START_STEEPNESS = math.exp(2.4)  # at twice the deadline, 1 in 2,000 tasks is still expected in time
START_EDGE_STEEPNESS = math.exp(0.6)  # softer: claims are moved along this slope

CHANNEL_STEP = 0.03  # a hundredth of STEP: what one channel state teaches holds for the others until they differ
GAIN_STEP = 0.1  # few slots show each size of a batch, so its own gain learns slowly: noise would decide near-equals
QUEUE_STEP = 0.5
GAIN_NETWORK_STEP = 0.3
MARGIN_WEIGHT = 8.0  # accuracy one point of MARGIN_SCALE short of what a level asks: 1 in 3,000 tasks is served


def mlp(inputs: int, outputs: int, hidden: int = 64) -> nn.Sequential:
    """A multilayer perceptron with two hidden layers whose output starts near zero."""
    last = nn.Linear(hidden, outputs)
    nn.init.normal_(last.weight, std=0.01)
    nn.init.zeros_(last.bias)
    return nn.Sequential(nn.Linear(inputs, hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU(), last)


class PositiveTime(nn.Module):
    """A learned positive number, such as a time in slots, stored as its logarithm divided by a step size.

    A larger step size lets Adam, whose steps in the stored number have one size, change the time faster.

    Args:
        shape: Shape of the tensor of times.
        start: Value of each before training.
        step: The step size.
    """

    def __init__(self, shape: tuple[int, ...], start: float, step: float = STEP) -> None:
        super().__init__()
        self.step = step
        self.stored = nn.Parameter(torch.full(shape, math.log(start) / step))

    def logarithm(self) -> Float[Tensor, "*shape"]:
        """Natural logarithms of the times."""
        return self.step * self.stored

    def forward(self) -> Float[Tensor, "*shape"]:
        """The times."""
        return torch.exp(self.logarithm())


class Deadline(nn.Module):
    """Learned probability that a task is late: sigmoid(steepness * log(time / deadline)).

    Args:
        start: Steepness before training. It is learned as a logarithm, so that Adam can sharpen a deadline within a few
            hundred updates.
    """

    def __init__(self, start: float) -> None:
        super().__init__()
        self.steepness = PositiveTime((), start)

    def logit(self, log_ratio: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """Logit of the probability, from log(time / deadline)."""
        return self.steepness() * log_ratio

    def forward(
        self,
        time: Float[Tensor, "*#shape"],
        deadline: Float[Tensor, "*#shape"],
        correction: Float[Tensor, "*#shape"] | float = 0.0,
    ) -> Float[Tensor, "*shape"]:
        """Probability of being late; the correction is added to its logit."""
        return torch.sigmoid(self.logit(torch.log(time / deadline)) + correction)


class Correction(nn.Module):
    """Learned corrections of a law, one for each entry, which start at zero.

    Args:
        shape: Shape of the corrections; the last axis is the size of something (tasks of a batch, places of a queue).
        step: Factor between stored and used numbers; the smaller, the slower they learn.
    """

    def __init__(self, shape: tuple[int, ...], step: float = 1.0) -> None:
        super().__init__()
        self.step = step
        self.stored = nn.Parameter(torch.zeros(shape))

    def forward(self, size: int) -> Float[Tensor, "*rest size"]:
        """The corrections for sizes below a limit; zero where the limit is beyond the sizes of the training."""
        have = self.stored.shape[-1]
        cut = self.stored[..., :size] if size <= have else nn.functional.pad(self.stored, (0, size - have))
        return self.step * cut


class GainLaw(nn.Module):
    """Gain of one served task of a local batch: a + b / n + c n for a batch of n tasks, corrected for each size.

    The work done for a task does not depend on the batch, its share of the batch's fixed cost falls as 1 / n, and its
    wait grows with n: so the gain is nearly of this form under every reward.
    """

    def __init__(self, types: int, models: int, width: int) -> None:
        super().__init__()
        self.law = nn.Parameter(torch.zeros(types, models, 3))
        self.each_size = Correction((types, models, width + 1), GAIN_STEP)

    def forward(self, tasks: Float[Tensor, " tasks"]) -> Float[Tensor, "types models tasks"]:
        """Gains at batch sizes 0, 1, 2, ..."""
        terms = torch.stack([torch.ones_like(tasks), 1 / tasks.clamp(min=1), tasks / TYPICAL], dim=-1)
        return self.law @ terms.T + self.each_size(len(tasks))


class BatchTime(nn.Module):
    """How long a local batch takes: a fixed time per batch and a time per task, eq. (2)."""

    def __init__(self, types: int, models: int) -> None:
        super().__init__()
        self.task = PositiveTime((types, models), START_TASK_TIME)
        self.batch = PositiveTime((types, models), START_BATCH_TIME)

    def forward(self, tasks: Float[Tensor, " tasks"]) -> Float[Tensor, "types models tasks"]:
        """Slots that batches of these sizes take."""
        return self.batch()[..., None] + self.task()[..., None] * tasks


class AccuracyRequirement(nn.Module):
    """Whether a model is accurate enough for a level, (17b): Table II says so, and outcomes correct it."""

    def __init__(self, models: int, levels: int) -> None:
        super().__init__()
        self.network = mlp(2 + 2 + 1, 1, 32)
        self.free = nn.Parameter(torch.zeros(models, levels))

    def forward(
        self,
        model: Float[Tensor, "models 2"],
        level: Float[Tensor, "levels 2"],
        margin: Float[Tensor, "models levels"],
    ) -> Float[Tensor, "models levels"]:
        """Logit of the probability that a task is dropped because its model is not accurate enough."""
        shape = (*margin.shape, 2)
        seen = torch.cat([model[:, None].expand(shape), level.expand(shape), margin[..., None]], dim=-1)
        return self.network(seen)[..., 0] + self.free - MARGIN_WEIGHT * margin


class QueueTime(nn.Module):
    """How long a task waits and is sent: a time per place in the queue, eq. (7), and an extra time.

    The extra time is stored without STEP, so it learns more slowly: lost tasks are explained by the time per place
    first, and by the extra time second.
    """

    def __init__(self, types: int, channels: int) -> None:
        super().__init__()
        self.place = PositiveTime((types,), START_PLACE_TIME)
        self.each_channel = nn.Parameter(torch.zeros(types, channels))
        self.extra = PositiveTime((types, 2, channels), START_EXTRA_WAIT, step=1.0)

    def forward(self, places: Float[Tensor, " places"]) -> Float[Tensor, "types 2 channels places"]:
        """Slots until a task is sent, by its place (twice its mean position) and whether its gateway takes the rest."""
        place = torch.exp(self.place.logarithm()[:, None] + CHANNEL_STEP * self.each_channel)
        return place[:, None, :, None] * (places / 2) + self.extra()[..., None]


class AtEdge(NamedTuple):
    """What the critic expects of a task at the edge, for each gateway of a batch of slots.

    Attributes:
        gain: Gain of a served task at the head of the queue.
        wait: Change of that gain for each task ahead in the queue.
        accepted: Probability that the edge is at least as fast as the link, (17f).
    """

    gain: Float[Tensor, "batch gateways"]
    wait: Float[Tensor, "batch gateways"]
    accepted: Float[Tensor, "batch gateways"]


class EdgeLaw(nn.Module):
    """A task at the edge: its time falls with the gateway's share as in eq. (3), and must not exceed the link's, (17f).

    Args:
        types: Number of gateway types.
        channels: Number of channel states.
        gateways: Number of gateways, for the start values.
        sign: 1 where time spent at the edge counts in favour, -1 where it counts against, 0 where it does not count.
    """

    def __init__(self, types: int, channels: int, gateways: int, sign: float) -> None:
        super().__init__()
        self.sign = sign
        self.gain = nn.Parameter(torch.zeros(types, channels, 2))
        self.time = PositiveTime((types, channels), 1 / (START_EVEN_SHARES * gateways), step=1.0)
        self.epsilon = PositiveTime((), START_EPSILON, step=1.0)  # eq. (3)'s; not given: it is the edge's task time
        self.least_share = PositiveTime((types, channels), START_LEAST_SHARE, step=1.0)
        self.deadline = Deadline(START_EDGE_STEEPNESS)

    def forward(
        self,
        gateway_type: Int64[Tensor, " gateways"],
        channel: Int64[Tensor, "batch gateways"],
        log_share: Float[Tensor, "batch gateways"],
    ) -> AtEdge:
        """What is expected with these shares, given as logarithms."""
        types = gateway_type.expand(channel.shape)
        gain = self.gain[types, channel]
        time = torch.exp(self.time.logarithm()[types, channel]) / (torch.exp(log_share) + self.epsilon())
        least = self.least_share.logarithm()[types, channel]
        accepted = torch.sigmoid(-self.deadline.logit(least - log_share))
        return AtEdge(gain[..., 0] + self.sign * time, gain[..., 1], accepted)
