"""The planner: the exact optimum as a file to deploy."""

import json

import numpy as np
import pytest

from optimizer import OptimizerError, Planner, Scenario, draw_states, optimum

PAPER = Scenario.load("paper").with_sensors(20)


def test_a_planner_survives_its_file_and_decides_as_the_optimum_does(tmp_path):
    path = tmp_path / "planner.json"
    Planner(PAPER).save(path)
    loaded = Planner.load(str(path))
    assert loaded.scenario == PAPER
    state = draw_states(PAPER, 20, seed=0)
    best, found = optimum(PAPER, state).action, loaded.decide(state)
    assert (found.offload == best.offload).all()
    assert np.array_equal(found.model, best.model)
    assert np.array_equal(found.share, best.share)


def test_rewards_without_an_optimum_and_wrong_files_are_refused(tmp_path):
    with pytest.raises(OptimizerError, match="no optimum for reward = 'literal'"):
        Planner(PAPER.change(reward="literal"))
    with pytest.raises(OptimizerError, match=r"missing\.json"):
        Planner.load(tmp_path / "missing.json")
    path = tmp_path / "planner.json"
    path.write_text(json.dumps({"schema": 1, "kind": "policy", "scenario": {}}))
    with pytest.raises(OptimizerError, match="kind"):
        Planner.load(path)
    path.write_text(json.dumps({"schema": 9, "scenario": {}}))
    with pytest.raises(OptimizerError, match="schema"):
        Planner.load(path)
