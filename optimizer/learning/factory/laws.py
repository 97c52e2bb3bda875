"""What the policy of a factory's network has learned: times of batches, of sending and of the edge; worths of answers.

All of it was estimated from reports of gateways (`statistics`). Nothing is told: before the first slot these numbers
depend on the sizes of the network alone.
"""

from dataclasses import dataclass, fields

import numpy as np
from jaxtyping import Bool, Float64

FINE = 8  # every size up to here is a knot of its own, then there are four for each doubling
START_TASK_S = 0.05  # seconds of a task, before anything was seen


def batch_knots(reach: int) -> Float64[np.ndarray, " knots"]:
    """Batch sizes at which times are learned; between them they are joined by lines."""
    sizes = list(range(1, FINE + 1))
    while sizes[-1] < reach:
        sizes.append(round(FINE * 2 ** ((len(sizes) - FINE + 1) / 4)))
    return np.array(sizes, dtype=np.float64)


@dataclass(frozen=True, eq=False)
class FactoryLaws:
    """What has been learned.

    Attributes:
        knots: Batch sizes at which times are known.
        seconds: Time of a local batch of each of these sizes.
        usable: Whether a model's answers meet what a level asks for.
        answer: Worth of an answer by each model, times the tasks of the slot.
        edge_answer: The same of the edge.
        sending_s: Time to send one task.
        hold_s: Time that one task holds its gateway's queue.
        edge: Time of one task on the whole edge, and epsilon of eq. (3).
        margins: By how much longer local batches, and the way by the edge, are planned than they take.
    """

    knots: Float64[np.ndarray, " knots"]
    seconds: Float64[np.ndarray, "gateways models knots"]
    usable: Bool[np.ndarray, "models levels"]
    answer: Float64[np.ndarray, " models"]
    edge_answer: Float64[np.ndarray, " one"]
    sending_s: Float64[np.ndarray, "gateways channels"]
    hold_s: Float64[np.ndarray, "gateways channels"]
    edge: Float64[np.ndarray, " two"]
    margins: Float64[np.ndarray, " two"]

    @classmethod
    def untrained(cls, gateways: int, models: int, levels: int, channels: int, reach: int) -> "FactoryLaws":
        """Before the first slot."""
        knots = batch_knots(reach)
        return cls(
            knots=knots,
            seconds=np.broadcast_to(START_TASK_S * knots, (gateways, models, len(knots))).copy(),
            usable=np.zeros((models, levels), np.bool_),
            answer=np.zeros(models),
            edge_answer=np.zeros(1),
            sending_s=np.zeros((gateways, channels)),
            hold_s=np.zeros((gateways, channels)),
            edge=np.zeros(2),
            margins=np.zeros(2),
        )

    def batch_seconds(self, width: int) -> Float64[np.ndarray, "gateways models batches"]:
        """Times of all batches of up to `width` tasks; 0 for none."""
        sizes = np.arange(1, width + 1)
        right = np.clip(np.searchsorted(self.knots, sizes), 1, len(self.knots) - 1)
        left = right - 1
        part = (sizes - self.knots[left]) / (self.knots[right] - self.knots[left])
        found = self.seconds[..., left] * (1 - part) + self.seconds[..., right] * part
        return np.concatenate([np.zeros((*found.shape[:2], 1)), found], axis=2)

    def arrays(self) -> dict[str, np.ndarray]:
        """All of it by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}
