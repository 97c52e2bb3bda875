"""Training images varied as another day, load or sensor would vary them."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own short name
from jaxtyping import Float
from torch import Tensor

from pruning.errors import PruningError


@dataclass(frozen=True)
class Augmentation:
    """How much training images are varied."""

    roll: bool = True
    """Shift images in time, cyclically, by one random amount for each batch."""
    jitter: float = 0.1
    """Standard deviation of the noise added to each pixel, in standard deviations of the training images."""
    warp: float = 0.05
    """Largest relative stretch of the frequency axis, as if the machine ran a little faster or slower."""
    gain: float = 0.0
    """Standard deviation of one offset for each image, in the same unit; added to log-power, it is a gain."""

    def __post_init__(self) -> None:
        for name in ("jitter", "warp", "gain"):
            if not 0 <= getattr(self, name) <= 1:
                raise PruningError(f"--{name} must lie in [0, 1]; got {getattr(self, name)}.")


def stretch(images: Float[Tensor, "batch 1 rows columns"], factors: Float[Tensor, " batch"]) -> Tensor:
    """Each image with its frequency axis multiplied by a factor (row 0 is 0 Hz and stays), linearly interpolated."""
    count, _, rows, columns = images.shape
    factors = factors.to(images.device)
    position = torch.linspace(0, 1, rows, device=images.device) / factors[:, None]
    down = (2 * position - 1)[:, :, None].expand(count, rows, columns)
    across = torch.linspace(-1, 1, columns, device=images.device).expand(count, rows, columns)
    grid = torch.stack([across, down], dim=-1)
    return F.grid_sample(images, grid, padding_mode="border", align_corners=True)


def augment(
    images: Float[Tensor, "batch 1 size size"],
    settings: Augmentation,
    generator: torch.Generator,
    rows: slice = slice(None),
) -> Float[Tensor, "share 1 size size"]:
    """A varied copy of a batch, or of some of its rows.

    Random numbers are drawn for the whole batch from `generator`, on the CPU, so that all devices agree, and all
    processes that share the batch.
    """
    shape, images = images.shape, images[rows]
    if settings.roll:
        shift = int(torch.randint(0, shape[3], (1,), generator=generator))
        images = images.roll(shift, dims=3)
    if settings.warp:
        images = stretch(images, 1 + settings.warp * (2 * torch.rand(shape[0], generator=generator)[rows] - 1))
    if settings.gain:
        images = images + settings.gain * torch.randn(shape[0], 1, 1, 1, generator=generator)[rows].to(images.device)
    if settings.jitter:
        images = images + settings.jitter * torch.randn(shape, generator=generator)[rows].to(images.device)
    return images
