"""Training by several processes that torchrun starts, with real processes on the CPU (gloo)."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import tiny_dataset
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file
from sweeps import snapshot

from data.common.sweep.options import Execution
from pruning import PruningError, load_model
from pruning.augment import Augmentation, augment
from pruning.parallel import ALONE, Team, join, one_voice
from pruning.spec import dense_spec
from pruning.train import TrainConfig, Trainer, predict
from pruning.vgg import build_vgg

TESTS = Path(__file__).parents[1]
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
WORDS = (
    "--rates 0.5 --width 0.125 --folds 1 --epochs 2 --retrain-epochs 1 --updates 0 --retrain-updates 0 --batch 9 "
    "--line 0.5 --balance 1 --precision float32 --no-onnx --threads 2 --accept weak"
)
QUICK = tuple(WORDS.split())  # a batch of 9 is shared as 4 and 5 windows


def started(*command: str, **settings: str) -> "subprocess.Popen[str]":
    """A Python command in a process of its own, with the modules of the tests."""
    path = os.pathsep.join([str(TESTS.parent), str(TESTS)])
    return subprocess.Popen(
        [sys.executable, *command],
        env={**os.environ, "PYTHONPATH": path, **settings},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def done(*command: str, **settings: str) -> tuple[int, str, str]:
    """Exit status, output and errors of a Python command."""
    process = started(*command, **settings)
    output, errors = process.communicate(timeout=120)
    return process.returncode, output, errors


def runs(process: str) -> bool:
    """Whether there is a process with this id; one that has ended and that nobody has asked after does not count."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def swept(out: Path, *options: str, by: tuple[str, ...] = TORCHRUN, **settings: str) -> tuple[int, str, str]:
    """A sweep on the tiny data set, by two processes unless told otherwise."""
    return done(*by, str(TESTS / "tiny_sweep.py"), *QUICK, *options, "--out", str(out), **settings)


def begun(out: Path) -> "tuple[subprocess.Popen[str], list[str]]":
    """A long sweep by two processes that has claimed its folder, and the ids of the two."""
    process = started(*TORCHRUN, str(TESTS / "tiny_sweep.py"), *QUICK, "--epochs", "2000", "--out", str(out))
    deadline = time.monotonic() + 120
    while not (out / "run.json").exists():
        assert time.monotonic() < deadline
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.1)
    return process, Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()


@pytest.fixture(scope="module")
def one(tmp_path_factory) -> Path:
    """The sweep by one process, on one thread as each of the two has."""
    out = tmp_path_factory.mktemp("parallel") / "one"
    status, _, errors = swept(out, "--threads", "1", by=())
    assert status == 0, errors
    return out


@pytest.fixture(scope="module")
def two(tmp_path_factory) -> Path:
    """The same sweep by two processes."""
    out = tmp_path_factory.mktemp("parallel") / "two"
    status, output, errors = swept(out)
    assert status == 0, errors
    assert output.count("shared by 2 processes") == 1
    assert "error" not in errors
    return out


class TestSameModels:
    """In float32 sums in another order differ in the last digits: logits of 2 by 1e-7, and by 8e-6 without `--balance`.

    With other settings such differences grow as they do between one and two threads of one process, so the algorithm
    itself is compared in float64, below.
    """

    @pytest.mark.parametrize("rate", [0.0, 0.5])
    def test_the_logits_of_one_process(self, one, two, rate):
        images = tiny_dataset().test.images
        np.testing.assert_allclose(
            predict(load_model(two, rate), images), predict(load_model(one, rate), images), rtol=0, atol=1e-4
        )

    def test_the_losses_of_one_process(self, one, two):
        lines = [[json.loads(x) for x in (out / "history.jsonl").read_text().splitlines()] for out in (one, two)]
        assert len(lines[0]) == len(lines[1]) == 4
        for a, b in zip(*lines, strict=True):
            for name in ("train_loss", "validation_loss"):
                assert b[name] == pytest.approx(a[name], abs=1e-5), (a, name)

    def test_the_saved_state_has_the_same_names_and_shapes(self, one, two):
        names = sorted(path.name for path in (one / "weights").iterdir())
        assert names == sorted(path.name for path in (two / "weights").iterdir())
        for name in names:
            a, b = (load_file(out / "weights" / name) for out in (one, two))
            assert {n: (t.shape, t.dtype) for n, t in a.items()} == {n: (t.shape, t.dtype) for n, t in b.items()}


@pytest.fixture(scope="module")
def found(tmp_path_factory) -> dict[str, dict]:
    """What `tests/two_processes.py` found."""
    report = tmp_path_factory.mktemp("parts") / "report.json"
    status, _, errors = done(*TORCHRUN, str(TESTS / "two_processes.py"), str(report))
    assert status == 0, errors
    return json.loads(report.read_text())


