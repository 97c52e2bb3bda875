"""A small set is cross-validated over its recordings: every window once, by models that never saw its recording."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pictures import save_fingerprint
from rich.console import Console
from safetensors.numpy import load_file
from sweeps import QUICK, SILENT, snapshot, sweep

from data import DataConfig, DataError
from data.common.errors import UserError
from data.common.stats import wilson
from pruning import PruningError, read_manifest
from pruning.config import SweepConfig
from pruning.cross import LIMIT_FLOP, affordable
from pruning.spec import dense_spec
from pruning.sweep import run_sweep
from pruning.table import curve_table, print_results
from pruning.train import TrainConfig
from pruning.verdict import curve_words, notices

RATES = {"rates": (0.5,), "onnx": False}


@pytest.fixture(autouse=True)
def _quick_pictures(monkeypatch):
    monkeypatch.setattr("pruning.figures.save_png", save_fingerprint)
    monkeypatch.setattr("pruning.curve.DRAWS", 1)


def write(root: Path, *, recordings: int = 4, seconds: float = 3.0, told_apart: bool = True) -> DataConfig:
    """Recordings of two classes, tones of their own in noise."""
    rng = np.random.default_rng(0)
    time = np.arange(round(seconds * 4000)) / 4000
    for label, hertz in (("normal", 300.0), ("worn", 900.0)):
        (root / label).mkdir(parents=True)
        for i in range(recordings):
            tone = np.sin(2 * np.pi * hertz * time) if told_apart else 0.0
            np.savez(root / label / f"{i}.npz", x=tone + rng.standard_normal(len(time)), fs=4000)
    return DataConfig(data="folder", root=root, hop_s=0.5, accept=("weak",))  # networks here hardly learn


@pytest.fixture(scope="module")
def crossed(tmp_path_factory):
    """A finished sweep of 2 x 4 recordings of 3 s, cross-validated without being asked."""
    root = tmp_path_factory.mktemp("crossed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JOPA_CACHE", str(root / "cache"))
        patch.setattr("pruning.figures.save_png", save_fingerprint)
        console = Console(width=100, file=io.StringIO(), record=True)
        train = replace(QUICK.train, epochs=6)
        config = replace(QUICK, **RATES, folds=None, data=write(root / "set"), out=root / "out", train=train)
        run_sweep(config, console)
    return root / "out", console.export_text()


class TestResult:
    def test_it_is_announced_with_its_reason_before_anything_is_trained(self, crossed):
        said = " ".join(crossed[1].split())
        assert "cross-validation: every model is trained 4 times more" in said
        assert "the test part has 8 windows that share no sample, fewer than 30" in said
        assert said.index("cross-validation") < said.index("budget") < said.index("seed0-dense")

    def test_every_model_and_detector_is_tested_once_on_every_window(self, crossed):
        cross = read_manifest(crossed[0]).cross_validation
        assert [(e.kind, e.rate) for e in cross.entries] == [
            ("dense", 0.0), ("pruned", 0.5), ("line", None), ("forest", None),
        ]  # fmt: skip
        assert cross.windows == 40  # 8 recordings of 5 windows
        assert cross.windows_independent == 24
        for entry in cross.entries:
            assert sum(map(sum, entry.scores["clean"].confusion)) == pytest.approx(40)
            assert set(entry.scores) == {"clean", "10dB", "5dB", "0dB"}

    def test_accuracy_is_what_the_folds_models_named_and_its_interval_counts_recordings(self, crossed):
        out, _ = crossed
        cross = read_manifest(out).cross_validation
        right = sum(group.right["dense"] for group in cross.groups)
        assert cross.entry("dense").accuracy.value == pytest.approx(right / 40)
        for entry in cross.entries:
            rate = entry.accuracy
            assert rate.count == 8
            assert (rate.low, rate.high) == pytest.approx(wilson(rate.value, 8))
        called = [load_file(out / "jobs" / f"fold{i}-seed0-p0.5" / "predictions.safetensors") for i in range(1, 5)]
        assert sum(len(own["after.clean"]) for own in called) == 40

    def test_a_group_is_tested_by_one_fold(self, crossed):
        cross = read_manifest(crossed[0]).cross_validation
        assert sorted(g.name for g in cross.groups) == sorted(
            f"{c}/{i}.npz" for c in ("normal", "worn") for i in "0123"
        )
        assert all(g.windows == 5 and 1 <= g.fold <= 4 for g in cross.groups)

    def test_the_bundles_own_models_keep_a_test_part_that_they_have_not_seen(self, crossed):
        manifest = read_manifest(crossed[0])
        assert manifest.data.split == "blocked"
        assert manifest.data.windows["test"] == len(load_file(crossed[0] / "test.safetensors")["labels"])
        assert not list((crossed[0] / "jobs").rglob("weights.safetensors"))

    def test_the_table_and_the_first_line_say_how_sure_it_is(self, crossed):
        manifest = read_manifest(crossed[0])
        console = Console(width=100, file=io.StringIO(), record=True)
        print_results(manifest, console)
        said = " ".join(console.export_text().split())
        assert said.startswith("Cross-validated on 8 recordings in 4 folds: the dense VGG-16 is right for")
        assert "Wilson interval, each group one trial" in said
        dense = manifest.cross_validation.entry("dense").accuracy
        assert f"{100 * dense.low:.1f}-{100 * dense.high:.1f}" in said
        assert "control" not in said

    def test_the_learning_curve_of_the_simple_detectors_comes_with_it(self, crossed):
        manifest = read_manifest(crossed[0])
        curve = manifest.learning_curve
        assert {p.kind for p in curve.points} == {"line", "forest"}
        last = max((p for p in curve.points if p.kind == "line"), key=lambda p: p.groups)
        assert last.accuracy == manifest.cross_validation.entry("line").accuracy
        assert min(p.groups for p in curve.points if p.kind == "line") == 2  # one of each class
        assert curve_words(curve) in notices(manifest)
        assert "Would more recordings help? From" in curve_words(curve)
        assert len(curve_table(curve).rows) == len({p.groups for p in curve.points})
        assert (crossed[0] / "figures" / "learning_curve.png").is_file()


class TestChoice:
    def test_1_is_none_and_any_other_number_is_obeyed(self, tmp_path):
        data = write(tmp_path / "set")
        plain = sweep(tmp_path / "plain", data=data, **RATES)
        assert plain.cross_validation is plain.learning_curve is None
        assert not list((tmp_path / "plain" / "jobs").glob("fold*"))
        two = sweep(tmp_path / "two", data=data, folds=2, **RATES)
        assert two.cross_validation.folds == 2
        for name in ("weights", "test.safetensors"):
            one, other = snapshot(tmp_path / "plain"), snapshot(tmp_path / "two")
            assert {n: c for n, c in one.items() if n.startswith(name)} == {
                n: c for n, c in other.items() if n.startswith(name)
            }
        with pytest.raises(UserError, match="folds was 2, now 3"):
            sweep(tmp_path / "two", data=data, folds=3, **RATES)

    def test_a_large_test_part_is_left_alone(self, tmp_path):
        data = write(tmp_path / "set", recordings=2, seconds=30.0)
        assert sweep(tmp_path / "out", data=data, folds=None, **RATES).cross_validation is None

    def test_what_cannot_be_grouped_is_noted_and_trained_with_one_test_part(self, tmp_path):
        console = Console(width=100, file=io.StringIO(), record=True)
        data = write(tmp_path / "set", recordings=1, seconds=2.15)
        run_sweep(replace(QUICK, **RATES, folds=None, data=data, out=tmp_path / "out"), console)
        assert "the recordings cannot be cross-validated" in " ".join(console.export_text().split())
        assert read_manifest(tmp_path / "out").cross_validation is None
        with pytest.raises(DataError, match=r"needs at least 2\.20 s"):
            run_sweep(replace(QUICK, **RATES, folds=2, data=data, out=tmp_path / "asked"), SILENT)

    def test_random_windows_are_not_cross_validated(self, tmp_path):
        data = replace(write(tmp_path / "set"), split="random")
        assert sweep(tmp_path / "out", data=data, folds=None, **RATES).cross_validation is None
        with pytest.raises(DataError, match="has no groups"):
            sweep(tmp_path / "asked", data=data, folds=2, **RATES)

    def test_0_folds_are_refused(self):
        with pytest.raises(PruningError, match="--folds must be at least 1"):
            SweepConfig(folds=0)

    def test_auto_makes_as_many_folds_as_the_budget_allows(self):
        dense = dense_spec(2, 32)
        train = TrainConfig().for_windows(56)
        assert affordable(SweepConfig(train=train), dense, 56) == 2
        assert affordable(SweepConfig(rates=(0.5, 0.9), train=train), dense, 56) == 5
        assert affordable(SweepConfig(train=replace(train, epochs=100_000)), dense, 56) == 2
        assert LIMIT_FLOP == 7e13


def test_noise_is_added_to_some_windows_of_a_large_test_part(tmp_path):
    """The simulated set has many recordings for testing only; noisy windows are the first of each fold."""
    out = tmp_path / "out"
    changes = {"epochs": 1, "retrain_epochs": 1, "updates": 0, "retrain_updates": 0, "batch": 256}
    data = DataConfig(accept=("weak",), hop_s=0.5)
    train = replace(QUICK.train, **changes)
    run_sweep(replace(QUICK, **RATES, width=0.0625, folds=2, data=data, out=out, train=train), SILENT)
    crossed = read_manifest(out).cross_validation
    entry = next(own for own in crossed.entries if own.kind == "pruned")
    count = {name: round(np.sum(own.confusion)) for name, own in entry.scores.items()}
    assert count["clean"] == crossed.windows > count["0dB"] > 0
    assert 0 <= entry.before <= 1


def test_a_dense_model_that_the_folds_call_weak_is_not_pruned(tmp_path):
    data = replace(write(tmp_path / "set", told_apart=False), accept=())
    with pytest.raises(PruningError) as caught:
        sweep(tmp_path / "out", data=data, folds=4, **RATES)
    assert "from 8 recordings)" in caught.value.problem
    assert "of 40 windows are right" in caught.value.problem
    assert {p.name for p in (tmp_path / "out" / "jobs").iterdir()} == {
        "seed0-dense", *(f"fold{i}-seed0-dense" for i in (1, 2, 3, 4)),
    }  # fmt: skip
    accepted = sweep(tmp_path / "out", data=replace(data, accept=("weak",)), folds=4, **RATES)
    assert "from 8 recordings)" in accepted.weak


class TestLearningCurve:
    def test_the_network_is_trained_on_fewer_recordings_where_it_is_asked_for(self, tmp_path):
        manifest = sweep(tmp_path / "out", data=write(tmp_path / "set"), folds=4, learning_curve=True, **RATES)
        curve = manifest.learning_curve
        own = [p for p in curve.points if p.kind == "dense"]
        assert [p.groups for p in own] == [2, 4, 6]  # one, two and three of each class
        assert own[-1].accuracy == manifest.cross_validation.entry("dense").accuracy
        assert curve.gains[0].kind == "dense"
        assert not list((tmp_path / "out" / "jobs").rglob("weights.safetensors"))

    def test_it_can_be_had_without_a_cross_validation(self, tmp_path):
        manifest = sweep(tmp_path / "out", data=write(tmp_path / "set"), folds=1, learning_curve=True, **RATES)
        assert manifest.cross_validation is None
        assert {p.kind for p in manifest.learning_curve.points} == {"dense", "line", "forest"}
        assert not list((tmp_path / "out" / "jobs").glob("fold*-p0.5"))


class Killed(BaseException):
    """Ends a sweep as `kill -9` would."""


def test_killed_at_a_write_the_same_call_ends_with_the_same_files(tmp_path, monkeypatch):
    """In one process; `test_executors.py` kills processes that work side by side."""
    data = write(tmp_path / "set", recordings=2)
    changes = {**RATES, "data": data, "folds": 2, "learning_curve": True}
    sweep(tmp_path / "whole", **changes)
    whole = snapshot(tmp_path / "whole")
    real = Path.replace
    for k in range(0, 29, 7):
        done = 0

        def dying(self, target, k=k):
            nonlocal done
            if done == k:
                raise Killed
            done += 1
            return real(self, target)

        with monkeypatch.context() as patch:
            patch.setattr(Path, "replace", dying)
            with pytest.raises(Killed):
                sweep(tmp_path / f"killed{k}", **changes)
        sweep(tmp_path / f"killed{k}", **changes)
        after = snapshot(tmp_path / f"killed{k}")
        assert [n for n in {*whole, *after} if after.get(n) != whole.get(n)] == [], k
