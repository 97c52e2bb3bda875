"""The trial with real processes: every scheme carried out on the same slots, beside what was predicted."""

import json
import shutil

import matplotlib.image
import numpy as np
import pytest
from rich.console import Console
from safetensors.numpy import load_file

from optimizer import OptimizerError
from optimizer.network.options import NetworkConfig
from optimizer.network.world import world_of_trial
from optimizer.trial.machines import SPEED_RUNS
from optimizer.trial.options import TrialConfig
from optimizer.trial.processes import Worker
from optimizer.trial.results import read_trial
from optimizer.trial.run import run, run_trial
from optimizer.trial.slots import LATE, SERVED
from optimizer.trial.table import delays_table, fates_table, print_trial
from optimizer.trial.worker import Station
from profiling import Profile
from profiling.config import RunConfig as ProfileConfig
from profiling.datasheet import Datasheet, datasheet_profile
from profiling.profiler import run_profile

SILENT = Console(quiet=True)
SIMPLE = ("greedy", "local", "edge", "random")  # schemes that need no exact solver


@pytest.fixture(scope="module")
def measured(bundle, tmp_path_factory):
    """A profile in service order, at both precisions that onnxruntime has, and an edge from a datasheet."""
    folder = tmp_path_factory.mktemp("service")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("profiling.config.GRADES", {"quick": (4, 0.02)})
        made = ProfileConfig(
            models=bundle, runtime="onnxruntime", threads=(1,), batches=(1, 2, 4), rounds=2, processes=1,
            precision=("fp32", "int8"), order="random", out=folder / "gateway.json",
        )  # fmt: skip
        run_profile(made, SILENT)
    datasheet_profile(Datasheet(device="other", flop_per_s=1e9, name="edge", models=bundle)).save(folder / "edge.json")
    return folder


def network(measured, **changes):
    fields = {"gateway": measured / "gateway.json", "edge": measured / "edge.json", "extrapolate": True}
    return NetworkConfig(**{**fields, "execution": "by level", "queue": "fifo", "reward": "service", **changes})


@pytest.fixture(scope="module")
def tried(bundle, measured):
    """A trial of a factory's network: by level, a queue at the edge, every model at its own precision."""
    config = TrialConfig(
        models=bundle, network=network(measured), schemes=SIMPLE, sensors=20, slots=3, tasks=measured / "t.safetensors",
        out=measured / "trial.json",
    )  # fmt: skip
    run(config)
    return config


def test_every_scheme_s_figures_are_those_of_its_tasks(tried):
    trial, tasks = read_trial(tried.out), load_file(tried.tasks)
    assert list(trial.schemes) == list(SIMPLE)
    for name, scheme in trial.schemes.items():
        fate, delay = tasks[f"{name}/fate"], tasks[f"{name}/measured_s"]
        assert fate.shape == (3, 5, 4)
        assert scheme.lost == pytest.approx(np.mean(fate != SERVED))
        assert scheme.late == pytest.approx(np.mean(fate == LATE))
        assert scheme.lost == pytest.approx(scheme.late + scheme.inaccurate + scheme.refused)
        assert scheme.wrong == pytest.approx(np.mean((fate == SERVED) & ~tasks[f"{name}/correct"]))
        if scheme.delay_s is not None:
            assert scheme.delay_s == pytest.approx(delay[fate == SERVED].mean(), rel=1e-5)
        assert scheme.intervals["lost"].low <= scheme.lost <= scheme.intervals["lost"].high
    assert trial.schemes["edge"].offloaded == 1
    assert trial.schemes["local"].offloaded == 0
    assert trial.schemes["random"].models


def test_what_a_machine_reads_is_there(tried):
    """Names that scripts outside the project rely on."""
    content = json.loads(tried.out.read_text())
    for scheme in content["schemes"].values():
        assert {"lost", "lost_predicted", "delay_s", "delay_p99_s", "accuracy"} <= set(scheme)
    assert content["delay_error"]["p50"] <= content["delay_error"]["p90"]
    assert content["network"] == {
        "sensors": 20, "groups": [4] * 5, "execution": "by level", "queue": "fifo", "order": "random",
    }  # fmt: skip


def test_levels_of_a_gateway_are_done_one_after_another(tried):
    """A more critical local task of a gateway is never done later than a less critical one."""
    from optimizer.network.options import build_scenario
    from optimizer.network.slots import draw_states

    scenario = build_scenario(tried.network, 20)
    level = draw_states(scenario, 3, 0).level
    delay = load_file(tried.tasks)["local/measured_s"]
    for slot in range(3):
        for g in range(5):
            done = delay[slot, g]
            ran = np.isfinite(done)
            for a in np.flatnonzero(ran):
                for b in np.flatnonzero(ran):
                    assert (done[a] < done[b]) == (level[slot, g, a] > level[slot, g, b])


