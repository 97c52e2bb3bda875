"""The trial with real processes: what was predicted beside what happened."""

import json

import numpy as np
import pytest
from rich.console import Console

from optimizer import OptimizerError, Scenario, draw_states
from optimizer.network.world import world_of_trial
from optimizer.trial.findings import errors, mean_of_repeats, print_trial
from optimizer.trial.options import TrialConfig
from optimizer.trial.processes import Worker
from optimizer.trial.results import TaskRow, read_trial
from optimizer.trial.run import run_trial
from optimizer.trial.slots import random_actions
from optimizer.trial.worker import Station

SILENT = Console(quiet=True)


def test_the_trial_says_what_was_predicted_and_what_happened(finished):
    trial = json.loads((finished.out / "trial.json").read_text())
    tasks = trial["tasks"]
    assert len(tasks) == 20 * (2 + 20)
    assert all(t["measured_s"] > 0 and t["predicted_s"] > 0 for t in tasks)
    rates = {t["rate"] for t in tasks if t["probe"]}
    assert rates == {0.0, 0.5, 0.9}
    for entry in trial["summary"]["accuracies"]:
        assert entry["low"] <= entry["measured"] <= entry["high"]
        assert entry["predicted"] == pytest.approx(entry["measured"])  # the same windows, precision and runtime
    sent = [t for t in tasks if t["rate"] == 0]
    # Sums over a queue: the mean wait that eq. (7) gives each equal is theirs together.
    assert sum(t["predicted_s"] for t in sent) == pytest.approx(sum(t["predicted_in_order_s"] for t in sent))
    for t in tasks:
        if t["rate"] > 0:
            assert t["factor"] == pytest.approx(t["measured_s"] / t["predicted_s"])
        else:  # the order is as drawn in both, so that inference alone tells them apart
            assert (t["factor"] > 1) == (t["measured_s"] > t["predicted_in_order_s"])


def test_the_second_trial_repeats_slots_and_its_policy_was_trained_on_the_first(finished):
    first, second = (json.loads((finished.out / n).read_text()) for n in ("trial.json", "second-trial.json"))
    assert len(second["tasks"]) == 20 * 2 * 2
    assert second["summary"]["errors"]["tasks"] == 20 * 2
    assert second["summary"]["errors_once"]["tasks"] == 20 * 2 * 2
    made = json.loads((finished.out / "retrained" / "n20-seed0" / "run.json").read_text())
    assert made["world"]["samples"] == first["factors"]["local"]
    assert made["world"]["edge_samples"] == first["factors"]["edge"]
    assert first["factors"]["edge"] == sorted(first["factors"]["edge"])
    assert len(first["factors"]["edge"]) == 200


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file"),
        ("[]", "no schema version"),
        ("{}", "no schema version"),
        ('{"schema": 1, "factors": {"local": [1.0], "edge": []}}', "schema 1 is older than 2"),
        ('{"schema": 2}', "factors: missing"),
        ('{"schema": 2, "factors": {"local": [0.0], "edge": []}}', r"factors\.local\.0: .*got 0\.0"),
    ],
)
def test_a_world_is_not_made_from_what_is_not_a_trial(tmp_path, content, message):
    path = tmp_path / "trial.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(OptimizerError, match=message):
        world_of_trial(path)


def test_a_trial_s_file_is_read_back_as_it_was_and_a_wrong_field_is_named(finished, tmp_path):
    path = tmp_path / "trial.json"
    content = json.loads((finished.out / "trial.json").read_text())
    path.write_text(json.dumps(content))
    assert read_trial(path).model_dump(mode="json", by_alias=True) == content
    content["summary"]["errors_edge"] = {}  # as it was written where nothing was offloaded
    path.write_text(json.dumps(content))
    assert read_trial(path).summary.errors_edge is None
    content["tasks"][3]["measured_s"] = None
    path.write_text(json.dumps(content))
    with pytest.raises(OptimizerError, match=r"tasks\.3\.measured_s"):
        read_trial(path)
    path.write_text(json.dumps(content | {"schema": 3}))
    with pytest.raises(OptimizerError, match="newer"):
        read_trial(path)


def test_a_disturbed_machine_is_said_to_be(finished, capsys):
    trial = read_trial(finished.out / "second-trial.json")
    print_trial(trial.model_copy(update={"disturbed": True, "speed": (1.9, 1.0)}), Console(width=100))
    assert "took 1.90 and 1.00 times as long as in the profile" in capsys.readouterr().out


def test_a_trial_without_profiles_or_with_another_bundle_is_refused(finished, masked):
    folder = finished.out / "policies" / "n20-seed0"
    with pytest.raises(OptimizerError, match="another bundle"):
        run_trial(TrialConfig(policy=folder, models=masked), SILENT)


def test_a_dead_process_is_named(finished):
    station = Station(finished.out, {}, "onnxruntime", "fp32", 1, (1, 32, 32), finished.out / "nowhere.safetensors")
    with Worker("gateway 1", station) as worker, pytest.raises(OptimizerError, match="gateway 1: the process ended"):
        worker.run(0.5, [0], 1)


def test_random_decisions_use_every_model_and_send_the_most_critical_first():
    scenario = Scenario.load("paper").with_sensors(50)
    state = draw_states(scenario, 40, 0)
    action = random_actions(scenario, state, np.random.default_rng(0))
    assert set(np.unique(action.model)) == set(range(6))
    for b in range(40):
        for g in range(5):
            sent, kept = state.level[b, g][action.offload[b, g]], state.level[b, g][~action.offload[b, g]]
            assert not len(sent) or not len(kept) or sent.min() >= kept.max()


def test_error_percentiles_and_intervals():
    rows = [
        TaskRow(
            slot=0,
            repeat=0,
            probe=False,
            gateway=0,
            task=i,
            level=0,
            rate=0.5,
            batch=1,
            predicted_s=p,
            predicted_in_order_s=p,
            measured_s=1.0,
            factor=1 / p,
            correct=True,
            served=True,
            predicted_served=True,
            cause="",
        )
        for i, p in enumerate((0.9, 1.0, 1.1, 1.5))
    ]
    found = errors(rows)
    assert found.p50 == pytest.approx(0.1)
    assert found.median_ratio == pytest.approx(1.05)
    again = mean_of_repeats([*rows, *(r.model_copy(update={"repeat": 1, "measured_s": 3.0}) for r in rows)])
    assert [r.measured_s for r in again] == [2.0] * 4
