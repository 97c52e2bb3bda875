"""Seconds that each import takes in a fresh process: what a gateway or a notebook waits for at the start.

`python -m benchmarks.imports` prints medians and writes benchmarks/results/imports.json. The target is 0.7 s for each
import that a gateway makes; making windows loads scipy.signal, which alone takes longer. The packages listed with each
import must not be loaded by it.
"""

import argparse
import json
import statistics
import subprocess
import sys
from typing import Any

from rich.table import Table

from benchmarks.machine import write
from data.common.console import make_console

TARGET_S = 0.7
# What is imported, by whom it is awaited, and which heavy packages it must do without.
IMPORTS: dict[str, tuple[str, tuple[str, ...]]] = {
    "deployed policy": (
        "from optimizer.learning.deployed import LearnedPolicy",
        ("torch", "gymnasium", "numba", "matplotlib"),
    ),
    "exact planner": ("from optimizer import optimum", ("torch", "gymnasium", "matplotlib")),
    "profile": ("from profiling import Profile", ("torch", "onnx", "numba", "gymnasium", "matplotlib")),
    "bundle's manifest": ("from pruning import read_manifest", ("torch", "numba", "gymnasium", "matplotlib")),
    "recordings": ("import data", ("torch", "numba", "gymnasium", "matplotlib")),
    "windows": ("from data import build_dataset", ("torch", "numba", "gymnasium", "matplotlib")),
}


def measure(statement: str, heavy: tuple[str, ...]) -> tuple[float, list[str]]:
    """Seconds of one import in a fresh process, and those of the heavy packages that it loaded."""
    code = (
        "import sys, time\n"
        "begun = time.perf_counter()\n"
        f"{statement}\n"
        "seconds = time.perf_counter() - begun\n"
        "import json\n"
        f"print(json.dumps([seconds, [m for m in {heavy!r} if m in sys.modules]]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    seconds, loaded = json.loads(done.stdout)
    return float(seconds), list(loaded)


def main() -> None:
    """Measure all imports in turns, print a table and keep it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=7, help="fresh processes per import")
    runs = parser.parse_args().runs
    times: dict[str, list[float]] = {name: [] for name in IMPORTS}
    loads: dict[str, list[str]] = {}
    for _ in range(runs):
        for name, (statement, heavy) in IMPORTS.items():
            seconds, loads[name] = measure(statement, heavy)
            times[name].append(seconds)
    table = Table("what", "statement", "median, s", "lowest, s", "highest, s", f"under {TARGET_S:g} s")
    results: dict[str, Any] = {}
    for name, seconds in times.items():
        middle = statistics.median(seconds)
        statement = IMPORTS[name][0]
        within = "yes" if middle < TARGET_S else "no"
        table.add_row(name, statement, *(f"{s:.2f}" for s in (middle, min(seconds), max(seconds))), within)
        results[name] = {
            "statement": statement,
            "median_s": middle,
            "low_s": min(seconds),
            "high_s": max(seconds),
            "runs": runs,
            "unwanted": loads[name],
        }
        if loads[name]:
            print(f"{name}: loads {', '.join(loads[name])}, which it should not need", file=sys.stderr)
    make_console().print(table)
    print(write("imports", "python -m benchmarks.imports", results))


if __name__ == "__main__":
    main()
