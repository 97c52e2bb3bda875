"""What is known of a training that is under way."""

from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor


class EpochLog(NamedTuple):
    """One line of `history.jsonl`: losses are means, accuracies fractions; validation is NaN-free or None."""

    epoch: int
    lr: float
    train_loss: float
    validation_loss: float | None
    validation_accuracy: float | None


@dataclass
class TrainState:
    """What an unfinished training needs to continue exactly; everything else follows from the seed and the epoch.

    Attributes:
        epoch: Number of finished epochs.
        logs: One entry per epoch.
        best_loss: Lowest validation loss so far.
        best_epoch: Epoch of the lowest validation loss.
        best: Weights at that epoch; empty without a validation part or an early stop.
        optimizer: The optimizer's tensors by "parameter.name".
    """

    epoch: int
    logs: list[EpochLog]
    best_loss: float
    best_epoch: int
    best: dict[str, Tensor]
    optimizer: dict[str, Tensor]
