"""The simplest detectors beside VGG-16: their numbers, their place in the bundle, and what is said where they win."""

import io
import json
from dataclasses import replace

import numpy as np
import pytest
from conftest import tiny_dataset
from rich.console import Console
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from pruning import read_manifest
from pruning.baseline import band_numbers, baseline_entries, fit_baselines
from pruning.figures import draw_accuracy
from pruning.metrics import independent
from pruning.table import print_results
from pruning.verdict import better_baseline, notices


def test_numbers_are_the_mean_and_the_deviation_over_time_of_each_band():
    images = np.random.default_rng(0).standard_normal((3, 1, 32, 32)).astype(np.float32)
    numbers = band_numbers(images)
    assert numbers.shape == (3, 64)
    assert numbers[1, 5] == pytest.approx(images[1, 0, 5].mean(), abs=1e-6)
    assert numbers[2, 32 + 7] == pytest.approx(images[2, 0, 7].std(), abs=1e-6)


def test_the_line_is_scikit_learns_on_the_training_part_alone(dataset):
    line = fit_baselines(dataset)[0]
    scaler = StandardScaler().fit(band_numbers(dataset.train.images))
    model = LogisticRegression(C=1.0, max_iter=5000)
    model.fit(scaler.transform(band_numbers(dataset.train.images)), dataset.train.labels)
    for name, images in (("clean", dataset.test.images), ("0dB", dataset.noisy[0])):
        assert np.array_equal(line.called[name], model.predict(scaler.transform(band_numbers(images))))


def test_equal_data_give_equal_baselines(dataset):
    first, again = fit_baselines(dataset), fit_baselines(dataset)
    for one, other in zip(first, again, strict=True):
        assert (one.kind, one.flops) == (other.kind, other.flops)
        assert all(np.array_equal(one.called[n], other.called[n]) for n in one.called)


def test_the_interval_rests_on_windows_that_share_no_sample_and_the_difference_is_paired():
    dataset = tiny_dataset(test=48)
    apart = independent(dataset.test.recordings, dataset.test.starts_s, 2.0)  # half of the windows overlap
    dense = np.tile(np.arange(48) % 2 == 0, (2, 1))
    entry = baseline_entries(fit_baselines(dataset), dataset, apart, dense)[0]
    assert entry["scores"]["clean"]["accuracy"]["count"] == apart.sum() == 24
    assert entry["difference"]["value"] == pytest.approx(entry["scores"]["clean"]["accuracy"]["value"] - 0.5)
    assert 0 < entry["difference"]["low"] <= entry["difference"]["value"] <= entry["difference"]["high"]


def test_a_bundle_holds_both_with_scores_for_each_class_and_noise(bundle):
    manifest = read_manifest(bundle)
    assert [b.kind for b in manifest.baselines] == ["line", "forest"]
    for own in manifest.baselines:
        assert own.numbers == 64
        assert own.flops < 0.1 * manifest.models[0].flops
        assert set(own.scores) == {"clean", "10dB", "5dB", "0dB"}
        assert len(own.scores["clean"].recall) == 3
        assert own.accuracy.low <= own.accuracy.value <= own.accuracy.high
        assert own.accuracy.value > 0.9  # bright bands


def said(manifest) -> str:
    console = Console(width=100, file=io.StringIO(), record=True)
    print_results(manifest, console)
    return console.export_text()


def with_dense(manifest, accuracy: float, low: float):
    """The manifest as if the dense model had this accuracy, and the line's lead began at `low`."""
    dense = manifest.models[0].model_copy(update={"accuracy": accuracy})
    line = manifest.baselines[0]
    lead = line.difference.model_copy(update={"value": line.accuracy.value - accuracy, "low": low, "high": 0.9})
    line = line.model_copy(update={"difference": lead})
    return manifest.model_copy(
        update={"models": [dense, *manifest.models[1:]], "baselines": [line, manifest.baselines[1]]}
    )


def test_the_first_line_says_so_where_the_dense_model_is_below_by_more_than_the_interval(bundle):
    text = said(with_dense(read_manifest(bundle), 0.5, 0.2))
    assert text.startswith("A straight line on 64 numbers is more accurate than the dense VGG-16: 100.0 % against 50.0")
    assert "24 test windows" in text
    assert max(map(len, text.splitlines())) <= 100


def test_nothing_is_said_where_the_interval_holds_zero(bundle):
    manifest = with_dense(read_manifest(bundle), 0.5, -0.1)
    assert better_baseline(manifest) is None
    assert notices(manifest) == []
    assert "more accurate" not in said(manifest)


def test_the_table_has_a_row_for_each(bundle):
    rows = [line.split() for line in said(read_manifest(bundle)).splitlines()]
    assert [r[0] for r in rows if r and r[0] in ("dense", "line", "forest")] == ["dense", "line", "forest"]


def test_a_bundle_of_schema_3_is_read_and_shown_without_them(bundle, tmp_path):
    content = json.loads((bundle / "models.json").read_text())
    del content["baselines"], content["weak"]
    (tmp_path / "models.json").write_text(json.dumps(content | {"schema": 3}))
    manifest = read_manifest(tmp_path)
    assert manifest.baselines == []
    assert "forest" not in said(manifest)
    draw_accuracy(manifest, tmp_path / "accuracy.png")
    assert (tmp_path / "accuracy.png").is_file()


def test_larger_images_have_more_numbers(dataset):
    large = {
        part: replace(getattr(dataset, part), images=np.repeat(np.repeat(getattr(dataset, part).images, 2, 2), 2, 3))
        for part in ("train", "validation", "test")
    }
    noisy = {snr: np.repeat(np.repeat(images, 2, 2), 2, 3) for snr, images in dataset.noisy.items()}
    assert fit_baselines(replace(dataset, **large, noisy=noisy))[0].numbers == 128
