"""Trainings as run folders: stopped anywhere they end with the same weights, and what went wrong is kept."""

import json
import shutil

import numpy as np
import pytest
from safetensors.numpy import load_file
from stopping import Stop, train_with_stops

from data.common.errors import UserError
from optimizer import OptimizerError
from optimizer.environment.env import OffloadingVectorEnv
from optimizer.learning.options import TrainConfig
from optimizer.learning.paper_sac import SacConfig
from optimizer.learning.plan import plan
from optimizer.learning.run import train
from optimizer.learning.schedule import LearnerConfig
from optimizer.network.readings import parse_states

QUICK = LearnerConfig(updates=60, slots=16, block=10)
SAC = SacConfig(slots=60, hidden=(16, 16), batch=16, buffer=40, block=20, precision="float32")


def silent(*_):
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
        train_with_stops(job, config, stops)
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


def test_a_folder_of_an_older_version_is_taken_over(policies, tmp_path):
    """It held the world as the text of a World."""
    folder = tmp_path / "n20-seed0"
    shutil.copytree(policies / "one" / "n20-seed0", folder)
    config = TrainConfig(sensors=(20,), learner=QUICK, out=tmp_path)
    settings = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**settings, "world": str(config.world)}))
    calls = []
    train(plan(config)[0], config, lambda *x: calls.append(x))
    assert not calls
    assert json.loads((folder / "run.json").read_text()) == settings


def test_without_tensorboard_nothing_but_its_files_is_missing(tmp_path, monkeypatch):
    monkeypatch.setattr("optimizer.learning.run.is_installed", lambda name: False)
    config = TrainConfig(sensors=(10,), learner=LearnerConfig(updates=4, slots=4, block=2), out=tmp_path)
    manifest = train(plan(config)[0], config, silent)
    assert not (tmp_path / "n10-seed0" / "tensorboard").exists()
    assert [row["done"] for row in manifest.history] == [2, 4]
    assert {"reward", "drop_ratio", "seconds", "validation_reward", "validation_gap"} <= manifest.history[0].keys()
