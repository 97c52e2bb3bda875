"""A look at recordings before training: what is there, which splits are possible, and bad sets told in clear words."""

import json
import re

import numpy as np
import pytest

from data import DataConfig, DataError, build_dataset
from data.cache import Cache
from data.inspect import InspectConfig, conclusion, run
from data.survey import survey


def write(root, sheet=None, **recordings):
    """Recordings named CLASS_NUMBER as (seconds, Hz): a tone of the class's own in noise."""
    rng = np.random.default_rng(0)
    for name, (seconds, rate) in recordings.items():
        label, _ = name.rsplit("_", 1)
        (root / label).mkdir(parents=True, exist_ok=True)
        time = np.arange(round(seconds * rate)) / rate
        x = np.sin(2 * np.pi * (200 + 100 * len(label)) * time) + 0.3 * rng.standard_normal(len(time))
        np.savez(root / label / f"{name}.npz", x=x, fs=rate)
    if sheet:
        (root / "recordings.csv").write_text("file,load\n" + "\n".join(f"{f},{load}" for f, load in sheet.items()))
    return root


def look(root, **settings):
    return survey(DataConfig(data="folder", root=root, **settings))


def split(found, name):
    return next(s for s in found.splits if s.name == name)


def built(root, tmp_path, **settings):
    """What the training would get."""
    return build_dataset(DataConfig(data="folder", root=root, hop_s=0.5, **settings), Cache(tmp_path / "cache"))


@pytest.fixture
def loads(tmp_path):
    """Two classes at two loads, 6 s each."""
    root = tmp_path / "loads"
    names = ("normal_0", "normal_1", "worn_0", "worn_1")
    sheet = {f"{n.split('_')[0]}/{n}.npz": n[-1] for n in names}
    return write(root, sheet, **dict.fromkeys(names, (6.0, 8000.0)))


def test_it_tells_recordings_classes_rates_lengths_and_loads(loads):
    found = look(loads)
    assert found.classes == ("normal", "worn")
    assert [(r.label, r.sampling_rate_hz, r.duration_s, r.load) for r in found.recordings] == [
        ("normal", 8000.0, 6.0, 0.0), ("normal", 8000.0, 6.0, 1.0),
        ("worn", 8000.0, 6.0, 0.0), ("worn", 8000.0, 6.0, 1.0),
    ]  # fmt: skip
    assert [r.windows for r in found.recordings] == [21] * 4  # 1 s every 0.25 s
    assert found.default == "load"
    assert split(found, "load").held_out == 1.0
    assert found.problems == ()


@pytest.mark.parametrize("name", ["load", "blocked"])
def test_windows_of_a_split_are_those_that_are_trained_on(loads, tmp_path, name):
    facts = split(look(loads, hop_s=0.5), name)
    dataset = built(loads, tmp_path, split=name)
    counted = {label: (train, validation, test) for label, train, validation, test in dataset.windows_by_class()}
    for label in ("normal", "worn"):
        assert tuple(facts.windows[part][label] for part in ("train", "validation", "test")) == counted[label]


def test_a_split_that_cannot_be_is_told_with_the_reason_of_the_code_that_makes_it(loads):
    facts = split(look(loads), "severity")
    assert not facts.possible
    assert "fault size" in facts.why
    assert "LEAKS" in split(look(loads), "random").why


