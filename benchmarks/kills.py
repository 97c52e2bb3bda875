"""Whole commands killed at random moments and given again: does the end equal that of an undisturbed run?

`python -m benchmarks.kills [--kills 20] [--kinds sweep,profile,training,study,trial,pipeline] [--seed 0]`.

Each kind is a small real command. It is run once undisturbed, and then in new folders, killed (SIGKILL, the whole group
of processes) at moments drawn evenly over the time that the undisturbed run took. The same command is given again,
and killed again, until it ends by itself. Then its folder is compared with the undisturbed one, bit for bit where the
order of work is fixed; what is measured differs from run to run, so there the cells, schemes and trials are compared.
What was finished before a kill must be there afterwards as it was: files by their bytes and their time of change,
measured samples by their values, trials by their numbers.
"""

import argparse
import contextlib
import hashlib
import json
import os
import random
import shutil
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
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from safetensors.numpy import load_file

from benchmarks.machine import write

PRUNED = (
    "--rates", "0.5", "--width", "0.125", "--hop-s", "0.5", "--epochs", "3", "--retrain-epochs", "2", "--updates", "0",
    "--retrain-updates", "0", "--accept", "weak", "--precision", "float32", "--round-to", "16",
)  # fmt: skip
SWEEP = ("pruning.run", *PRUNED)
PROFILE = ("profiling.run", "--runtime", "onnxruntime", "--threads", "1", "--processes", "1", "--rounds", "4")
LEARNER = ("--default.updates", "60", "--default.slots", "16", "--default.block", "10")
FACTORY = ("--factory.updates", "4", "--factory.slots", "8", "--factory.block", "2", "--factory.at-random", "2")
NEVER_S = 900.0  # seconds after which a command counts as hung
SOONEST_S = 0.3  # a kill before Python is there tests nothing


@dataclass(frozen=True)
class Kind:
    """A command that is killed.

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
    with sqlite3.connect(f"file:{folder / 't' / 'study.db'}?mode=ro", uri=True) as storage:
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
                       *FACTORY, *PRUNED),
            names_of_stages, stages, reach=0.15,
        ),
    }  # fmt: skip


@dataclass(frozen=True)
class Ran:
    """One process: seconds, exit code (None if it was killed or hung) and the end of what it printed."""

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
        return Ran(time.monotonic() - begun, code, said.read()[-2000:])


def prepare(shared: Path) -> None:
    """The bundle and the profiles that the other commands start from."""
    for command in (
        (*SWEEP, "--out", f"{shared / 'b'}"),
        (*PROFILE, "--models", f"{shared / 'b'}", "--batches", "1,2,4,8", "--out", f"{shared / 'p.json'}"),
        ("profiling.spec", "--device", "rtx-3070", "--models", f"{shared / 'b'}", "--out", f"{shared / 'edge.json'}"),
    ):
        ran = run(command, None)
        if ran.code:
            raise SystemExit(f"{' '.join(command)}\n{ran.said}")


def campaign(kind: Kind, wanted: int, rng: random.Random, tick: Callable[[], None]) -> dict[str, Any]:
    """So many kills of one kind: seconds undisturbed, runs to the end, and what went wrong."""
    folder = Path(tempfile.mkdtemp(prefix="kills-"))
    alone = run(kind.command(folder), None)
    if alone.code != 0:
        return {"kills": 0, "wrong": [f"undisturbed: exit code {alone.code}: {alone.said}"]}
    truth = kind.outcome(folder)
    shutil.rmtree(folder)
    kills, runs, wrong = 0, 0, []
    while kills < wanted:
        folder = Path(tempfile.mkdtemp(prefix="kills-"))
        before: dict[str, Any] = {}
        moments = []
        while True:
            until = rng.uniform(SOONEST_S, kind.reach * alone.seconds) if kills < wanted else None
            ran = run(kind.command(folder), until)
            now = kind.finished(folder)
            lost = [name for name, what in before.items() if now.get(name) != what]
            if lost:
                wrong.append(f"killed at {moments}: {lost[0]} was finished before, and is not what it was")
            before |= now
            if ran.code is not None or until is None:
                break
            kills += 1
            moments.append(round(ran.seconds, 2))
            tick()
            if kind.over(folder):
                break
        runs += 1
        if ran.code != 0 and not kind.over(folder):
            wrong.append(f"killed at {moments}: exit code {ran.code}: {ran.said}")
        elif kind.outcome(folder) != truth:
            wrong.append(f"killed at {moments}: the end is another")
        shutil.rmtree(folder)
    return {"kills": kills, "runs": runs, "undisturbed_s": round(alone.seconds, 1), "wrong": wrong}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--kinds", default="sweep,profile,training,study,trial,pipeline")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    console = Console(width=100)
    shared = Path(tempfile.mkdtemp(prefix="kills-"))
    prepare(shared)
    chosen = {name: kind for name, kind in kinds(shared).items() if name in arguments.kinds.split(",")}
    results = {}
    with Progress(console=console) as progress:
        for name, kind in chosen.items():
            task = progress.add_task(name, total=arguments.kills)
            rng = random.Random(f"{arguments.seed} {name}")
            results[name] = campaign(kind, arguments.kills, rng, lambda task=task: progress.advance(task))
            command = f"python -m benchmarks.kills --kills {arguments.kills} --kinds {arguments.kinds}"
            write("kills", f"{command} --seed {arguments.seed}", results)
    table = Table("command", "kills", "runs to the end", "s undisturbed", "wrong", title="killed and given again")
    for name, own in results.items():
        table.add_row(name, *(str(own.get(x, "")) for x in ("kills", "runs", "undisturbed_s")), str(len(own["wrong"])))
    console.print(table)
    for name, own in results.items():
        for what in own["wrong"]:
            console.print(f"{name}: {what}")
    shutil.rmtree(shared)
    sys.exit(1 if any(own["wrong"] for own in results.values()) else 0)


if __name__ == "__main__":
    main()
