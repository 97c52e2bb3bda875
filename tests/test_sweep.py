import io
import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from conftest import tiny_dataset
from rich.console import Console
from safetensors.numpy import load_file
from test_formats import Canary
from torch.utils.flop_counter import FlopCounterMode

import data.files
from data import DataConfig, DataError
from data.files import sha256
from data.options import parse_list
from pruning import PruningError, load_model, read_manifest
from pruning.config import RunConfig
from pruning.jobs import plan_jobs
from pruning.runfolder import only_process
from pruning.sweep import run_sweep
from pruning.table import results_table
from pruning.train import TrainConfig, predict

QUICK = RunConfig(
    rates=(0.5, 0.9),
    width=0.0625,
    threads=1,
    train=TrainConfig(epochs=3, retrain_epochs=2, batch=8, precision="float32"),
    data=DataConfig(),
)
SILENT = Console(quiet=True)


@pytest.fixture(autouse=True)
def _small_data(monkeypatch):
    """The sweep on a tiny data set; `test_end_to_end.py` uses the built-in one."""
    monkeypatch.setattr("pruning.sweep.build_dataset", lambda config, cache: tiny_dataset())


def sweep(out: Path, **changes):
    return run_sweep(replace(QUICK, out=out, **changes), SILENT)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    """One finished structural bundle with two seeds."""
    out = tmp_path_factory.mktemp("bundle")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pruning.sweep.build_dataset", lambda config, cache: tiny_dataset())
        sweep(out, seeds=(0, 1))
    return out


@pytest.fixture(scope="module")
def masked(tmp_path_factory):
    out = tmp_path_factory.mktemp("masked")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pruning.sweep.build_dataset", lambda config, cache: tiny_dataset())
        sweep(out, method="mask", width=0.125)
    return out


class TestBundle:
    def test_it_holds_what_scripts_outside_rely_on(self, bundle):
        content = json.loads((bundle / "models.json").read_text())
        assert content["schema"] == 1
        assert [m["rate"] for m in content["models"]] == [0.0, 0.5, 0.9]
        for model in content["models"]:
            assert {"rate", "method", "flops", "parameters", "accuracy", "weights", "onnx"} <= set(model)
            assert 0 <= model["accuracy"] <= 1
            assert (bundle / model["weights"]).is_file()
            assert (bundle / model["onnx"]).is_file()

    def test_flops_are_torchs_for_the_loaded_model(self, bundle):
        manifest = read_manifest(bundle)
        for entry in manifest.models:
            with FlopCounterMode(display=False) as counter:
                load_model(bundle, entry.rate)(torch.zeros(1, 1, 32, 32))
            assert entry.flops == counter.get_total_flops()

    def test_loaded_models_are_bit_for_bit_the_saved_ones(self, bundle):
        manifest = read_manifest(bundle)
        for entry in manifest.models:
            saved = load_file(bundle / entry.weights)
            loaded = load_model(bundle, entry.rate).state_dict()
            assert set(saved) == set(loaded)
            assert all(np.array_equal(saved[n], loaded[n].numpy()) for n in saved)

    def test_a_loaded_model_scores_what_the_manifest_says_of_its_seed(self, bundle):
        manifest = read_manifest(bundle)
        test = load_file(bundle / manifest.test)
        for entry in manifest.models:
            called = predict(load_model(bundle, entry.rate), test["images.clean"]).argmax(axis=1)
            said = next(s.accuracy for s in entry.seeds if s.seed == entry.exported_seed)
            assert (called == test["labels"]).mean() == pytest.approx(said)

    def test_onnx_has_a_dynamic_batch_and_agrees_with_torch(self, bundle):
        manifest = read_manifest(bundle)
        images = load_file(bundle / manifest.test)["images.clean"]
        for entry in manifest.models:
            session = onnxruntime.InferenceSession(bundle / entry.onnx, providers=["CPUExecutionProvider"])
            for batch in (1, 3, 7):
                got = session.run(None, {"images": images[:batch]})[0]
                np.testing.assert_allclose(got, predict(load_model(bundle, entry.rate), images[:batch]), atol=1e-4)
            assert entry.onnx_error <= 1e-4

    def test_accuracy_is_the_mean_over_seeds_with_an_interval_around_it(self, bundle):
        for entry in read_manifest(bundle).models:
            assert entry.accuracy == pytest.approx(np.mean([s.accuracy for s in entry.seeds]))
            low, high = entry.accuracy_interval
            assert low <= entry.accuracy <= high
            assert set(entry.after) == {"clean", "10dB", "5dB", "0dB"}
            assert (entry.before is None) == (entry.rate == 0)

    def test_relative_accuracy_is_to_the_dense_model(self, bundle):
        manifest = read_manifest(bundle)
        for entry in manifest.models:
            assert entry.relative_accuracy == pytest.approx(entry.accuracy / manifest.models[0].accuracy)
            assert entry.difference.value == pytest.approx(entry.accuracy - manifest.models[0].accuracy)

    def test_the_control_is_the_dense_model_trained_on(self, bundle):
        control = read_manifest(bundle).control
        assert control.method == "dense"
        assert control.seeds[0].epochs == QUICK.train.retrain_epochs

    def test_rates_are_fractions_of_flops(self, bundle):
        manifest = read_manifest(bundle)
        for entry in manifest.models[1:]:
            assert entry.target == "flops"
            assert 1 - entry.flops / manifest.models[0].flops == pytest.approx(entry.rate, abs=0.01)

    def test_history_holds_every_epoch(self, bundle):
        lines = [json.loads(line) for line in (bundle / "history.jsonl").read_text().splitlines()]
        assert len(lines) == 2 * (3 + 2 + 2 * 2)
        assert {line["phase"] for line in lines} == {"train", "control", "retrain"}

    def test_the_table_fits_100_columns(self, bundle):
        console = Console(width=100, record=True, file=io.StringIO())
        console.print(results_table(read_manifest(bundle)))
        text = console.export_text()
        assert max(map(len, text.splitlines())) <= 100
        assert "…" not in text

    @pytest.mark.parametrize("name", ["accuracy", "size", "confusion", "examples", "history"])
    def test_pictures_are_drawn(self, bundle, name):
        import matplotlib.image

        picture = matplotlib.image.imread(bundle / "figures" / f"{name}.png")
        assert min(picture.shape[:2]) > 300
        assert picture.std() > 0.01


