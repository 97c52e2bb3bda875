"""Optimum rewards as they were before the program was rebuilt, slot by slot."""

import json
from pathlib import Path

import pytest

from optimizer import Scenario, draw_states, evaluate, optimum

GOLDEN = json.loads((Path(__file__).parents[3] / "benchmarks" / "results" / "golden.json").read_text())["solved"]


@pytest.mark.parametrize("name", [n for n in GOLDEN if not n.startswith("measured")])
def test_200_slots_of_100_sensors_are_worth_what_they_were(name):
    network, reward = name.split(", ")
    scenario = Scenario.load(network).with_sensors(100).change(reward=reward)
    state = draw_states(scenario, 200, seed=0)
    found = optimum(scenario, state)
    assert found.reward == pytest.approx(GOLDEN[name]["rewards"], rel=1e-9, abs=1e-9)
    assert evaluate(scenario, state, found.action).reward == pytest.approx(found.reward, abs=1e-9)
