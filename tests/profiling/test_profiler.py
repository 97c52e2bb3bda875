"""Measuring for real, on a narrow bundle: from the command to the profile, stopped, killed, starved and continued."""

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console
from safetensors.numpy import load_file

from data.common.errors import UserError
from profiling import Profile, ProfilingError
from profiling import config as configs
from profiling.config import RunConfig
from profiling.drawing import draw_all
from profiling.measuring.measure import Journal
from profiling.measuring.plan import Plan
from profiling.measuring.race import choose_runtime
from profiling.profiler import run_profile
from profiling.runtimes.registry import check, open_session
from profiling.runtimes.service import Service
from profiling.runtimes.session import Request
from profiling.table import print_profile
from pruning import read_manifest

SILENT = Console(quiet=True)


@pytest.fixture(autouse=True)
def _short(monkeypatch):
    """Short visits: these tests are about what is kept, not about time."""
    monkeypatch.setattr(configs, "GRADES", {"quick": (4, 0.02), "reference": (4, 0.02)})


def settings(bundle, out, **changes) -> RunConfig:
    base = RunConfig(models=bundle, runtime="onnxruntime", threads=(1,), batches=(1, 4), rounds=2, processes=1, out=out)
    return replace(base, **changes)


@pytest.fixture(scope="module")
def measured(bundle, tmp_path_factory):
    """One real profile: both precisions that onnxruntime has."""
    folder = tmp_path_factory.mktemp("measured")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(configs, "GRADES", {"quick": (8, 0.02)})  # 4 runs in each of 2 rounds
        run_profile(settings(bundle, folder / "p.json", precision=("fp32", "int8")), SILENT)
    return folder / "p.json"


class TestProfile:
    def test_every_cell_is_there_with_its_runs(self, measured, bundle):
        profile = Profile.load(measured)
        assert [(m.rate, m.precision) for m in profile.models] == [
            (r, p) for p in ("fp32", "int8") for r in (0.0, 0.5, 0.9)
        ]
        for model in profile.models:
            assert [x.batch for x in model.latency] == [1, 4]
            assert all(x.count >= 8 for x in model.latency)
        assert profile.failed == []
        runs = load_file(measured.with_suffix("") / "samples.safetensors")
        own = np.concatenate([v for k, v in runs.items() if k.startswith("0.9/fp32/4/1/")])
        entry = profile.cells(0.9)[1]
        assert len(own) == entry.count
        assert np.median(own) == pytest.approx(entry.p50_s, rel=1e-6)

    def test_accuracy_is_measured_on_the_test_windows_and_is_the_bundles(self, measured, bundle):
        profile = Profile.load(measured)
        for entry in read_manifest(bundle).models:
            own = next(s.accuracy for s in entry.seeds if s.seed == entry.exported_seed)
            assert profile.accuracy(entry.rate, "measured") == pytest.approx(own)
            int8 = profile.model(entry.rate, "int8")
            assert int8.accuracy_change == pytest.approx(int8.accuracy - own)
            low, high = int8.accuracy_interval.low, int8.accuracy_interval.high
            assert low <= int8.accuracy <= high

    def test_where_and_with_what_is_kept(self, measured, bundle):
        profile = Profile.load(measured)
        environment = profile.environment
        assert environment.processor.cores == os.cpu_count()
        assert {"onnxruntime", "jopa"} <= set(environment.libraries)
        assert environment.memory_bytes > 2**28
        assert profile.measurement.threads == [1]
        assert profile.bundle.method == "structural"
        assert profile.capacities[0].peak_flop_per_s > 1e8

    def test_only_the_profile_its_runs_and_its_models_are_left(self, measured):
        left = {p.name for p in measured.with_suffix("").rglob("*") if p.is_file()}
        assert left == {".lock", "samples.safetensors", "vgg16-dense.onnx", "vgg16-p0.5.onnx", "vgg16-p0.9.onnx"}

    def test_pictures_and_tables_fit(self, measured, tmp_path):
        import matplotlib.image

        profile = Profile.load(measured)
        draw_all(profile, tmp_path)
        for name in ("accuracy", "latency", "capacity", "throughput"):
            picture = matplotlib.image.imread(tmp_path / f"{name}.png")
            assert min(picture.shape[:2]) > 300
            assert picture.std() > 0.01
        console = Console(width=100, record=True, file=io.StringIO())
        print_profile(profile, console)
        text = console.export_text()
        assert max(map(len, text.splitlines())) <= 100
        assert "…" not in text

    def test_a_masked_bundle_says_in_words_that_it_gains_nothing(self, masked, tmp_path):
        profile = run_profile(settings(masked, tmp_path / "p.json"), SILENT)
        assert profile.model(0.9).flops == profile.model(0.0).flops
        assert profile.model(0.9).flops_nominal == pytest.approx(0.1 * profile.model(0.0).flops, rel=1e-6)
        assert any("Masked pruning gains nothing" in note for note in profile.notes)

    @pytest.mark.parametrize(("runtime", "precision"), [("openvino", "fp32"), ("torch", "fp32"), ("openvino", "int8")])
    def test_every_runtime_gives_the_same_classes(self, measured, bundle, tmp_path, runtime, precision):
        path = bundle / read_manifest(bundle).models[1].onnx
        if precision == "int8":
            path = measured.with_suffix("") / "int8" / "vgg16-p0.5.onnx"
        images = load_file(bundle / "test.safetensors")["images.clean"][:4]

        def logits(name):
            request = Request(name, "cpu", precision, 1, 4, (1, 32, 32), path, (bundle, 0.5))
            session = open_session(request)
            assert session.sample()[0] > 0
            return session.logits(images)

        reference = logits("onnxruntime")
        np.testing.assert_allclose(logits(runtime), reference, atol=1e-3 if precision == "fp32" else 0.3)


