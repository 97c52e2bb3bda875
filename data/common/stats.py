"""Confidence intervals of proportions and means."""

from math import sqrt

import numpy as np
from jaxtyping import Float

Z95 = 1.959963984540054  # a normal variable lies within +- Z95 with a probability of 95 %


def wilson(share: float, count: int) -> tuple[float, float]:
    """Wilson's 95 % score interval of a proportion.

    Args:
        share: Observed proportion, 0 to 1; `share * count` need not be a whole number.
        count: Number of independent trials.

    Returns:
        Lower and upper end; (0, 1) without trials. The interval always contains `share`.
    """
    if count == 0:
        return 0.0, 1.0
    z2 = Z95**2 / count
    centre = (share + z2 / 2) / (1 + z2)
    half = Z95 * sqrt(share * (1 - share) / count + z2 / (4 * count)) / (1 + z2)
    return min(share, max(0.0, centre - half)), max(share, min(1.0, centre + half))


def half_interval(values: Float[np.ndarray, " n"]) -> float:
    """Half of the 95 % interval of a mean: `Z95` standard errors; 0 for fewer than two values."""
    return Z95 * float(values.std(ddof=1)) / sqrt(len(values)) if len(values) > 1 else 0.0
