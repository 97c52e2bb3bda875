"""The command `python -m optimizer.train`, and wrong arguments of it and of `optimizer.evaluate`."""

import signal
import subprocess
import sys
import time

import pytest

from optimizer import OptimizerError
from optimizer.learning.job import Job
from optimizer.learning.options import TrainConfig
from optimizer.learning.plan import plan
from optimizer.network.options import NetworkConfig


def command(*arguments):
    return subprocess.run([sys.executable, "-m", *arguments], capture_output=True, text=True, check=False)


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
def test_options_that_make_no_sense(wrong):
    with pytest.raises(OptimizerError):
        TrainConfig(**wrong)


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