class TestMask:
    def test_masked_models_keep_their_size_and_their_zeros(self, masked):
        manifest = read_manifest(masked)
        dense = manifest.models[0]
        for entry in manifest.models[1:]:
            assert entry.flops == dense.flops
            assert entry.flops_nominal == round((1 - entry.rate) * dense.flops)
            assert entry.widths == dense.widths
            assert entry.target == "channels"
            model = load_model(masked, entry.rate)
            for i, kept in enumerate(entry.channels_kept[:13]):
                weight = [m for m in model.features if isinstance(m, torch.nn.Conv2d)][i].weight
                assert int((weight.flatten(1).abs().sum(1) > 0).sum()) == kept
            for layer in model.classifier:
                if isinstance(layer, torch.nn.Linear):
                    assert (layer.weight == 0).float().mean() == pytest.approx(entry.rate, abs=0.02)
            assert entry.parameters_nonzero < dense.parameters_nonzero

    def test_a_masked_model_scores_what_the_manifest_says(self, masked):
        manifest = read_manifest(masked)
        test = load_file(masked / manifest.test)
        for entry in manifest.models:
            called = predict(load_model(masked, entry.rate), test["images.clean"]).argmax(axis=1)
            assert (called == test["labels"]).mean() == pytest.approx(entry.accuracy)


class TestDamage:
    @pytest.fixture
    def copied(self, bundle, tmp_path):
        shutil.copytree(bundle, tmp_path / "copy")
        return tmp_path / "copy"

    def change(self, bundle, **fields):
        path = bundle / "models.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))

    def test_a_flipped_byte_in_the_weights_is_noticed(self, copied):
        path = copied / read_manifest(copied).entry(0.5).weights
        content = bytearray(path.read_bytes())
        content[-100] ^= 1
        path.write_bytes(content)
        with pytest.raises(PruningError, match=r"its SHA-256 is"):
            load_model(copied, 0.5)

    def test_a_newer_schema_names_both_versions(self, copied):
        """F7."""
        self.change(copied, schema=7)
        with pytest.raises(PruningError, match="schema 7 is newer than the 1 this version reads"):
            read_manifest(copied)

    def test_an_unknown_field_is_named(self, copied):
        self.change(copied, colour="red")
        with pytest.raises(PruningError, match="colour: Extra inputs"):
            read_manifest(copied)

    def test_a_wrong_value_is_named_by_its_path(self, copied):
        content = json.loads((copied / "models.json").read_text())
        content["models"][1]["accuracy"] = 1.5
        self.change(copied, models=content["models"])
        with pytest.raises(PruningError, match=r"models\.1\.accuracy"):
            read_manifest(copied)

    @pytest.mark.parametrize("name", ["../outside.bin", "/etc/passwd", "a\\b"])
    def test_a_path_out_of_the_bundle_is_refused(self, copied, name):
        """F10."""
        self.change(copied, sha256={name: "0"})
        with pytest.raises(PruningError, match="points outside"):
            read_manifest(copied)

    def test_a_link_out_of_the_bundle_is_refused(self, copied, tmp_path):
        """F10."""
        path = copied / read_manifest(copied).entry(0.9).weights
        path.rename(tmp_path / "elsewhere")
        path.symlink_to(tmp_path / "elsewhere")
        with pytest.raises(PruningError, match="link that leaves"):
            load_model(copied, 0.9)

    def test_a_pickle_named_weights_is_never_run(self, copied, tmp_path):
        """F9."""
        entry = read_manifest(copied).entry(0.9)
        (copied / entry.weights).write_bytes(pickle.dumps(Canary(tmp_path / "canary")))
        hashes = json.loads((copied / "models.json").read_text())["sha256"]
        self.change(copied, sha256={**hashes, entry.weights: sha256(copied / entry.weights)})
        with pytest.raises(PruningError, match="no readable safetensors"):
            load_model(copied, 0.9)
        assert not (tmp_path / "canary").exists()

    def test_a_missing_file_and_a_missing_bundle_are_clear(self, copied, tmp_path):
        (copied / read_manifest(copied).entry(0.9).weights).unlink()
        with pytest.raises(PruningError, match="missing"):
            load_model(copied, 0.9)
        with pytest.raises(PruningError, match=r"no models\.json"):
            load_model(tmp_path / "nowhere", 0.5)

    def test_a_rate_that_is_not_there_lists_those_that_are(self, copied):
        with pytest.raises(PruningError, match=r"no model of rate 0\.2") as caught:
            load_model(copied, 0.2)
        assert "0, 0.5, 0.9" in caught.value.remedy

    def test_a_damaged_bundle_is_made_again_by_the_same_command(self, tmp_path):
        sweep(tmp_path / "a")
        before = snapshot(tmp_path / "a")
        (tmp_path / "a" / read_manifest(tmp_path / "a").test).write_bytes(b"")
        sweep(tmp_path / "a")
        assert snapshot(tmp_path / "a") == before


