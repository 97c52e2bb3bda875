"""Slots given by hand."""

import numpy as np
import pytest
from slots_by_hand import PAPER

from optimizer import OptimizerError, make_state
from optimizer.network.checks import check_state
from optimizer.network.readings import describe_slot, parse_states

REWARDS = ["utilization", "goodput", "delay"]


def test_slots_given_by_hand_name_the_place_that_is_wrong():
    scenario = PAPER.change(groups=(2, 1))
    slot = {"channel": ["good", "bad"], "criticality": [[0.2, 1.0], [0]]}
    state = parse_states({"slots": [slot]}, scenario, "x")
    assert (state.channel.tolist(), state.level.tolist()) == ([[2, 0]], [[[1, 5], [0, -1]]])
    for content, message in [
        ([], "slots"),
        ({"slots": []}, "at least one"),
        ({"slots": [slot], "more": 1}, "slots"),
        ({"slots": [slot | {"x": 1}]}, "slots.0: expected the keys"),
        ({"slots": [slot | {"channel": ["good"]}]}, "slots.0.channel: expected one entry"),
        ({"slots": [slot | {"channel": ["good", "fair"]}]}, "slots.0.channel.1: expected one of bad"),
        ({"slots": [slot | {"channel": ["good", None]}]}, "slots.0.channel.1"),
        ({"slots": [slot | {"criticality": [[0.2], [0]]}]}, "slots.0.criticality.0: expected 2 tasks, got 1"),
        ({"slots": [slot | {"criticality": [[0.2, 0.3], [0]]}]}, "slots.0.criticality.0.1: expected a criticality"),
        ({"slots": [slot | {"criticality": [[0.2, True], [0]]}]}, "slots.0.criticality.0.1"),
    ]:
        with pytest.raises(OptimizerError, match=message):
            parse_states(content, scenario, "x")


def test_readings_by_name_are_a_state():
    """The way in for a user's own readings: names and criticalities, None for a silent sensor."""
    scenario = PAPER.change(groups=(2, 1))
    state = make_state(scenario, channel=["good", "bad"], criticality=[[0.2, None], [1.0]])
    assert (state.channel.tolist(), state.level.tolist()) == ([[2, 0]], [[[1, -1], [5, -1]]])
    check_state(state, scenario)
    slot = describe_slot(state, 0, scenario)
    assert slot == {"channel": ["good", "bad"], "criticality": [[0.2, None], [1.0]]}
    again = parse_states({"slots": [slot, slot]}, scenario, "x")
    assert np.array_equal(again.level, np.concatenate([state.level, state.level]))
    with pytest.raises(OptimizerError, match=r"state.criticality.0.1: expected a criticality of 0, .* silent"):
        make_state(scenario, channel=["good", "bad"], criticality=[[0.2, 0.3], [1.0]])
    with pytest.raises(OptimizerError, match=r"state.criticality.0: expected 2 tasks, got 1"):
        make_state(scenario, channel=["good", "bad"], criticality=[[0.2], [1.0]])