class TestBadSets:
    """Each ends in a sensible split or in a clear word."""

    def test_two_recordings(self, tmp_path):
        root = write(tmp_path / "two", normal_0=(6.0, 4000.0), worn_0=(6.0, 4000.0))
        found = look(root)
        assert split(found, "blocked").possible
        assert "one recording only of normal, worn" in found.notes[0]
        assert "only 2 test windows share no sample" in split(found, "blocked").notes[0]
        assert set(built(root, tmp_path).test.labels) == {0, 1}

    def test_one_class(self, tmp_path):
        root = write(tmp_path / "one", normal_0=(6.0, 4000.0), normal_1=(6.0, 4000.0))
        found = look(root)
        assert "one class only (normal)" in found.problems[0].problem
        assert not any(s.possible for s in found.splits)
        with pytest.raises(DataError, match="one class only"):
            built(root, tmp_path)

    def test_classes_of_one_recording_each_at_two_loads(self, tmp_path):
        """The load would tell the class: no load split."""
        sheet = {"normal/normal_0.npz": 0, "worn/worn_0.npz": 1}
        root = write(tmp_path / "each", sheet, normal_0=(6.0, 4000.0), worn_0=(6.0, 4000.0))
        found = look(root)
        assert found.default == "load"
        assert not split(found, "load").possible
        assert "--split blocked" in split(found, "load").why
        assert conclusion(found, InspectConfig(root=root)).endswith("--split blocked")
        with pytest.raises(DataError) as caught:
            built(root, tmp_path)
        assert "--split blocked" in caught.value.remedy
        assert len(built(root, tmp_path, split="blocked").test) > 0

    def test_three_seconds_in_all(self, tmp_path):
        root = write(tmp_path / "short", normal_0=(1.5, 4000.0), worn_0=(1.5, 4000.0))
        found = look(root)
        assert not split(found, "blocked").possible
        fits = re.search(r"--window-s ([\d.]+) would fit", " ".join(found.notes))[1]
        assert float(fits) == 0.7
        with pytest.raises(DataError) as caught:
            built(root, tmp_path)
        assert "--window-s" in caught.value.remedy
        assert split(look(root, window_s=float(fits)), "blocked").possible
        assert len(built(root, tmp_path, window_s=float(fits)).test) == 2

    def test_unequal_lengths_and_rates(self, tmp_path):
        root = write(tmp_path / "mixed", normal_0=(20.0, 8000.0), normal_1=(4.0, 4000.0), worn_0=(3.0, 12000.0))
        found = look(root)
        assert "--resample" in found.problems[0].remedy
        assert any("lengths differ from 3.00 to 20.00 s" in note for note in found.notes)
        with pytest.raises(DataError, match="the sampling rate alone names the class"):
            built(root, tmp_path)
        agreed = look(root, resample=True)
        assert agreed.problems == ()
        assert any("the sampling rate alone names" in note for note in agreed.notes)
        assert len(built(root, tmp_path, resample=True).test) > 0

    def test_a_rate_below_the_target(self, tmp_path):
        root = write(tmp_path / "slow", normal_0=(6.0, 1000.0), worn_0=(6.0, 1000.0))
        assert look(root).problems == ()  # as recorded
        assert "--rate-hz 1000" in look(root, rate_hz=4000.0).problems[0].remedy

    def test_a_flaw_is_named_and_not_refused(self, tmp_path):
        root = write(tmp_path / "flawed", normal_0=(6.0, 4000.0), worn_0=(6.0, 4000.0))
        np.savez(root / "worn" / "worn_0.npz", x=np.zeros(24000), fs=4000)
        found = look(root)
        assert found.recordings[1].flaws == ("channel x: zero (24000 samples, first 0, last 23999)",)
        assert "--accept zero" in found.problems[0].remedy
        assert look(root, accept=("zero",)).problems == ()

    def test_random_windows_that_overlap_do_not_count_as_apart(self, loads):
        found = look(loads)
        assert split(found, "random").independent < sum(split(found, "random").windows["test"].values())
        assert split(found, "blocked").independent == 4  # 1.8 s of each recording hold one window of 1 s and a bit


def test_the_command_prints_and_writes_what_it_found(loads, tmp_path, capsys):
    config = InspectConfig(root=loads, json=tmp_path / "found.json", out=tmp_path / "pictures")
    run(config)
    said = capsys.readouterr().out
    assert "4 recordings, 24.0 s in all, 2 classes" in said
    assert f"Next: python -m pruning.run --data folder --root {loads}" in said
    assert max(len(x) for x in said.splitlines() if not x.startswith(("Next:", "json:", "pictures:"))) <= 100
    content = json.loads(config.json.read_text())
    assert content["default"] == "load"
    assert [r["label"] for r in content["recordings"]] == ["normal", "normal", "worn", "worn"]
    assert {p.name for p in config.out.iterdir()} == {"spectrograms.png", "overview.png"}
