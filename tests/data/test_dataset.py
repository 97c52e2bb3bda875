from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.io

from data import DataConfig, DataError, Recording, build_dataset
from data.cache import Cache
from data.checks import check, find_flaws, sampling_rate_tells
from data.common.stats import wilson
from pruning.metrics import independent

NOISE = np.random.default_rng(0)


def make_folder(root, classes=("normal", "inner", "outer"), rate=4000, seconds=8.0, rates=None):
    for i, name in enumerate(classes):
        (root / name).mkdir(parents=True)
        own = (rates or {}).get(name, rate)
        time = np.arange(round(own * seconds)) / own
        signal = np.sin(2 * np.pi * (200 + 500 * i) * time) + 0.1 * NOISE.standard_normal(len(time))
        np.savez(root / name / "a.npz", x=signal, fs=own)
    return DataConfig(data="folder", root=root)


def test_built_in_data_need_no_options(quick_data):
    dataset = build_dataset(quick_data)
    assert len(dataset.classes) == 10
    assert dataset.classes[dataset.normal] == "normal"
    assert (dataset.split, dataset.held_out) == ("load", 3.0)
    assert dataset.train.images.shape[1:] == (1, 32, 32)
    assert set(dataset.noisy) == {10, 5, 0}
    assert {dataset.recordings[i].split("-")[-2] for i in np.unique(dataset.test.recordings)} == {"3hp"}


def test_statistics_come_from_the_training_part_alone(tmp_path):
    dataset = build_dataset(make_folder(tmp_path / "a"))
    assert dataset.train.images.mean() == pytest.approx(0.0, abs=1e-4)
    assert dataset.train.images.std() == pytest.approx(1.0, abs=1e-4)
    assert abs(dataset.test.images.mean()) > 1e-5


def test_a_second_build_is_the_same_and_comes_from_the_cache(tmp_path, monkeypatch):
    config = make_folder(tmp_path / "a")
    first = build_dataset(config, Cache(tmp_path / "cache"))
    import data.build as module

    monkeypatch.setattr(module, "make_dataset", None)  # building again would fail
    again = build_dataset(config, Cache(tmp_path / "cache"))
    np.testing.assert_array_equal(first.test.images, again.test.images)
    np.testing.assert_array_equal(first.noisy[0], again.noisy[0])
    assert (first.classes, first.notes, first.mean) == (again.classes, again.notes, again.mean)


def test_a_changed_recording_is_another_data_set(tmp_path):
    config = make_folder(tmp_path / "a")
    first = build_dataset(config).fingerprint
    np.savez(tmp_path / "a" / "inner" / "a.npz", x=NOISE.standard_normal(32000), fs=4000)
    assert build_dataset(config).fingerprint != first


def test_a_damaged_cache_file_is_made_again(tmp_path):
    config = make_folder(tmp_path / "a")
    cache = Cache(tmp_path / "cache")
    first = build_dataset(config, cache)
    (file,) = (tmp_path / "cache").iterdir()
    file.write_bytes(file.read_bytes()[:500])
    np.testing.assert_array_equal(build_dataset(config, cache).train.images, first.train.images)


def test_a_cache_that_cannot_be_written_is_said_and_survived(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    cache = Cache(tmp_path / "file" / "cache")
    build_dataset(make_folder(tmp_path / "a"), cache)
    assert "not cached" in cache.problem


def test_one_class_only_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"one class only \(normal\)"):
        build_dataset(make_folder(tmp_path / "a", ("normal",)))


def test_different_sampling_rates_stop_a_folder_and_say_what_they_tell(tmp_path):
    """F6: 48 kHz normals among 12 kHz faults."""
    config = make_folder(tmp_path / "a", rate=12000, rates={"normal": 48000})
    with pytest.raises(DataError, match="the sampling rate alone names the class of 67%") as caught:
        build_dataset(config)
    assert "--resample" in caught.value.remedy
    notes = build_dataset(replace(config, resample=True)).notes
    assert any("resampled to 9600 Hz" in note for note in notes)


def test_windows_keep_the_rate_of_recordings_unless_these_differ_or_someone_names_another(tmp_path, quick_data):
    config = make_folder(tmp_path / "one", rate=12000)
    assert build_dataset(config).rate_hz == 12000
    assert build_dataset(replace(config, rate_hz=5000.0)).rate_hz == 5000
    mixed = make_folder(tmp_path / "two", rate=12000, rates={"normal": 48000})
    assert build_dataset(replace(mixed, resample=True)).rate_hz == 9600  # both are filtered on the way to it
    assert build_dataset(quick_data).rate_hz == 4000  # of the paper's sensors


