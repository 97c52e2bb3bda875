"""A dense model that is no better than a constant answer is not pruned, unless the user says so."""

from dataclasses import replace

import numpy as np
import pytest
from conftest import tiny_dataset
from rich.console import Console
from sweeps import QUICK, sweep

from data import DataConfig, DataError
from optimizer import OptimizerError, Scenario, measured_scenario
from optimizer.pipeline.options import PipelineConfig
from optimizer.pipeline.stages import stages
from profiling import Profile
from profiling.config import RunConfig
from profiling.datasheet import datasheet_profile
from profiling.profiler import run_profile
from profiling.spec import SpecConfig
from pruning import PruningError, read_manifest
from pruning.baseline import fit_baselines
from pruning.metrics import independent
from pruning.verdict import notices
from pruning.weak import check_strength, weakness

ACCEPTED = DataConfig(accept=("weak",))
UNTRAINED = replace(QUICK.train, lr=1e-9, retrain_lr=1e-9)


def apart_of(dataset):
    return independent(dataset.test.recordings, dataset.test.starts_s, dataset.window_s)


class TestWeakness:
    def test_a_constant_answer_is_weak_and_the_sentence_names_it(self, dataset):
        said = weakness(np.ones(24, dtype=np.int64), dataset, apart_of(dataset))
        assert said.startswith("The dense model is not better than always naming 'normal', the most frequent class")
        assert "33.3 % of 24 windows are right (95 % interval 18.0 to 53.3 %" in said  # Wilson 1927: 8 of 24
        assert said.endswith("against 33.3 %.")

    def test_a_perfect_answer_is_not(self, dataset):
        assert weakness(dataset.test.labels, dataset, apart_of(dataset)) is None

    def test_the_interval_decides_and_not_the_value(self, dataset):
        """13 of 24: the interval begins at 35.1 %, above a third; 12 of 24 at 31.4 %, below."""
        labels = dataset.test.labels
        for right, weak in ((13, False), (12, True)):
            called = np.where(np.arange(24) < right, labels, (labels + 1) % 3)
            assert (weakness(called, dataset, apart_of(dataset)) is not None) == weak

    def test_a_test_part_that_can_show_nothing_says_so(self, dataset):
        """Two windows of two classes: both right is an interval of 34 to 100 %, and chance is 50 %."""
        two = tiny_dataset(classes=2, test=2)
        with pytest.raises(PruningError) as caught:
            check_strength(two.test.labels, two, apart_of(two), fit_baselines(two), 8)
        assert "Even if all were right, 2 windows" in caught.value.remedy


@pytest.fixture
def _small_data(small_data):
    """The tiny data set."""


@pytest.mark.usefixtures("_small_data")
class TestSweep:
    def test_it_stops_before_anything_is_pruned_and_says_what_was_seen(self, tmp_path):
        with pytest.raises(PruningError) as caught:
            sweep(tmp_path, train=UNTRAINED, line=0.0)
        assert "not better than always naming" in caught.value.problem
        for name in ("normal: ", "inner: ", "outer: "):
            assert f"{name}" in caught.value.problem
        for advice in (
            "straight line on 64 numbers gets 100.0 %",
            "--updates 36; there were 18",
            "--hop-s",
            "--accept weak",
        ):
            assert advice in caught.value.remedy
        assert sorted(p.name for p in (tmp_path / "jobs").iterdir()) == ["seed0-dense"]
        assert not (tmp_path / "models.json").exists()
        with pytest.raises(PruningError, match="not better"):  # a finished dense model is judged again
            sweep(tmp_path, train=UNTRAINED, line=0.0)

    def test_accepted_it_goes_on_from_the_dense_model_and_the_bundle_says_so(self, tmp_path):
        with pytest.raises(PruningError, match="not better"):
            sweep(tmp_path, train=UNTRAINED, line=0.0, rates=(0.5,))
        before = (tmp_path / "jobs" / "seed0-dense" / "job.json").read_bytes()
        sweep(tmp_path, train=UNTRAINED, line=0.0, rates=(0.5,), data=ACCEPTED)
        assert (tmp_path / "jobs" / "seed0-dense" / "job.json").read_bytes() == before
        manifest = read_manifest(tmp_path)
        assert manifest.weak.startswith("The dense model is not better")
        assert manifest.weak in notices(manifest)

    def test_a_good_one_is_not_weak_even_if_it_were_accepted(self, bundle):
        assert read_manifest(bundle).weak is None


@pytest.fixture(scope="module")
def weak_bundle(tmp_path_factory):
    out = tmp_path_factory.mktemp("weak")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pruning.sweep.build_dataset", lambda config, cache: tiny_dataset())
        sweep(out, train=UNTRAINED, line=0.0, rates=(0.5,), data=ACCEPTED)
    return out


def test_profiles_carry_it_and_no_network_is_built_on_them_unasked(weak_bundle, tmp_path, monkeypatch):
    monkeypatch.setattr("profiling.config.GRADES", {"quick": (3, 0.02)})
    config = RunConfig(
        models=weak_bundle, runtime="onnxruntime", threads=(1,), batches=(1, 2), rounds=1, processes=1, figures=False,
        out=tmp_path / "gateway.json",
    )  # fmt: skip
    gateway = run_profile(config, Console(quiet=True))
    edge = datasheet_profile(SpecConfig(models=weak_bundle))
    said = read_manifest(weak_bundle).weak
    assert gateway.weak == edge.weak == Profile.load(config.out).weak == said
    paper = Scenario.load("paper").with_sensors(5)
    with pytest.raises(OptimizerError, match="a profile of weak models") as caught:
        measured_scenario(gateway, edge, paper)
    assert "--accept-weak" in caught.value.remedy
    assert f"weak models: {said}" in measured_scenario(gateway, edge, paper, accept_weak=True).notes


def test_the_pipeline_passes_it_on_to_every_command_that_builds_a_network(tmp_path):
    accepted = PipelineConfig(data=ACCEPTED, out=tmp_path)
    for config, wanted in ((accepted, True), (PipelineConfig(out=tmp_path), False)):
        commands = {s.name: s.commands for s in stages(config)}
        assert ("--accept" in commands["prune"][0]) == wanted
        for name in ("capacity", "train", "trial", "paper's policy", "experiment"):
            assert all(("--accept-weak" in command) == wanted for command in commands[name]), name


def test_other_kinds_are_still_refused():
    with pytest.raises(DataError, match="unknown kind strong") as caught:
        DataConfig(accept=("strong",))
    assert "weak" in caught.value.remedy
