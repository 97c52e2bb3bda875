"""Trainings as run folders, trained policies as files, and the two commands, as a user meets them."""

import json
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from safetensors.numpy import load_file

from data.common.errors import UserError
from optimizer import OptimizerError, Scenario, draw_states, optimum
from optimizer.environment.env import OffloadingVectorEnv
from optimizer.evaluation.compare import compare, load_policies
from optimizer.learning.deployed import LearnedPolicy
from optimizer.learning.job import Job
from optimizer.learning.learner import LearnerConfig
from optimizer.learning.manifest import find_policies, read_manifest
from optimizer.learning.options import TrainConfig
from optimizer.learning.paper_sac import SacConfig
from optimizer.learning.run import train
from optimizer.network.checks import check_action
from optimizer.network.options import NetworkConfig
from optimizer.network.outcome import evaluate
from optimizer.network.readings import parse_states
from optimizer.network.slots import State
from optimizer.train import plan

QUICK = LearnerConfig(updates=60, slots=16, block=10)
SAC = SacConfig(slots=60, hidden=(16, 16), batch=16, buffer=40, block=20, precision="float32")


def silent(*_):
    pass


@pytest.fixture(scope="module")
def policies(tmp_path_factory):
    """A default policy of 20 sensors, one of 10 and 20, and a paper agent of 20."""
    out = tmp_path_factory.mktemp("policies")
    for config in (
        TrainConfig(sensors=(20,), learner=QUICK, out=out / "one"),
        TrainConfig(sensors=(10, 20), mixed=True, learner=QUICK, out=out / "many"),
        TrainConfig(sensors=(20,), preset="paper", sac=SAC, out=out / "paper"),
    ):
        for job in plan(config):
            train(job, config, silent)
    return out


def command(*arguments):
    return subprocess.run([sys.executable, "-m", *arguments], capture_output=True, text=True, check=False)


class Stop(BaseException):
    pass


@pytest.mark.parametrize("preset", ["default", "paper"])
def test_a_training_stopped_after_any_block_ends_with_the_same_weights(tmp_path, preset):
    weights = []
    for name, stops in (("whole", 0), ("stopped", 2)):
        config = TrainConfig(
            sensors=(20,), preset=preset, learner=LearnerConfig(updates=30, slots=16, block=10), sac=SAC,
            out=tmp_path / name,
        )  # fmt: skip
        job = plan(config)[0]
        left = [stops]

        def stop(*_, left=left):
            if left[0]:
                left[0] -= 1
                raise Stop

        while True:
            try:
                train(job, config, stop)
                break
            except Stop:
                continue
        weights.append(load_file(tmp_path / name / job.name / "weights.safetensors"))
    assert weights[0].keys() == weights[1].keys()
    assert all(np.array_equal(weights[0][k], weights[1][k]) for k in weights[0])


def test_a_finished_training_is_not_done_again(policies):
    config = TrainConfig(sensors=(20,), learner=QUICK, out=policies / "one")
    calls = []
    train(plan(config)[0], config, lambda *x: calls.append(x))
    assert not calls


def test_a_folder_of_another_configuration_is_refused(policies):
    config = TrainConfig(sensors=(20,), learner=LearnerConfig(updates=61, slots=16, block=10), out=policies / "one")
    with pytest.raises(UserError, match=r"another configuration: settings\.updates was 60, now 61"):
        train(plan(config)[0], config, silent)


def test_a_slot_without_a_number_is_kept_for_inspection(tmp_path, monkeypatch):
    step = OffloadingVectorEnv.step

    def broken(self, actions):
        seen, reward, *rest = step(self, actions)
        reward[3] = np.nan
        return seen, reward, *rest

    config = TrainConfig(sensors=(10,), learner=QUICK, out=tmp_path)
    job = plan(config)[0]
    with monkeypatch.context() as patch:
        patch.setattr(OffloadingVectorEnv, "step", broken)
        with pytest.raises(OptimizerError, match="reward of nan"):
            train(job, config, silent)
    failed = json.loads((tmp_path / job.name / "failed.json").read_text())
    assert failed["seed"] == 0
    parse_states({"slots": failed["slots"]}, job.scenarios[0], "failed.json")
    train(job, config, silent)  # goes on, and the mark goes
    assert not (tmp_path / job.name / "failed.json").exists()


def test_a_damaged_checkpoint_is_named(tmp_path):
    config = TrainConfig(sensors=(10,), learner=QUICK, out=tmp_path)

    def stop(*_):
        raise Stop

    with pytest.raises(Stop):
        train(plan(config)[0], config, stop)
    path = tmp_path / "n10-seed0" / "checkpoint.safetensors"
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(OptimizerError, match=r"checkpoint\.safetensors: damaged"):
        train(plan(config)[0], config, silent)


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