class TestPartsInFloat64:
    """Two processes compared with one, part by part."""

    @pytest.mark.parametrize("count", [8, 9, 2])
    @pytest.mark.parametrize(("kind", "tolerance"), [("float32", 2e-6), ("float64", 1e-14)])
    def test_batch_norm_is_torchs_own_of_the_whole_batch(self, found, kind, tolerance, count):
        differences = found[f"{kind} {count}"]
        assert {"values", "gradient of images", "gradient of weight", "running variance"} <= set(differences)
        assert {name: d for name, d in differences.items() if d > tolerance} == {}

    def test_dropout_is_torchs_own_of_the_whole_batch_to_the_bit(self, found):
        assert found["dropout differs"] == 0

    @pytest.mark.parametrize(
        "training",
        [
            "network", "even shares", "straight line", "no batch norm", "balance", "dropout", "distillation", "masks",
            "patience",
        ],
    )  # fmt: skip
    def test_a_training_ends_as_with_one_process(self, found, training):
        """Images and losses are in float32 all the same; the largest difference seen is 6e-6, of logits up to 12."""
        assert found["trainings"][training]["losses"] < 1e-6
        assert found["trainings"][training]["logits"] < 5e-5
        assert found["trainings"][training]["largest logit"] > 1


class TestInterruption:
    def test_killed_after_a_checkpoint_the_same_command_ends_with_the_same_files(self, two, tmp_path):
        out = tmp_path / "out"
        status, _, _ = swept(out, DIE_AFTER="1")
        assert status != 0
        assert (out / "jobs" / "seed0-dense" / "checkpoint.safetensors").exists()
        status, _, errors = swept(out)
        assert status == 0, errors
        assert snapshot(out) == snapshot(two)

    def test_another_number_of_processes_may_not_go_on(self, two):
        status, _, errors = swept(two, by=())
        assert status == 2
        assert "another configuration: processes was 2, now None" in errors

    def test_after_ctrl_c_no_process_is_left(self, tmp_path):
        process, children = begun(tmp_path / "out")
        time.sleep(2)
        assert len(children) == 2
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
        assert errors.count("stopped. Finished models are kept") == 1
        assert [child for child in children if runs(child)] == []

    def test_torchrun_killed_by_force_leaves_no_process(self, tmp_path):
        process, children = begun(tmp_path / "out")
        process.kill()
        process.communicate(timeout=10)
        deadline = time.monotonic() + 10
        while any(runs(child) for child in children):
            assert time.monotonic() < deadline
            time.sleep(0.1)


class TestErrors:
    def test_an_error_in_one_process_is_told_once_and_ends_all(self, tmp_path):
        status, _, errors = swept(tmp_path / "out", FAIL_IN="1")
        assert status != 0
        assert errors.count("a test's failure.") == 1
        assert "error in process 1 of 2: a test's failure." in errors

    def test_an_error_of_all_processes_is_told_by_the_first(self, tmp_path):
        status, _, errors = swept(tmp_path / "out", "--lr", "1e30")
        assert status != 0
        assert errors.count("the loss became nan in epoch 1") == 1

    def test_ray_together_with_torchrun_is_refused(self, tmp_path):
        status, _, errors = done(*TORCHRUN, "-m", "pruning.run", "--executor", "ray", "--out", str(tmp_path / "out"))
        assert status != 0
        assert errors.count("error: --executor ray cannot be combined with torchrun") == 1
        assert "exitcode  : 2" in errors
        assert not (tmp_path / "out").exists()

    def test_a_batch_that_is_smaller_than_the_team_is_refused(self):
        model = build_vgg(dense_spec(3, 32, width=0.0625))
        with pytest.raises(PruningError, match="a batch of 4 windows cannot be shared by 8 processes"):
            Trainer(model, tiny_dataset(), TrainConfig(batch=4), seed=0, device=torch.device("cpu"), team=Team(0, 8))

    def test_a_process_without_a_gpu_of_its_own_is_refused(self, monkeypatch):
        _launched_by_torchrun(monkeypatch, rank=0, size=4)
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
        with (
            pytest.raises(PruningError, match="4 processes need a GPU each; this machine has 2"),
            join("auto", 1, Execution()),
        ):
            pass


def _launched_by_torchrun(monkeypatch, rank: int, size: int) -> None:
    for name, value in {"RANK": rank, "WORLD_SIZE": size, "LOCAL_WORLD_SIZE": size, "LOCAL_RANK": rank}.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "test")


@given(st.integers(1, 9), st.integers(1, 100))
def test_shares_make_up_the_batch_and_differ_by_one_row_at_most(size, count):
    shares = [list(range(count))[Team(rank, size).rows(count)] for rank in range(size)]
    assert [row for share in shares for row in share] == list(range(count))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_shares_of_a_batch_are_varied_as_in_the_whole_batch():
    images = torch.randn(9, 1, 32, 32)
    settings = Augmentation(gain=0.1)
    whole, *shares = (
        augment(images, settings, torch.Generator().manual_seed(5), rows)
        for rows in (slice(None), slice(0, 4), slice(4, 9))
    )
    torch.testing.assert_close(torch.cat(shares), whole, rtol=0, atol=1e-6)


def test_one_process_is_the_ordinary_case_also_under_torchrun(monkeypatch, capsys):
    _launched_by_torchrun(monkeypatch, rank=0, size=1)
    before = torch.get_num_threads()
    with one_voice(), join("auto", 1, Execution(executor="ray")) as team:
        print("heard")
        assert team is ALONE
        assert not torch.distributed.is_initialized()
    assert torch.get_num_threads() == before
    assert team.identity() == {}
    assert capsys.readouterr().out == "heard\n"


def test_only_the_first_process_is_heard(monkeypatch, capsys):
    _launched_by_torchrun(monkeypatch, rank=1, size=2)
    with one_voice():
        print("unheard")
        print("unheard", file=sys.stderr)
    assert capsys.readouterr() == ("", "")
