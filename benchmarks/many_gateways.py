"""Decisions for up to 1,000 gateways: time, memory, and how far from the optimum they can be.

`python -m benchmarks.many_gateways [--slots 3]`

Networks of 20 sensors per gateway, each measured in a process of its own. `paper` keeps the paper's link and edge, so
that with many gateways nearly everything is kept or lost; in `paper, scaled` link and edge grow with the gateways.
`factory` is the network of `benchmarks.factory` (by level, a queue at the edge, the reward `service`) with gateways
that lose tasks on their own, and a link and an edge that grow along. Milliseconds of one core per slot (medians,
compiled), the largest certificate `Optimum.gap`, and the process's memory. Drawn to docs/images/many-gateways.png.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
from rich.console import Console
from rich.table import Table

from benchmarks.factory import network as factory
from benchmarks.machine import write
from optimizer import Scenario, draw_states, optimum
from optimizer.network.outcome import evaluate
from optimizer.schemes.registry import make_scheme

IMAGE = Path(__file__).parents[1] / "docs" / "images" / "many-gateways.png"
NETWORKS = ("paper", "paper, scaled", "factory")
GATEWAYS = (5, 20, 50, 200, 1000)
FACTOR = 104.0  # on the models' times: gateways alone lose tasks
PER_GATEWAY = 20
LARGEST = (("paper", 1000, 100), ("factory", 1000, 100))  # 100,000 sensors


def network(name: str, gateways: int, per_gateway: int) -> Scenario:
    """One of `NETWORKS`."""
    sensors, times = per_gateway * gateways, gateways / 5
    if name == "factory":
        scenario = factory(sensors, FACTOR * PER_GATEWAY / per_gateway, gateways=gateways)
    else:
        scenario = Scenario.parse({"base": "paper", "sensors": sensors, "gateways": gateways}, name)
    if name == "paper":
        return scenario
    link, edge = scenario.link, scenario.edge
    scenario = scenario.change(link=link.model_copy(update={"bandwidth_hz": times * link.bandwidth_hz}))
    if edge.capacity_flop_per_s is None:  # the factory's edge has grown already
        return scenario
    return scenario.change(edge=edge.model_copy(update={"capacity_flop_per_s": times * edge.capacity_flop_per_s}))


def measure(name: str, gateways: int, per_gateway: int, slots: int) -> dict[str, Any]:
    """Times of one core, certificates and memory."""
    scenario = network(name, gateways, per_gateway)
    state = draw_states(scenario, slots, 0)
    optimum(scenario, state[:1], threads=1)
    greedy = make_scheme("greedy", scenario)
    greedy.decide(state[:1])
    times, simple, gaps, lost, without = [], [], [], [], []
    for b in range(slots):
        slot = state[b : b + 1]
        begun = time.thread_time()
        found = optimum(scenario, slot, threads=1)
        times.append(1e3 * (time.thread_time() - begun))
        gaps.append(float(found.gap[0]))
        lost.append(float(evaluate(scenario, slot, found.action).drop_ratio[0]))
        begun = time.thread_time()
        action = greedy.decide(slot)
        simple.append(1e3 * (time.thread_time() - begun))
        without.append(float(evaluate(scenario, slot, action).drop_ratio[0]))
    return {
        "network": name,
        "gateways": gateways,
        "sensors": scenario.sensors,
        "median_ms": statistics.median(times),
        "largest_ms": max(times),
        "largest_gap": max(gaps),
        "lost": statistics.mean(lost),
        "greedy_ms": statistics.median(simple),
        "greedy_lost": statistics.mean(without),
        "memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3,
    }


def in_a_process(*of: Any) -> dict[str, Any]:
    """`measure` in a process of its own, so that its memory is its own."""
    code = f"import json; from benchmarks.many_gateways import measure; print(json.dumps(measure(*{of!r})))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    row: dict[str, Any] = json.loads(done.stdout)
    return row


def draw(rows: list[dict[str, Any]]) -> None:
    """Time and memory against gateways."""
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    for name in NETWORKS:
        of = [r for r in rows if r["network"] == name and r["sensors"] == PER_GATEWAY * r["gateways"]]
        x = [r["gateways"] for r in of]
        axes[0].loglog(x, [r["median_ms"] for r in of], "o-", label=name)
        axes[1].semilogx(x, [r["memory_mb"] for r in of], "o-", label=name)
    for axis, label in zip(axes, ("ms per slot, one core (median)", "memory of the process, MB"), strict=True):
        axis.set_xticks(GATEWAYS, [f"{g:,}" for g in GATEWAYS])
        axis.minorticks_off()
        axis.set_xlabel(f"gateways with {PER_GATEWAY} sensors each")
        axis.set_ylabel(label)
        axis.grid(alpha=0.3)
    axes[1].set_ylim(0)
    axes[0].legend()
    IMAGE.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(IMAGE, dpi=100)
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slots", type=int, default=3)
    slots = parser.parse_args().slots
    console = Console(width=130)
    table = Table(title="one slot on one core, medians")
    for column in ("network", "gateways", "sensors", "ms", "largest", "gap", "lost", "greedy, ms", "lost", "MB"):
        table.add_column(column, justify="left" if column == "network" else "right")
    rows = []
    for name, gateways, per in [*((n, g, PER_GATEWAY) for n in NETWORKS for g in GATEWAYS), *LARGEST]:
        with console.status(f"{name}, {gateways} gateways"):
            row = in_a_process(name, gateways, per, slots)
        rows.append(row)
        table.add_row(
            name,
            f"{gateways:,}",
            f"{row['sensors']:,}",
            f"{row['median_ms']:.1f}",
            f"{row['largest_ms']:.1f}",
            f"{100 * row['largest_gap']:.3g} %",
            f"{row['lost']:.2%}",
            f"{row['greedy_ms']:.1f}",
            f"{row['greedy_lost']:.2%}",
            f"{row['memory_mb']:.0f}",
        )
    draw(rows)
    console.print(table)
    path = write("many-gateways", f"python -m benchmarks.many_gateways --slots {slots}", {"rows": rows})
    console.print(f"kept in {path} and {IMAGE}")


if __name__ == "__main__":
    main()
