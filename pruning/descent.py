"""What a training goes down, and how fast: weights of classes, distance from a teacher, the learning rate."""

import math

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own short name
from jaxtyping import Float, Float32, Int64
from torch import Tensor


def learning_rate(step: int, steps: int, highest: float) -> float:
    """Linear warm-up over the first tenth, then a cosine to zero."""
    warm = max(1, steps // 10)
    if step < warm:
        return highest * (step + 1) / warm
    return highest * 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))


def class_weights(labels: Int64[np.ndarray, " n"], classes: int, balance: float) -> Float32[Tensor, " classes"]:
    """Weights of the classes in the loss: number of windows to the power of -balance, scaled to mean 1 over windows."""
    counts = np.maximum(np.bincount(labels, minlength=classes), 1).astype(float)
    weights = counts**-balance
    return torch.tensor(weights * counts.sum() / (weights * counts).sum(), dtype=torch.float32)


def distance(
    outputs: Float[Tensor, "batch classes"], wanted: Float[Tensor, "batch classes"], temperature: float
) -> Float[Tensor, ""]:
    """Mean divergence of a model's logits from its teacher's, both softened by a temperature (Hinton et al. 2015)."""
    own, other = F.log_softmax(outputs / temperature, 1), F.log_softmax(wanted / temperature, 1)
    return temperature**2 * F.kl_div(own, other, reduction="batchmean", log_target=True)
