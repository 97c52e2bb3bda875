"""Which filters stay, and the two ways to prune: remove the others, or set them to zero.

A criterion (`pruning.criteria`) scores the filters of all layers before any filter goes, so both ways choose the same.
"""

import copy
from collections.abc import Sequence

import torch
import torch_pruning
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn
from torchvision.models.vgg import VGG

from pruning.criteria import L1, Criterion
from pruning.errors import PruningError
from pruning.spec import VGGSpec, check_reached, flops, layer_names, with_widths
from pruning.vgg import linear_layers, prunable_layers, spec_of, widths_of

MINIMUM_SHARE = 0.05  # global ranking leaves every layer at least this share of its filters

Kept = tuple[Int64[Tensor, "..."], ...]
"""Ascending indices of the filters that stay, for each of the 15 prunable layers."""

Masks = dict[str, Bool[Tensor, "..."]]
"""Which weights may be other than zero, by parameter name."""


def largest(scores: Float[Tensor, " filters"], count: int) -> Int64[Tensor, " kept"]:
    """Indices of the `count` largest scores, ascending; among equal scores the first stay."""
    order = torch.argsort(scores, descending=True, stable=True)
    return order[:count].sort().values


def _scores(model: nn.Module, criterion: Criterion) -> list[Float[Tensor, " filters"]]:
    """Scores of a criterion, after a check that they fit the model.

    Raises:
        PruningError: Another number of layers or filters, or a score that is not finite.
    """
    scores = criterion.filters(model)
    if tuple(len(s) for s in scores) != widths_of(model):
        raise PruningError(
            f"criterion {criterion.name} scores {[len(s) for s in scores]} filters; the layers have "
            f"{list(widths_of(model))}.",
            "Return one score for each filter of each prunable layer.",
        )
    bad = [name for name, s in zip(layer_names(), scores, strict=True) if not bool(s.isfinite().all())]
    if bad:
        raise PruningError(f"criterion {criterion.name} gives scores that are not finite in {', '.join(bad)}.")
    return scores


def keep_by_layer(model: nn.Module, widths: Sequence[int], criterion: Criterion = L1) -> Kept:
    """The filters with the highest scores in each layer, as many as `widths` says."""
    return tuple(largest(s, w) for s, w in zip(_scores(model, criterion), widths, strict=True))


