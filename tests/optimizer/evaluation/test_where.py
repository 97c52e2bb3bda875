"""The table of what runs where, against decisions counted by hand."""

import numpy as np
from factory_networks import factory_network

from optimizer import Action, State, evaluate
from optimizer.evaluation.where import where_table


def cells(table):
    return list(zip(*(list(column.cells) for column in table.columns), strict=True))


def made(scenario, offload, refused, model):
    levels = len(scenario.qos)
    state = State(np.zeros((1, 2), np.int8), np.zeros((1, 2, 4), np.int8))
    state.level[0, 1, 2:] = -1  # the second gateway has two sensors
    action = Action(
        np.array([offload]), np.broadcast_to(np.array(model)[None, :, None], (1, 2, levels)).copy(),
        np.full((1, 2), 0.5), np.array([refused]),
    )  # fmt: skip
    return evaluate(scenario, state, action)


def test_each_gateways_tasks_are_counted_by_place_and_model():
    scenario = factory_network(groups=(4, 2))
    outcome = made(
        scenario,
        [[True, False, False, False], [False, False, False, False]],
        [[False, True, False, False], [False, False, False, False]],
        [0, 2],
    )
    rows = cells(where_table("greedy", outcome))
    assert rows == [
        ("1", "4", "50.0", "25.0", "25.0", "25.0", "p = 0.1 100 %"),
        ("2", "2", "100.0", "0.0", "0.0", "0.0", "p = 0.9 100 %"),
    ]


def test_a_gateway_that_keeps_nothing_and_many_gateways_are_said():
    scenario = factory_network(groups=(4, 2))
    everything = [[True] * 4, [True, True, False, False]]
    outcome = made(scenario, everything, [[False] * 4, [False] * 4], [0, 0])
    assert [row[-1] for row in cells(where_table("edge", outcome))] == ["none", "none"]
    wide = factory_network(groups=(1,) * 9)
    state = State(np.zeros((1, 9), np.int8), np.zeros((1, 9, 1), np.int8))
    nothing = np.zeros((1, 9, 1), bool)
    action = Action(nothing, np.zeros((1, 9, len(wide.qos)), np.int64), np.full((1, 9), 1 / 9), nothing)
    table = where_table("local", evaluate(wide, state, action))
    assert len(cells(table)) == 8
    assert table.caption == "the first 8 of 9 gateways; --json has all"
