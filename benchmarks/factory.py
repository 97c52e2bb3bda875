"""Speed of the exact optimum in a factory's network: by level, a queue at the edge, the reward `service`.

`python -m benchmarks.factory [--slots 10]`

5 gateways, 12 models whose batches take 1 ms and 0.065 to 0.3 ms for each task (the order of the demo's profile at 32
pixels) times a factor, which sets the load; an edge of 0.5 ms per task, and the paper's link with tasks of 8,192 bits
at 10,000 sensors and of 65,536 bits at 200, so that the edge cannot take everything. Milliseconds of one core for a
slot (medians and largest of slots, compiled), the share of tasks lost, and how much the bound says may be lost by a
search that was cut off.
"""

import argparse
import statistics
import time
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.machine import write
from optimizer import Scenario, draw_states, optimum
from optimizer.network.outcome import evaluate

MODELS = [  # rate, milliseconds per task, accuracy relative to the complete model
    (0.0, 0.30, 1.0),
    (0.05, 0.17, 0.9965),
    (0.1, 0.25, 0.9985),
    (0.2, 0.135, 0.9955),
    (0.3, 0.21, 0.9975),
    (0.4, 0.105, 0.989),
    (0.5, 0.16, 0.995),
    (0.6, 0.085, 0.981),
    (0.7, 0.12, 0.987),
    (0.8, 0.1, 0.979),
    (0.85, 0.065, 0.958),
    (0.9, 0.08, 0.955),
]
SIZES = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048]
# Sensors, factors on the models' times: light, about 1 % lost, and overload.
LOADS = {200: (1.0, 52.0, 120.0), 10_000: (0.3, 2.5, 6.0)}
BITS = {200: 65_536, 10_000: 8_192}


def network(
    sensors: int, factor: float, penalty: float = 1.0, gateways: int = 5, task_bits: float = 65_536
) -> Scenario:
    """The network, with the models' times multiplied by a factor; the edge grows with the gateways."""
    models = [
        {"rate": r, "accuracy": a, "latency_s": [[n, factor * (1e-3 + 1e-3 * ms * n)] for n in SIZES]}
        for r, ms, a in MODELS
    ]
    return Scenario.parse(
        {
            "base": "paper",
            "name": "factory",
            "sensors": sensors,
            "gateways": gateways,
            "reward": "service",
            "penalty": penalty,
            "models": models,
            "link": {"task_bits": task_bits},
            "gateway": {"execution": "by level"},
            "edge": {"queue": "fifo", "task_s": 5e-4 * 5 / gateways},
        },
        "factory",
    )


def measure(sensors: int, factor: float, slots: int) -> dict[str, Any]:
    """Times of one core and what was lost."""
    scenario = network(sensors, factor, task_bits=BITS[sensors])
    state = draw_states(scenario, slots, 0)
    optimum(scenario, state[:1], threads=1)
    times, gaps, lost, sent = [], [], [], []
    for b in range(slots):
        begun = time.thread_time()
        found = optimum(scenario, state[b : b + 1], threads=1)
        times.append(1e3 * (time.thread_time() - begun))
        gaps.append(float((found.bound - found.reward)[0]))
        outcome = evaluate(scenario, state[b : b + 1], found.action)
        lost.append(float(outcome.drop_ratio[0]))
        sent.append(float(outcome.offloading_ratio[0]))
    return {
        "sensors": sensors,
        "factor": factor,
        "slots": slots,
        "median_ms": statistics.median(times),
        "largest_ms": max(times),
        "lost": statistics.mean(lost),
        "offloaded": statistics.mean(sent),
        "may_be_lost": max(gaps),
        "exact": sum(gap <= 2e-9 for gap in gaps),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slots", type=int, default=10)
    slots = parser.parse_args().slots
    console = Console(width=130)
    table = Table(title="by level, fifo, service: ms of one core per slot")
    for column in ("sensors", "factor", "lost", "offloaded", "median", "largest", "proven exact", "may be lost"):
        table.add_column(column)
    rows = []
    for sensors, factors in LOADS.items():
        for factor in factors:
            row = measure(sensors, factor, slots)
            rows.append(row)
            table.add_row(
                f"{sensors:,}",
                f"{factor:g}",
                f"{row['lost']:.2%}",
                f"{row['offloaded']:.1%}",
                f"{row['median_ms']:.1f}",
                f"{row['largest_ms']:.1f}",
                f"{row['exact']} of {slots}",
                f"{row['may_be_lost']:.1g}",
            )
    console.print(table)
    path = write("factory", f"python -m benchmarks.factory --slots {slots}", {"rows": rows})
    console.print(f"kept in {path}")


if __name__ == "__main__":
    main()
