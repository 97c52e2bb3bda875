"""The built-in data through the real command, killed for real."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from sweeps import snapshot

from pruning import read_manifest


@pytest.mark.slow
def test_killed_with_kill_9_at_many_moments_the_bundle_is_the_same_byte_for_byte(tmp_path):
    """F1 with real processes: each is killed after a random time, the next goes on."""
    quick = ["--rates", "0.5,0.9", "--width", "0.25", "--epochs", "3", "--retrain-epochs", "2", "--threads", "1"]

    def start(out):
        command = [sys.executable, "-m", "pruning.run", *quick, "--out", str(out)]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    whole = start(tmp_path / "whole")
    begun = time.monotonic()
    assert whole.wait() == 0
    length = time.monotonic() - begun
    rng = np.random.default_rng(0)
    killed = 0
    for _ in range(5):
        process = start(tmp_path / "killed")
        try:
            process.wait(timeout=float(rng.uniform(0.35, 0.65)) * length)
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            killed += 1
    process = start(tmp_path / "killed")
    assert process.wait() == 0
    assert killed >= 2
    assert snapshot(tmp_path / "killed") == snapshot(tmp_path / "whole")


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_default_sweep_on_built_in_data_learns(tmp_path):
    done = subprocess.run([sys.executable, "-m", "pruning.run", "--out", str(tmp_path / "out")], check=False)
    assert done.returncode == 0
    manifest = read_manifest(tmp_path / "out")
    assert manifest.models[0].accuracy > 0.9
    assert [m.rate for m in manifest.models] == [0.0, 0.1, 0.3, 0.5, 0.7, 0.8, 0.9]


@pytest.mark.slow
@pytest.mark.parametrize(("size", "head"), [(64, "small"), (128, "small"), (128, "paper")])
def test_larger_images_and_the_papers_head_export(tmp_path, size, head):
    import torch

    from pruning.export import export
    from pruning.filters import keep_by_layer, remove_filters
    from pruning.spec import dense_spec, flops_target
    from pruning.vgg import build_vgg

    spec = dense_spec(10, size, head)
    torch.manual_seed(0)
    model = build_vgg(spec)
    wanted = flops_target(spec, 0.9)
    pruned = remove_filters(model, keep_by_layer(model, wanted.widths + wanted.hidden), size)
    images = np.random.default_rng(0).standard_normal((3, 1, size, size)).astype(np.float32)
    assert export(pruned, tmp_path / "p.onnx", images) <= 1e-4
    assert export(model, tmp_path / "d.onnx", images) <= 1e-4
