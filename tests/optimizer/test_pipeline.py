"""The whole pipeline on a narrow bundle: stages that resume, the trial with real processes, figures, and the page."""

import csv
import json
import re
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from optimizer import OptimizerError, Scenario, draw_states
from optimizer.evaluation.claims import check_claims
from optimizer.evaluation.drawing import draw_all, read_results, write_figures
from optimizer.evaluation.section_v import evaluation
from optimizer.network.world import World, world_of_trial
from optimizer.pipeline import runner as pipelines
from optimizer.pipeline.report import carried
from optimizer.pipeline.runner import PipelineConfig, run_pipeline, stages
from optimizer.trial.findings import errors, mean_of_repeats, print_trial
from optimizer.trial.options import TrialConfig
from optimizer.trial.processes import Worker
from optimizer.trial.results import TaskRow, read_trial
from optimizer.trial.run import run_trial
from optimizer.trial.slots import random_actions
from optimizer.trial.worker import Station
from profiling.config import RunConfig as ProfileConfig
from profiling.profiler import run_profile

SILENT = Console(quiet=True)


@pytest.fixture(scope="module")
def finished(bundle, tmp_path_factory):
    """A run of everything but pruning (the narrow bundle stands in) with little training; its folder and console."""
    out = tmp_path_factory.mktemp("run")
    shutil.copytree(bundle, out / "bundle")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("profiling.profiler.GRADES", {"quick": (4, 0.02)})
        made = ProfileConfig(
            models=out / "bundle", runtime="onnxruntime", threads=(1,), batches=(1, 2, 4), rounds=2, processes=1,
            out=tmp_path_factory.mktemp("device") / "gateway.json",
        )  # fmt: skip
        run_profile(made, SILENT)
        run = pipelines._run
        patch.setattr(pipelines, "_run", lambda c, stage: None if c[0] == "pruning.run" else run(c, stage))
        config = PipelineConfig(out=out, gateway=made.out, sensors=20, slots=20, trial_slots=2, repeats=2, updates=20)
        run_pipeline(config, SILENT)
        yield config


def test_everything_is_there(finished):
    out = finished.out
    for name in (
        "report.html",
        "trial.json",
        "second-trial.json",
        "evaluation.json",
        "experiment/results.json",
        "pipeline.json",
    ):
        assert (out / name).is_file()
    assert (out / "report.html").stat().st_size < 10_000_000


def test_the_second_time_nothing_is_done_again(finished, capsys):
    run_pipeline(finished, Console(width=100))
    assert capsys.readouterr().out.count("done before") == len(stages(finished))


def test_a_stage_whose_input_changed_is_done_again(finished, capsys):
    path = finished.out / "second-trial.json"
    before = path.read_text()
    path.write_text(before + "\n")
    run_pipeline(finished, Console(width=100))
    said = capsys.readouterr().out
    assert "report: its input has changed" in said
    assert said.count("done before") == len(stages(finished)) - 1


def test_other_rates_set_the_old_bundle_aside_and_everything_is_done_again(finished, tmp_path, monkeypatch, capsys):
    out = tmp_path / "copy"
    shutil.copytree(finished.out, out)
    state = (out / "pipeline.json").read_text().replace(json.dumps(str(finished.out))[1:-1], json.dumps(str(out))[1:-1])
    (out / "pipeline.json").write_text(state)
    ran = []

    def fake(command, stage):
        ran.append(command[0])
        if stage == "profile":
            raise OptimizerError("stop here")
        shutil.copytree(finished.out / "bundle", out / "bundle")

    monkeypatch.setattr(pipelines, "_run", fake)
    with pytest.raises(OptimizerError, match="stop here"):
        run_pipeline(replace(finished, out=out, gateway=None, rates=(0.5,)), Console(width=100))
    assert ran == ["pruning.run", "profiling.run"]
    assert "prune: its input has changed" in capsys.readouterr().out
    aside = {re.sub(r"\d", "0", p.name) for p in out.iterdir()}
    assert {"bundle", "bundle-00000000-000000", "gateway-00000000-000000.json"} <= aside
    assert not (out / "gateway.json").exists()
    (out / "gateway").mkdir(exist_ok=True)  # what the stopped stage left: the next start goes on with it
    with pytest.raises(OptimizerError, match="stop here"):
        run_pipeline(replace(finished, out=out, gateway=None, rates=(0.5,)), Console(width=100))
    assert ran == ["pruning.run", "profiling.run", "profiling.run"]
    assert "its input has changed" not in capsys.readouterr().out
    assert (out / "gateway").is_dir()


def test_a_missing_stage_is_made_again_and_another_versions_folder_is_refused(finished, tmp_path):
    out = tmp_path / "copy"
    shutil.copytree(finished.out, out)
    (out / "report.html").unlink()
    run_pipeline(replace(finished, out=finished.out), SILENT)
    state = json.loads((out / "pipeline.json").read_text())
    (out / "pipeline.json").write_text(json.dumps(state | {"version": 0}))
    with pytest.raises(OptimizerError, match="made by another version of the pipeline"):
        run_pipeline(replace(finished, out=out), SILENT)


def test_a_failed_stage_is_named(tmp_path):
    with pytest.raises(OptimizerError, match=r"stage x: python -m optimizer\.solve --slots 0 ended with exit code 2"):
        pipelines._run(("optimizer.solve", "--slots", "0"), "x")
    with pytest.raises(OptimizerError, match=r"stage profile: .*models\.json is missing"):
        pipelines.fingerprint(stages(PipelineConfig(out=tmp_path))[1])