def test_a_window_of_too_many_samples_is_refused(tmp_path):
    config = make_folder(tmp_path / "a", rate=12000)
    with pytest.raises(DataError, match="more than 16,777,216 samples") as caught:
        build_dataset(replace(config, rate_hz=1e8))
    assert "--window-s" in caught.value.remedy


def test_images_do_not_depend_on_how_many_windows_are_cut_at_once(tmp_path, monkeypatch):
    """As many as memory holds, or few: the noise is drawn in the order of the windows."""
    config = make_folder(tmp_path / "a")
    whole = build_dataset(config, Cache(tmp_path / "one"))
    monkeypatch.setattr("data.cut.AT_ONCE", 3)
    parts = build_dataset(config, Cache(tmp_path / "other"))
    for name in ("train", "validation", "test"):
        np.testing.assert_array_equal(getattr(whole, name).images, getattr(parts, name).images)
    np.testing.assert_array_equal(whole.noisy[0], parts.noisy[0])


def test_a_rate_below_twice_the_band_names_the_file(tmp_path):
    with pytest.raises(DataError, match=r"a.npz: a sampling rate of 2000 Hz is below"):
        build_dataset(replace(make_folder(tmp_path / "a", rate=2000), rate_hz=4000.0))


def test_a_recording_shorter_than_a_window_is_named(tmp_path):
    with pytest.raises(DataError, match=r"a.npz: 0.50 s long"):
        build_dataset(make_folder(tmp_path / "a", seconds=0.5))


def flawed(kind: str) -> np.ndarray:
    x = NOISE.standard_normal(32000)
    if kind == "nan":
        x[700:705] = np.nan
    elif kind == "infinite":
        x[9000] = np.inf
    elif kind == "huge":
        x[9000] = 1e160
    elif kind == "zero":
        x[:] = 0
    elif kind == "constant":
        x[5000:6000] = 0.25
    elif kind == "clipped":
        x = np.clip(x, -1.5, 1.5)
    return x


@pytest.mark.parametrize("kind", ["nan", "infinite", "huge", "zero", "constant", "clipped"])
def test_a_flawed_signal_is_refused_with_channel_and_range(tmp_path, kind):
    """F5."""
    config = make_folder(tmp_path / "a")
    np.savez(tmp_path / "a" / "inner" / "a.npz", x=flawed(kind), fs=4000)
    with pytest.raises(DataError, match=rf"a.npz: channel x: {kind} \(\d+ samples, first \d+, last \d+\)") as caught:
        build_dataset(config)
    assert f"--accept {kind}" in caught.value.remedy


@pytest.mark.parametrize("kind", ["nan", "infinite", "huge", "constant", "clipped"])
def test_told_to_go_on_it_does_and_the_data_set_says_so(tmp_path, kind):
    config = replace(make_folder(tmp_path / "a"), accept=(kind,))
    np.savez(tmp_path / "a" / "inner" / "a.npz", x=flawed(kind), fs=4000)
    dataset = build_dataset(config)
    assert any(f"flawed: channel x: {kind}" in note for note in dataset.notes)
    assert np.isfinite(dataset.train.images).all()


def test_windows_with_nan_are_left_out(tmp_path):
    config = make_folder(tmp_path / "a")
    whole = len(build_dataset(config).train)
    x = NOISE.standard_normal(32000)
    x[700:705] = np.nan
    np.savez(tmp_path / "a" / "inner" / "a.npz", x=x, fs=4000)
    fewer = build_dataset(replace(config, accept=("nan",)))
    assert 0 < whole - len(fewer.train) <= 5
    assert any("left out" in note for note in fewer.notes)


def test_a_good_signal_has_no_flaw():
    recording = Recording("a", "test", {"x": NOISE.standard_normal(12000)}, 12000.0)
    assert find_flaws(recording, "x") == []
    assert check([recording], None) == {}


def test_cwru_clipped_recordings_are_known_and_noted(bearing_data):
    from data.readers import cwru

    recordings = [r.only("DE") for r in cwru.read(bearing_data)]
    assert set(check(recordings, "DE")) == {"200", "236", "237"}


def test_the_sampling_rate_tells_nothing_where_all_are_equal():
    recordings = [Recording(str(i), "test", {"x": np.zeros(4)}, 100.0) for i in range(4)]
    assert sampling_rate_tells(recordings, ["a", "a", "b", "c"]) == (0.5, 0.5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"window_s": 0.0}, "window_s must be above 0"),
        ({"hop_s": float("nan")}, "hop_s must be above 0"),
        ({"window_s": 0.001}, "fewer than the image's 32 columns"),
        ({"data": "cwru"}, "needs the folder"),
        ({"root": Path("machines")}, "--root machines was given, but --data simulated reads no files"),
        ({"accept": ("ugly",)}, "--accept: unknown kind ugly"),
        ({"sampling_rate": -3.0}, "--sampling-rate must be above 0"),
    ],
)
def test_a_setting_that_cannot_be_is_refused_when_the_config_is_built(settings, message):
    with pytest.raises(DataError, match=message):
        DataConfig(**settings)


