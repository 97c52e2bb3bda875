"""How long sending and the edge take, estimated from reported delays.

The task at place j of a gateway's queue is answered after Omega + E + j * hold without a queue at the edge, and after
Omega + E + j * max(hold, E) with one; E = task / (share + epsilon), eq. (3). Omega and hold are a gateway's own in each
channel state; the edge's two numbers are the same for all.
"""

import numpy as np
from jaxtyping import Float64
from scipy.optimize import minimize_scalar

# Picked by hand:
SAMPLES = 20_000  # the latest delays that are kept
LEAST_EPSILON, MOST_EPSILON = 1e-7, 1.0
STEPS = 40  # of the first search for epsilon
CLEAR = 0.9  # where E is below this part of the spacing, the spacing is the link's
RIDGE = 1e-12
COLUMNS = 6
GATEWAY, CHANNEL, SHARE, PLACE, DELAY, SPACING = range(COLUMNS)

Samples = Float64[np.ndarray, "samples 6"]
PerLink = Float64[np.ndarray, "gateways channels"]


class EdgeDelays:
    """The latest reported delays of tasks that went by the edge: a ring of `SAMPLES` rows."""

    def __init__(self) -> None:
        self.rows = np.zeros((SAMPLES, COLUMNS))
        self.stored = 0

    def observe(self, rows: Samples) -> None:
        """Add delays; a spacing of 0 is unknown."""
        at = (self.stored + np.arange(len(rows))) % SAMPLES
        self.rows[at] = rows
        self.stored += len(rows)

    @property
    def samples(self) -> Samples:
        """What is kept."""
        return self.rows[: min(self.stored, SAMPLES)]


def fit_edge(
    samples: Samples, gateways: int, channels: int, *, fifo: bool
) -> tuple[PerLink, PerLink, Float64[np.ndarray, " two"]]:
    """Omega and hold of each gateway and channel state; and the edge's task time and epsilon.

    Args:
        samples: Reported delays; at least one.
        gateways: Number of gateways.
        channels: Number of channel states.
        fifo: Whether tasks queue at the edge.
    """
    link = (samples[:, GATEWAY] * channels + samples[:, CHANNEL]).astype(np.int64)
    links = gateways * channels
    grid = np.geomspace(LEAST_EPSILON, MOST_EPSILON, STEPS)
    losses = [_fit_links(samples, link, links, float(e))[0] for e in grid]
    at = int(np.argmin(losses))
    bounds = np.log(grid[max(at - 1, 0)]), np.log(grid[min(at + 1, STEPS - 1)])
    found = minimize_scalar(
        lambda e: _fit_links(samples, link, links, float(np.exp(e)))[0], bounds=bounds, method="bounded",
        options={"xatol": 1e-9},
    )  # fmt: skip
    epsilon = float(np.exp(found.x))
    _, task, sending, hold = _fit_links(samples, link, links, epsilon)
    if fifo:
        hold = _hold_of_queue(samples, link, links, task / (samples[:, SHARE] + epsilon))
    seen = np.bincount(link, minlength=links) > 0
    shape = (gateways, channels)
    return _fill(sending, seen, shape), _fill(hold, seen, shape), np.array([task, epsilon])


def _fit_links(
    samples: Samples, link: np.ndarray, links: int, epsilon: float
) -> tuple[float, float, np.ndarray, np.ndarray]:
    """At a given epsilon: the loss, the edge's task time, and Omega and hold of each link, by least squares."""
    delay, place = samples[:, DELAY], samples[:, PLACE]
    weight = 1 / delay**2
    per_task = 1 / (samples[:, SHARE] + epsilon)

    def total(values: np.ndarray) -> np.ndarray:
        return np.bincount(link, weight * values, minlength=links)

    count, first, second = total(np.ones_like(place)), total(place), total(place**2)
    second = second + RIDGE * (1 + second)
    scale = np.maximum(count * second - first**2, RIDGE * count * second + 1e-300)

    def regress(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Constant and slope over places for each link."""
        a, b = total(values), total(values * place)
        slope = (count * b - first * a) / scale
        return (a - slope * first) / np.maximum(count, 1e-300), slope

    of_task, of_delay = regress(per_task), regress(delay)
    rest_task = per_task - of_task[0][link] - of_task[1][link] * place
    rest_delay = delay - of_delay[0][link] - of_delay[1][link] * place
    power = float((weight * rest_task**2).sum())
    # Where shares hardly differ (one gateway has all of the edge), E counts as a part of Omega.
    apart = power > 1e-9 * float((weight * per_task**2).sum())
    task = max(float((weight * rest_task * rest_delay).sum()) / power, 0.0) if apart else 0.0
    loss = float((weight * (rest_delay - task * rest_task) ** 2).sum())
    sending = np.maximum(of_delay[0] - task * of_task[0], 0.0)
    return loss, task, sending, np.maximum(of_delay[1] - task * of_task[1], 0.0)


def _hold_of_queue(samples: Samples, link: np.ndarray, links: int, edge: np.ndarray) -> np.ndarray:
    """Hold of each link where the spacing is max(hold, E): the median where the edge is faster."""
    spacing, hold = samples[:, SPACING], np.zeros(links)
    for i in range(links):
        own = (link == i) & (spacing > 0)
        clear = own & (edge < CLEAR * spacing)
        if clear.any():
            hold[i] = np.median(spacing[clear])
        elif own.any():
            hold[i] = spacing[own].min()
    return hold


def _fill(found: np.ndarray, seen: np.ndarray, shape: tuple[int, int]) -> PerLink:
    """Links that were never seen are taken for the slowest of their gateway, or of all."""
    table = np.where(seen, found, -np.inf).reshape(shape)
    slowest = np.maximum(table.max(axis=1, keepdims=True), -np.inf)
    slowest = np.where(np.isfinite(slowest), slowest, table.max())
    return np.where(np.isfinite(table), table, slowest)
