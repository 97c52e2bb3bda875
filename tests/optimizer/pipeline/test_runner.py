"""The pipeline on a narrow bundle: its stages resume, and a stage whose input has changed is done again."""

import json
import re
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from optimizer import OptimizerError
from optimizer.pipeline import runner
from optimizer.pipeline.options import PipelineConfig
from optimizer.pipeline.runner import run_pipeline
from optimizer.pipeline.stages import STAGES, stages
from optimizer.pipeline.state import read_state

SILENT = Console(quiet=True)


def test_everything_is_there(finished):
    out = finished.out
    for name in (
        "report.html",
        "capacity/capacity.json",
        "trial.json",
        "trial.png",
        "evaluation.json",
        "experiment/results.json",
        "pipeline.json",
    ):
        assert (out / name).is_file()
    assert (out / "report.html").stat().st_size < 10_000_000


def test_the_second_time_nothing_is_done_again(finished, capsys):
    run_pipeline(finished, Console(width=100))
    assert capsys.readouterr().out.count("done before") == len(STAGES)


def test_a_stage_whose_input_changed_is_done_again(finished, capsys):
    path = finished.out / "trial.json"
    before = path.read_text()
    path.write_text(before + "\n")
    run_pipeline(finished, Console(width=100))
    said = capsys.readouterr().out
    assert "report: its input has changed" in said
    assert said.count("done before") == len(STAGES) - 1


def test_other_rates_set_the_old_bundle_aside_and_everything_is_done_again(finished, tmp_path, monkeypatch, capsys):
    out = tmp_path / "copy"
    shutil.copytree(finished.out, out)
    state = (out / "pipeline.json").read_text().replace(json.dumps(str(finished.out))[1:-1], json.dumps(str(out))[1:-1])
    (out / "pipeline.json").write_text(state)
    ran = []

    def fake(commands, stage):
        ran.append(commands[0][0])
        if stage == "profile":
            raise OptimizerError("stop here")
        shutil.copytree(finished.out / "bundle", out / "bundle")

    monkeypatch.setattr(runner, "run_commands", fake)
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


def test_a_missing_file_is_made_again(finished, tmp_path):
    (finished.out / "report.html").unlink()
    run_pipeline(finished, SILENT)
    assert (finished.out / "report.html").is_file()


def test_a_folder_of_the_version_before_is_gone_through_again(finished, tmp_path, monkeypatch, capsys):
    """Its commands keep what they have finished, so nothing is set aside."""
    out = tmp_path / "copy"
    shutil.copytree(finished.out, out)
    (out / "pipeline.json").write_text(json.dumps({"version": 2, "stages": {"prune": {"seconds": 1.0}}, "library": ""}))
    ran = []
    monkeypatch.setattr(runner, "run_commands", lambda commands, stage: ran.extend(stage for _ in commands))
    run_pipeline(replace(finished, out=out), Console(width=100))
    said = " ".join(capsys.readouterr().out.split())
    assert "was made by an older version: every stage is run again" in said
    assert ran == [s.name for s in stages(finished) for _ in s.commands]
    assert {p.name for p in out.iterdir() if p.name != ".lock"} >= {"bundle", "gateway.json", "policies"}
    assert not [p for p in out.iterdir() if re.search(r"-\d{8}-\d{6}", p.name)]
    assert read_state(out)[0].schema_version == 3


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"version": 1, "stages": {}}, "made by another version of the pipeline"),
        ({"schema": 99, "stages": {}}, "schema 99 is newer"),
        ({"schema": 3, "stages": {"prune": {"seconds": 1.0}}}, r"stages\.prune\.made_from: missing"),
        ([], "no schema version"),
    ],
)
def test_a_state_that_cannot_be_used_is_told(tmp_path, content, message):
    (tmp_path / "pipeline.json").write_text(json.dumps(content))
    with pytest.raises(OptimizerError, match=message) as error:
        run_pipeline(PipelineConfig(out=tmp_path), SILENT)
    assert error.value.remedy


def test_every_path_that_is_set_aside_belongs_to_its_stage(tmp_path):
    """What a stage leaves and what its command would go on with lie together, and no two stages share them."""
    owners = {}
    for stage in stages(PipelineConfig(out=tmp_path)):
        for path in stage.resumes:
            assert owners.setdefault(path, stage.name) == stage.name
        if stage.resumes:
            assert all(
                any(leaf.is_relative_to(p) or leaf.stem == p.name for p in stage.resumes) for leaf in stage.leaves
            )


def test_a_failed_stage_is_named(tmp_path):
    with pytest.raises(OptimizerError, match=r"stage x: python -m optimizer\.solve --slots 0 ended with exit code 2"):
        runner.run_commands((("optimizer.solve", "--slots", "0"),), "x")
    with pytest.raises(OptimizerError, match=r"stage profile: .*models\.json is missing"):
        list(stages(PipelineConfig(out=tmp_path)))[1].fingerprint()


def test_commands_side_by_side_are_all_heard_and_the_one_that_failed_is_named(capfd):
    failing, sound = ("optimizer.solve", "--slots", "0"), ("optimizer.solve", "--slots", "2", "--schemes", "local")
    with pytest.raises(OptimizerError, match=r"stage x: python -m optimizer\.solve --slots 0 ended with exit code 2"):
        runner.run_commands((sound, failing), "x")
    said = capfd.readouterr()
    assert "local" in said.out
    assert "error: --slots" in said.err


@pytest.mark.skipif(sys.platform != "linux", reason="prctl is Linux's")
def test_a_stage_ends_when_the_pipeline_is_killed():
    code = (
        "from optimizer.pipeline.process import run_commands\n"
        "run_commands((('http.server', '0', '--bind', '127.0.0.1'),), 'x')"
    )
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