def test_real_recordings_of_another_rate_give_ten_classes(bearing_data):
    dataset = build_dataset(DataConfig(data="cwru", root=bearing_data))
    assert len(dataset.classes) == 10
    assert any("48000 Hz" in n for n in dataset.notes)
    assert any("'normal' (1 recording)" in n for n in dataset.notes)


def test_a_mat_with_nan_in_a_real_layout_is_named(tmp_path):
    x = NOISE.standard_normal(60000)
    x[10:12] = np.nan
    scipy.io.savemat(tmp_path / "105.mat", {"X105_DE_time": x[:, None]})
    scipy.io.savemat(tmp_path / "130.mat", {"X130_DE_time": NOISE.standard_normal((60000, 1))})
    with pytest.raises(DataError, match=r"105.mat: channel DE: nan \(2 samples, first 10, last 11\)"):
        build_dataset(DataConfig(data="cwru", root=tmp_path, split="blocked"))


def mfpt_like(root):
    """The archive's shape in small: rates, loads and counts as published, 3 s each."""
    rng = np.random.default_rng(5)

    def write(path, rate, load, tone):
        path.parent.mkdir(parents=True, exist_ok=True)
        time = np.arange(round(3.2 * rate)) / rate
        signal = np.sin(2 * np.pi * tone * time) + 0.3 * rng.standard_normal(len(time))
        scipy.io.savemat(path, {"bearing": {"gs": signal[:, None], "sr": rate, "rate": 25.0, "load": load}})

    for i in (1, 2, 3):
        write(root / "1 - Three Baseline Conditions" / f"baseline_{i}.mat", 97656.0, 270.0, 300)
        write(root / "2 - Three Outer Race Fault Conditions" / f"OuterRaceFault_{i}.mat", 97656.0, 270.0, 900)
    for i, load in enumerate((25.0, 100.0, 300.0), start=1):
        write(root / "3 - Seven More" / f"OuterRaceFault_vload_{i}.mat", 48828.0, load, 900)
    for i, load in enumerate((0.0, 100.0, 300.0), start=1):
        write(root / "4 - Seven Inner" / f"InnerRaceFault_vload_{i}.mat", 48828.0, load, 1500)


def test_mfpt_holds_a_load_out_that_most_classes_share_and_splits_the_baseline_in_time(tmp_path):
    mfpt_like(tmp_path)
    dataset = build_dataset(DataConfig(data="mfpt", root=tmp_path))
    assert dataset.classes == ("normal", "inner", "outer")
    assert (dataset.split, dataset.held_out) == ("load", 300.0)
    assert any("'normal' (3 recordings)" in note for note in dataset.notes)
    assert any("48828, 97656 Hz" in note for note in dataset.notes)
    assert dataset.test.images.shape[1:] == (1, 32, 32)


def test_an_offset_is_not_a_vibration(tmp_path):
    config = make_folder(tmp_path / "a")
    x = np.load(tmp_path / "a" / "inner" / "a.npz")["x"]
    first = build_dataset(config)
    np.savez(tmp_path / "a" / "inner" / "a.npz", x=x + 7.0, fs=4000)
    np.testing.assert_allclose(build_dataset(config).test.images, first.test.images, atol=1e-3)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    cache = Cache(tmp_path_factory.mktemp("cache"))
    return build_dataset(DataConfig(), cache), build_dataset(DataConfig(), cache)


def test_the_simulated_set_has_2000_test_windows_that_share_no_sample(built):
    """So many that an accuracy of 95 % is known within 1 point."""
    dataset, again = built
    assert len(dataset.test) == 2000
    assert independent(dataset.test.recordings, dataset.test.starts_s, dataset.window_s).all()
    assert len(np.unique(dataset.test.recordings)) == 1880
    assert np.bincount(dataset.test.labels).tolist() == [200] * 10
    low, high = wilson(0.95, 2000)
    assert max(high - 0.95, 0.95 - low) < 0.0105
    assert len(dataset.train) == 1080  # as many as before there were so many to test on
    assert dataset.probed == 150
    assert {len(images) for images in dataset.noisy.values()} == {150}
    assert again.probed == 150
    np.testing.assert_array_equal(again.test.images, dataset.test.images)


def test_no_test_window_is_of_a_recording_that_is_learned_from(built):
    dataset, _ = built
    learned = set(dataset.train.recordings) | set(dataset.validation.recordings)
    assert learned.isdisjoint(dataset.test.recordings)
