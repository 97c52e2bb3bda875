"""A policy as it is deployed: what it decides, which networks it serves, and what it refuses."""

import json
import subprocess
import sys

import numpy as np
import onnx
import pytest

from data.common.files import sha256
from optimizer import OptimizerError, Scenario, draw_states, optimum
from optimizer.learning.deployed import LearnedPolicy
from optimizer.learning.job import Job
from optimizer.learning.options import TrainConfig
from optimizer.learning.run import train
from optimizer.learning.schedule import LearnerConfig
from optimizer.network.checks import check_action
from optimizer.network.outcome import evaluate
from optimizer.network.slots import PADDING, State


@pytest.mark.parametrize("name", ["one/n20-seed0", "many/mixed-seed0", "paper/n20-seed0"])
def test_a_policy_decides_without_ever_beating_the_optimum(policies, name):
    policy = LearnedPolicy(policies / name, Scenario.load("paper").with_sensors(20))
    state = draw_states(policy.scenario, 100, 3)
    action = policy.decide(state)
    check_action(action, state, policy.scenario)
    best = optimum(policy.scenario, state).reward
    assert (evaluate(policy.scenario, state, action).reward <= best + 1e-9).all()
    one = policy.decide(state[4:5])
    assert np.array_equal(one.model[0], action.model[4])
    assert one.share[0] == pytest.approx(action.share[4], abs=1e-5)


def test_a_policy_serves_numbers_of_sensors_it_never_saw(policies):
    policy = LearnedPolicy(policies / "many" / "mixed-seed0", Scenario.load("paper").with_sensors(40))
    state = draw_states(policy.scenario, 5, 0)
    check_action(policy.decide(state), state, policy.scenario)


def test_more_sensors_than_a_policy_reaches(policies):
    with pytest.raises(OptimizerError, match="serves gateways of up to 8 sensors; got one of 20"):
        LearnedPolicy(policies / "one" / "n20-seed0", Scenario.load("paper"))


def test_another_number_of_sensors_for_the_papers_network(policies):
    with pytest.raises(OptimizerError, match="decides for 20 sensors"):
        LearnedPolicy(policies / "paper" / "n20-seed0", Scenario.load("paper").with_sensors(25))


def test_another_scenario(policies):
    with pytest.raises(OptimizerError, match="this network differs in edge, task"):
        LearnedPolicy(policies / "one" / "n20-seed0", Scenario.load("paper-heavy").with_sensors(20))


def test_a_state_of_another_network(policies):
    policy = LearnedPolicy(policies / "one" / "n20-seed0")
    with pytest.raises(OptimizerError, match="expected level of shape"):
        policy.decide(draw_states(Scenario.load("paper"), 2, 0))
    state = draw_states(policy.scenario, 1, 0)
    with pytest.raises(OptimizerError, match="criticality levels are indices below 6"):
        policy.decide(State(state.channel, np.full_like(state.level, 7)))


def test_an_altered_file(policies, tmp_path):
    for path in (policies / "one" / "n20-seed0").iterdir():
        if path.is_file():
            (tmp_path / path.name).write_bytes(path.read_bytes())
    with (tmp_path / "policy.onnx").open("ab") as file:
        file.write(b"x")
    with pytest.raises(OptimizerError, match="SHA-256 differs"):
        LearnedPolicy(tmp_path)


def silenced(state, share, seed=0):
    """The same slots with some sensors silent."""
    quiet = np.random.default_rng(seed).random(state.level.shape) < share
    return State(state.channel, np.where(quiet, PADDING, state.level).astype(np.int8))


@pytest.mark.parametrize("name", ["one/n20-seed0", "many/mixed-seed0", "paper/n20-seed0"])
def test_silent_sensors_are_neither_sent_nor_counted(policies, name):
    policy = LearnedPolicy(policies / name, Scenario.load("paper").with_sensors(20))
    state = silenced(draw_states(policy.scenario, 40, 3), 0.4)
    action = policy.decide(state)
    check_action(action, state, policy.scenario)
    best = optimum(policy.scenario, state).reward
    assert (evaluate(policy.scenario, state, action).reward <= best + 1e-9).all()


