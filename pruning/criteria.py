"""Pruning criteria: what a filter is worth. The filters with the lowest scores are pruned.

To add a criterion, write a `Criterion` (here or in a module of your own) and name it in `CRITERIA`: the option
`--criterion` follows, and both ways of pruning and both rankings use it.
"""

from collections.abc import Callable
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn

from pruning.vgg import prunable_layers


@dataclass(frozen=True)
class Criterion:
    """A way to score filters and weights.

    Attributes:
        name: What users type after `--criterion`.
        help: One line for the help text.
        filters: Scores of the filters of a model, higher is kept: one non-negative vector for each of the 15 prunable
            layers (`pruning.vgg.prunable_layers`), in their order. All layers are scored before any filter goes.
        weights: Scores of the single weights of a fully connected layer, of the same shape; by default their
            magnitudes. The mask method prunes the lowest.
    """

    name: str
    help: str
    filters: Callable[[nn.Module], list[Float[Tensor, " filters"]]]
    weights: Callable[[Float[Tensor, "rows columns"]], Float[Tensor, "rows columns"]] = lambda weight: weight.abs()


def l1_norms(model: nn.Module) -> list[Float[Tensor, " filters"]]:
    """Sum of the absolute weights of each filter (all weights that make one output), one vector per layer."""
    return [layer.module.weight.detach().abs().flatten(1).sum(1) for layer in prunable_layers(model)]


def l2_norms(model: nn.Module) -> list[Float[Tensor, " filters"]]:
    """Euclidean norm of each filter, one vector per layer."""
    return [layer.module.weight.detach().flatten(1).norm(dim=1) for layer in prunable_layers(model)]


L1 = Criterion(
    "l1", "Sum of a filter's absolute weights, the paper's (section II-B2; Li et al., ICLR 2017).", filters=l1_norms
)
L2 = Criterion("l2", "Euclidean norm of a filter's weights.", filters=l2_norms)

CRITERIA: dict[str, Criterion] = {criterion.name: criterion for criterion in (L1, L2)}
