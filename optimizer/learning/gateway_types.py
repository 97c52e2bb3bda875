"""Types of gateways: what sets one gateway apart from another for a policy that all gateways share."""

import numpy as np
from jaxtyping import Float64, Int64

from optimizer.errors import OptimizerError
from optimizer.network.scenario import Scenario

DIGITS = 1  # logarithms are rounded to a tenth, so that gateways within about 10 % are one type; picked by hand
NEAR = 0.16  # tolerated sum of the three differences: rounding, and groups that differ by one sensor; picked by hand


def gateway_types_of(scenario: Scenario) -> Float64[np.ndarray, "gateways 3"]:
    """The type of each gateway: logarithms of its processor speed, transmit power and share of the band.

    Each is relative to the network's mean (for the band: to an even split), so that a network of equal gateways has a
    single type, (0, 0, 0).
    """
    gateways = scenario.gateways
    capacity = np.broadcast_to(np.asarray(scenario.gateway.capacity_flop_per_s or 1.0, dtype=np.float64), gateways)
    power = np.broadcast_to(np.asarray(scenario.link.transmit_power_w, dtype=np.float64), gateways)
    groups = np.array(scenario.groups)
    share = groups / groups.sum() * gateways
    ratios = np.stack([capacity / capacity.mean(), power / power.mean(), share], axis=1)
    return np.round(np.log(ratios), DIGITS) + 0.0  # no negative zeros


def find_gateway_types(
    own: Float64[np.ndarray, "gateways 3"], known: Float64[np.ndarray, "types 3"], *, first: int = 0
) -> Int64[np.ndarray, " gateways"]:
    """The nearest known type of each gateway.

    Args:
        own: Types of a network's gateways, from `gateway_types_of`.
        known: Types that a policy was trained with.
        first: Index of the first gateway in `own`, for error messages.

    Raises:
        OptimizerError: A gateway is unlike all known types; it is named.
    """
    apart = np.abs(own[:, None] - known[None]).sum(axis=2)
    if apart.min(axis=1).max() > NEAR:
        g = first + int(apart.min(axis=1).argmax())
        raise OptimizerError(
            f"gateway {g}: its processor, power or number of sensors is unlike those that the policy was trained with.",
            "Train a policy on this network.",
        )
    return apart.argmin(axis=1)
