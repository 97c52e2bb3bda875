"""Whole commands on a disk that runs full at one write after another: what do they say, and do they go on afterwards?

`python -m benchmarks.full_disk [--kinds sweep,profile,training,study,trial,pipeline] [--step-kb 0]`.

Each kind of `benchmarks.disturbed` is run once undisturbed, and then with its folder on a small disk (a tmpfs);
temporary files stay elsewhere. The disk has one page at first. Whenever the command ends because the disk is full, the
disk grows by what that one write lacked, and the same command is given again: so one write after another fails, but for
those that fit where a larger file was replaced before. What must hold every time: exit code 2, a message that says
that the disk is full, no traceback, no half-written file, and nothing lost that was finished before. At the end the
outcome equals the undisturbed one.

It mounts a disk, so it needs Linux, and root or user namespaces (`unshare`).
"""

import argparse
import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from safetensors import SafetensorError, safe_open

from benchmarks.disturbed import Kind, Ran, kinds, prepare, run
from benchmarks.machine import RESULTS, write

PAGE = 4096
UNSAID = PAGE  # more room where a database does not say what it lacks
FULL = re.compile(r"the disk is full: (\S+?):? (?:needs ([\d,]+) bytes|cannot grow)")
INSIDE = "JOPA_SMALL_DISK"  # set in the process that may mount


