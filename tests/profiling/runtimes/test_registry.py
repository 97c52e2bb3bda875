"""The recipe for a new runtime, carried out: one module (toy_runtime.py) and one line in the registry."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from profiling import Profile, ProfilingError
from profiling.config import RunConfig
from profiling.profiler import run_profile
from profiling.runtimes.registry import RUNTIMES, Runtime, check, opener

HERE = Path(__file__).parent
TOY = Runtime("toy", {"cpu": ("fp32",)}, session="toy_runtime:open_session", install="it is a test's", library="numpy")


@pytest.fixture
def _toy(monkeypatch):
    monkeypatch.setitem(RUNTIMES, "toy", TOY)
    monkeypatch.setenv("PYTHONPATH", str(HERE))  # where measuring processes find the new module


@pytest.fixture
def _short(monkeypatch):
    monkeypatch.setattr("profiling.config.GRADES", {"quick": (4, 0.02)})


@pytest.mark.usefixtures("_toy", "_short")
def test_a_toy_runtime_profiles_a_bundle(bundle, tmp_path):
    config = RunConfig(
        models=bundle, runtime="toy", threads=(1,), batches=(1, 4), rounds=2, processes=1, out=tmp_path / "p.json"
    )
    run_profile(config)
    profile = Profile.load(tmp_path / "p.json")
    assert profile.measurement.runtime == "toy"
    assert profile.environment.libraries["toy"] == TOY.version()
    for rate in profile.rates:
        assert profile.latency(rate, 1) == pytest.approx(2e-4)
        assert profile.latency(rate, 4) == pytest.approx(8e-4)
    share = np.mean(load_file(bundle / "test.safetensors")["labels"] == 0)
    assert profile.accuracy(0.5, "measured") == pytest.approx(share)


@pytest.mark.usefixtures("_toy")
def test_a_registry_line_is_known_to_every_message(tmp_path):
    with pytest.raises(ProfilingError, match=r"toy has no int8 on cpu here"):
        check("toy", "cpu", "int8")
    with pytest.raises(ProfilingError, match=r"unknown runtime 'tensorrt'") as caught:
        RunConfig(models=tmp_path, runtime="tensorrt")
    assert "toy" in caught.value.remedy


@pytest.mark.parametrize("name", RUNTIMES)
def test_every_runtime_has_a_session_and_a_way_to_install_it(name):
    runtime = RUNTIMES[name]
    assert callable(opener(runtime.session))
    assert runtime.install
    assert runtime.version()
    assert all("fp32" in precisions for precisions in runtime.precisions.values())
