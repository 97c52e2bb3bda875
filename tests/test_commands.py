"""The commands as a user meets them: wrong arguments, missing files, odd folders, damaged recordings."""

import contextlib
import io
import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file

from data import DataError
from data.common.command import StoppedError, run_command
from data.fetch import FetchConfig
from data.inspect import InspectConfig
from data.readers import cwru
from optimizer.evaluation.compare import EvaluateConfig
from optimizer.experiment import ExperimentConfig
from optimizer.figures import FiguresConfig as PaperFiguresConfig
from optimizer.learning.options import TrainConfig
from optimizer.pipeline.options import PipelineConfig
from optimizer.solve import SolveConfig
from optimizer.trial.options import TrialConfig
from optimizer.tuning.options import TuneConfig
from profiling.compare import CompareConfig
from profiling.config import RunConfig as ProfileConfig
from profiling.figures import FiguresConfig
from profiling.schema import SchemaConfig
from profiling.spec import SpecConfig
from pruning import read_manifest
from pruning.config import SweepConfig

QUICK = ["--width", "0.125", "--epochs", "1", "--retrain-epochs", "1", "--threads", "1", "--hop-s", "1.0"]


@pytest.fixture(autouse=True)
def _restore_signals():
    before = {n: signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def command(module: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )


WORDS = st.one_of(
    st.sampled_from(
        [
            "--rates",
            "--data",
            "--root",
            "--size",
            "--seeds",
            "--method",
            "--split",
            "--epochs",
            "--lr",
            "--out",
            "--width",
            "--accept",
            "--models",
            "--batches",
            "--threads",
            "--precision",
            "--device",
            "--runtime",
            "--rounds",
            "--flop-per-s",
            "--sensors",
            "--slots",
            "--shares",
            "--schemes",
            "--states",
            "--policy",
            "--mixed",
            "--preset",
            "--default.updates",
            "--results",
            "--probes",
            "--world.bias",
            "int8,fp32",
            "cuda",
            "x.json",
            "--help",
            "0.1",
            "0.1,0.5",
            "90",
            "-1",
            "nan",
            "inf",
            "1e400",
            "cwru",
            "folder",
            "mask",
            "",
            ",",
            "--",
            "-x",
            "None",
            "True",
            "/",
            "\x00",
        ]
    ),
    st.text(max_size=6),
)


CONFIGS = [
    SweepConfig, FetchConfig, InspectConfig, ProfileConfig, CompareConfig, SpecConfig, FiguresConfig, SchemaConfig,
    SolveConfig, TrainConfig, EvaluateConfig, ExperimentConfig, PaperFiguresConfig, TrialConfig, PipelineConfig,
    TuneConfig,
]  # fmt: skip


@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(WORDS, max_size=6), st.sampled_from(CONFIGS))
def test_random_arguments_end_with_0_or_2_and_never_a_traceback(words, config):
    """F20."""
    status: object = 0
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()) as errors:
        try:
            run_command(config, lambda made: None, "x", resume="", arguments=words)
        except SystemExit as end:
            status = end.code
    assert status in (0, 2)
    assert "Traceback" not in errors.getvalue()


@pytest.mark.parametrize(
    "module",
    [
        "pruning.run", "data.fetch", "data.inspect", "profiling.run", "profiling.compare", "profiling.spec",
        "optimizer.solve", "optimizer.train", "optimizer.evaluate", "optimizer.experiment", "optimizer.figures",
        "optimizer.trial", "optimizer.tune", "optimizer.pipeline",
    ],
)  # fmt: skip
def test_help_is_worth_reading(module):
    done = command(module, "--help")
    assert done.returncode == 0
    assert f"python -m {module}" in done.stdout
    assert len(done.stdout.splitlines()) > 10


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--rates", "90"], "Did you mean 0.9?"),
        (["--rates", "0.5,0.5"], "twice"),
        (["--data", "cwru"], "--root DIR"),
        (["--data", "cwru", "--root", "nowhere"], "nowhere: no such folder"),
        (["--data", "folder", "--root", "."], "no recording in this class"),
        (["--size", "48"], "48"),
        (["--no-such-option"], "no-such-option"),
    ],
)
def test_a_wrong_argument_is_told_with_exit_code_2(tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    done = command("pruning.run", *arguments, "--out", str(tmp_path / "out"))
    assert done.returncode == 2
    assert message in done.stderr + done.stdout
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out" / "models.json").exists()


@pytest.mark.parametrize(
    ("module", "arguments", "message"),
    [
        ("run", [], "--models"),
        ("run", ["--models", "nowhere"], "no models.json"),
        ("run", ["--models", "nowhere", "--precision", "fp64"], "fp64"),
        ("run", ["--models", "nowhere", "--batches", "0"], "batch sizes"),
        ("run", ["--models", "nowhere", "--runtime", "tensorrt"], "tensorrt"),
        ("run", ["--models", "nowhere", "--runtime", "onnxruntime", "--precision", "bf16"], "openvino or torch"),
        ("run", ["--models", "nowhere", "--out", "profile"], "end in .json"),
        ("compare", ["a.json", "b.json"], "a.json: no such file"),
        ("compare", ["a.json"], "Missing"),
        ("compare", ["a.json", "b.json", "--allow", "everything"], "expected bundle"),
        ("spec", ["--device", "other"], "--flop-per-s"),
        ("spec", ["--models", "nowhere"], "no models.json"),
        ("figures", ["absent.json"], "no such file"),
        ("schema", ["--out", "/proc/nowhere/schema.json"], "cannot write"),
    ],
)
def test_profilings_commands_tell_a_wrong_argument_with_exit_code_2(tmp_path, monkeypatch, module, arguments, message):
    monkeypatch.chdir(tmp_path)
    done = command(f"profiling.{module}", *arguments)
    assert done.returncode == 2
    assert message in done.stderr + done.stdout
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


def test_switches_take_no_value():
    made = []
    run_command(SweepConfig, made.append, "x", resume="", arguments=["--resample", "--no-onnx", "--rates", "0.5"])
    run_command(
        FetchConfig, made.append, "x", resume="", arguments=["cwru", "--root", "a", "--drive-end", "--only", "97,105"]
    )
    assert (made[0].data.resample, made[0].onnx, made[0].rates) == (True, False, (0.5,))
    assert (made[1].drive_end, made[1].only) == (True, (97, 105))


def test_a_signal_becomes_a_stop_with_its_status(capsys):
    def stop(config):
        os.kill(os.getpid(), signal.SIGTERM)
        raise AssertionError("the handler should have raised")

    with pytest.raises(SystemExit) as end:
        run_command(SweepConfig, stop, "x", resume="go on", arguments=[])
    assert end.value.code == 143
    # A second signal of either kind ends it at once: no handler may raise while the interpreter shuts down.
    assert {signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)} == {signal.SIG_DFL}
    assert "go on" in capsys.readouterr().err
    assert StoppedError(130).status == 130