class SmallDisk:
    """A tmpfs of few bytes, which can grow.

    Args:
        folder: Where it is mounted.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.size = folder, PAGE
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={PAGE}", "tmpfs", folder], check=True)

    def grow(self, size: int) -> None:
        """Give it so many bytes in all, never fewer than it has."""
        self.size = max(self.size, size)
        subprocess.run(["mount", "-o", f"remount,size={self.size}", self.folder], check=True)

    @property
    def used(self) -> int:
        """Bytes that files take."""
        found = os.statvfs(self.folder)
        return (found.f_blocks - found.f_bfree) * found.f_frsize

    def close(self) -> None:
        """Give the memory back."""
        subprocess.run(["umount", self.folder], check=True)


@contextlib.contextmanager
def small_disk() -> Iterator[SmallDisk]:
    """A small disk in a new folder."""
    folder = Path(tempfile.mkdtemp(prefix="full-disk-"))
    disk = SmallDisk(folder)
    try:
        yield disk
    finally:
        disk.close()
        folder.rmdir()


def can_mount() -> list[str] | None:
    """What to put before a command so that it may mount a tmpfs; None where that is not possible."""
    for before in ([], ["unshare", "-rm"]):
        trial = [
            "sh",
            "-c",
            'd=$(mktemp -d) && mount -t tmpfs -o size=4096 tmpfs "$d" && umount "$d"; s=$?; rmdir "$d"; exit $s',
        ]
        with contextlib.suppress(OSError):
            if not subprocess.run([*before, *trial], capture_output=True, check=False).returncode:
                return before
    return None


def half_written(folder: Path) -> list[str]:
    """Files that were begun and not finished."""
    found = [str(path) for path in folder.rglob(".*.tmp")]
    for path in folder.rglob("*.json"):
        try:
            json.loads(path.read_text())
        except ValueError:
            found.append(str(path))
    for path in folder.rglob("*.safetensors"):
        try:
            with safe_open(str(path), "np"):
                pass
        except SafetensorError:
            found.append(str(path))
    return found


def complaints(ran: Ran, folder: Path) -> list[str]:
    """What is wrong about a command that met a full disk."""
    wrong = [] if ran.code == 2 else [f"exit code {ran.code}"]
    if "Traceback" in ran.said:
        wrong.append("a traceback")
    if not FULL.search(ran.said):
        wrong.append("the message does not say that the disk is full")
    wrong += [f"{path} is half written" for path in half_written(folder)]
    return [f"{problem}: {ran.said[-3000:]}" for problem in wrong]


def campaign(kind: Kind, step: int, tick: Callable[[], None]) -> dict[str, Any]:
    """One kind on a small disk: how often it was full, for how many files, and what went wrong.

    Args:
        kind: The command.
        step: Least number of bytes that the disk grows by.
        tick: Called whenever the disk was full.
    """
    alone = Path(tempfile.mkdtemp(prefix="full-disk-"))
    ran = run(kind.command(alone), None)
    if ran.code != 0:
        return {"full": 0, "wrong": [f"undisturbed: exit code {ran.code}: {ran.said[-3000:]}"]}
    truth = kind.outcome(alone)
    shutil.rmtree(alone)
    files: list[str] = []
    wrong: list[str] = []
    before: dict[str, Any] = {}
    repeated = 0
    with small_disk() as disk:
        while (ran := run(kind.command(disk.folder), None)).code != 0:
            wrong += [f"{disk.size:,} bytes: {problem}" for problem in complaints(ran, disk.folder)]
            now = kind.finished(disk.folder)
            wrong += [
                f"{disk.size:,} bytes: {name} was finished, and is not"
                for name in before
                if now.get(name) != before[name]
            ]
            before |= now
            named = FULL.search(ran.said)
            if named is None:
                break
            files.append(named[1].replace(str(disk.folder), ""))
            needed = -(-int(named[2].replace(",", "")) // PAGE) * PAGE if named[2] else UNSAID
            repeated = repeated + 1 if files[-2:-1] == files[-1:] else 0
            more = PAGE << repeated - 1 if repeated else 0  # what else it needs at that moment, such as its lock
            disk.grow(max(disk.used + needed + more, disk.size + more, disk.size + step))
            tick()
        size = disk.size
        if ran.code == 0 and kind.outcome(disk.folder) != truth:
            wrong.append("the end is another")
    return {"full": len(files), "files": len(set(files)), "bytes_at_last": size, "wrong": wrong}


def earlier() -> dict[str, Any]:
    """Results of kinds that an earlier call tried; each call replaces those of its own kinds."""
    path = RESULTS / "full_disk.json"
    return dict(json.loads(path.read_text())["results"]) if path.exists() else {}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kinds", default="sweep,profile,training,study,trial,pipeline")
    parser.add_argument("--step-kb", type=int, default=0, help="grow by at least so much; 0: each write fails")
    arguments = parser.parse_args()
    before = can_mount()
    if before is None:
        raise SystemExit("no disk can be mounted here: neither as root nor by unshare -rm")
    if before and INSIDE not in os.environ:
        os.execvpe(
            before[0],
            [*before, sys.executable, "-m", "benchmarks.full_disk", *sys.argv[1:]],
            {**os.environ, INSIDE: "1"},
        )
    console = Console(width=100)
    shared = Path(tempfile.mkdtemp(prefix="full-disk-"))
    prepare(shared)
    chosen = {name: kind for name, kind in kinds(shared).items() if name in arguments.kinds.split(",")}
    results = earlier()
    with Progress(console=console) as progress:
        for name, kind in chosen.items():
            task = progress.add_task(name, total=None)
            found = campaign(kind, 1024 * arguments.step_kb, lambda task=task: progress.advance(task))
            results[name] = {"step_kb": arguments.step_kb, **found}
            write("full_disk", f"python -m benchmarks.full_disk --kinds {','.join(results)}", results)
    table = Table("command", "times full", "files", "bytes at last", "wrong", title="disk full, and given again")
    for name, own in results.items():
        table.add_row(name, *(f"{own.get(x, 0):,}" for x in ("full", "files", "bytes_at_last")), str(len(own["wrong"])))
    console.print(table)
    for name, own in results.items():
        for what in own["wrong"]:
            console.print(f"{name}: {what}", markup=False)
    shutil.rmtree(shared)
    sys.exit(1 if any(own["wrong"] for own in results.values()) else 0)


if __name__ == "__main__":
    main()
