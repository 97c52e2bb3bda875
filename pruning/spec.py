"""The shape of a VGG-16 as numbers: widths, FLOPs, and the widths that a pruning rate asks for. No torch."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from pruning.errors import PruningError

VGG16_WIDTHS = (64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512)
POOL_AFTER = frozenset({2, 4, 7, 10, 13})  # convolutions (from 1) that a 2 x 2 max pooling follows
SMALL_HEAD = (512, 512)
PAPER_HEAD = (4096, 4096)
TOLERANCE = 0.01  # of the dense model's FLOPs


@dataclass(frozen=True)
class VGGSpec:
    """Everything that a VGG-16's structure depends on.

    Attributes:
        classes: Outputs of the last layer.
        size: Rows and columns of the one-channel input.
        widths: Filters of the 13 convolutions.
        hidden: Neurons of the first two fully connected layers.
        pool: The last feature map is averaged to pool x pool before the head (torchvision: 7).
        batch_norm: Batch normalisation after each convolution.
        line: A straight line's logits are added to the network's (`pruning.line`).
    """

    classes: int
    size: int
    widths: tuple[int, ...] = VGG16_WIDTHS
    hidden: tuple[int, ...] = SMALL_HEAD
    pool: int = 1
    batch_norm: bool = True
    line: bool = False

    def __post_init__(self) -> None:
        if len(self.widths) != 13 or len(self.hidden) != 2:
            raise PruningError(
                f"a VGG-16 has 13 convolutions and 2 hidden layers; got {len(self.widths)} and {len(self.hidden)}."
            )
        if min(self.widths + self.hidden) < 1:
            zero = [name for name, w in zip(layer_names(), self.widths + self.hidden, strict=True) if w < 1]
            raise PruningError(f"{', '.join(zero)} would have no filter left.", "Give a lower rate.")
        if self.size < 32:
            raise PruningError(f"five poolings need an input of at least 32 pixels; got {self.size}.")


def layer_names() -> tuple[str, ...]:
    """conv1 to conv13, fc1, fc2: the layers whose width pruning may change, in order."""
    return (*(f"conv{i}" for i in range(1, 14)), "fc1", "fc2")


def dense_spec(
    classes: int, size: int, head: str = "small", batch_norm: bool = True, width: float = 1.0, line: bool = False
) -> VGGSpec:
    """The unpruned model.

    Args:
        classes: Number of classes.
        size: Image rows and columns.
        head: "paper" for torchvision's 7 x 7 pooling and 4096-wide layers, "small" for global pooling and 512.
        batch_norm: With batch normalisation.
        width: Every layer's width relative to VGG-16's.
        line: With a straight line whose answer the network corrects.
    """
    if head not in ("small", "paper"):
        raise PruningError(f"unknown head {head!r}.", "Expected small or paper.")
    hidden, pool = (PAPER_HEAD, 7) if head == "paper" else (SMALL_HEAD, 1)
    scaled = [max(4, round(w * width)) for w in (*VGG16_WIDTHS, *hidden)]
    return VGGSpec(classes, size, tuple(scaled[:13]), tuple(scaled[13:]), pool, batch_norm, line)


def layer_flops(spec: VGGSpec) -> dict[str, int]:
    """FLOP of one input by layer, convolutions and fully connected layers (a multiply-accumulate is 2).

    The same operators, counted the same way, as `torch.utils.flop_counter.FlopCounterMode`; bias, batch norm,
    activations and pooling are left out.
    """
    flops = {}
    side, inputs = spec.size, 1
    for i, width in enumerate(spec.widths, start=1):
        flops[f"conv{i}"] = 2 * 9 * inputs * width * side * side
        inputs = width
        side //= 2 if i in POOL_AFTER else 1
    sizes = (spec.widths[-1] * spec.pool**2, *spec.hidden, spec.classes)
    for i, (a, b) in enumerate(pairwise(sizes), start=1):
        flops[f"fc{i}"] = 2 * a * b
    if spec.line:
        flops["line"] = 2 * 2 * spec.size * spec.classes
    return flops


def flops(spec: VGGSpec) -> int:
    """FLOP of one input (a multiply-accumulate is 2)."""
    return sum(layer_flops(spec).values())


def parameters(spec: VGGSpec) -> int:
    """Trainable numbers: weights, biases, and batch-norm scales and shifts."""
    total, inputs = 0, 1
    for width in spec.widths:
        total += 9 * inputs * width + width + (2 * width if spec.batch_norm else 0)
        inputs = width
    sizes = (spec.widths[-1] * spec.pool**2, *spec.hidden, spec.classes)
    return total + sum(a * b + b for a, b in pairwise(sizes))


def with_widths(spec: VGGSpec, widths: Sequence[int]) -> VGGSpec:
    """The same model with other widths of its 15 prunable layers."""
    return replace(spec, widths=tuple(widths[:13]), hidden=tuple(widths[13:]))


def check_rate(rate: float) -> None:
    """Raise `PruningError` unless a rate lies in [0, 1)."""
    if not 0 <= rate < 1:
        hint = f"Did you mean {rate / 100:g}?" if 1 <= rate < 100 else "0.3 removes 30 %."
        raise PruningError(f"rates must lie in [0, 1); got {rate:g}.", f"Pruning rates are fractions. {hint}")


def rounded(width: float, round_to: int, full: int) -> int:
    """The multiple of `round_to` nearest to a width, at least one multiple and at most the full width."""
    return min(full, max(round_to, round(width / round_to) * round_to)) if round_to > 1 else round(width)


def _check_pruned(dense: VGGSpec, pruned: VGGSpec, rate: float) -> VGGSpec:
    """Refuse a rate > 0 that left every layer as wide as it was."""
    if rate > 0 and pruned == dense:
        raise PruningError(
            f"rate {rate:g} prunes nothing: no layer of {', '.join(layer_names())} loses a filter.",
            "Give a higher rate or a smaller --round-to.",
        )
    return pruned


def channel_target(dense: VGGSpec, rate: float, round_to: int = 1) -> VGGSpec:
    """Every layer without the fraction `rate` of its filters, rounded.

    Raises:
        PruningError: The rate lies outside [0, 1), or a layer would lose all its filters, or no layer any.
    """
    check_rate(rate)
    full = dense.widths + dense.hidden
    widths = [rounded(w - round(rate * w), round_to, w) for w in full]
    missed = [
        f"{name} {w} of {f}"
        for name, w, f in zip(layer_names(), widths, full, strict=True)
        if abs(w - (1 - rate) * f) > max(1, round_to / 2)
    ]
    if missed:
        raise PruningError(
            f"rate {rate:g} cannot be reached in multiples of {round_to}: {', '.join(missed)}.",
            "Give another rate or a smaller --round-to.",
        )
    return _check_pruned(dense, with_widths(dense, widths), rate)


def flops_target(dense: VGGSpec, rate: float, round_to: int = 1) -> VGGSpec:
    """One channel ratio for all layers, so that the fraction `rate` of the FLOPs is removed.

    FLOPs go with the square of the width, so the ratio is near 1 - sqrt(1 - rate). Bisection finds the two
    neighbouring sets of whole widths; between them, layers switch one after another where that comes closer.

    Raises:
        PruningError: A rate outside [0, 1), or one that whole widths miss by over 1 % of the dense FLOPs.
    """
    check_rate(rate)
    full = dense.widths + dense.hidden
    goal = (1 - rate) * flops(dense)

    def at(ratio: float) -> list[int]:
        return [max(1, rounded((1 - ratio) * w, round_to, w)) for w in full]

    low, high = 0.0, 1.0  # ratios: `low` removes too little, `high` enough
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if flops(with_widths(dense, at(middle))) > goal else (low, middle)
    return _check_pruned(dense, with_widths(dense, _closest(dense, at(low), at(high), goal, rate)), rate)


def _closest(dense: VGGSpec, wide: Sequence[int], narrow: Sequence[int], goal: float, rate: float) -> list[int]:
    widths = list(wide)
    candidates = [list(wide)]
    for i in reversed(range(len(widths))):  # late layers first: they have the most filters to spare
        if narrow[i] != widths[i]:
            widths[i] = narrow[i]
            candidates.append(list(widths))
    best = min(candidates, key=lambda w: abs(flops(with_widths(dense, w)) - goal))
    check_reached(dense, with_widths(dense, best), rate)
    return best


def check_reached(dense: VGGSpec, pruned: VGGSpec, rate: float) -> None:
    """Raise `PruningError` where the FLOPs removed differ from the rate by over 1 % of the dense model's."""
    removed = 1 - flops(pruned) / flops(dense)
    if abs(removed - rate) > TOLERANCE:
        narrow = [n for n, w in zip(layer_names(), pruned.widths + pruned.hidden, strict=True) if w <= 8]
        raise PruningError(
            f"rate {rate:g} cannot be reached within {TOLERANCE:.0%} of the FLOPs: the nearest widths remove "
            f"{removed:.4f}; narrow layers: {', '.join(narrow) or 'none'}.",
            "Give a lower rate or a smaller --round-to.",
        )


TARGETS: dict[str, Callable[[VGGSpec, float, int], VGGSpec]] = {"flops": flops_target, "channels": channel_target}
