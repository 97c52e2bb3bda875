"""Fixtures that the rooms of `optimizer` share: a finished pipeline, and results of the experiment."""

import shutil

import pytest
from rich.console import Console

from optimizer import Scenario
from optimizer.evaluation.section_v import evaluation
from optimizer.pipeline import runner
from optimizer.pipeline.options import PipelineConfig
from optimizer.pipeline.runner import run_pipeline
from profiling.config import RunConfig as ProfileConfig
from profiling.profiler import run_profile

SILENT = Console(quiet=True)


@pytest.fixture(scope="session")
def finished(bundle, tmp_path_factory):
    """Settings of a finished pipeline: everything but pruning (the narrow bundle stands in), with little training."""
    out = tmp_path_factory.mktemp("run")
    shutil.copytree(bundle, out / "bundle")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("profiling.profiler.GRADES", {"quick": (4, 0.02)})
        made = ProfileConfig(
            models=out / "bundle", runtime="onnxruntime", threads=(1,), batches=(1, 2, 4), rounds=2, processes=1,
            out=tmp_path_factory.mktemp("device") / "gateway.json",
        )  # fmt: skip
        run_profile(made, SILENT)
        run = runner.run_command
        patch.setattr(runner, "run_command", lambda c, stage: None if c[0] == "pruning.run" else run(c, stage))
        config = PipelineConfig(
            out=out, gateway=made.out, sensors=20, slots=20, trial_slots=2, repeats=2, updates=20, small_updates=20
        )
        run_pipeline(config, SILENT)
        yield config


@pytest.fixture(scope="session")
def results():
    """The experiment on the paper's network at two loads, without trained policies."""
    return evaluation(Scenario.load("paper"), (100, 200), 30, 0, say=lambda text: None)
