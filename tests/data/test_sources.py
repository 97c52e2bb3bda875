"""Adding a data set: one module with a `Source`, one line in `DATASETS`. The module here is this one."""

import numpy as np
import pytest
from sweeps import sweep

from data import DATASETS, DataConfig, DataError, Fault, Location, Recording, Source, build_dataset
from data.build import _fingerprint
from data.gather import gather


def read_tones(settings):
    """Three healthy and three faulty recordings: tones of 300 and 1200 Hz in noise."""
    rng = np.random.default_rng(settings.data_seed)
    time = np.arange(24000) / 4000
    return [
        Recording(
            name=f"{location}-{k}",
            source="tones",
            channels={"x": np.sin(2 * np.pi * tone * time) + 0.2 * rng.standard_normal(len(time))},
            sampling_rate_hz=4000.0,
            fault=Fault(location),
        )
        for location, tone in ((Location.NORMAL, 300.0), (Location.OUTER, 1200.0))
        for k in range(3)
    ]


TONES = Source("tones", "Two tones in noise.", read_tones, needs_root=False)


@pytest.fixture
def tones(monkeypatch):
    monkeypatch.setitem(DATASETS, TONES.name, TONES)  # the registry's line


def test_a_data_set_of_ones_own_trains_and_is_told_apart(tones, tmp_path):
    manifest = sweep(tmp_path, data=DataConfig(data="tones", hop_s=0.5), rates=(0.5,), onnx=False)
    assert manifest.classes == ["normal", "outer"]
    assert manifest.data.name == "tones"
    assert manifest.data.split == "blocked"
    assert manifest.models[0].accuracy == 1.0


def test_a_generated_set_is_known_by_its_settings_and_version(tones, monkeypatch):
    first = _fingerprint(gather(DataConfig(data="tones")))
    assert _fingerprint(gather(DataConfig(data="tones", data_seed=1))) != first
    newer = Source("tones", "", read_tones, needs_root=False, version=lambda settings: ["2"])
    monkeypatch.setitem(DATASETS, "tones", newer)
    assert _fingerprint(gather(DataConfig(data="tones"))) != first


def test_every_data_set_reads_with_help_in_one_line():
    assert list(DATASETS) == ["simulated", "cwru", "mfpt", "folder"]
    assert all(name == source.name and "\n" not in source.help for name, source in DATASETS.items())
    assert [name for name, source in DATASETS.items() if source.fetch] == ["cwru", "mfpt"]


def test_an_unknown_data_set_is_refused_with_the_known_ones():
    with pytest.raises(DataError, match="unknown data set 'tones'") as caught:
        DataConfig(data="tones")
    assert "simulated, cwru, mfpt, folder" in caught.value.remedy


def test_a_channel_that_the_simulation_lacks_is_refused():
    with pytest.raises(DataError, match="no channel 'FE'; it holds DE"):
        build_dataset(DataConfig(channel="FE"))


def test_a_data_set_carries_its_resolved_settings(quick_data):
    config = build_dataset(quick_data).config
    assert (config.split, config.labels) == ("load", "fault")
    assert build_dataset(quick_data).config == config  # and so does one from the cache
