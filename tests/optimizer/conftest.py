"""Fixtures that the rooms of `optimizer` share: a finished pipeline, results of the experiment, trained policies."""

import shutil

import pytest
from rich.console import Console
from together import made_once

from optimizer import Scenario
from optimizer.evaluation.parts import Setting, do_part, results_of
from optimizer.learning.factory.settings import FactoryConfig
from optimizer.learning.options import TrainConfig
from optimizer.learning.paper_sac import SacConfig
from optimizer.learning.plan import plan
from optimizer.learning.run import train
from optimizer.learning.schedule import LearnerConfig
from optimizer.pipeline import runner
from optimizer.pipeline.options import PipelineConfig, TrainOptions
from optimizer.pipeline.runner import run_pipeline
from profiling.config import RunConfig as ProfileConfig
from profiling.profiler import run_profile

SILENT = Console(quiet=True)
PIPELINE_S = 900  # three minutes beside another test process, and more on a machine that does other work
QUICK = LearnerConfig(updates=60, slots=16, block=10)
SAC = SacConfig(slots=60, hidden=(16, 16), batch=16, buffer=40, block=20, precision="float32")


def pytest_collection_modifyitems(items):
    """The first test that wants a finished pipeline waits for all its stages, on cores that other tests use too."""
    for item in items:
        if "finished" in item.fixturenames:
            item.add_marker(pytest.mark.timeout(PIPELINE_S))


@pytest.fixture(scope="session", autouse=True)
def _kernels(kernels):
    """Nearly every test here solves slots."""


@pytest.fixture(scope="session")
def finished(bundle, tmp_path_factory):
    """Settings of a finished pipeline: everything but pruning (the narrow bundle stands in), with little training."""
    out = tmp_path_factory.mktemp("run")
    shutil.copytree(bundle, out / "bundle")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("profiling.config.GRADES", {"quick": (4, 0.02)})
        made = ProfileConfig(
            models=out / "bundle", runtime="onnxruntime", threads=(1,), batches=(1, 2, 4), rounds=2, processes=1,
            out=tmp_path_factory.mktemp("device") / "gateway.json",
        )  # fmt: skip
        run_profile(made, SILENT)
        run = runner.run_commands
        patch.setattr(runner, "run_commands", lambda c, stage: None if c[0][0] == "pruning.run" else run(c, stage))
        config = PipelineConfig(
            out=out, gateway=made.out, sensors=20, paper_sensors=20, slots=20, paper_slots=20, trial_slots=2,
            updates=20, small_updates=20,
            train=TrainOptions(factory=FactoryConfig(updates=4, slots=8, block=2, at_random=2)),
        )  # fmt: skip
        patch.setattr("optimizer.pipeline.stages.CAPACITY_SLOTS", 2)
        patch.setattr("optimizer.pipeline.stages.CAPACITY_S", 0.5)
        patch.setattr("optimizer.pipeline.stages.PRICE_SLOTS", 2)
        patch.setattr("optimizer.pipeline.stages.PRICE_S", 0.5)
        run_pipeline(config, SILENT)
        yield config


@pytest.fixture(scope="session")
def results(tmp_path_factory):
    """The experiment on the paper's network at two loads, without trained policies and without its capacity."""
    folder = tmp_path_factory.mktemp("parts")
    setting = Setting(Scenario.load("paper"), (100, 200), 0, 30, 0, 0, (None, None, None), folder)
    for part in setting.parts:
        do_part(setting, part, lambda text: None)
    return results_of(setting)


@pytest.fixture(scope="session")
def policies(tmp_path_factory):
    """A default policy of 20 sensors, one of 10 and 20, and a paper agent of 20."""

    def make(out):
        for config in (
            TrainConfig(sensors=(20,), learner=QUICK, out=out / "one"),
            TrainConfig(sensors=(10, 20), mixed=True, learner=QUICK, out=out / "many"),
            TrainConfig(sensors=(20,), preset="paper", sac=SAC, out=out / "paper"),
        ):
            for job in plan(config):
                train(job, config, lambda *_: None)

    return made_once(tmp_path_factory, "policies", make)
