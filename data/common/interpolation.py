"""Straight lines between measured points, e.g. latency between measured batch sizes."""

from collections.abc import Sequence

import numpy as np

Numbers = Sequence[float] | np.ndarray


def piecewise_linear(x: Numbers | float, knots: Numbers, values: Numbers) -> np.ndarray:
    """The value at each `x` of the lines that join the points (knots, values).

    Args:
        x: Where to evaluate, of any shape.
        knots: Ascending places of the points; at least one.
        values: Values at the knots.

    Returns:
        Values of the shape of `x`. Outside the knots, the nearest line is continued; a single point gives a constant.
    """
    places, at, level = (np.asarray(v, dtype=np.float64) for v in (x, knots, values))
    found = np.interp(places, at, level)
    if len(at) > 1:
        first = (level[1] - level[0]) / (at[1] - at[0])
        last = (level[-1] - level[-2]) / (at[-1] - at[-2])
        found = np.where(places < at[0], level[0] + first * (places - at[0]), found)
        found = np.where(places > at[-1], level[-1] + last * (places - at[-1]), found)
    return np.asarray(found, dtype=np.float64)
