"""Training images varied as another day, load or sensor would vary them."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from pruning.errors import PruningError


@dataclass(frozen=True)
class Augmentation:
    """How far training images are varied."""

    roll: bool = True
    """Shift in time, cyclically, by the same random amount for a batch."""
    jitter: float = 0.2
    """Standard deviation of independent noise on each pixel, in standard deviations of the training images."""
    gain: float = 0.0
    """Standard deviation of one offset an image (log-power: a gain), in the same unit."""

    def __post_init__(self) -> None:
        if self.jitter < 0 or self.gain < 0:
            raise PruningError(f"--jitter and --gain must be 0 or more; got {self.jitter} and {self.gain}.")


def augment(
    images: Float[Tensor, "batch 1 size size"], settings: Augmentation, generator: torch.Generator
) -> Float[Tensor, "batch 1 size size"]:
    """A varied copy of a batch; every random number comes from `generator` (on the CPU, so that devices agree)."""
    if settings.roll:
        shift = int(torch.randint(0, images.shape[3], (1,), generator=generator))
        images = images.roll(shift, dims=3)
    if settings.gain:
        images = images + settings.gain * torch.randn(len(images), 1, 1, 1, generator=generator).to(images.device)
    if settings.jitter:
        images = images + settings.jitter * torch.randn(images.shape, generator=generator).to(images.device)
    return images
