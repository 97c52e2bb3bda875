"""How long local batches take, estimated from reported times: least squares over lines between knots."""

import numpy as np
from jaxtyping import Float64, Int64

from optimizer.learning.factory.laws import START_TASK_S

# Picked by hand. Weights are relative to one observation.
POOLED = 1e-6  # of what the other gateways' batches of the same model say
START = 1e-12  # of the law before training
TO_AFFINE = 1e-4  # of the affine law, for sizes that were hardly seen
LEAST = 1e-9  # seconds

Knots = Float64[np.ndarray, "gateways models knots"]


class BatchTimes:
    """Sums from which the times follow; each observation weighs as much as its relative error.

    Args:
        gateways: Number of gateways.
        models: Number of models.
        knots: Batch sizes at which times are learned.
    """

    def __init__(self, gateways: int, models: int, knots: Float64[np.ndarray, " knots"]) -> None:
        shape = (gateways, models, len(knots))
        self.knots = knots
        self.own, self.next, self.seen = np.zeros(shape), np.zeros(shape), np.zeros(shape)

    def observe(
        self,
        gateway: Int64[np.ndarray, " runs"],
        model: Int64[np.ndarray, " runs"],
        size: Int64[np.ndarray, " runs"],
        seconds: Float64[np.ndarray, " runs"],
    ) -> None:
        """Add batches that ran."""
        right = np.clip(np.searchsorted(self.knots, size), 1, len(self.knots) - 1)
        left = right - 1
        part = (size - self.knots[left]) / (self.knots[right] - self.knots[left])
        weight = 1 / np.maximum(seconds, LEAST) ** 2
        for knot, share in ((left, 1 - part), (right, part)):
            np.add.at(self.own, (gateway, model, knot), weight * share * share)
            np.add.at(self.seen, (gateway, model, knot), weight * share * seconds)
        np.add.at(self.next, (gateway, model, left), weight * part * (1 - part))

    def fit(self) -> Knots:
        """The time at each knot."""
        affine = self._affine()
        size = len(self.knots)
        system = np.zeros((*self.own.shape, size))
        at = np.arange(size)
        system[..., at, at] = self.own + TO_AFFINE / affine**2
        system[..., at[:-1], at[1:]] = system[..., at[1:], at[:-1]] = self.next[..., :-1]
        found = np.linalg.solve(system, (self.seen + TO_AFFINE / affine)[..., None])[..., 0]
        return np.maximum(found, LEAST)

    def _affine(self) -> Knots:
        """A fixed time and a time per task for each gateway and model."""
        basis = np.stack([np.ones_like(self.knots), self.knots], axis=1)
        applied = self.own[..., None] * basis
        applied[..., :-1, :] += self.next[..., :-1, None] * basis[1:]
        applied[..., 1:, :] += self.next[..., :-1, None] * basis[:-1]
        system, right = np.einsum("pi,gvpj->gvij", basis, applied), self.seen @ basis
        pooled, pooled_right = system.sum(axis=0, keepdims=True), right.sum(axis=0, keepdims=True)
        start = START_TASK_S * self.knots
        weight = 1 / start**2
        system = system + POOLED * pooled + START * np.einsum("pi,p,pj->ij", basis, weight, basis)
        right = right + POOLED * pooled_right + START * (weight * start) @ basis
        law = np.linalg.solve(system, right[..., None])[..., 0]
        return np.maximum(law @ basis.T, LEAST)
