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
import random
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from benchmarks.disturbed import Kind, kinds, prepare, run
from benchmarks.machine import write

SOONEST_S = 0.3  # a kill before Python is there tests nothing
SAID = 2000  # characters of a command's end that are kept


def campaign(kind: Kind, wanted: int, rng: random.Random, tick: Callable[[], None]) -> dict[str, Any]:
    """So many kills of one kind: seconds undisturbed, runs to the end, and what went wrong."""
    folder = Path(tempfile.mkdtemp(prefix="kills-"))
    alone = run(kind.command(folder), None)
    if alone.code != 0:
        return {"kills": 0, "wrong": [f"undisturbed: exit code {alone.code}: {alone.said[-SAID:]}"]}
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
            wrong.append(f"killed at {moments}: exit code {ran.code}: {ran.said[-SAID:]}")
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
