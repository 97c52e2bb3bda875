"""Batch norm and dropout of a model that a team trains: of the whole batch, as one process would compute them.

torch's own SyncBatchNorm works on GPUs alone, and no layer of torch draws a dropout mask for a batch that is divided.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own short name
from torch import Tensor, nn

from pruning.parallel import Team


def normalise(norm: nn.BatchNorm2d, images: Tensor, team: Team, batch: int) -> Tensor:
    """What `norm` gives for a process's share of a batch if the statistics are those of the whole batch.

    Variances are added up as squares in float64, where nothing of a float32 number cancels.

    Args:
        norm: The layer. In training, its running statistics become those of the whole batch on every process.
        images: The share: images (share, channels, height, width).
        team: The processes, of which each has its share.
        batch: Number of images in the whole batch.
    """
    if not norm.training:
        return nn.BatchNorm2d.forward(norm, images)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    assert norm.num_batches_tracked is not None
    assert norm.momentum is not None
    own = images.to(norm.weight.dtype)  # under autocast images are bfloat16
    pixels = images.shape[2] * images.shape[3]
    variance, mean = (t.double() for t in torch.var_mean(own, dim=(0, 2, 3), correction=0))
    sums = team.sum(len(images) * torch.stack([mean, variance + mean**2])) / batch
    mean, variance = sums[0], (sums[1] - sums[0] ** 2).clamp(min=0)
    with torch.no_grad():
        unbiased = variance * (batch * pixels / max(1, batch * pixels - 1))
        norm.num_batches_tracked += 1
        norm.running_mean.lerp_(mean.to(norm.running_mean), norm.momentum)
        norm.running_var.lerp_(unbiased.to(norm.running_var), norm.momentum)
    scale = norm.weight * (variance + norm.eps).rsqrt().to(own)
    centred = own - mean.to(own)[:, None, None]
    return (centred * scale[:, None, None] + norm.bias[:, None, None]).to(images.dtype)


def drop(layer: nn.Dropout, values: Tensor, team: Team, batch: int) -> Tensor:
    """A process's share (share, neurons) of what `layer` gives for the whole batch.

    Every process draws the mask of the whole batch, as one process would, from torch's global generator.
    """
    if not layer.training:
        return values
    ones = torch.ones(batch, *values.shape[1:], dtype=values.dtype, device=values.device)
    return values * F.dropout(ones, layer.p)[team.rows(batch)]


@contextmanager
def whole_batch(model: nn.Module, team: Team, batch: int) -> Iterator[None]:
    """Inside, the batch norms and dropouts of a model in training see the whole batch; in evaluation nothing changes.

    The model keeps its modules and the names of its state, so that it is saved and pruned as usual.

    Args:
        model: Its layers' `forward` is replaced until the end.
        team: Who trains it; for a team of one nothing is replaced.
        batch: Number of images in each whole batch.
    """
    layers: list[nn.Module] = []
    if not team.alone:
        layers = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d | nn.Dropout)]
    for layer in layers:
        forward: Callable[..., Tensor] = normalise if isinstance(layer, nn.BatchNorm2d) else drop
        layer.forward = partial(forward, layer, team=team, batch=batch)
    try:
        yield
    finally:
        for layer in layers:
            del layer.forward
