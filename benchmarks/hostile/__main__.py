"""`python -m benchmarks.hostile`: 20,000 damaged and hostile files of every format, each refused or sound.

The first time, a small pipeline is run in --corpus to make the sound files (some minutes). Memory is that of the whole
process that reads (libraries included) and of the child that reads recordings.
"""

import argparse
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path

from rich.table import Table

from benchmarks.hostile.corpus import finished_run
from benchmarks.hostile.crew import MOST_BYTES, MOST_S, Ended, try_target
from benchmarks.hostile.targets import TARGETS
from benchmarks.machine import describe
from data.common.console import make_console, say
from data.common.files import write_json
from data.common.progress import work_bar


def shares(mutants: int) -> dict[str, int]:
    """How many mutants of each kind, at least one, so many in all."""
    total = sum(target.share for target in TARGETS)
    found = {target.name: max(1, mutants * target.share // total) for target in TARGETS}
    found[TARGETS[0].name] += max(0, mutants - sum(found.values()))
    return found


def table_of(ended: list[Ended]) -> Table:
    """One row for each kind of file."""
    table = Table(title="damaged and hostile files")
    for head in ("file", "mutants", "refused", "used", "failed", "longest, s", "most, MB"):
        table.add_column(head, justify="left" if head == "file" else "right")
    kinds: defaultdict[str, list[Ended]] = defaultdict(list)
    for own in ended:
        kinds[own.target].append(own)
    for name, group in [*kinds.items(), ("all", ended)]:
        count = Counter(e.status for e in group)
        failed = sum(not e.passed for e in group)
        table.add_row(
            name, f"{len(group):,}", f"{count['refused']:,}", f"{count['used']:,}", f"{failed:,}",
            f"{max(e.seconds for e in group):.2f}", f"{max(e.peak for e in group) / 2**20:.0f}",
        )  # fmt: skip
    return table


def run(mutants: int, seed: int, corpus: Path, only: str | None = None) -> list[Ended]:
    """How all mutants ended."""
    console, ended = make_console(), []
    with finished_run(corpus) as folder, work_bar(console, "{task.completed}/{task.total} mutants") as bar:
        wanted = {n: c for n, c in shares(mutants).items() if only is None or n in only.split(",")}
        task = bar.add_task("mutants", total=sum(wanted.values()))
        for target in TARGETS:
            begun, before = time.monotonic(), len(ended)
            for own in try_target(target, range(wanted.get(target.name, 0)), folder.resolve(), seed):
                ended.append(own)
                bar.advance(task)
                if not own.passed:
                    told = own.detail or f"{own.seconds:.1f} s, {own.peak / 2**20:.0f} MB"
                    console.print(f"{own.target} {own.number}: {own.status}: {told}", markup=False, highlight=False)
            if len(ended) > before:
                say(console, f"{target.name}: {len(ended) - before:,} mutants in {time.monotonic() - begun:.0f} s")
    console.print(table_of(ended))
    return ended


def main() -> None:
    """Read the options, run, and exit with 1 if a mutant failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mutants", type=int, default=20_000, help="Number of mutants over all formats.")
    parser.add_argument("--seed", type=int, default=0, help="Random seed of the mutants.")
    parser.add_argument("--corpus", type=Path, default=Path("runs/hostile"), help="Folder of the small pipeline.")
    parser.add_argument("--only", help="Only this kind of file, by its name in the table, or several with commas.")
    parser.add_argument("--json", type=Path, help="Also write the figures to this JSON file.")
    given = parser.parse_args()
    begun = time.monotonic()
    ended = run(given.mutants, given.seed, given.corpus, given.only)
    failed = [own for own in ended if not own.passed]
    if given.json is not None:
        kinds = {t.name: [own for own in ended if own.target == t.name] for t in TARGETS}
        rows = {
            name: {
                "mutants": len(group), **Counter(own.status for own in group),
                "longest_s": round(max(own.seconds for own in group), 3),
                "most_mb": round(max(own.peak for own in group) / 2**20),
            }
            for name, group in kinds.items()
            if group
        }  # fmt: skip
        write_json(given.json, {
            "command": f"python -m benchmarks.hostile --mutants {given.mutants} --seed {given.seed}",
            "machine": describe(), "seconds": round(time.monotonic() - begun),
            "limits": {"s": MOST_S, "bytes": MOST_BYTES},
            "mutants": len(ended), "failed": len(failed), "files": rows,
            "failures": [f"{own.target} {own.number}: {own.detail}" for own in failed[:100]],
        })  # fmt: skip
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