class TestOrderOfService:
    def test_a_profile_says_that_models_took_turns(self, bundle, tmp_path):
        config = settings(bundle, tmp_path / "p.json", order="random")
        profile = run_profile(config, SILENT)
        assert profile.measurement.order == "random"
        assert "take turns" in profile.measurement.protocol
        for model in profile.models:
            assert [x.batch for x in model.latency] == [1, 4]
        counts = {x.count for model in profile.models for x in model.latency}
        assert len(counts) == 1  # turns: as many runs of each
        assert counts.pop() >= 4
        assert config.identity() != settings(bundle, tmp_path / "p.json").identity()

    def test_profiles_of_the_first_schema_were_measured_hot(self, measured):
        content = json.loads(measured.read_text())
        assert content["schema"] == 3
        assert content["measurement"].pop("order") == "hot"
        assert Profile.parse(content | {"schema": 1}, "old").measurement.order == "hot"

    @pytest.mark.parametrize("runtime", ["onnxruntime", "openvino", "torch"])
    def test_one_session_takes_batches_of_any_size(self, bundle, runtime):
        path = bundle / read_manifest(bundle).models[1].onnx
        images = load_file(bundle / "test.safetensors")["images.clean"]
        request = Request(runtime, "cpu", "fp32", 1, 8, (1, 32, 32), path, (bundle, 0.5))
        whole = Service(request, open_session, dynamic=True)
        sized = Service(request, open_session, dynamic=False)
        for size in (3, 1, 8, 3):
            seconds, classes = whole.serve(images[:size])
            assert seconds > 0
            assert classes.tolist() == sized.serve(images[:size])[1].tolist()
            assert len(classes) == size

    def test_a_gpu_is_measured_hot(self, bundle, tmp_path):
        with pytest.raises(ProfilingError, match="--order random measures on cpu"):
            settings(bundle, tmp_path / "p.json", order="random", device="cuda")


