"""`python -m optimizer.pipeline`: from recordings to a policy and a page to read, in one command.

Stages, each in its own file or folder below --out, each redone only when what it was made from has changed:

    prune -> profile -> edge -> train -> trial -> retrain -> second trial -> evaluate -> experiment -> report

The first two are the commands `pruning.run` and `profiling.run`, run as such; all resume where they were stopped. The
second training learns from what inference took in the trial, where the first knew the profiles' medians.
"""

import ctypes
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from rich.console import Console

from data.common.command import StoppedError, run_command
from data.common.device import library_version
from data.common.files import sha256, write_json, write_whole
from data.common.options import comma_separated
from data.common.runfolder import only_process
from optimizer.errors import OptimizerError
from optimizer.evaluation.section_v import small_network
from optimizer.network.scenario import Scenario
from optimizer.pipeline.report import read_json, write_report
from optimizer.trial.figure import write_trial_figure
from optimizer.trial.results import read_trial

VERSION = 2
STATE = "pipeline.json"
PR_SET_PDEATHSIG = 1  # linux/prctl.h


@dataclass(frozen=True)
class PipelineConfig:
    """Prune, profile, train, evaluate, try for real, and write report.html.

    Stop it at any moment: the same command goes on where it was. A stage whose input has changed is redone, and those
    after it.
    """

    data: Literal["simulated", "cwru", "mfpt", "folder"] = "simulated"
    """The recordings, as in `python -m pruning.run`."""
    root: Path | None = None
    """Their folder."""
    split: Literal["load", "severity", "blocked", "random"] | None = None
    """What is held out for testing, as in `python -m pruning.run`; by default the data's own."""
    size: Literal[32, 64, 128] = 32
    """Pixels of an image."""
    rates: Annotated[tuple[float, ...], comma_separated(float, "rates", "P")] = (0.1, 0.3, 0.5, 0.7, 0.8, 0.9)
    """Pruning rates."""
    sensors: int = 100
    """Sensors of the network, over 5 gateways."""
    scenario: str = "paper"
    """What the profiles do not say: paper, or a TOML file."""
    gateway: Path | None = None
    """Profile from another gateway: this machine is then not profiled."""
    edge: Path | None = None
    """Profile of the edge server. By default a GPU here if there is one, else the paper's RTX 3070 by its datasheet."""
    slots: int = 1000
    """Held-out slots to evaluate on."""
    trial_slots: int = 60
    """Slots of each trial."""
    repeats: int = 3
    """Times that each slot of the second trial is carried out."""
    updates: int = 1500
    """Updates of the policy's training."""
    out: Path = Path("runs/demo")
    """Folder of everything."""

    def __post_init__(self) -> None:
        if self.sensors < 5 or self.slots < 2 or min(self.trial_slots, self.repeats, self.updates) < 1:
            raise OptimizerError("--sensors: expected at least 5; --slots 2; --trial-slots, --repeats, --updates 1.")
        if self.data != "simulated" and self.root is None:
            raise OptimizerError(f"--data {self.data} needs --root FOLDER.")


@dataclass(frozen=True)
class Stage:
    """A step: the commands to run, what it reads and what it leaves.

    Attributes:
        name: For progress and the state file.
        commands: Modules with arguments, run in order.
        reads: Files whose content it depends on.
        leaves: Files that must be there when it is done.
        after: Called last, in this process.
    """

    name: str
    commands: tuple[tuple[str, ...], ...]
    reads: tuple[Path, ...]
    leaves: tuple[Path, ...]
    after: Callable[[], None] | None = None


def has_gpu() -> bool:
    """Whether torch sees a CUDA device here."""
    try:
        import torch
    except ImportError:
        return False
    return bool(torch.cuda.is_available())


