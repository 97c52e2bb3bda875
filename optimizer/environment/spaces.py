"""The environment's action and observation spaces."""

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector.utils import batch_space
from jaxtyping import Float64

from optimizer.errors import OptimizerError
from optimizer.network.codec import SUM_TOLERANCE, Encoding, model_shape, numbers_of
from optimizer.network.scenario import Scenario


class Simplex(gym.spaces.Box):
    """Shares of at least 0 whose sums over the last axis are 1, (17d) and (17e); samples are uniform on the simplex."""

    def __init__(self, shape: tuple[int, ...], seed: int | np.random.Generator | None = None) -> None:
        super().__init__(0.0, 1.0, shape, np.float64, seed)

    def sample(self, mask: Any = None, probability: Any = None) -> Float64[np.ndarray, "*shape"]:
        """Draw a member, uniform on the simplex."""
        if mask is not None or probability is not None:
            raise OptimizerError("Simplex.sample takes no mask and no probability.")
        drawn = self.np_random.standard_exponential(self.shape)
        return drawn / drawn.sum(axis=-1, keepdims=True)

    def contains(self, x: Any) -> bool:
        """Whether x is a member."""
        return (
            isinstance(x, np.ndarray)
            and x.shape == self.shape
            and bool(np.isfinite(x).all() and (x >= 0).all() and (np.abs(x.sum(axis=-1) - 1) <= SUM_TOLERANCE).all())
        )

    def __repr__(self) -> str:
        return f"Simplex({self.shape})"


@batch_space.register(Simplex)
def _batch_simplex(space: Simplex, n: int = 1) -> Simplex:
    return Simplex((n, *space.shape))


def action_space(scenario: Scenario, encoding: Encoding) -> gym.Space[Any]:
    """The actions of one slot, as a dictionary or a flat array.

    They are N decisions to offload, a model for each gateway (and for each level where gateways work by level), G
    shares, and N decisions to refuse where tasks can be refused. A task that is refused is not sent.
    """
    if encoding == "box":
        return gym.spaces.Box(-1.0, 1.0, (numbers_of(scenario),), np.float32)
    parts: dict[str, gym.Space[Any]] = {
        "offload": gym.spaces.MultiBinary(scenario.sensors),
        "model": gym.spaces.MultiDiscrete(np.full(model_shape(scenario), len(scenario.models))),
        "share": Simplex((scenario.gateways,)),
    }
    if scenario.can_refuse:
        parts["refuse"] = gym.spaces.MultiBinary(scenario.sensors)
    return gym.spaces.Dict(parts)


def observation_space(scenario: Scenario, observation: str) -> gym.spaces.Box:
    """G channel gains, then N criticalities, eq. (18).

    Args:
        scenario: The network.
        observation: "scaled" shows channel gains as fractions of the best one, "raw" as they are.

    Raises:
        OptimizerError: Another kind of observation.
    """
    if observation not in ("scaled", "raw"):
        raise OptimizerError(f"observation: expected 'scaled' or 'raw'; got {observation!r}.")
    high = np.ones(scenario.gateways + scenario.sensors, np.float32)
    if observation == "raw":
        high[: scenario.gateways] = max(scenario.link.gains)
    return gym.spaces.Box(np.zeros_like(high), high, dtype=np.float32)