def test_with_one_silent_sensor_each_gateways_decide_as_in_the_smaller_network(policies):
    folder = policies / "many" / "mixed-seed0"
    large, small = (LearnedPolicy(folder, Scenario.load("paper").with_sensors(n)) for n in (20, 15))
    state = draw_states(small.scenario, 30, 4)
    silent = np.full((30, 5, 1), PADDING, np.int8)
    a = large.decide(State(state.channel, np.concatenate([state.level, silent], axis=2)))
    b = small.decide(state)
    assert np.array_equal(a.offload[:, :, :3], b.offload)
    assert np.array_equal(a.model, b.model)
    assert np.array_equal(a.share, b.share)


def test_a_slot_is_decided_alike_whatever_is_silent_in_the_others(policies):
    policy = LearnedPolicy(policies / "one" / "n20-seed0")
    state = draw_states(policy.scenario, 20, 5)
    level = state.level.copy()
    level[::2] = silenced(state, 0.5).level[::2]
    mixed, all_speak = policy.decide(State(state.channel, level)), policy.decide(state)
    assert np.array_equal(mixed.offload[1::2], all_speak.offload[1::2])
    assert mixed.share[1::2] == pytest.approx(all_speak.share[1::2], abs=1e-6)


def test_a_gateway_may_be_silent_altogether(policies):
    policy = LearnedPolicy(policies / "one" / "n20-seed0")
    state = draw_states(policy.scenario, 10, 6)
    level = state.level.copy()
    level[:, 2] = PADDING
    level[0] = PADDING
    state = State(state.channel, level)
    action = policy.decide(state)
    check_action(action, state, policy.scenario)
    assert not action.offload[0].any()


@pytest.mark.parametrize("gateways", [1, 2, 30])
def test_networks_of_any_number_of_gateways_are_trained_exported_and_evaluated(tmp_path, gateways):
    scenario = Scenario.load("paper").change(groups=(4,) * gateways)
    config = TrainConfig(learner=LearnerConfig(updates=4, slots=8, block=2), out=tmp_path)
    train(Job("few", (scenario,), 0), config, lambda *_: None)
    policy = LearnedPolicy(tmp_path / "few")
    for slots in (1, 7):
        state = draw_states(scenario, slots, 0)
        action = policy.decide(state)
        check_action(action, state, scenario)
        assert (evaluate(scenario, state, action).reward <= optimum(scenario, state).reward + 1e-9).all()


def test_another_number_of_gateways_is_refused(policies):
    with pytest.raises(OptimizerError, match="decides for 5 gateways; this network has 2"):
        LearnedPolicy(policies / "one" / "n20-seed0", Scenario.load("paper").change(groups=(4, 4)))


def test_a_policy_of_the_first_schema_decides_as_before(policies, tmp_path):
    """Its manifest says `kinds` for `gateway_types`, and its network has an input `kind`."""
    new = LearnedPolicy(policies / "one" / "n20-seed0")
    model = onnx.load(new.folder / "policy.onnx")
    for node in model.graph.node:
        node.input[:] = ["kind" if name == "gateway_type" else name for name in node.input]
    for part in model.graph.input:
        part.name = "kind" if part.name == "gateway_type" else part.name
    onnx.save(model, tmp_path / "policy.onnx")
    content = json.loads((new.folder / "policy.json").read_text())
    content |= {"schema": 1, "kinds": content.pop("gateway_types"), "onnx_sha256": sha256(tmp_path / "policy.onnx")}
    (tmp_path / "policy.json").write_text(json.dumps(content))
    state = draw_states(new.scenario, 20, 1)
    old = LearnedPolicy(str(tmp_path))
    assert old.manifest.schema_version == 3
    a, b = old.decide(state), new.decide(state)
    assert np.array_equal(a.offload, b.offload)
    assert np.array_equal(a.share, b.share)


def test_what_decides_needs_neither_torch_nor_gymnasium_nor_numba():
    code = "import sys; from optimizer.learning.deployed import LearnedPolicy; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "gymnasium", "numba"} & set(done.stdout.split())
