import errno
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from conftest import tiny_dataset
from pictures import save_fingerprint
from sweeps import QUICK, snapshot, sweep

import data.common.files
from data.common.errors import UserError
from pruning import PruningError, load_model, read_manifest
from pruning.config import SweepConfig
from pruning.jobs import plan_jobs
from pruning.train import predict


@pytest.fixture(autouse=True)
def _small_data(small_data, monkeypatch):
    """Sweeps of this file run on the tiny data set; rendering the pictures would take three quarters of their time."""
    monkeypatch.setattr("pruning.figures.save_png", save_fingerprint)


class Killed(BaseException):
    """Ends a sweep as `kill -9` would: nothing after it runs but what the test undoes."""


class TestInterruption:
    def test_a_second_call_finds_it_finished(self, tmp_path):
        first = sweep(tmp_path)
        before = snapshot(tmp_path)
        assert sweep(tmp_path) == first
        assert snapshot(tmp_path) == before

    def test_killed_at_any_write_the_same_call_ends_with_the_same_files(self, tmp_path, monkeypatch):
        """F1, in one process: the k-th write, before or after its rename, is the last thing that happens."""
        changes = {"rates": (0.5,), "onnx": False}
        sweep(tmp_path / "whole", **changes)
        whole = snapshot(tmp_path / "whole")
        real = Path.replace
        count = 0

        def counting(self, target):
            nonlocal count
            count += 1
            return real(self, target)

        with monkeypatch.context() as patch:
            patch.setattr(Path, "replace", counting)
            sweep(tmp_path / "count", **changes)
        assert count > 10
        for k in range(count):
            out = tmp_path / f"killed{k}"
            done = 0

            def dying(self, target, k=k):
                nonlocal done
                if done == k:
                    if k % 2:
                        real(self, target)
                    raise Killed
                done += 1
                return real(self, target)

            with monkeypatch.context() as patch:
                patch.setattr(Path, "replace", dying)
                patch.setattr(Path, "unlink", lambda self, missing_ok=False: None)  # a killed process tidies nothing
                with pytest.raises(Killed):
                    sweep(out, **changes)
            sweep(out, **changes)
            after = snapshot(out)
            assert set(after) == set(whole), k
            assert [n for n in whole if after[n] != whole[n]] == [], k

    def test_only_the_running_job_is_done_again(self, tmp_path, monkeypatch):
        import pruning.worker as module

        real, begun = module.run_job, []

        def dying(job, context):
            begun.append(job.name)
            if len(begun) == 3:
                raise Killed
            real(job, context)

        with monkeypatch.context() as patch:
            patch.setattr(module, "run_job", dying)
            with pytest.raises(Killed):
                sweep(tmp_path, onnx=False)
        again = []
        monkeypatch.setattr(module, "run_job", lambda job, context: (again.append(job.name), real(job, context)))
        sweep(tmp_path, onnx=False)
        assert begun[:2] == ["seed0-dense", "seed0-control"]
        assert again == ["seed0-p0.5", "seed0-p0.9"]

    @pytest.mark.parametrize("k", [0, 3, 7])
    def test_a_full_disk_says_how_much_it_needs_and_resumes(self, tmp_path, monkeypatch, k):
        """F3."""
        real, calls = os.fsync, 0

        def full(handle):
            nonlocal calls
            calls += 1
            if calls > 2 * k:
                raise OSError(errno.ENOSPC, "No space left on device")
            return real(handle)

        with monkeypatch.context() as patch:
            patch.setattr(data.common.files.os, "fsync", full)
            with pytest.raises(UserError, match=r"the disk is full: .* needs [\d,]+ bytes"):
                sweep(tmp_path, rates=(0.5,), onnx=False)
        assert not list(tmp_path.rglob("*.tmp"))
        sweep(tmp_path, rates=(0.5,), onnx=False)
        assert read_manifest(tmp_path).entry(0.5)

    def test_another_configuration_in_the_same_folder_is_refused_with_the_difference(self, tmp_path):
        sweep(tmp_path, rates=(0.5,), onnx=False)
        with pytest.raises(UserError, match=r"another configuration: rates was \[0\.5\], now \[0\.7\]"):
            sweep(tmp_path, rates=(0.7,), onnx=False)

    def test_a_folder_of_other_things_is_refused(self, tmp_path):
        (tmp_path / "thesis.docx").write_text("")
        with pytest.raises(UserError, match=r"holds thesis\.docx"):
            sweep(tmp_path)


class TestVariants:
    def test_steps_prune_a_little_at_a_time(self, tmp_path):
        config = replace(QUICK, steps=3, rates=(0.9,))
        jobs = [j for j in plan_jobs(config) if j.kind == "pruned"]
        assert [round(j.rate, 3) for j in jobs] == [0.536, 0.785, 0.9]
        assert [j.parent for j in jobs] == ["seed0-dense", jobs[0].name, jobs[1].name]
        manifest = sweep(tmp_path, steps=3, rates=(0.9,), onnx=False)
        assert [m.rate for m in manifest.models] == [0.0, 0.9]
        assert manifest.control.seeds[0].epochs == 3 * QUICK.train.retrain_epochs

    def test_mask_in_steps(self, tmp_path):
        manifest = sweep(tmp_path, method="mask", steps=2, rates=(0.9,), onnx=False, width=0.125)
        kept = manifest.models[1].channels_kept
        assert kept[:13] == [w - round(0.9 * w) for w in manifest.models[0].widths]

    @pytest.mark.parametrize(
        "changes",
        [{"ranking": "global"}, {"target": "channels"}, {"batch_norm": False}, {"head": "paper", "width": 0.03125}],
    )
    def test_other_ways_end_in_a_bundle_too(self, tmp_path, changes):
        manifest = sweep(tmp_path, rates=(0.5,), onnx=False, **changes)
        predict(load_model(tmp_path, 0.5), tiny_dataset().test.images)
        assert manifest.models[1].flops < manifest.models[0].flops

    def test_distillation_runs(self, tmp_path):
        sweep(tmp_path, rates=(0.5,), onnx=False, train=replace(QUICK.train, distill=0.5))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rates": (1.0,)}, r"rates must lie in \[0, 1\)"),
        ({"rates": (90.0,)}, r"Did you mean 0\.9"),
        ({"rates": (0.5, 0.5)}, "twice"),
        ({"rates": (0.0,)}, "no rate is above 0"),
        ({"seeds": (-1,)}, "seeds must be 0 or more"),
        ({"width": 0.0}, "--width"),
        ({"method": "mask", "target": "flops"}, "mask pruning removes no FLOPs"),
        ({"steps": 0}, "--steps"),
    ],
)
def test_a_sweep_that_cannot_be_is_refused_when_its_config_is_built(settings, message):
    with pytest.raises(PruningError, match=message):
        SweepConfig(**settings)


def test_a_gpu_that_is_required_and_absent_is_refused(tmp_path):
    """F13."""
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(PruningError, match="no usable GPU"):
        sweep(tmp_path, device="cuda")


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_command_exits_soon_and_says_how_to_go_on(tmp_path, number, status):
    """F2."""
    command = [sys.executable, "-m", "pruning.run", "--rates", "0.5", "--out", str(tmp_path / "a"), "--threads", "1"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not (tmp_path / "a" / "run.json").exists():
        assert time.monotonic() < deadline
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.1)
    time.sleep(1.5)
    process.send_signal(number)
    start = time.monotonic()
    _, errors = process.communicate(timeout=30)
    assert time.monotonic() - start < 10
    assert process.returncode == status
    assert "the same command goes on" in errors
    assert "Traceback" not in errors
