"""The pipeline's options: those of its steps, and every option that a message advises."""

import ast
import contextlib
import io
import re
from dataclasses import replace
from pathlib import Path

import pytest
import tyro

from data import DataConfig
from data.common.errors import UserError
from data.fetch import FetchConfig
from data.inspect import InspectConfig
from optimizer import OptimizerError
from optimizer.capacity import CapacityConfig
from optimizer.evaluation.compare import EvaluateConfig
from optimizer.evaluation.reading import read_capacity
from optimizer.experiment import ExperimentConfig
from optimizer.figures import FiguresConfig as PaperFiguresConfig
from optimizer.learning.options import TrainConfig
from optimizer.pipeline.arguments import arguments
from optimizer.pipeline.options import PipelineConfig
from optimizer.pipeline.stages import Run, stages
from optimizer.solve import SolveConfig
from optimizer.trial.options import TrialConfig
from optimizer.tuning.options import TuneConfig
from profiling.compare import CompareConfig
from profiling.config import RunConfig as ProfileConfig
from profiling.figures import FiguresConfig
from profiling.schema import SchemaConfig
from profiling.spec import SpecConfig
from pruning.config import SweepConfig

ROOT = Path(__file__).parents[3]
OPTIMIZER = (
    CapacityConfig,
    SolveConfig,
    TrainConfig,
    EvaluateConfig,
    ExperimentConfig,
    PaperFiguresConfig,
    TrialConfig,
    TuneConfig,
    PipelineConfig,
)
OTHERS = (
    FetchConfig,
    InspectConfig,
    CompareConfig,
    ProfileConfig,
    FiguresConfig,
    SchemaConfig,
    SpecConfig,
    SweepConfig,
)


def options(config) -> set[str]:
    """Every option that a command's help lists."""
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.suppress(SystemExit):
        tyro.cli(config, args=["--help"], console_outputs=True)
    return set(re.findall(r"--[a-z][a-z0-9.-]*", out.getvalue()))


def parsed(config, *given: str):
    return tyro.cli(config, args=list(given))


def text_of(node: ast.AST) -> str:
    """The text of a string in the source; what is formatted into it is written as {}."""
    if isinstance(node, ast.FormattedValue):
        return "{}"
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    return "".join(text_of(child) for child in ast.iter_child_nodes(node))