def stages(config: PipelineConfig) -> list[Stage]:
    """All stages of a run, in order."""
    out = config.out
    bundle, manifest = out / "bundle", out / "bundle" / "models.json"
    gateway, edge, policies = out / "gateway.json", out / "edge.json", out / "policies"
    small = out / "small.toml"
    rates = ",".join(f"{r:g}" for r in config.rates)
    recordings = ("--data", config.data, *(("--root", str(config.root)) if config.root else ()))
    recordings += ("--split", config.split) if config.split else ()
    network = (
        "--scenario", config.scenario, "--gateway", str(gateway), "--edge", str(edge), "--extrapolate",
    )  # fmt: skip
    profiled: tuple[tuple[str, ...], ...] = (("profiling.run", "--models", str(bundle), "--out", str(gateway)),)
    if config.gateway is not None:
        profiled = ()
    if config.edge is not None:
        edge_commands: tuple[tuple[str, ...], ...] = ()
    elif has_gpu():
        edge_commands = (
            ("profiling.run", "--models", str(bundle), "--device", "cuda", "--runtime", "torch", "--out", str(edge)),
        )
    else:
        edge_commands = (("profiling.spec", "--device", "rtx-3070", "--models", str(bundle), "--out", str(edge)),)
    policy = policies / f"n{config.sensors}-seed0"
    retrained = out / "retrained" / policy.name
    trained = ("--sensors", str(config.sensors), "--default.updates", str(config.updates))
    tried = ("--models", str(bundle), "--gateway", str(gateway), "--edge", str(edge))
    sizes = ",".join(str(config.sensors * k // 4) for k in (2, 3, 4, 5, 6))
    return [
        Stage(
            "prune",
            (
                (
                    "pruning.run", "--rates", rates, *recordings, "--size", str(config.size), "--round-to", "16",
                    "--out", str(bundle),
                ),
            ),
            (),
            (manifest,),
        ),
        Stage("profile", profiled, (manifest, *_given(config.gateway)), (gateway,), _copy(config.gateway, gateway)),
        Stage("edge", edge_commands, (manifest, *_given(config.edge)), (edge,), _copy(config.edge, edge)),
        Stage(
            "train",
            (
                (
                    "optimizer.train", *network, *trained, "--out", str(policies),
                ),
            ),
            (gateway, edge),
            (policy / "policy.json",),
        ),
        Stage(
            "trial",
            (
                (
                    "optimizer.trial", "--policy", str(policy), *tried, "--slots", str(config.trial_slots), "--out",
                    str(out / "trial.json"),
                ),
            ),
            (manifest, gateway, edge, policy / "policy.json"),
            (out / "trial.json",),
        ),
        Stage(
            "retrain",
            (
                (
                    "optimizer.train", *network, *trained, "--trial", str(out / "trial.json"), "--out",
                    str(retrained.parent),
                ),
            ),
            (gateway, edge, out / "trial.json"),
            (retrained / "policy.json",),
        ),
        Stage(
            "second trial",
            (
                (
                    "optimizer.trial", "--policy", str(retrained), *tried, "--slots", str(config.trial_slots),
                    "--repeats", str(config.repeats), "--probes", "0", "--seed", "1", "--out",
                    str(out / "second-trial.json"),
                ),
            ),
            (manifest, gateway, edge, retrained / "policy.json"),
            (out / "second-trial.json",),
        ),
        Stage(
            "evaluate",
            (
                (
                    "optimizer.evaluate", "--policy", f"{policy},{retrained}", "--slots", str(config.slots),
                    "--json", str(out / "evaluation.json"),
                ),
            ),
            (policy / "policy.json", retrained / "policy.json"),
            (out / "evaluation.json",),
        ),
        Stage(
            "small network",
            (
                (
                    "optimizer.train", *("--scenario", str(small), *network[2:]), "--default.updates", "4000", "--out",
                    str(out / "small"),
                ),
            ),
            (gateway, edge),
            (out / "small" / "n6-seed0" / "policy.json",),
        ),
        Stage(
            "experiment",
            (
                (
                    "optimizer.experiment", *network, "--sensors", sizes, "--slots", str(config.slots), "--policies",
                    str(policies), "--small", str(out / "small"), "--out", str(out / "experiment"),
                ),
            ),
            (gateway, edge, policy / "policy.json", out / "small" / "n6-seed0" / "policy.json"),
            (out / "experiment" / "results.json", out / "experiment" / "figures" / "captions.json"),
        ),
        Stage(
            "report",
            (),
            (
                manifest, gateway, edge, out / "evaluation.json", out / "experiment" / "results.json",
                out / "trial.json", out / "second-trial.json",
            ),
            (out / "report.html",),
            lambda: _report(out),
        ),
    ]  # fmt: skip


def _given(path: Path | None) -> tuple[Path, ...]:
    return () if path is None else (path,)


def _copy(source: Path | None, target: Path) -> Callable[[], None] | None:
    if source is None:
        return None
    return lambda: write_json(target, read_json(source))


def _report(out: Path) -> None:
    write_trial_figure(read_trial(out / "second-trial.json"), out / "experiment" / "figures" / "trial.png")
    write_report(out, out / "report.html")


def fingerprint(stage: Stage) -> dict[str, Any]:
    """What a stage was made from: its commands and the content of what it reads."""
    missing = [p for p in stage.reads if not p.is_file()]
    if missing:
        raise OptimizerError(
            f"stage {stage.name}: {missing[0]} is missing.", "An earlier stage should have left it; run it all again."
        )
    return {"commands": [list(c) for c in stage.commands], "reads": {str(p): sha256(p) for p in stage.reads}}


def _state(out: Path) -> dict[str, Any]:
    path = out / STATE
    if not path.exists():
        return {"version": VERSION, "stages": {}}
    state = read_json(path)
    if state.get("version") != VERSION:
        raise OptimizerError(
            f"{out} was made by another version of the pipeline ({state.get('version')!r}, this one is {VERSION}).",
            "Give another --out.",
        )
    return state


def _stale_outputs(stage: Stage, out: Path) -> None:
    """Set aside what a stage left from other inputs, where its command would refuse to go on over it."""
    left = {
        "prune": ("bundle",),
        "profile": ("gateway", "gateway.json"),
        "train": ("policies",),
        "retrain": ("retrained",),
        "small network": ("small",),
    }
    for name in left.get(stage.name, ()):
        path = out / name
        if path.exists():
            path.rename(path.with_stem(f"{path.stem}-{time.strftime('%Y%m%d-%H%M%S')}"))


def _end_with_parent() -> None:
    """Called in the child: end when the pipeline is killed (kill -9), so that its next start finds no lock."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _run(command: Sequence[str], stage: str) -> None:
    """A command in a process of its own; its output goes to ours."""
    process = subprocess.Popen([sys.executable, "-m", *command], preexec_fn=_end_with_parent)
    try:
        code = process.wait()
    except BaseException:
        process.terminate()
        process.wait()
        raise
    if code in (130, 143):
        raise StoppedError(code)
    if code != 0:
        raise OptimizerError(
            f"stage {stage}: python -m {' '.join(command)} ended with exit code {code}.",
            "Its message stands above. The same command goes on from this stage.",
        )


def run_pipeline(config: PipelineConfig, console: Console) -> Path:
    """All stages; the report.

    Raises:
        OptimizerError: A stage failed (it is named), or the folder is another version's.
    """
    out = config.out
    todo = stages(config)
    with only_process(out):
        write_small(config, out / "small.toml")
        state = _state(out)
        for number, stage in enumerate(todo, 1):
            now = fingerprint(stage)
            there = all(p.is_file() for p in stage.leaves)
            before = state["stages"].get(stage.name)
            head = f"[{number}/{len(todo)}] {stage.name}"
            if there and before is not None and before["made_from"] == now and before["seconds"] is not None:
                console.print(f"{head}: done before", highlight=False, markup=False)
                continue
            if before is not None and before["made_from"] != now:
                console.print(f"{head}: its input has changed, it is done again", highlight=False, markup=False)
                _stale_outputs(stage, out)
            else:
                console.print(head, highlight=False, markup=False)
            # Begun: if it is stopped from here on, the next start goes on with what it left.
            state["stages"][stage.name] = {"made_from": now, "seconds": None}
            write_json(out / STATE, state)
            begun = time.monotonic()
            for command in stage.commands:
                _run(command, stage.name)
            if stage.after is not None:
                stage.after()
            left = [p for p in stage.leaves if not p.is_file()]
            if left:
                raise OptimizerError(f"stage {stage.name}: {left[0]} was not written.")
            state["stages"][stage.name] = {"made_from": now, "seconds": time.monotonic() - begun}
            state["library"] = library_version("jopa")
            write_json(out / STATE, state)
    spent = sum(s["seconds"] for s in state["stages"].values())
    console.print(f"all stages: {spent:.0f} s", highlight=False, markup=False)
    return out / "report.html"


def write_small(config: PipelineConfig, path: Path) -> None:
    """Fig. 8's network: the same with 3 gateways and 6 sensors, as a scenario file."""
    name = "paper" if config.scenario == "measured" else config.scenario
    content = small_network(Scenario.load(name)).dump()
    lines = [f"{key} = {json.dumps(value)}" for key, value in content.items() if not isinstance(value, dict | list)]
    lines.append(f"groups = {json.dumps(content['groups'])}")
    for key in ("link", "task", "gateway", "edge"):
        lines += [f"[{key}]", *(f"{k} = {json.dumps(v)}" for k, v in content[key].items())]
    for key in ("qos", "models"):
        for entry in content[key]:
            lines += [f"[[{key}]]", *(f"{k} = {json.dumps(v)}" for k, v in entry.items())]
    text = "\n".join(lines) + "\n"
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        write_whole(path, text.encode())


def run(config: PipelineConfig) -> None:
    """Run, and say where the page is."""
    console = Console() if sys.stdout.isatty() else Console(width=100)
    console.print(f"report: {run_pipeline(config, console)}", highlight=False, markup=False)


def main() -> None:
    """Entry point of `python -m optimizer.pipeline`."""
    run_command(PipelineConfig, run, "optimizer.pipeline", resume="The same command goes on from the stage it was in.")
