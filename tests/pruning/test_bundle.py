import io
import json
import pickle
import shutil

import numpy as np
import onnxruntime
import pytest
import torch
from canary import Canary
from rich.console import Console
from safetensors.numpy import load_file
from sweeps import QUICK, snapshot, sweep
from torch.utils.flop_counter import FlopCounterMode

from data.common.files import sha256
from pruning import PruningError, load_model, read_manifest
from pruning.table import results_table
from pruning.train import predict


@pytest.fixture(autouse=True)
def _small_data(small_data):
    """Sweeps of this file run on the tiny data set."""


class TestBundle:
    def test_it_holds_what_scripts_outside_rely_on(self, bundle):
        content = json.loads((bundle / "models.json").read_text())
        assert content["schema"] == 5
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
        with pytest.raises(PruningError, match="schema 7 is newer than the 5 this version reads"):
            read_manifest(copied)

    def test_an_unknown_field_is_named(self, copied):
        self.change(copied, colour="red")
        with pytest.raises(PruningError, match="colour: unknown key"):
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
        with pytest.raises(PruningError, match="not a readable safetensors"):
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
