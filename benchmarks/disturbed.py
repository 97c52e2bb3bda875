"""Small real commands for the benchmarks that disturb them, and what must survive a disturbance.

In: a folder. Out: for each kind of command how it is called there, what must be the same at the end, and what was
finished so far. `kills` kills them, `full_disk` lets the disk run full.
"""

import contextlib
import hashlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file

DATA = ("--rates", "0.5", "--hop-s", "0.5", "--accept", "weak")
PRUNED = (
    "--width", "0.125", "--epochs", "3", "--retrain-epochs", "2", "--updates", "0", "--retrain-updates", "0",
    "--precision", "float32", "--round-to", "16",
)  # fmt: skip
SWEEP = ("pruning.run", *DATA, *PRUNED)
PROFILE = ("profiling.run", "--runtime", "onnxruntime", "--threads", "1", "--processes", "1", "--rounds", "4")
LEARNER = ("--default.updates", "60", "--default.slots", "16", "--default.block", "10")
FACTORY = ("--factory.updates", "4", "--factory.slots", "8", "--factory.block", "2", "--factory.at-random", "2")
NEVER_S = 900.0  # seconds after which a command counts as hung


@dataclass(frozen=True)
class Kind:
    """A command that is disturbed.

    Attributes:
        command: Its module and arguments, for a folder.
        outcome: What must be the same at the end.
        finished: What is finished in a folder so far, by name; later, these must still be there and the same.
        over: Whether a kill came after the end; given again, the command would begin anew.
        reach: Latest moment of a kill, as a share of the undisturbed time; a long command is killed often in one run.
    """

    command: Callable[[Path], tuple[str, ...]]
    outcome: Callable[[Path], Any]
    finished: Callable[[Path], dict[str, Any]]
    over: Callable[[Path], bool] = lambda _: False
    reach: float = 1.0


def of_stage(stage: str, options: tuple[str, ...]) -> tuple[str, ...]:
    """Options of a command as the pipeline takes them for its stage."""
    return tuple(f"--{stage}.{word[2:]}" if word.startswith("--") else word for word in options)


def content(path: Path) -> str:
    """Hash of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def unchanged(paths: Iterator[Path]) -> dict[str, Any]:
    """Files by bytes and by the time of their last change."""
    return {str(path): (content(path), path.stat().st_mtime_ns) for path in paths}


def bundle(folder: Path) -> Any:
    """Every file that a bundle's manifest names, and the manifest."""
    manifest = json.loads((folder / "b" / "models.json").read_text())
    return {name: content(folder / "b" / name) for name in (*sorted(manifest["sha256"]), "models.json")}


def jobs(folder: Path) -> dict[str, Any]:
    """Finished models of a sweep."""
    return unchanged(path for path in (folder / "b" / "jobs").glob("*/job.json"))


def cells(folder: Path) -> Any:
    """Models, batch sizes and numbers of visits of a profile."""
    profile = json.loads((folder / "p.json").read_text())
    models = [(model["rate"], sorted(own["batch"] for own in model["latency"])) for model in profile["models"]]
    return [profile["failed"], models, sorted(load_file(folder / "p" / "samples.safetensors"))]


def visits(folder: Path) -> dict[str, Any]:
    """Samples of finished visits: in the journal while the command runs, in a file of their own afterwards."""
    found: dict[str, Any] = {}
    for journal in (folder / "p").glob(".journal-*"):
        for line in journal.read_text().splitlines():
            try:
                event = json.loads(line)
            except ValueError:  # the last line, cut by the kill
                continue
            if event["event"] == "visit":
                own = [key for key in found if key.startswith(f"{event['key']}/")]
                found[f"{event['key']}/{len(own)}"] = np.float32(event["samples"]).tolist()
    packed = folder / "p" / "samples.safetensors"
    if packed.exists():
        found |= {key: samples.tolist() for key, samples in load_file(packed).items()}
    return found


def weights(folder: Path) -> Any:
    """The learned numbers of every policy."""
    return {str(p.relative_to(folder)): content(p) for p in sorted((folder / "q").rglob("*.safetensors"))}


def policies(folder: Path) -> dict[str, Any]:
    """Finished policies."""
    return unchanged(path for path in (folder / "q").rglob("policy.json"))