class TestRefusals:
    def test_more_sensors_than_a_policy_reaches(self, policies):
        with pytest.raises(OptimizerError, match="serves gateways of up to 8 sensors; got one of 20"):
            LearnedPolicy(policies / "one" / "n20-seed0", Scenario.load("paper"))

    def test_another_number_of_sensors_for_the_papers_network(self, policies):
        with pytest.raises(OptimizerError, match="decides for 20 sensors"):
            LearnedPolicy(policies / "paper" / "n20-seed0", Scenario.load("paper").with_sensors(25))

    def test_another_scenario(self, policies):
        with pytest.raises(OptimizerError, match="this network differs in edge, task"):
            LearnedPolicy(policies / "one" / "n20-seed0", Scenario.load("paper-heavy").with_sensors(20))

    def test_a_state_of_another_network(self, policies):
        policy = LearnedPolicy(policies / "one" / "n20-seed0")
        with pytest.raises(OptimizerError, match="expected level of shape"):
            policy.decide(draw_states(Scenario.load("paper"), 2, 0))
        state = draw_states(policy.scenario, 1, 0)
        with pytest.raises(OptimizerError, match="criticality levels are indices below 6"):
            policy.decide(State(state.channel, np.full_like(state.level, 7)))

    def test_an_altered_file(self, policies, tmp_path):
        for path in (policies / "one" / "n20-seed0").iterdir():
            if path.is_file():
                (tmp_path / path.name).write_bytes(path.read_bytes())
        with (tmp_path / "policy.onnx").open("ab") as file:
            file.write(b"x")
        with pytest.raises(OptimizerError, match="SHA-256 differs"):
            LearnedPolicy(tmp_path)

    def test_a_newer_or_damaged_manifest(self, tmp_path):
        path = tmp_path / "policy.json"
        path.write_text(json.dumps({"schema": 9}))
        with pytest.raises(OptimizerError, match="schema 9 is newer than the 2"):
            read_manifest(tmp_path)
        path.write_text(json.dumps({"schema": 1, "preset": "other"}))
        with pytest.raises(OptimizerError, match="preset"):
            read_manifest(tmp_path)
        path.write_text("{")
        with pytest.raises(OptimizerError, match="cannot be read as JSON"):
            read_manifest(tmp_path)

    def test_a_folder_without_policies(self, tmp_path):
        with pytest.raises(OptimizerError, match=r"no policy\.json there or below"):
            find_policies(tmp_path)

    def test_policies_of_several_sizes_without_a_word_on_which(self, policies):
        with pytest.raises(OptimizerError, match="different numbers of sensors"):
            load_policies([str(policies / "one"), str(policies / "many")], None)

    @pytest.mark.parametrize(
        "wrong",
        [
            {"mixed": True},
            {"mixed": True, "sensors": (10, 20), "preset": "paper"},
            {"seeds": (-1,)},
            {"sensors": (0,)},
            {"network": NetworkConfig(reward="literal")},
        ],
    )
    def test_options_that_make_no_sense(self, wrong):
        with pytest.raises(OptimizerError):
            TrainConfig(**wrong)


def test_a_comparison_is_paired_and_means_are_over_seeds(policies):
    scenario, found, warnings = load_policies([str(policies / "one"), str(policies / "paper")], 20)
    assert not warnings
    state = draw_states(scenario, 60, 1)
    named = {f"x-seed{i}": p for i, p in enumerate(found.values())}
    result = compare(scenario, state, named, ["greedy", "random"], 0)
    best = optimum(scenario, state).reward
    reward = evaluate(scenario, state, named["x-seed0"].decide(state)).reward
    row = result.policies["x-seed0"]
    assert row.gap == pytest.approx(1 - reward.mean() / best.mean())
    assert row.gap_interval == pytest.approx(1.959964 * (best - reward).std(ddof=1) / np.sqrt(60) / best.mean())
    assert result.means["x"].gap == pytest.approx((row.gap + result.policies["x-seed1"].gap) / 2)
    assert not result.policies["greedy"].learned


def test_evaluate_writes_the_named_fields(policies, tmp_path):
    path = tmp_path / "figures.json"
    done = command(
        "optimizer.evaluate", "--policy", f"{policies / 'one'},{policies / 'many'}", "--sensors", "20", "--slots", "50",
        "--json", str(path),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert max(map(len, done.stdout.splitlines())) <= 100
    content = json.loads(path.read_text())
    assert content["optimum"]["reward"] > 0
    for name in ("n20-seed0", "mixed-seed0", "jopav1", "agdm"):
        assert {"reward", "gap", "drop_ratio", "offloading_ratio", "utilization"} <= content["policies"][name].keys()


@pytest.mark.parametrize(
    "arguments",
    [
        ("optimizer.evaluate", "--policy", "nowhere"),
        ("optimizer.evaluate", "--policy", "nowhere", "--slots", "1"),
        ("optimizer.train", "--sensors", "3"),
        ("optimizer.train", "--scenario", "nowhere.toml"),
        ("optimizer.train", "--gateway", "nowhere.json", "--edge", "nowhere.json"),
    ],
)
def test_wrong_arguments_get_one_message(arguments):
    done = command(*arguments)
    assert done.returncode == 2
    assert done.stderr.startswith("error:")
    assert "Traceback" not in done.stderr


def test_ctrl_c_keeps_the_last_checkpoint_and_says_how_to_go_on(tmp_path):
    arguments = ["optimizer.train", "--sensors", "20", "--out", str(tmp_path), "--default.block", "5"]
    process = subprocess.Popen([sys.executable, "-m", *arguments], stderr=subprocess.PIPE, text=True)
    checkpoint = tmp_path / "n20-seed0" / "checkpoint.safetensors"
    until = time.monotonic() + 120
    while not checkpoint.exists() and time.monotonic() < until:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 130
    assert process.stderr is not None
    assert "goes on from the last checkpoint" in process.stderr.read()
    process.stderr.close()
    assert checkpoint.exists()


def test_a_job_is_named_after_its_network_and_seed():
    jobs = plan(TrainConfig(sensors=(10, 20), seeds=(0, 3)))
    assert [j.name for j in jobs] == ["n10-seed0", "n10-seed3", "n20-seed0", "n20-seed3"]
    assert isinstance(jobs[0], Job)
