"""Kinds of gateways: what sets one apart from another for a policy that all gateways share."""

import numpy as np
from jaxtyping import Float64, Int64

from optimizer.errors import OptimizerError
from optimizer.network.scenario import Scenario

NEAR = 0.16  # in the sum of the three logarithms: rounding, and groups that differ by a sensor


def kinds_of(scenario: Scenario) -> Float64[np.ndarray, "gateways 3"]:
    """Each gateway's processor, power and part of the band, as logarithms of what they are to an even split."""
    gateways = scenario.gateways
    capacity = np.broadcast_to(np.asarray(scenario.gateway.capacity_flop_per_s or 1.0, dtype=np.float64), gateways)
    power = np.broadcast_to(np.asarray(scenario.link.transmit_power_w, dtype=np.float64), gateways)
    groups = np.array(scenario.groups)
    share = groups / groups.sum() * gateways
    ratios = np.stack([capacity / capacity.mean(), power / power.mean(), share], axis=1)
    return np.round(np.log(ratios), 1) + 0.0


def find_kinds(scenario: Scenario, kinds: Float64[np.ndarray, "kinds 3"]) -> Int64[np.ndarray, " gateways"]:
    """Each gateway's row of `kinds`.

    Raises:
        OptimizerError: A gateway of none of these kinds.
    """
    apart = np.abs(kinds_of(scenario)[:, None] - kinds[None]).sum(axis=2)
    if apart.min(axis=1).max() > NEAR:
        g = int(apart.min(axis=1).argmax())
        raise OptimizerError(
            f"gateway {g}: its processor, power or number of sensors is unlike those that the policy was trained with.",
            "Train a policy on this network.",
        )
    return apart.argmin(axis=1)