def trials(folder: Path) -> dict[str, Any]:
    """Finished trials of a study, with their values."""
    if not (folder / "t" / "study.db").exists():
        return {}
    with contextlib.closing(sqlite3.connect(f"file:{folder / 't' / 'study.db'}?mode=ro", uri=True)) as storage:
        try:
            rows = storage.execute(
                "select trials.number, state, value from trials left join trial_values using (trial_id)"
                " where state in ('COMPLETE', 'PRUNED')"
            ).fetchall()
        except sqlite3.OperationalError:  # its tables are not there yet
            return {}
    return {str(number): (state, value) for number, state, value in rows}


def number_of_trials(folder: Path) -> Any:
    """How many trials ended; the search draws others after a trial that was killed."""
    return len(trials(folder))


def schemes(folder: Path) -> Any:
    """What each scheme of a trial decided, and what was predicted for it."""
    same = ("offloaded", "refused", "lost_predicted", "models")
    result = json.loads((folder / "r.json").read_text())["schemes"]
    return {scheme: [own[name] for name in same] for scheme, own in result.items()}


def stages(folder: Path) -> dict[str, Any]:
    """Finished stages of a pipeline, with the seconds that each took."""
    record = folder / "d" / "pipeline.json"
    if not record.exists():
        return {}
    return {name: s["seconds"] for name, s in json.loads(record.read_text())["stages"].items() if s["seconds"]}


def names_of_stages(folder: Path) -> Any:
    """All stages, and that the page is there."""
    return sorted(stages(folder)), (folder / "d" / "report.html").exists()


def kinds(shared: Path) -> dict[str, Kind]:
    """All kinds; `shared` holds the bundle and the profiles that they start from."""
    network = ("--gateway", f"{shared / 'p.json'}", "--edge", f"{shared / 'edge.json'}")
    return {
        "sweep": Kind(lambda f: (*SWEEP, "--out", f"{f / 'b'}"), bundle, jobs),
        "profile": Kind(
            lambda f: (*PROFILE, "--models", f"{shared / 'b'}", "--batches", "1,4", "--out", f"{f / 'p.json'}"),
            cells,
            visits,
            lambda f: (f / "p.json").exists() and not list((f / "p").glob(".journal-*")),
        ),
        "training": Kind(
            lambda f: ("optimizer.train", "--sensors", "10,20", *LEARNER, "--out", f"{f / 'q'}"), weights, policies
        ),
        "study": Kind(
            lambda f: ("optimizer.tune", "--sensors", "10", "--trials", "4", "--workers", "1", "--startup", "2",
                       "--heartbeat-s", "1", *LEARNER, "--out", f"{f / 't'}"),
            number_of_trials, trials,
        ),
        "trial": Kind(
            lambda f: ("optimizer.trial", "--models", f"{shared / 'b'}", *network, "--sensors", "20", "--slots", "3",
                       "--out", f"{f / 'r.json'}"),
            schemes, lambda _: {},
        ),
        "pipeline": Kind(
            lambda f: ("optimizer.pipeline", "--out", f"{f / 'd'}", "--gateway", f"{shared / 'p.json'}", "--edge",
                       f"{shared / 'edge.json'}", "--sensors", "20", "--paper-sensors", "20", "--slots", "20",
                       "--paper-slots", "20", "--trial-slots", "1", "--updates", "20", "--small-updates", "20",
                       *DATA, *of_stage("prune", PRUNED), *of_stage("train", FACTORY)),
            names_of_stages, stages, reach=0.15,
        ),
    }  # fmt: skip


@dataclass(frozen=True)
class Ran:
    """One process: seconds, exit code (None if it was killed or hung) and what it printed."""

    seconds: float
    code: int | None
    said: str


def run(command: tuple[str, ...], until: float | None) -> Ran:
    """A command, killed with all its processes after some seconds."""
    begun = time.monotonic()
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", *command], stdout=said, stderr=subprocess.STDOUT, start_new_session=True
        )
        code: int | None
        try:
            code = process.wait(NEVER_S if until is None else until)
        except subprocess.TimeoutExpired:
            code = None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        said.seek(0)
        return Ran(time.monotonic() - begun, code, said.read())


def prepare(shared: Path) -> None:
    """The bundle and the profiles that the other commands start from."""
    for command in (
        (*SWEEP, "--out", f"{shared / 'b'}"),
        (*PROFILE, "--models", f"{shared / 'b'}", "--batches", "1,2,4,8", "--out", f"{shared / 'p.json'}"),
        ("profiling.spec", "--device", "rtx-3070", "--models", f"{shared / 'b'}", "--out", f"{shared / 'edge.json'}"),
    ):
        ran = run(command, None)
        if ran.code:
            raise SystemExit(f"{' '.join(command)}\n{ran.said[-2000:]}")
