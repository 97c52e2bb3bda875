"""A raw signal gets the images and the classes that its windows had as part of the bundle's test part."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import load_file
from sweeps import QUICK, sweep

from data import DataConfig, read_recordings
from pruning import PruningError, classify, load_model, read_manifest
from pruning.classifier import Classifier
from pruning.train import predict

CONFIG = DataConfig(hop_s=1.0)


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    """A bundle of real (simulated) windows: test windows are those of the recordings at 3 hp."""
    out = tmp_path_factory.mktemp("simulated")
    sweep(out, data=CONFIG, rates=(0.5,), width=0.125, train=replace(QUICK.train, epochs=2, retrain_epochs=1))
    return out


@pytest.fixture(scope="module")
def recordings():
    return read_recordings(CONFIG)


def test_windows_of_a_raw_signal_are_the_images_of_the_test_part(simulated, recordings):
    part = load_file(simulated / read_manifest(simulated).test)
    classifier = Classifier(simulated, 0.5)
    for index in np.unique(part["recordings"])[::5]:
        recording = recordings[index]
        if recording.only_test:  # its window begins after a guard gap
            continue
        own = part["recordings"] == index
        images, starts = classifier.images(recording.signal(), recording.sampling_rate_hz)
        np.testing.assert_array_equal(images, part["images.clean"][own])
        np.testing.assert_allclose(starts, part["starts_s"][own])


@pytest.mark.parametrize("rate", [0.0, 0.5])
def test_classes_of_raw_signals_are_those_of_the_test_part(simulated, recordings, rate):
    manifest = read_manifest(simulated)
    part = load_file(simulated / manifest.test)
    called = predict(load_model(simulated, rate), part["images.clean"]).argmax(axis=1)
    classifier = Classifier(simulated, rate)
    for index in [i for i in np.unique(part["recordings"]) if not recordings[i].only_test]:
        found = classifier(recordings[index].signal(), recordings[index].sampling_rate_hz)
        assert found.windows == tuple(manifest.classes[c] for c in called[part["recordings"] == index])
        assert found.name == max(found.probabilities, key=found.probabilities.get)
        assert sum(found.probabilities.values()) == pytest.approx(1)


def test_onnxruntime_and_torch_say_the_same(simulated, recordings):
    signal, rate_hz = recordings[0].signal(), recordings[0].sampling_rate_hz
    one, other = (classify(simulated, 0.5, signal, rate_hz, runtime) for runtime in ("torch", "onnxruntime"))
    assert one.windows == other.windows
    assert list(one.probabilities.values()) == pytest.approx(list(other.probabilities.values()), abs=1e-4)


def test_a_faster_sampled_signal_gives_the_same_probabilities(simulated):
    """A tone below 2 kHz, sampled at 12 kHz and at 25.6 kHz, is the same vibration."""
    found = []
    for rate_hz in (12000, 25600):
        time = np.arange(2 * rate_hz) / rate_hz
        found.append(classify(simulated, 0.5, np.sin(2 * np.pi * 700 * time) + np.sin(2 * np.pi * 90 * time), rate_hz))
    assert found[0].windows == found[1].windows


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: x[:6000], "0.5 s long; a window of this bundle takes 1 s"),
        (lambda x: np.where(np.arange(len(x)) == 5, np.nan, x), "nan"),
        (lambda x: 0 * x, "zero"),
    ],
)
def test_a_signal_that_says_nothing_is_refused(simulated, recordings, change, message):
    with pytest.raises(PruningError, match=message):
        classify(simulated, 0.5, change(recordings[0].signal()), 12000.0)


def test_a_signal_sampled_too_slowly_is_refused(simulated):
    with pytest.raises(PruningError, match="below the target of 4000 Hz"):
        classify(simulated, 0.5, np.random.default_rng(0).standard_normal(4000), 2000.0)


def test_without_torch_the_onnx_model_is_used(simulated):
    """As on a gateway."""
    code = (
        "import sys\n"
        "class Absent:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in ('torch', 'torchvision'): raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Absent())\n"
        "import numpy as np\n"
        "from pruning import classify\n"
        f"found = classify({str(simulated)!r}, 0.5, np.random.default_rng(0).standard_normal(12000), 12000)\n"
        "print(found.name, 'torch' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[0] in read_manifest(simulated).classes
    assert done.stdout.split()[1] == "False"


def rewritten(bundle, tmp_path, change):
    copy = tmp_path / "copy"
    shutil.copytree(bundle, copy)
    content = json.loads((copy / "models.json").read_text())
    change(content)
    (copy / "models.json").write_text(json.dumps(content))
    return copy


def test_a_bundle_of_schema_2_is_read_with_what_was_true_of_it(simulated, recordings, tmp_path):
    def older(content):
        content["schema"] = 2
        del content["criterion"], content["preprocessing"]["hop_s"], content["preprocessing"]["smoothing"]
        del content["baselines"], content["weak"], content["predictions"]

    old = rewritten(simulated, tmp_path, older)
    assert read_manifest(old).criterion == "l1"
    signal = recordings[0].signal()
    assert classify(old, 0.5, signal, 12000.0) == classify(simulated, 0.5, signal, 12000.0)


def test_a_bundle_with_other_images_is_refused(simulated, tmp_path):
    other = rewritten(simulated, tmp_path, lambda content: content["preprocessing"].update(smoothing=0.5))
    with pytest.raises(PruningError, match="segment, floor and smoothing"):
        Classifier(other, 0.5)