@pytest.mark.skipif(sys.platform != "linux", reason="prctl is Linux's")
def test_a_stage_ends_when_the_pipeline_is_killed():
    code = "from optimizer.pipeline import _run; _run(('http.server', '0', '--bind', '127.0.0.1'), 'x')"
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children")
    deadline = time.monotonic() + 60
    while not (found := children.read_text().split()) and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(0.5)  # the child has its wish noted before anything else runs in it
    parent.kill()
    parent.wait()
    state = Path(f"/proc/{found[0]}/stat")
    while state.exists() and ") Z " not in state.read_text() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not state.exists() or ") Z " in state.read_text()


def test_the_page_holds_every_picture_and_names_the_machine(finished):
    page = (finished.out / "report.html").read_text(encoding="utf-8")
    assert page.count("data:image/png;base64,") >= 8
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "<script" not in page
    assert "known by its datasheet" in page
    for words in (
        "Which models to deploy",
        "How many sensors",
        "What the policy gains",
        "Trial against real inference",
    ):
        assert words in page


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: apt-get install chromium")
@pytest.mark.parametrize("width", [400, 1400])
def test_a_browser_shows_the_page_without_errors_at_this_width(finished, tmp_path, width):
    probe = (
        "<script>addEventListener('load',()=>{document.title=JSON.stringify({"
        "broken:[...document.images].filter(i=>!i.complete||!i.naturalWidth).length,"
        "images:document.images.length,wide:document.documentElement.scrollWidth-innerWidth})})</script></body>"
    )
    page = (finished.out / "report.html").read_text(encoding="utf-8").replace("</body>", probe)
    # Headless windows have a least width, so the page is put into a frame of the wanted one.
    (tmp_path / "page.html").write_text(page, encoding="utf-8")
    frame = (
        f"<iframe id=f width={width} height=900 src=page.html></iframe><script>"
        "f.onload=()=>setTimeout(()=>{document.body.innerHTML='<pre>'+f.contentDocument.title+'</pre>'},300)</script>"
    )
    (tmp_path / "frame.html").write_text(frame, encoding="utf-8")
    done = subprocess.run(
        [
            str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files",
            "--enable-logging=stderr", "--virtual-time-budget=8000", "--dump-dom", str(tmp_path / "frame.html"),
        ],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    found = re.search(r"<pre>(\{.*?\})</pre>", done.stdout)
    assert found, done.stdout[:500] + done.stderr[-500:]
    seen = json.loads(found[1])
    assert seen["images"] >= 8
    assert seen["broken"] == 0
    assert seen["wide"] <= 0
    assert "CONSOLE" not in done.stderr


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
    assert made["world"] == str(
        World(samples=tuple(first["factors"]["local"]), edge_samples=tuple(first["factors"]["edge"]))
    )
    assert first["factors"]["edge"] == sorted(first["factors"]["edge"])
    assert len(first["factors"]["edge"]) == 200


@pytest.mark.parametrize("content", [None, "[]", "{}", '{"factors": {"local": [0.0], "edge": []}}'])
def test_a_world_is_not_made_from_what_is_no_trial(tmp_path, content):
    path = tmp_path / "trial.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(OptimizerError):
        world_of_trial(path)


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


@pytest.fixture(scope="module")
def results():
    return evaluation(Scenario.load("paper"), (100, 200), 30, 0, say=lambda text: None)


def test_every_figure_is_written_three_ways(results, tmp_path):
    write_figures(results, tmp_path)
    for name in (
        "fig3-accuracy",
        "fig8-optimum",
        "fig9-comparison",
        "fig10-levels",
        "fig11-service",
        "fig12-one-model",
    ):
        for kind in ("png", "svg", "csv"):
            assert (tmp_path / f"{name}.{kind}").stat().st_size > 100
    rows = list(csv.DictReader((tmp_path / "fig9-comparison.csv").read_text().splitlines()))
    offered = [r for r in rows if r["metric"] == "drop_ratio" and r["scheme"] == "optimum"]
    assert [float(r["mean"]) for r in offered] == [0, 0]
    captions = json.loads((tmp_path / "captions.json").read_text())
    assert all(text.startswith("Fig.") for text in captions.values())


def test_the_figures_numbers_are_those_of_the_system_model(results):
    row = results["sizes"][0]["schemes"]["optimum"]
    assert row["reward"]["mean"] == pytest.approx(row["summary"]["reward"])
    assert row["delay"]["mean"] == pytest.approx(row["summary"]["delay_s"], rel=0.02)


def test_claims_say_what_holds(results):
    claims = {(c.figure, c.text): c for c in check_claims(results)}
    assert claims["9(d)", "JOPA has the highest overall utilization"].verdict == "holds"
    assert claims["9(f)", "JOPAV1 exceeds 1 % dropped beyond N = 150"].verdict == "does not hold"
    assert claims["7", "Training converges, and V = 6 ends above V = 1"].verdict == "not tried"
    drawn, _ = draw_all(results)
    assert len(drawn) == 6


def test_results_that_are_none_are_refused(tmp_path):
    with pytest.raises(OptimizerError, match="no such file"):
        read_results(tmp_path / "x.json")
    (tmp_path / "x.json").write_text("[]")
    with pytest.raises(OptimizerError, match="not a file of results"):
        read_results(tmp_path / "x.json")


def test_capacity_is_told_in_words():
    rows = [{"sensors_a_gateway": 10.0, "drop_ratio": 0.0}, {"sensors_a_gateway": 12.0, "drop_ratio": 0.02}]
    assert "Up to 10 sensors" in carried(rows)
    assert "At least 10 sensors" in carried(rows[:1])
    assert "Even one sensor" in carried(rows[1:])


@pytest.mark.parametrize("wrong", [{"sensors": 4}, {"data": "cwru"}, {"updates": 0}])
def test_options_that_make_no_sense_are_refused(wrong):
    with pytest.raises(OptimizerError):
        PipelineConfig(**wrong)
