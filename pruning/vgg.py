"""torchvision's VGG-16 with one input channel and any widths."""

from dataclasses import dataclass
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torchvision.models.vgg import VGG, make_layers

from pruning.line import BandLine
from pruning.spec import POOL_AFTER, VGGSpec


class CorrectingVGG(VGG):  # type: ignore[misc] # torchvision is untyped
    """A VGG-16 whose logits are added to those of a straight line (`pruning.line`)."""

    line: BandLine

    def forward(self, x: Tensor) -> Tensor:
        """Logits (batch, classes) of images (batch, 1, size, size)."""
        return self.correction(x) + cast(Tensor, self.line(x))

    def correction(self, images: Float[Tensor, "batch 1 size size"]) -> Float[Tensor, "batch classes"]:
        """What the network itself adds to the line's logits."""
        return cast(Tensor, super().forward(images))


@dataclass(frozen=True, eq=False)
class PrunableLayer:
    """A layer whose width pruning may change.

    Attributes:
        name: conv1 to conv13, fc1, fc2.
        path: Name of the module in the model ("features.0").
        module: The convolution or fully connected layer.
        norm: The batch norm after the layer; None if there is none.
    """

    name: str
    path: str
    module: nn.Conv2d | nn.Linear
    norm: nn.BatchNorm2d | None


def build_vgg(spec: VGGSpec, dropout: float = 0.5) -> VGG:
    """A VGG-16 with fresh weights: He initialisation, from torch's global generator.

    With a straight line (`VGGSpec.line`), the network's own last layer begins with zeros, so that the first answers are
    the line's; the line is zero until it is fitted.

    Args:
        spec: Structure of the model.
        dropout: Probability of dropping a hidden neuron of the fully connected layers while training.
    """
    plan: list[str | int] = []
    for i, width in enumerate(spec.widths, start=1):
        plan += [width, "M"] if i in POOL_AFTER else [width]
    with torch.device("meta"):  # its 4096-wide head is replaced at once: do not fill 120 million numbers
        kind = CorrectingVGG if spec.line else VGG
        model = kind(nn.Sequential(), num_classes=spec.classes, init_weights=False)
    model.features = make_layers(plan, batch_norm=spec.batch_norm)
    model.features[0] = nn.Conv2d(1, spec.widths[0], kernel_size=3, padding=1)
    model.avgpool = nn.AdaptiveAvgPool2d(spec.pool)
    first, second = spec.hidden
    model.classifier = nn.Sequential(
        nn.Linear(spec.widths[-1] * spec.pool**2, first),
        nn.ReLU(inplace=True),
        nn.Dropout(dropout),
        nn.Linear(first, second),
        nn.ReLU(inplace=True),
        nn.Dropout(dropout),
        nn.Linear(second, spec.classes),
    )
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="relu")
            assert module.bias is not None
            nn.init.zeros_(module.bias)
    if isinstance(model, CorrectingVGG):
        model.line = BandLine(spec.size, spec.classes)
        nn.init.zeros_(linear_layers(model)[-1][1].weight)
    return model


def prunable_layers(model: nn.Module) -> list[PrunableLayer]:
    """The 13 convolutions and 2 hidden layers in order; the last layer gives the classes and is never narrowed."""
    modules = list(model.named_modules())
    convolutions = [(i, p, m) for i, (p, m) in enumerate(modules) if isinstance(m, nn.Conv2d)]
    linear = [(p, m) for p, m in modules if isinstance(m, nn.Linear)]
    layers = []
    for count, (i, path, module) in enumerate(convolutions, start=1):
        follower = modules[i + 1][1]
        norm = follower if isinstance(follower, nn.BatchNorm2d) else None
        layers.append(PrunableLayer(f"conv{count}", path, module, norm))
    layers += [PrunableLayer(f"fc{i}", p, m, None) for i, (p, m) in enumerate(linear[:-1], start=1)]
    return layers


def linear_layers(model: nn.Module) -> list[tuple[str, nn.Linear]]:
    """All fully connected layers with their paths, the last included."""
    return [(path, module) for path, module in model.named_modules() if isinstance(module, nn.Linear)]


def widths_of(model: nn.Module) -> tuple[int, ...]:
    """Filters or neurons of the 15 prunable layers."""
    return tuple(layer.module.weight.shape[0] for layer in prunable_layers(model))


def spec_of(model: VGG, size: int) -> VGGSpec:
    """The structure of a model for inputs of `size` pixels."""
    widths = widths_of(model)
    pool = model.avgpool.output_size
    return VGGSpec(
        classes=linear_layers(model)[-1][1].out_features,
        size=size,
        widths=widths[:13],
        hidden=widths[13:],
        pool=pool if isinstance(pool, int) else int(pool[0] or 1),
        batch_norm=any(isinstance(m, nn.BatchNorm2d) for m in model.modules()),
        line=isinstance(model, CorrectingVGG),
    )