def keep_globally(
    model: VGG, dense: VGGSpec, rate: float, target: str, round_to: int = 1, criterion: Criterion = L1
) -> Kept:
    """The filters above one threshold for all layers, on scores relative to the mean of their layer.

    Args:
        model: The model to prune.
        dense: The structure that `rate` refers to.
        rate: Share of FLOPs or of filters to remove.
        target: "flops" or "channels".
        round_to: Widths are multiples of this.
        criterion: What scores the filters.

    Raises:
        PruningError: The rate cannot be reached.
    """
    scores = [s / s.mean() for s in _scores(model, criterion)]
    full = dense.widths + dense.hidden
    low, high = 0.0, float(max(s.max() for s in scores)) * 1.01

    def widths_at(threshold: float) -> list[int]:
        return [
            min(
                len(s),
                max(
                    round_to,
                    -(-round(MINIMUM_SHARE * w) // round_to) * round_to,
                    1,
                    -(-int((s > threshold).sum()) // round_to) * round_to,
                ),
            )
            for s, w in zip(scores, full, strict=True)
        ]

    def removed(widths: Sequence[int]) -> float:
        return 1 - (flops(with_widths(dense, widths)) / flops(dense) if target == "flops" else sum(widths) / sum(full))

    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if removed(widths_at(middle)) < rate else (low, middle)
    widths = min((widths_at(low), widths_at(high)), key=lambda w: abs(removed(w) - rate))
    if target == "flops":
        check_reached(dense, with_widths(dense, widths), rate)
    elif abs(removed(widths) - rate) > 0.01:
        raise PruningError(f"rate {rate:g} cannot be reached by global ranking; nearest {removed(widths):.3f}.")
    if widths == list(full):
        raise PruningError(f"rate {rate:g} prunes nothing in any layer.", "Give a higher rate.")
    return tuple(largest(s, w) for s, w in zip(scores, widths, strict=True))


def remove_filters(model: VGG, kept: Kept, size: int) -> VGG:
    """A smaller copy of a model without the filters that are not kept (torch-pruning's dependency graph).

    Args:
        model: Left as it is.
        kept: Filters to keep.
        size: Rows and columns of the input.

    Raises:
        PruningError: A layer would be empty, or a layer has another width than was asked for.
    """
    empty = [name for name, k in zip(layer_names(), kept, strict=True) if len(k) == 0]
    if empty:
        raise PruningError(f"{', '.join(empty)} would have no filter left.", "Give a lower rate.")
    pruned = copy.deepcopy(model)
    device = next(pruned.parameters()).device
    with torch.enable_grad():
        graph = torch_pruning.DependencyGraph().build_dependency(
            pruned, example_inputs=torch.zeros(1, 1, size, size, device=device)
        )
    for layer, keep in zip(prunable_layers(pruned), kept, strict=True):
        gone = sorted(set(range(layer.module.weight.shape[0])) - set(keep.tolist()))
        if gone:
            conv = isinstance(layer.module, nn.Conv2d)
            function = torch_pruning.prune_conv_out_channels if conv else torch_pruning.prune_linear_out_channels
            graph.get_pruning_group(layer.module, function, idxs=gone).prune()
    got, wanted = widths_of(pruned), tuple(len(k) for k in kept)
    if got != wanted:
        wrong = [f"{n} {g} (not {w})" for n, g, w in zip(layer_names(), got, wanted, strict=True) if g != w]
        raise PruningError(f"pruning left other widths than asked for: {', '.join(wrong)}.")
    for parameter in pruned.parameters():
        parameter.grad = None
    return pruned


def _inputs_kept(model: VGG, kept: Kept) -> list[Int64[Tensor, " inputs"]]:
    """Indices of the inputs that each convolution and fully connected layer still reads."""
    positions = spec_of(model, 32).pool ** 2
    before_head = (kept[12][:, None] * positions + torch.arange(positions)).flatten()
    return [torch.zeros(1, dtype=torch.long), *kept[:12], before_head, kept[13], kept[14]]


def restore_filters(compact: VGG, full: VGG, kept: Kept) -> None:
    """Put the weights of a compact model back into the full one that it was cut from; the other weights stay."""
    inputs = _inputs_kept(full, kept)
    with torch.no_grad():
        small, large = prunable_layers(compact), prunable_layers(full)
        for own, other, keep, reads in zip(small, large, kept, inputs, strict=False):
            other.module.weight[keep[:, None], reads] = own.module.weight
            assert own.module.bias is not None
            assert other.module.bias is not None
            other.module.bias[keep] = own.module.bias
            if own.norm is not None and other.norm is not None:
                for name in ("weight", "bias", "running_mean", "running_var"):
                    getattr(other.norm, name)[keep] = getattr(own.norm, name)
                if other.norm.num_batches_tracked is not None:
                    other.norm.num_batches_tracked.copy_(own.norm.num_batches_tracked)  # type: ignore[arg-type]
        last_small, last_large = linear_layers(compact)[-1][1], linear_layers(full)[-1][1]
        last_large.weight[:, inputs[-1]] = last_small.weight
        last_large.bias.copy_(last_small.bias)


def linear_masks(model: nn.Module, rate: float, criterion: Criterion = L1) -> Masks:
    """Weights of each fully connected layer that stay: all but the fraction `rate` with the lowest scores."""
    masks = {}
    for path, module in linear_layers(model):
        scores = criterion.weights(module.weight.detach()).flatten()
        gone = torch.argsort(scores, stable=True)[: round(rate * len(scores))]
        stays = torch.ones(len(scores), dtype=torch.bool)
        stays[gone] = False
        masks[f"{path}.weight"] = stays.view_as(module.weight)
    return masks


def zero_filters(model: nn.Module, kept: Kept, masks: Masks) -> None:
    """Prune by mask, in place: the other kernels become zero with their bias and batch-norm scale and shift.

    A kernel of zeros with a bias or shift left would go on speaking: a constant for every input.
    """
    with torch.no_grad():
        for layer, keep in zip(prunable_layers(model), kept, strict=True):
            if not isinstance(layer.module, nn.Conv2d):
                continue
            gone = torch.ones(layer.module.weight.shape[0], dtype=torch.bool)
            gone[keep] = False
            layer.module.weight[gone] = 0
            assert layer.module.bias is not None
            layer.module.bias[gone] = 0
            if layer.norm is not None:
                layer.norm.weight[gone] = 0
                layer.norm.bias[gone] = 0
        apply_masks(model, masks)


def apply_masks(model: nn.Module, masks: Masks) -> None:
    """Set masked weights to zero, in place."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name in masks:
                parameter.mul_(masks[name])


def compact_masks(model: VGG, masks: Masks, kept: Kept) -> Masks:
    """Masks of the fully connected layers for the model without the filters that are not kept."""
    reads = _inputs_kept(model, kept)[13:]
    rows = [*kept[13:], torch.arange(linear_layers(model)[-1][1].out_features)]
    return {
        name: mask[row[:, None], columns] for (name, mask), row, columns in zip(masks.items(), rows, reads, strict=True)
    }