def test_from_a_folder_with_spaces_and_accents_in_another_locale_to_a_bundle(tmp_path):
    """F18, and the whole command once: names, locale, time zone, a home that cannot be written."""
    root = tmp_path / "mes données"
    rng = np.random.default_rng(0)
    for i, name in enumerate(("normal", "défaut interne")):
        (root / name).mkdir(parents=True)
        time = np.arange(32000) / 4000
        for k in range(2):
            x = np.sin(2 * np.pi * (300 + 700 * i) * time) + 0.3 * rng.standard_normal(32000)
            np.savez(root / name / f"essai {k}.npz", x=x, fs=4000)
    out = tmp_path / "résultats à garder"
    arguments = ["--data", "folder", "--root", str(root), "--rates", "0.5", "--out", str(out), *QUICK]
    environment = {"LC_ALL": "C", "TZ": "Asia/Kathmandu", "HOME": "/proc", "JOPA_CACHE": "/proc/nowhere"}
    done = command("pruning.run", *arguments, **environment)
    assert done.returncode == 0, done.stderr
    assert "not cached" in done.stdout
    manifest = read_manifest(out)
    assert manifest.classes == ["normal", "défaut interne"]
    assert manifest.data.split == "blocked"
    assert load_file(out / manifest.test)["images.clean"].shape[1:] == (1, 32, 32)
    long = [
        x
        for x in done.stdout.splitlines()
        if len(x) > 100 and not x.startswith(("note:", "bundle:", "cross-validation:"))
    ]
    assert not long
    again = command("pruning.run", *arguments, **environment)
    assert again.returncode == 0
    assert "finished; nothing to do" in again.stdout
    other = command("pruning.run", *arguments, "--lr", "0.5", **environment)
    assert other.returncode == 2
    assert "another configuration: train.lr was 0.01, now 0.5" in other.stderr


def test_400_damaged_copies_of_a_real_recording_never_end_this_process(bearing_data, tmp_path):
    """F4: 200 truncations and 200 flipped bits."""
    whole = (bearing_data / "105.mat").read_bytes()
    good = cwru.read_file(bearing_data / "105.mat", 105)
    path = tmp_path / "105.mat"
    rng = np.random.default_rng(0)
    refused = read = 0
    for i in range(400):
        # Half of the offsets lie in the first kilobyte, where the headers are.
        offset = int(rng.integers(1024 if i % 2 else len(whole)))
        if i < 200:
            path.write_bytes(whole[:offset])
        else:
            path.write_bytes(
                whole[:offset] + bytes([whole[offset] ^ (1 << int(rng.integers(8)))]) + whole[offset + 1 :]
            )
        try:
            recording = cwru.read_file(path, 105)
        except DataError as error:
            refused += 1
            told = (str(path) in error.problem, bool(error.remedy), "\n" not in error.problem)
        else:
            told = (True,) * 3
            read += 1
            assert i >= 200, f"a truncation at {offset} was read"
            assert recording.sampling_rate_hz == good.sampling_rate_hz
        assert all(told), (i, offset, told)
    assert refused >= 200
    assert read + refused == 400


@pytest.mark.parametrize("module", ["data.fetch", "pruning.run", "profiling.compare", "optimizer.train"])
def test_ctrl_c_while_a_command_loads_is_no_traceback(module):
    """Loading PyTorch takes seconds; `-X importtime` says when the package is there and its command is not yet."""
    arguments = [sys.executable, "-X", "importtime", "-m", module, "--help"]
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    for line in process.stderr:
        if line.rpartition("|")[2].strip() == module.split(".")[0]:
            process.send_signal(signal.SIGINT)
            break
    said, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors.endswith("stopped while loading; nothing was begun.\n")
    assert "Traceback" not in errors
    assert not said


def test_a_program_that_imports_the_packages_keeps_its_own_ctrl_c():
    code = (
        "import signal, data, pruning, profiling, optimizer\n"
        "assert signal.getsignal(signal.SIGINT) is signal.default_int_handler"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_closed_standard_stream_changes_nothing(closed, tmp_path):
    """No file that the command writes may take the place of a closed stream."""
    path = tmp_path / "slots.json"
    command = f"{sys.executable} -m optimizer.solve --sensors 10 --slots 2 --schemes local --json {path} {closed}"
    assert subprocess.run(["bash", "-c", command], check=False, capture_output=True).returncode == 0
    assert len(json.loads(path.read_text())["slots"]) == 2
