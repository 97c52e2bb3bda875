"""A policy to train (`Job`), and what every way of training offers to the code that runs it (`Training`)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor, nn

from optimizer.network.scenario import Scenario

Row = dict[str, float | None]
"""Figures of one block of a training, by name."""


@dataclass(frozen=True)
class Job:
    """One policy to train.

    Attributes:
        name: Name of its folder below --out.
        scenarios: The networks to train on.
        seed: Random seed of the training.
    """

    name: str
    scenarios: tuple[Scenario, ...]
    seed: int


Progress = Callable[[Job, int, int, Row], None]
"""Called after each block with the job, the number of updates done, their total, and the block's figures."""


@runtime_checkable
class Training(Protocol):
    """A training that goes block by block and can be stopped after each. To add a preset, implement this.

    Attributes:
        total: Value of `done` at which the training is finished.
        reach: Number of tasks of the largest gateway that the policy can serve.
    """

    total: int
    reach: int

    @property
    def done(self) -> int:
        """Number of updates (default preset) or slots (paper preset) so far."""
        ...

    @property
    def gateway_types(self) -> Float64[np.ndarray, "types 3"]:
        """Types of gateways that the policy tells apart (see `gateway_types`); none if it does not share weights."""
        ...

    def run_block(self) -> Row:
        """Train up to the next checkpoint; the number of slots, the mean reward and the mean drop ratio."""
        ...

    def validate(self) -> Row:
        """Mean reward, mean drop ratio and gap to the optimum of the policy's best decisions on validation slots."""
        ...

    def modules(self) -> dict[str, nn.Module]:
        """Everything that has weights, by name."""
        ...

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Every optimizer, by name; their moments belong to a checkpoint."""
        ...

    def memory(self) -> dict[str, Tensor]:
        """Other tensors that belong to a checkpoint, by name."""
        ...

    def counters(self) -> dict[str, int]:
        """Other numbers that belong to a checkpoint, by name."""
        ...

    def resume(self, done: int, memory: dict[str, Tensor], counters: dict[str, int]) -> None:
        """Go on from a checkpoint, after the weights and moments were loaded."""
        ...

    def to_onnx(self) -> bytes | None:
        """The policy as an ONNX file; None where it decides from its weights alone (`factory.policy`)."""
        ...