def messages(package: str) -> list[tuple[str, str]]:
    """(place, text) of every message of an error that is raised in a package."""
    found = []
    for path in sorted((ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            name = getattr(node.func, "id", getattr(node.func, "attr", "")) if isinstance(node, ast.Call) else ""
            if name.endswith("Error") or name == "error":
                found.append((f"{path.relative_to(ROOT)}:{node.lineno}", " ".join(text_of(a) for a in node.args)))
    return found


def test_every_option_that_a_message_names_exists():
    """A name that is partly formatted, as in --default.{}, must begin like one that exists."""
    known = set().union(*(options(c) for c in (*OPTIMIZER, *OTHERS)))
    pattern = r"--([a-z][a-z0-9.-]*[a-z0-9])(\.?\{\})?"
    packages = ("data", "pruning", "profiling", "optimizer")
    texts = [found for package in packages for found in messages(package)]
    named = [(place, *found) for place, text in texts for found in re.findall(pattern, text)]
    assert len(named) > 40
    wrong = [
        (place, name)
        for place, name, formatted in named
        if not any(o.startswith(f"--{name}.") if formatted else o == f"--{name}" for o in known)
    ]
    assert wrong == []


@pytest.mark.parametrize(
    ("config", "advised"),
    [
        (EvaluateConfig, "--extrapolate"),  # more sensors than the largest measured batch
        (PipelineConfig, "--reward"),  # the report, where the policy sends everything to the edge
        (PipelineConfig, "--accept"),  # recordings with flawed signals
        (PipelineConfig, "--allow-other-bundle"),  # profiles of two bundles
        (PipelineConfig, "--extrapolate"),
        (ExperimentConfig, "--extrapolate"),
        (TrainConfig, "--extrapolate"),
    ],
)
def test_a_command_has_the_options_that_it_advises(config, advised):
    assert advised in options(config)


@pytest.mark.parametrize(
    ("given", "stage", "expected"),
    [
        (("--prune.epochs", "3"), "prune", "--epochs 3"),
        (("--prune.seeds", "0,1", "--prune.round-to", "8"), "prune", "--round-to 8 --seeds 0,1"),
        (("--prune.method", "mask"), "prune", "--method mask"),
        (("--accept", "nan,clipped", "--hop-s", "0.5"), "prune", "--hop-s 0.5 --accept nan,clipped"),
        (("--profile.precision", "fp32,int8"), "profile", "--precision fp32,int8"),
        (("--profile.grade", "reference"), "profile", "--grade reference"),
        (("--reward", "delay", "--percentile", "p90"), "paper's policy", "--reward delay"),
        (("--train.seeds", "3,4", "--train.default.slots", "64"), "paper's policy", "--default.slots 64"),
        (("--train.seeds", "3,4"), "train", "--seeds 3,4"),
        (("--reward", "goodput"), "experiment", "--reward goodput"),
        (("--seed", "7"), "trial", "--seed 7"),
        ((), "train", "--queue fifo"),
        (("--reward", "delay"), "train", "--reward delay"),
        ((), "experiment", "--execution one batch --queue none"),
        (("--sensors", "40"), "trial", "--sensors 40"),
    ],
)
def test_an_option_reaches_its_step(given, stage, expected):
    config = parsed(PipelineConfig, *given)
    command = next(s for s in stages(config) if s.name == stage).commands[0]
    assert expected in " ".join(command)


def test_masks_need_no_other_option():
    """The pipeline's own rounding of widths must not stand in the way: nobody gave it."""
    assert "--round-to" not in next(stages(parsed(PipelineConfig, "--prune.method", "mask"))).commands[0]


@pytest.mark.parametrize(
    ("config", "given"),
    [
        (SweepConfig, ("--rates", "0.5", "--no-onnx", "--resample", "--epochs", "2", "--no-roll", "--data-seed", "4")),
        (SweepConfig, ("--data", "cwru", "--root", "a b", "--accept", "nan", "--target", "channels")),
        (ProfileConfig, ("--models", "m", "--batches", "1,3", "--threads", "1", "--no-figures", "--out", "x.json")),
        (TrainConfig, ("--preset", "paper", "--paper.hidden", "8", "9", "--seeds", "1,2", "--world.bias", "1.5")),
        (TrainConfig, ("--default.updates", "7", "--reward", "delay", "--sensors", "10,20", "--mixed")),
    ],
)
def test_arguments_made_from_settings_give_the_same_settings(config, given):
    settings = parsed(config, *given)
    again = arguments(settings, config)
    assert parsed(config, *again) == settings
    assert arguments(parsed(SweepConfig), SweepConfig) == ()


def test_every_stage_s_command_is_accepted_by_its_module(tmp_path):
    configs = {
        "pruning.run": SweepConfig, "profiling.run": ProfileConfig, "profiling.spec": SpecConfig,
        "optimizer.train": TrainConfig, "optimizer.trial": TrialConfig, "optimizer.evaluate": EvaluateConfig,
        "optimizer.experiment": ExperimentConfig, "optimizer.capacity": CapacityConfig,
    }  # fmt: skip
    config = PipelineConfig(out=tmp_path)
    for stage in stages(config):
        for module, *given in stage.commands:
            parsed(configs[module], *given)
    small = next(s for s in stages(config) if s.name == "paper's policy").commands[1]
    assert parsed(TrainConfig, *small[1:]).learner.updates == 4000
    assert parsed(SweepConfig, *next(stages(config)).commands[0][1:]).round_to == 16


def test_loads_of_the_experiment_serve_every_gateway(tmp_path):
    command = next(s for s in stages(PipelineConfig(out=tmp_path, paper_sensors=6)) if s.name == "experiment").commands[
        0
    ]
    assert command[command.index("--sensors") + 1] == "5,6,7,9"


def test_the_folders_of_several_seeds_are_those_of_the_first(tmp_path):
    config = parsed(PipelineConfig, "--train.seeds", "3,4", "--out", str(tmp_path))
    assert Run(config).policy.name == "n100-seed3"
    assert Run(config).papers_policy.name == "n100-seed3"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"sensors": 4}, "4 sensors cannot serve 5 gateways"),
        ({"paper_sensors": 4}, "4 sensors cannot serve 5 gateways"),
        ({"updates": 0}, "--updates: expected at least 1; got 0"),
        ({"small_updates": 0}, "--small-updates"),
        ({"slots": 1}, "--slots: expected at least 2"),
        ({"seed": -1}, "--seed"),
    ],
)
def test_options_that_make_no_sense_are_refused(wrong, message):
    with pytest.raises(OptimizerError, match=message):
        PipelineConfig(**wrong)


def test_recordings_without_a_folder_are_refused_at_once():
    with pytest.raises(UserError, match="--data cwru"):
        replace(PipelineConfig(), data=DataConfig(data="cwru"))


@pytest.mark.parametrize("name", ["gateway", "edge"])
def test_a_profile_that_is_not_there_is_told_before_the_first_stage(tmp_path, name):
    with pytest.raises(OptimizerError, match=rf"--{name} .*other\.json: no such file"):
        PipelineConfig(**{name: tmp_path / "other.json"})


def test_sensors_are_a_number_or_follow_from_the_capacity(finished):
    assert parsed(PipelineConfig).sensors is None
    assert parsed(PipelineConfig, "--sensors", "auto").sensors is None
    assert parsed(PipelineConfig, "--sensors", "40").sensors == 40
    most = max(s.sensors for s in read_capacity(finished.out / "capacity" / "capacity.json").schemes.values())
    assert Run(finished).sensors == 20
    assert Run(replace(finished, sensors=None)).sensors == max(5, int(0.9 * most))
    with pytest.raises(UserError, match="--sensors takes a whole number or auto; got 'many'"):
        parsed(PipelineConfig, "--sensors", "many")