def snapshot(folder: Path) -> dict[str, bytes]:
    """Every artifact of a run; not the lock, which names its process."""
    return {
        str(p.relative_to(folder)): p.read_bytes()
        for p in sorted(folder.rglob("*"))
        if p.is_file() and p.name != ".lock"
    }


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
        import pruning.sweep as module

        real, begun = module.run_job, []

        def dying(job, context):
            begun.append(job.name)
            if len(begun) == 3:
                raise Killed
            real(job, context)

        with monkeypatch.context() as patch:
            patch.setattr(module, "run_job", dying)
            with pytest.raises(Killed):
                sweep(tmp_path)
        again = []
        monkeypatch.setattr(module, "run_job", lambda job, context: (again.append(job.name), real(job, context)))
        sweep(tmp_path)
        assert begun[:2] == ["seed0-dense", "seed0-control"]
        assert again == ["seed0-p0.5", "seed0-p0.9"]

    @pytest.mark.parametrize("k", [0, 3, 7])
    def test_a_full_disk_says_how_much_it_needs_and_resumes(self, tmp_path, monkeypatch, k):
        """F3."""
        import errno

        real, calls = os.fsync, 0

        def full(handle):
            nonlocal calls
            calls += 1
            if calls > 2 * k:
                raise OSError(errno.ENOSPC, "No space left on device")
            return real(handle)

        with monkeypatch.context() as patch:
            patch.setattr(data.files.os, "fsync", full)
            with pytest.raises(DataError, match=r"the disk is full: .* needs [\d,]+ bytes"):
                sweep(tmp_path, rates=(0.5,), onnx=False)
        assert not list(tmp_path.rglob("*.tmp"))
        sweep(tmp_path, rates=(0.5,), onnx=False)
        assert read_manifest(tmp_path).entry(0.5)

    def test_another_configuration_in_the_same_folder_is_refused_with_the_difference(self, tmp_path):
        sweep(tmp_path, rates=(0.5,), onnx=False)
        with pytest.raises(PruningError, match=r"another configuration: rates was \[0\.5\], now \[0\.7\]"):
            sweep(tmp_path, rates=(0.7,), onnx=False)

    def test_a_folder_of_other_things_is_refused(self, tmp_path):
        (tmp_path / "thesis.docx").write_text("")
        with pytest.raises(PruningError, match=r"holds thesis\.docx"):
            sweep(tmp_path)

    def test_two_processes_in_one_folder_are_refused_and_a_dead_ones_lock_is_not(self, tmp_path):
        """F11, F12."""
        code = (
            "import sys,time,pathlib; from pruning.runfolder import only_process\n"
            "with only_process(pathlib.Path(sys.argv[1])):\n print('held', flush=True); time.sleep(60)"
        )
        holder = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE)
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(PruningError, match=f"in use by process {holder.pid}"), only_process(tmp_path):
            pass
        holder.kill()
        holder.communicate()
        with only_process(tmp_path):
            pass


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
        ({"rates": (0.0,)}, "no rate above 0"),
        ({"seeds": (-1,)}, "seeds must be 0 or more"),
        ({"width": 0.0}, "--width"),
        ({"method": "mask", "target": "flops"}, "mask pruning removes no FLOPs"),
        ({"steps": 0}, "--steps"),
    ],
)
def test_a_sweep_that_cannot_be_is_refused_when_its_config_is_built(settings, message):
    with pytest.raises(PruningError, match=message):
        RunConfig(**settings)


@pytest.mark.parametrize(
    ("text", "message"), [("0.1;0.2", "separated by commas"), ("", "empty"), ("0.1,0.10", "twice")]
)
def test_rates_that_are_no_list_are_refused(text, message):
    with pytest.raises(DataError, match=message):
        parse_list(text, float, "rates")


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
