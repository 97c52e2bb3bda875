"""Small sets get as many updates as they need; large ones train as before; the budget is told before it is spent."""

import io
import json
import re
from dataclasses import replace

import pytest
import torch
from conftest import tiny_dataset
from rich.console import Console
from sweeps import QUICK, SILENT, sweep

from pruning import PruningError, read_manifest
from pruning.budget import cost, estimate, raised
from pruning.config import SweepConfig
from pruning.jobs import plan_jobs
from pruning.spec import dense_spec
from pruning.sweep import run_sweep
from pruning.train import TrainConfig

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("windows", "epochs", "retrain_epochs"),
    [
        (56, 100, 75),  # one update an epoch: the 14 recordings of 3 s
        (10, 100, 75),  # fewer windows than a batch
        (320, 10, 8),
        (416, 8, 6),  # 13 updates an epoch: 8 and 6 epochs are 104 and 78 already
        (1080, 8, 6),  # the simulation
    ],
)
def test_epochs_are_raised_until_the_fewest_updates_are_reached(windows, epochs, retrain_epochs):
    train = TrainConfig().for_windows(windows)
    assert (train.epochs, train.retrain_epochs) == (epochs, retrain_epochs)
    assert train.epochs * train.updates_an_epoch(windows) >= 100
    assert train.retrain_epochs * train.updates_an_epoch(windows) >= 75


def test_a_large_set_trains_as_its_epochs_say_however_few():
    few = TrainConfig(epochs=3, retrain_epochs=2)
    assert few.for_windows(1080) == few
    assert few.for_windows(320).epochs == 10
    assert replace(few, updates=200).for_windows(1080).epochs == 7  # asked for by name: 33 updates an epoch


def test_no_minimum_leaves_the_epochs_alone():
    train = TrainConfig(updates=0, retrain_updates=0)
    assert train.for_windows(56) == train
    assert raised(train, train.for_windows(56), 56) is None


def test_what_was_raised_is_told_with_the_options_that_did_it():
    told = raised(TrainConfig(), TrainConfig().for_windows(56), 56)
    assert told.startswith("56 training windows are 1 update an epoch: --epochs from 8 to 100 and --retrain-epochs")
    assert "--updates, --retrain-updates" in told


def test_negative_updates_are_refused():
    with pytest.raises(PruningError, match=r"--retrain-updates must be at least 0; got -1"):
        TrainConfig(retrain_updates=-1)


def test_costs_count_updates_and_a_masked_model_costs_what_is_trained():
    dense = dense_spec(3, 32)
    config = replace(SweepConfig(rates=(0.9,)), train=TrainConfig().for_windows(56))
    costs = {j.kind: cost(j, config, dense, 56) for j in plan_jobs(config)}
    assert {kind: own.updates for kind, own in costs.items()} == {"dense": 100, "control": 75, "pruned": 75}
    assert costs["pruned"].unit == pytest.approx(0.1 * costs["dense"].unit, rel=0.02)
    masked = replace(config, method="mask", target=None)
    assert cost(plan_jobs(masked)[-1], masked, dense, 56).unit < 0.03 * costs["dense"].unit  # (1 - p)^2 and rounding


def test_the_estimate_grows_with_the_jobs_and_is_nothing_without_any(dataset):
    dense = dense_spec(3, 32, width=0.0625)
    jobs = plan_jobs(QUICK)
    assert estimate([], QUICK, dense, dataset, CPU) == 0
    assert estimate(jobs, QUICK, dense, dataset, CPU) > 0


@pytest.mark.usefixtures("small_data")
class TestSweep:
    def test_a_small_set_is_trained_for_them_and_the_budget_stands_first(self, tmp_path):
        console = Console(width=100, file=io.StringIO(), record=True)
        train = replace(QUICK.train, updates=30, retrain_updates=13)
        run_sweep(replace(QUICK, out=tmp_path, rates=(0.5,), onnx=False, train=train), console)
        text = console.export_text()
        assert "note: 48 training windows are 6 updates an epoch: --epochs from 3 to 5 and --retrain-epochs" in text
        assert re.search(r"budget: 66 updates, about [\d.]+ (s|minutes) here", text)  # 30 + 18 + 18: whole epochs
        assert text.index("budget:") < text.index("seed0-dense")
        manifest = read_manifest(tmp_path)
        assert [m.seeds[0].epochs for m in (*manifest.models, manifest.control)] == [5, 3, 3]
        assert manifest.training["train"]["epochs"] == 5

    def test_a_folder_that_knows_nothing_of_updates_goes_on(self, tmp_path):
        """As one that was begun before there were fewest updates: its settings name epochs alone."""
        sweep(tmp_path, rates=(0.5,), onnx=False)
        settings = json.loads((tmp_path / "run.json").read_text())
        assert not {"updates", "retrain_updates"} & set(settings["train"])
        # On a set so large that nothing is raised, the defaults name the same run.
        large = replace(QUICK, rates=(0.5,), onnx=False, train=replace(QUICK.train, updates=18, retrain_updates=12))
        (tmp_path / "models.json").unlink()
        run_sweep(replace(large, out=tmp_path), SILENT)
        assert read_manifest(tmp_path).models[0].seeds[0].epochs == 3

    def test_timing_updates_changes_no_result(self, tmp_path, monkeypatch):
        sweep(tmp_path / "timed", rates=(0.5,), onnx=False)
        monkeypatch.setattr("pruning.sweep.estimate", lambda *given: 1.0)
        sweep(tmp_path / "untimed", rates=(0.5,), onnx=False)
        one, other = ((tmp_path / n / "models.json").read_bytes() for n in ("timed", "untimed"))
        assert one == other


def test_the_tiny_set_is_small():
    assert TrainConfig().for_windows(len(tiny_dataset().train)).epochs == 100
