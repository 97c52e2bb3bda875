"""Which gateways a policy takes for the same type."""

import numpy as np
import pytest

from optimizer import OptimizerError, Scenario
from optimizer.learning.gateway_types import find_gateway_types, gateway_types_of


def test_equal_gateways_are_of_one_type():
    types = gateway_types_of(Scenario.load("paper"))
    assert np.array_equal(types, np.zeros((5, 3)))


def test_a_faster_processor_is_another_type():
    scenario = Scenario.load("paper")
    scenario = scenario.change(
        gateway=scenario.gateway.model_copy(update={"capacity_flop_per_s": (4e11, 4e11, 4e11, 4e11, 8e11)})
    )
    types = gateway_types_of(scenario)
    assert types[4, 0] - types[0, 0] == pytest.approx(np.log(2), abs=0.1)
    assert find_gateway_types(types, np.unique(types, axis=0)).tolist() == [0, 0, 0, 0, 1]


def test_a_group_that_is_larger_by_one_sensor_is_still_the_same_type():
    types = gateway_types_of(Scenario.load("paper").change(groups=(20, 20, 20, 20, 21)))
    assert find_gateway_types(types, np.zeros((1, 3))).tolist() == [0] * 5


def test_a_gateway_unlike_all_trained_ones_is_refused():
    types = gateway_types_of(Scenario.load("paper").change(groups=(1, 1, 1, 1, 96)))
    with pytest.raises(OptimizerError, match="unlike those"):
        find_gateway_types(types, np.zeros((1, 3)))
