"""What really happens where it differs from the planner's model: noisy and slow inference, stale channel states.

The optimum plans with a scenario's latencies and the channel it is shown. A `World` changes what `step` makes of the
decision, so that learning from outcomes can be compared with solving a model that is wrong.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float64
from pydantic import BaseModel, ConfigDict

from data.common.schema import Many, Positive, read_model
from optimizer.errors import OptimizerError
from optimizer.network.outcome import Outcome, evaluate
from optimizer.network.scenario import Scenario
from optimizer.network.slots import Action, State

TRIAL_SCHEMA = 6  # of the trial's file: factors since 2, the risk since 4, losses near the predicted since 5, repeats


@dataclass(frozen=True)
class World:
    """How outcomes differ from the scenario's.

    Attributes:
        bias: Factor on the times of local batches: real time divided by the planner's.
        spread: Standard deviation of the logarithm of a local batch's time; the median stays.
        tail: Probability that a local batch is held up.
        tail_factor: Factor on the time of a local batch that is held up.
        edge_bias: Factor on the times of edge tasks.
        edge_spread: Standard deviation of the logarithm of a gateway's edge times in a slot.
        stale: Whether the channel states shown are those of the slot before.
        samples: Measured factors (real time divided by expected time) to draw local times from, instead of `spread` and
            `tail`.
        edge_samples: Measured factors to draw edge times from, instead of `edge_spread`.
    """

    bias: float = 1.0
    spread: float = 0.0
    tail: float = 0.0
    tail_factor: float = 3.0
    edge_bias: float = 1.0
    edge_spread: float = 0.0
    stale: bool = False
    samples: tuple[float, ...] = ()
    edge_samples: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if min(self.bias, self.tail_factor, self.edge_bias) <= 0 or not 0 <= self.tail <= 1:
            raise OptimizerError("world: factors must be positive, tail a probability.")
        if min(self.spread, self.edge_spread) < 0:
            raise OptimizerError("world: spreads must be at least 0.")
        if any(not s > 0 for s in self.samples + self.edge_samples):
            raise OptimizerError("world: samples are factors above 0.")

    def local_factor(self, shape: tuple[int, int], rng: np.random.Generator) -> Float64[np.ndarray, "batch gateways"]:
        """Factor on the time of each local batch."""
        if self.samples:
            return self.bias * rng.choice(np.array(self.samples, dtype=np.float64), shape)
        factor = np.exp(self.spread * rng.standard_normal(shape))
        return self.bias * np.where(rng.random(shape) < self.tail, self.tail_factor, 1.0) * factor

    def edge_factor(self, shape: tuple[int, int], rng: np.random.Generator) -> Float64[np.ndarray, "batch gateways"]:
        """Factor on the time of each gateway's tasks at the edge."""
        if self.edge_samples:
            return self.edge_bias * rng.choice(np.array(self.edge_samples, dtype=np.float64), shape)
        return self.edge_bias * np.exp(self.edge_spread * rng.standard_normal(shape))


class _Part(BaseModel):
    """Part of a file whose other fields are not looked at."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)


class _Factors(_Part):
    """Measured over predicted inference times, as a trial's file holds them."""

    local: Many[Positive]
    edge: Many[Positive]


class _Trial(_Part):
    """The part of a trial's file that a world needs; the rest is `optimizer.trial.results.TrialFile`."""

    factors: _Factors


def world_of_trial(path: str | Path) -> World:
    """The world that a trial met: inference times in the proportions that `optimizer.trial` measured.

    Raises:
        OptimizerError: No such file, or not a trial's file; the field is named.
    """
    path, remedy = Path(path), "`python -m optimizer.trial` writes such a file; give it with --trial."
    found = read_model(path, _Trial, TRIAL_SCHEMA, OptimizerError, what="a trial's file", remedy=remedy, oldest=2)
    return World(samples=found.factors.local, edge_samples=found.factors.edge)


def play(scenario: Scenario, state: State, action: Action, world: World, rng: np.random.Generator) -> Outcome:
    """What a batch of actions does in this world; `state` holds the true channel states."""
    shape = (state.channel.shape[0], state.channel.shape[1])
    local = world.local_factor(shape, rng)
    edge = world.edge_factor(shape, rng)
    return evaluate(scenario, state, action, local_factor=local, edge_factor=edge)