class TestContinuing:
    def test_what_was_measured_is_kept_and_the_same_command_goes_on(self, bundle, tmp_path, monkeypatch):
        config = settings(bundle, tmp_path / "p.json")
        add = Journal.add

        def stop_after_ten(self, event):
            add(self, event)
            if len(self.of("visit")) == 10:
                raise KeyboardInterrupt

        monkeypatch.setattr(Journal, "add", stop_after_ten)
        with pytest.raises(KeyboardInterrupt):
            run_profile(config, SILENT)
        assert not config.out.exists()
        monkeypatch.setattr(Journal, "add", add)
        (journal,) = config.folder.glob(".journal-*.jsonl")
        with journal.open("ab") as file:
            file.write(b'{"event": "visit", "key": "0.9/f')  # a line that a kill cut
        kept = [json.loads(x) for x in journal.read_bytes().splitlines()[:-1]]
        profile = run_profile(config, SILENT)
        runs = load_file(config.folder / "samples.safetensors")
        for event in (e for e in kept if e["event"] == "visit"):
            assert any(np.allclose(event["samples"], own) for own in runs.values() if len(own) == len(event["samples"]))
        assert profile.measurement.cells == 6
        assert not journal.exists()

    def test_stopped_while_figures_are_drawn_nothing_is_measured_anew(self, bundle, tmp_path):
        config = settings(bundle, tmp_path / "p.json")

        def stop(profile):
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            run_profile(config, SILENT, stop)
        before = load_file(config.folder / "samples.safetensors")
        shown = []
        profile = run_profile(config, SILENT, shown.append)
        after = load_file(config.folder / "samples.safetensors")
        assert shown == [profile]
        assert {name: own.tolist() for name, own in after.items()} == {n: own.tolist() for n, own in before.items()}
        assert not list(config.folder.glob(".journal-*"))

    def test_other_settings_begin_anew(self, bundle, tmp_path):
        a, b = settings(bundle, tmp_path / "p.json"), settings(bundle, tmp_path / "p.json", batches=(1, 2))
        assert a.identity() != b.identity()
        assert a.identity() == replace(a, out=tmp_path / "q.json", name="x", figures=False).identity()

    def test_ctrl_c_ends_with_130_and_says_how_to_go_on(self, bundle, tmp_path):
        command = [sys.executable, "-m", "profiling.run", "--models", str(bundle), "--out", str(tmp_path / "p.json")]
        command += ["--runtime", "onnxruntime", "--threads", "1", "--batches", "1", "--no-figures"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if any(p.stat().st_size > 2000 for p in (tmp_path / "p").glob(".journal-*")):
                break
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        begun = time.monotonic()
        _, errors = process.communicate(timeout=30)
        assert process.returncode == 130
        assert time.monotonic() - begun < 10
        assert "the same command goes on" in errors
        assert "Traceback" not in errors
        assert not (tmp_path / "p.json").exists()

    def test_a_second_process_is_told_who_holds_the_folder(self, bundle, tmp_path):
        """F11."""
        from data.common.runfolder import only_process

        config = settings(bundle, tmp_path / "p.json")
        with only_process(config.folder), pytest.raises(UserError, match=f"in use by process {os.getpid()}"):
            run_profile(config, SILENT)


class TestTrouble:
    def test_a_failed_cell_is_in_the_profile_with_its_reason(self, bundle, tmp_path, monkeypatch):
        wire = Plan.wire

        def huge(self, runtime, subject, cell):
            made = wire(self, runtime, subject, cell)
            return made | {"needs_bytes": 2**60} if (cell.rate, cell.batch) == (0.5, 4) else made

        monkeypatch.setattr(Plan, "wire", huge)
        profile = run_profile(settings(bundle, tmp_path / "p.json"), SILENT)
        (failed,) = profile.failed
        assert (failed.rate, failed.batch) == (0.5, 4)
        assert "out of memory" in failed.reason
        assert [x.batch for x in profile.model(0.5).latency] == [1]
        assert [x.batch for x in profile.model(0.9).latency] == [1, 4]

    def copied(self, bundle, tmp_path):
        return shutil.copytree(bundle, tmp_path / "copy")

    def test_an_altered_model_is_refused_by_its_hash(self, bundle, tmp_path):
        copy = self.copied(bundle, tmp_path)
        path = copy / read_manifest(copy).models[1].onnx
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
        with pytest.raises(UserError, match="SHA-256"):
            run_profile(settings(copy, tmp_path / "p.json"), SILENT)

    def test_a_bundle_without_a_file_or_of_a_newer_schema_is_refused(self, bundle, tmp_path):
        copy = self.copied(bundle, tmp_path)
        (copy / "test.safetensors").rename(copy / "elsewhere")
        with pytest.raises(UserError, match="missing"):
            run_profile(settings(copy, tmp_path / "p.json"), SILENT)
        content = json.loads((copy / "models.json").read_text())
        (copy / "models.json").write_text(json.dumps(content | {"schema": 99}))
        with pytest.raises(UserError, match="schema 99 is newer"):
            run_profile(settings(copy, tmp_path / "p.json"), SILENT)
        with pytest.raises(UserError, match=r"no models\.json"):
            run_profile(settings(tmp_path, tmp_path / "p.json"), SILENT)

    def test_a_bundle_of_the_first_schema_is_read_and_its_int8_is_said_to_be_optimistic(self, bundle, tmp_path):
        """F7: it holds no calibration windows."""
        from profiling.bundle.subjects import read_bundle

        copy = self.copied(bundle, tmp_path)
        content = json.loads((copy / "models.json").read_text())
        del content["calibration"], content["sha256"]["calibration.safetensors"]
        (copy / "models.json").write_text(json.dumps(content | {"schema": 1}))
        images, what = read_bundle(copy, need_onnx=True).calibration()
        assert len(images) > 0
        assert "optimistic" in what
        assert "training" in read_bundle(bundle, need_onnx=True).calibration()[1]

    def test_flops_that_contradict_the_manifest_are_refused(self, bundle, tmp_path):
        copy = self.copied(bundle, tmp_path)
        content = json.loads((copy / "models.json").read_text())
        content["models"][0]["flops"] += 2
        (copy / "models.json").write_text(json.dumps(content))
        with pytest.raises(ProfilingError, match=r"its graph has .* FLOP"):
            run_profile(settings(copy, tmp_path / "p.json"), SILENT)

    def test_absent_runtimes_and_devices_say_what_to_install(self, monkeypatch):
        """F13."""
        with pytest.raises(ProfilingError, match="no bf16") as caught:
            check("onnxruntime", "cpu", "bf16")
        assert "openvino or torch" in caught.value.remedy
        with pytest.raises(ProfilingError, match="openvino is not used on cuda"):
            check("openvino", "cuda", "fp32")
        monkeypatch.setattr("torch.cuda.is_available", lambda: False)
        with pytest.raises(ProfilingError, match="no CUDA device"):
            check("torch", "cuda", "fp32")
        monkeypatch.setattr("profiling.runtimes.registry.is_installed", lambda name: False)
        with pytest.raises(ProfilingError, match="not installed") as caught:
            check("openvino", "cpu", "fp32")
        assert "jopa[openvino]" in caught.value.remedy

    def test_no_runtime_that_can_is_told_before_anything_is_measured(self, bundle, tmp_path, monkeypatch):
        monkeypatch.setattr("torch.cuda.is_available", lambda: False)
        with pytest.raises(ProfilingError, match="no installed runtime can do fp32 on cuda"):
            run_profile(settings(bundle, tmp_path / "p.json", runtime="auto", device="cuda"), SILENT)
        with pytest.raises(ProfilingError, match="no runtime can run"):
            choose_runtime([])

    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"batches": (0, 1)}, "batch sizes"),
            ({"batches": (10**9,)}, "batch sizes"),
            ({"threads": (10_000,)}, "cores"),
            ({"threads": (-1,)}, "cores"),
            ({"precision": ("fp64",)}, "fp64"),
            ({"processes": 9}, "processes"),
            ({"degree": 0}, "degree"),
            ({"batches": (1, 1)}, "twice"),
        ],
    )
    def test_wrong_settings_are_refused(self, bundle, tmp_path, changes, words):
        with pytest.raises(ProfilingError, match=words):
            settings(bundle, tmp_path / "p.json", **changes)
        with pytest.raises(ProfilingError, match=r"end in \.json"):
            settings(bundle, tmp_path / "p.txt")


def test_the_fastest_runtime_is_raced_for_and_recorded(bundle, tmp_path):
    profile = run_profile(settings(bundle, tmp_path / "p.json", runtime="auto", batches=(1,)), SILENT)
    trials = {t.runtime: t for t in profile.measurement.chosen_from}
    assert set(trials) == {"openvino", "onnxruntime", "torch"}
    score = {n: t.dense_s * t.pruned_s for n, t in trials.items()}
    assert profile.measurement.runtime == min(score, key=score.get)
