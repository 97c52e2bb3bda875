"""Commands on a small disk, which grows whenever it is full: one write after another fails, and nothing is lost.

`python -m benchmarks.full_disk` does the same with every long command.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.full_disk import can_mount

ROOT = Path(__file__).parents[1]
CODE = """
import json, sys
from benchmarks.disturbed import Kind, number_of_trials, policies, trials, unchanged, weights
from benchmarks.full_disk import campaign
short = ("--sensors", "5", "--default.updates", "4", "--default.slots", "8", "--default.block", "2")
kinds = {
    "toys": Kind(
        lambda f: ("toycommand", f"{f / 't'}", "--cores", "1"),
        lambda f: {p.name: p.read_text() for p in (f / "t").glob("*.json")},
        lambda f: unchanged((f / "t").glob("toy*.json")),
    ),
    "training": Kind(
        lambda f: ("optimizer.train", *short, "--threads", "1", "--out", f"{f / 'q'}"), weights, policies
    ),
    "study": Kind(
        lambda f: ("optimizer.tune", *short, "--trials", "2", "--workers", "1", "--heartbeat-s", "1", "--out",
                   f"{f / 't'}"),
        number_of_trials, trials,
    ),
}
print(json.dumps(campaign(kinds[sys.argv[1]], 0, lambda: None)))
"""


def on_a_small_disk(kind: str) -> dict:
    """What came of a command whose disk was full again and again."""
    before = can_mount()
    if before is None:
        pytest.skip("no disk can be mounted here, neither as root nor by unshare -rm")
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"}
    done = subprocess.run(
        [*before, sys.executable, "-c", CODE, kind],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_sweep_goes_on_whichever_of_its_files_found_no_room():
    found = on_a_small_disk("toys")
    assert found["wrong"] == []
    assert found["files"] == 5  # its settings and four results


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "files"), [("training", 6), ("study", 5)])
def test_learning_goes_on_whichever_file_found_no_room(kind, files):
    found = on_a_small_disk(kind)
    assert found["wrong"] == []
    assert found["files"] >= files
