"""States and actions that do not fit are refused."""

import dataclasses

import numpy as np
import pytest
from slots_by_hand import PAPER, action, at, small

from optimizer import OptimizerError, State, draw_states
from optimizer.network.checks import check_action, check_state
from optimizer.network.slots import send_first

REWARDS = ["utilization", "goodput", "delay"]


def changed(made, **changes):
    return dataclasses.replace(made, **changes)


def test_actions_outside_their_space_are_refused():
    scenario = small()
    state = at(scenario, ("good", "bad"), ((0, 1), (2, 3)))
    good = action(scenario, [1, 0, 0, 0])
    check_action(good, state, scenario)
    nan = np.array([[np.nan, 1.0]])
    for bad, message in [
        (changed(good, share=nan), "NaN"),
        (changed(good, share=np.array([[0.5, 0.6]])), "sum of 1.1"),
        (changed(good, share=np.array([[-0.5, 1.5]])), "at least 0"),
        (changed(good, model=np.array([[0, 6]])), "from 0 to 5"),
        (action(small(groups=(3, 3)), [0] * 6), "offload: expected shape"),
    ]:
        with pytest.raises(OptimizerError, match=message):
            check_action(bad, state, scenario)


def test_states_that_do_not_fit_are_refused():
    scenario = PAPER.change(groups=(2, 1))
    good = draw_states(scenario, 3, 0)
    check_state(good, scenario)
    for bad, message in [
        (State(good.channel, good.level[:, :, :1]), "expected level of shape"),
        (State(np.full_like(good.channel, 3), good.level), "channel states"),
        (State(good.channel, np.zeros_like(good.level)), "must be -1 where"),
        (State(good.channel, np.where(good.level >= 0, np.int8(6), np.int8(-1))), "below 6"),
    ]:
        with pytest.raises(OptimizerError, match=message):
            check_state(bad, scenario)


def test_the_first_tasks_of_each_level_are_sent():
    level = np.array([[[1, 0, 1, 1, -1]]], np.int8)
    assert send_first(level, np.array([[[1, 2]]]))[0, 0].tolist() == [True, True, True, False, False]
