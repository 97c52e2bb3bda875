"""By how much longer than expected things are planned, learned from what plans with different margins lose.

A margin costs worth that is planned and saves tasks that would be late. Both are compared for every margin of a list:
the worth that plans with it expect, on the same slots for all; and what tasks that were planned to be served and were
not have cost on average, since the statistics were last cleared.
"""

import numpy as np
from jaxtyping import Float64, Int64
from scipy.optimize import isotonic_regression

# Picked by hand: from exact laws without noise to batches that scatter by tens of per cent.
MARGINS = (1e-5, 1e-3, 3e-3, 0.01, 0.02, 0.04, 0.07, 0.11, 0.17, 0.25, 0.4, 0.7)
KINDS = 2  # of margins: on local times, and on the way by the edge


class MarginStatistics:
    """What plans with each margin have lost.

    Attributes:
        lost: Sum of what was lost, at [kind, margin], in reward.
        slots: Number of slots that were planned with it.
    """

    def __init__(self) -> None:
        self.lost, self.slots = np.zeros((KINDS, len(MARGINS))), np.zeros((KINDS, len(MARGINS)))

    def clear(self) -> None:
        """Forget everything."""
        self.lost[:] = 0
        self.slots[:] = 0

    def observe(
        self,
        index: Int64[np.ndarray, "slots kinds"],
        lost: Float64[np.ndarray, "slots kinds"],
    ) -> None:
        """Add slots: which margins they were planned with, and what late tasks cost."""
        for kind in range(KINDS):
            np.add.at(self.lost[kind], index[:, kind], lost[:, kind])
            np.add.at(self.slots[kind], index[:, kind], 1)

    def best(self, kind: int, planned: Float64[np.ndarray, " margins"]) -> float:
        """The margin of the greatest worth that is planned, less what is lost.

        Args:
            kind: 0 for local times, 1 for the way by the edge.
            planned: Worth that plans with each margin expect.
        """
        seen = self.slots[kind] > 0
        if not seen.any():
            return MARGINS[0]
        # A wider margin never loses more: where it seems to, both have their mean.
        mean = self.lost[kind][seen] / self.slots[kind][seen]
        lost = isotonic_regression(mean, weights=self.slots[kind][seen], increasing=False).x
        return float(np.array(MARGINS)[seen][(planned[seen] - lost).argmax()])