def test_every_model_runs_at_its_own_precision_and_is_as_accurate_as_profiled(tried, measured):
    trial, profile = read_trial(tried.out), Profile.load(measured / "gateway.json")
    for entry in trial.accuracies:
        assert entry.low <= entry.measured <= entry.high
        assert entry.predicted == profile.model(entry.rate, entry.precision).accuracy
        assert 0 < entry.independent <= entry.windows
    assert (0.0, "fp32") in {(a.rate, a.precision) for a in trial.accuracies}


def test_the_picture_and_the_table_fit(tried, capsys):
    picture = matplotlib.image.imread(tried.figure)
    assert min(picture.shape[:2]) > 300
    assert picture.std() > 0.01
    trial = read_trial(tried.out).model_copy(update={"disturbed": False})  # other work here has a test of its own
    print_trial(trial, Console(width=100))
    assert "lost least" in capsys.readouterr().out.splitlines()[0]
    for table in (fates_table(trial.schemes), delays_table(trial.schemes)):
        Console(width=100).print(table)
        said = capsys.readouterr().out
        assert max(map(len, said.splitlines())) <= 100
        assert "…" not in said


@pytest.mark.parametrize(("sensors", "groups"), [(3, (3,)), (8, (1,) * 8), (30, (1,) * 30)])
def test_networks_of_any_number_of_gateways(bundle, measured, tmp_path, sensors, groups):
    from optimizer import Scenario

    base = Scenario.load("paper").change(groups=groups)
    (tmp_path / "net.json").write_text(json.dumps(base.dump()))
    config = TrialConfig(
        models=bundle, network=network(measured, scenario=str(tmp_path / "net.json"), execution="one batch"),
        schemes=("random",), slots=1, out=tmp_path / "t.json",
    )  # fmt: skip
    trial, _ = run_trial(config, SILENT)
    assert trial.network.groups == list(groups)
    assert trial.schemes["random"].delay_error.tasks == sensors


def test_the_paper_s_network_is_carried_out_too(bundle, measured, tmp_path):
    config = TrialConfig(
        models=bundle, network=network(measured, execution="one batch", queue="none", reward=None), sensors=20,
        slots=2, out=tmp_path / "t.json",
    )  # fmt: skip
    trial, _ = run_trial(config, SILENT)
    assert {"optimum", "jopav1", "agdm", "equal", "greedy", "local", "edge", "random"} == set(trial.schemes)
    assert trial.network.queue == "none"


def test_schemes_that_ask_for_the_same_run_share_it(bundle, measured, tmp_path, monkeypatch):
    asked = []
    ask = Worker.run

    def noted(self, jobs):
        asked.append(jobs)
        return ask(self, jobs)

    monkeypatch.setattr(Worker, "run", noted)
    monkeypatch.setattr("optimizer.trial.carry_out.OUTLIER", np.inf)
    monkeypatch.setattr("optimizer.trial.machines.TRIES", 1)
    config = TrialConfig(
        models=bundle, network=network(measured, execution="one batch"), schemes=("local", "local-batch"), sensors=10,
        slots=2, out=tmp_path / "t.json",
    )  # fmt: skip
    _, (first, second) = run_trial(config, SILENT)
    np.testing.assert_array_equal(first.delay_s, second.delay_s)
    taking_turns = [jobs for jobs in asked if len(jobs) > SPEED_RUNS]
    own = [jobs for jobs in asked if jobs not in taking_turns and len(jobs[0][1]) == 2]
    assert len(own) <= 2 * 5 + 5  # each gateway and slot once; opening
    # How fast the machine is, is measured as the profile was: other models run between the complete one's runs.
    assert len(taking_turns) == 2
    for jobs in taking_turns:
        assert all(model == (0.0, "fp32") and len(windows) == 1 for model, windows, _ in jobs[1::2])
        assert {model for model, _, _ in jobs[::2]} == {(0.9, "fp32")}


def test_the_pipeline_s_trial_holds_its_policy_and_the_schemes(finished):
    found = read_trial(finished.out / "trial.json")
    (learned,) = [name for name, s in found.schemes.items() if s.learned]
    assert learned.startswith("n")
    assert {"optimum", "local", "local-batch", "greedy"} <= set(found.schemes)
    assert found.factors.edge == sorted(found.factors.edge)


def test_a_policy_brings_its_own_network(finished, tmp_path):
    config = TrialConfig(
        models=finished.out / "bundle", policy=(str(finished.out / "policies"),), schemes=("none",), slots=2,
        out=tmp_path / "t.json",
    )  # fmt: skip
    trial, _ = run_trial(config, SILENT)
    (name,) = trial.schemes
    assert name == f"n{trial.network.sensors}-seed0"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file"),
        ("[]", "no schema version"),
        ("{}", "no schema version"),
        ('{"schema": 1, "factors": {"local": [1.0], "edge": []}}', "schema 1 is older than 2"),
        ('{"schema": 2}', "factors: missing"),
        ('{"schema": 3, "factors": {"local": [0.0], "edge": []}}', r"factors\.local\.0: .*got 0\.0"),
    ],
)
def test_a_world_is_not_made_from_what_is_not_a_trial(tmp_path, content, message):
    path = tmp_path / "trial.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(OptimizerError, match=message):
        world_of_trial(path)


def test_a_world_is_made_from_a_trial_of_the_version_before(tmp_path):
    path = tmp_path / "trial.json"
    path.write_text('{"schema": 2, "factors": {"local": [1.0, 1.5], "edge": [0.9]}, "tasks": []}')
    assert world_of_trial(path).samples == (1.0, 1.5)


def test_a_file_is_read_back_as_it_was_and_a_wrong_field_is_named(tried, tmp_path):
    path = tmp_path / "trial.json"
    content = json.loads(tried.out.read_text())
    path.write_text(json.dumps(content))
    assert read_trial(path).model_dump(mode="json", by_alias=True) == content
    path.write_text(json.dumps(content | {"schema": 2}))
    with pytest.raises(OptimizerError, match="schema 2 is older") as error:
        read_trial(path)
    assert "must be made again" in error.value.remedy
    path.write_text(json.dumps(content | {"schema": 7}))
    with pytest.raises(OptimizerError, match="newer"):
        read_trial(path)
    content["schemes"]["edge"]["lost"] = 1.5
    path.write_text(json.dumps(content))
    with pytest.raises(OptimizerError, match=r"schemes\.edge\.lost"):
        read_trial(path)


def test_a_disturbed_machine_is_said_to_be(tried, capsys):
    trial = read_trial(tried.out)
    print_trial(trial.model_copy(update={"disturbed": True, "speed": (1.9, 1.0)}), Console(width=100))
    told = " ".join(capsys.readouterr().out.split())
    assert told.startswith("WARNING: The trial was disturbed: the complete model took 1.90 and 1.00 times as long as")
    assert "lost least" not in told
    assert "By the profile," in told
    print_trial(trial.model_copy(update={"disturbed": True, "speed": (0.7, 0.7)}), Console(width=100))
    told = capsys.readouterr().out
    assert told.startswith("WARNING: The machine was faster than when it was profiled:")
    assert "lost least" in told  # what was lost on a faster machine is lost on the profile's too


def test_what_cannot_be_tried_is_refused(bundle, masked, measured, tmp_path):
    with pytest.raises(OptimizerError, match="another bundle"):
        run_trial(TrialConfig(models=masked, network=network(measured), schemes=SIMPLE, sensors=20), SILENT)
    with pytest.raises(OptimizerError, match="needs a measured network"):
        TrialConfig(models=bundle)
    with pytest.raises(OptimizerError, match="nothing to carry out"):
        TrialConfig(models=bundle, network=network(measured), schemes=("none",))
    with pytest.raises(OptimizerError, match="no scheme 'best'"):
        TrialConfig(models=bundle, network=network(measured), schemes=("best",))
    with pytest.raises(OptimizerError, match=r"end in \.json"):
        TrialConfig(models=bundle, network=network(measured), out=tmp_path / "t.txt")
    sheet = NetworkConfig(gateway=measured / "edge.json", edge=measured / "edge.json", extrapolate=True)
    with pytest.raises(OptimizerError, match="is from a datasheet"):
        run_trial(TrialConfig(models=bundle, network=sheet, schemes=SIMPLE, sensors=20), SILENT)


def test_an_int8_model_that_is_gone_is_named(bundle, measured, tmp_path):
    for name in ("gateway.json", "edge.json"):
        shutil.copy(measured / name, tmp_path / name)
    config = TrialConfig(models=bundle, network=network(tmp_path, precision="int8"), schemes=SIMPLE, sensors=20)
    with pytest.raises(OptimizerError, match="int8 model of rate") as error:
        run_trial(config, SILENT)
    assert "Keep the folder gateway beside gateway.json" in error.value.remedy


def test_a_dead_process_is_named(tmp_path):
    station = Station(tmp_path, {}, "onnxruntime", 1, 4, (1, 32, 32), tmp_path / "nowhere.safetensors")
    with Worker("gateway 1", station) as worker, pytest.raises(OptimizerError, match="gateway 1: the process ended"):
        worker.run([((0.5, "fp32"), [0], 1)])
