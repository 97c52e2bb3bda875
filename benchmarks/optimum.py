"""The claims of `optimizer` about the exact optimum and the environments.

`python -m benchmarks.optimum [--parts speed,table,growth,environment,memory]`

* speed: milliseconds per slot on one core (medians of slots), N = 200, grid and continuous shares; 1,000 slots on all
  cores; N = 2,000 with 50 gateways for every reward.
* table: mean optimal rewards at the paper's five sizes beside those of docs/errata.md.
* growth: time against N, G, V and the grid; drawn to docs/images/optimum-growth.png.
* environment: slots per second, batched and single, with mobile-env's small scenario as a yardstick
  (`pip install -e .[bench]`).
* memory: of a batch of 4,096 slots at N = 200, in a process of its own.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import matplotlib.pyplot as plt
import numpy as np
from rich.console import Console
from rich.table import Table

import optimizer.environment.env  # noqa: F401 - registers the ids
from benchmarks.machine import write
from data.common.stats import half_interval
from optimizer import Scenario, draw_states, optimum
from optimizer.network.outcome import evaluate

IMAGE = Path(__file__).parents[1] / "docs" / "images" / "optimum-growth.png"
SIZES = (100, 125, 150, 175, 200)
# Mean optimal rewards: continuous shares and half of the interval, 20 shares, p = 0.7 alone on 20 shares.
ERRATA = json.loads(Path(__file__).with_name("errata.json").read_text())


def network(name: str, sensors: int, gateways: int = 5, **changes: Any) -> Scenario:
    return Scenario.parse({"base": name, "sensors": sensors, "gateways": gateways, **changes}, name)


def slot_ms(scenario: Scenario, shares: Any, slots: int, seed: int = 0) -> tuple[float, float]:
    """Median and largest milliseconds per slot on one core, and warm."""
    state = draw_states(scenario, slots, seed)
    optimum(scenario, state[:1], shares, threads=1)
    times = []
    for b in range(slots):
        begun = time.perf_counter()
        optimum(scenario, state[b : b + 1], shares, threads=1)
        times.append(1e3 * (time.perf_counter() - begun))
    return statistics.median(times), max(times)


def speed(console: Console) -> dict[str, Any]:
    table = Table(title="ms per slot, one core, median (largest) of slots")
    for column in ("network", "reward", "20 shares", "continuous", "1,000 slots, all cores, s"):
        table.add_column(column)
    rows = []
    for name, sensors, gateways, reward, slots in [
        *((n, 200, 5, "utilization", 300) for n in ("paper", "paper-heavy", "paper-printed")),
        *(("paper", 200, 5, r, 300) for r in ("goodput", "delay")),
        *((n, 2000, 50, "utilization", 20) for n in ("paper", "paper-heavy")),
        *(("paper", 2000, 50, r, 20) for r in ("goodput", "delay")),
    ]:
        scenario = network(name, sensors, gateways, reward=reward)
        row: dict[str, Any] = {"scenario": name, "sensors": sensors, "gateways": gateways, "reward": reward}
        for label, shares in (("grid", 20), ("exact", "exact")):
            row[f"{label}_ms"], row[f"{label}_largest_ms"] = slot_ms(scenario, shares, slots)
        if sensors == 200:
            state = draw_states(scenario, 1000, 1)
            begun = time.perf_counter()
            optimum(scenario, state)
            row["thousand_s"] = time.perf_counter() - begun
        found = optimum(scenario, draw_states(scenario, slots, 0))
        row["lost_at_most"] = float((found.bound - found.reward).max())
        rows.append(row)
        table.add_row(
            f"{name} N={sensors} G={gateways}",
            reward,
            f"{row['grid_ms']:.3f} ({row['grid_largest_ms']:.2f})",
            f"{row['exact_ms']:.3f} ({row['exact_largest_ms']:.2f})",
            f"{row['thousand_s']:.2f}" if "thousand_s" in row else f"lost at most {row['lost_at_most']:.2g}",
        )
    console.print(table)
    return {"rows": rows}


def errata_table(console: Console) -> dict[str, Any]:
    table = Table(title="mean optimal reward, 5,000 slots (+- 1.96 standard errors), beside docs/errata.md")
    for column in ("scenario", "N", "continuous", "errata", "20 shares", "errata", "p=0.7, 20", "errata", "dropped"):
        table.add_column(column)
    rows = []
    for name, expected in ERRATA.items():
        for sensors in SIZES:
            continuous, interval, grid, alone = expected[str(sensors)].values()
            scenario = network(name, sensors)
            state = draw_states(scenario, 5000, 7)
            best, coarse = optimum(scenario, state), optimum(scenario, state, 20)
            one = optimum(scenario.with_models([0.7]), state, 20)
            dropped = max(evaluate(scenario, state, x.action).drop_ratio.max() for x in (best, coarse))
            error = half_interval(best.reward)
            row = {
                "scenario": name,
                "sensors": sensors,
                "continuous": best.reward.mean(),
                "interval": error,
                "grid": coarse.reward.mean(),
                "mid_pruned": one.reward.mean(),
                "dropped": dropped,
            }
            rows.append({k: v if isinstance(v, str | int) else float(v) for k, v in row.items()})
            table.add_row(
                name,
                str(sensors),
                f"{row['continuous']:.3f} +- {error:.3f}",
                f"{continuous:.3f} +- {interval:.3f}",
                f"{row['grid']:.3f}",
                f"{grid:.3f}",
                f"{row['mid_pruned']:.3f}",
                f"{alone:.3f}",
                f"{dropped:g}",
            )
    console.print(table)
    return {"rows": rows}


def growth(console: Console) -> dict[str, Any]:
    models = Scenario.load("paper").models

    def with_models(count: int) -> Scenario:
        made = [models[i % 6].model_copy(update={"rate": i / (count + 1)}) for i in range(count)]
        return network("paper", 200).change(models=tuple(made))

    sweeps: dict[str, tuple[list[int], Callable[[int], Scenario], Callable[[int], Any]]] = {
        "sensors, G = 5": ([50, 100, 200, 400, 800], lambda n: network("paper", n), lambda _: "exact"),
        "gateways, 40 sensors each": ([2, 5, 10, 20, 50], lambda g: network("paper", 40 * g, g), lambda _: "exact"),
        "models, N = 200": ([1, 3, 6, 12, 24], with_models, lambda _: "exact"),
        "steps of the grid, N = 200": ([5, 20, 100, 400, 2000], lambda _: network("paper", 200), lambda z: z),
    }
    figure, axes = plt.subplots(1, 4, figsize=(13, 3.4), layout="constrained")
    results: dict[str, Any] = {}
    for axis, (title, (values, make, shares)) in zip(axes, sweeps.items(), strict=True):
        times = [slot_ms(make(v), shares(v), 40)[0] for v in values]
        results[title] = dict(zip(map(str, values), times, strict=True))
        axis.loglog(values, times, "o-")
        axis.set_xticks(values, [f"{v:,}" for v in values])
        axis.minorticks_off()
        axis.set_xlabel(title)
        axis.grid(alpha=0.3)
        power = np.polyfit(np.log(values[-3:]), np.log(times[-3:]), 1)[0]
        axis.set_title(f"power {power:.1f} at the end", fontsize=9)
    axes[0].set_ylabel("ms per slot, one core (median)")
    IMAGE.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(IMAGE, dpi=100)
    plt.close(figure)
    console.print(results)
    return results


def rate(steps: Callable[[], None], work: int, seconds: float = 1.0, repeats: int = 5) -> float:
    """Median units of work per second."""
    steps()
    found = []
    for _ in range(repeats):
        begun, done = time.perf_counter(), 0
        while time.perf_counter() - begun < seconds:
            steps()
            done += work
        found.append(done / (time.perf_counter() - begun))
    return statistics.median(found)


def environment(console: Console) -> dict[str, Any]:
    results: dict[str, Any] = {}
    for name in ("jopa/Offloading-v0", "jopa/OffloadingBox-v0"):
        batched = gym.make_vec(name, num_envs=4096, vectorization_mode="vector_entry_point", sensors=200)
        batched.reset(seed=0)
        actions = batched.action_space.sample()
        results[f"{name} batched, slots/s"] = rate(lambda e=batched, a=actions: e.step(a), 4096)
        results[f"{name} single, steps/s"] = single_rate(gym.make(name, sensors=200))
        if name == "jopa/Offloading-v0":
            results[f"{name} single, N = 100, steps/s"] = single_rate(gym.make(name))
    try:
        import mobile_env  # noqa: F401 - registers its environments
    except ImportError:
        console.print("mobile-env is not installed: no yardstick")
    else:
        results["mobile-small-central-v0, steps/s"] = single_rate(gym.make("mobile-small-central-v0"))
    console.print(results)
    return results


def single_rate(env: gym.Env[Any, Any]) -> float:
    env.reset(seed=0)
    env.action_space.seed(0)
    actions = [env.action_space.sample() for _ in range(64)]
    turn = 0

    def steps() -> None:
        nonlocal turn
        for _ in range(100):
            _, _, terminated, truncated, _ = env.step(actions[turn % 64])
            turn += 1
            if terminated or truncated:
                env.reset()

    return rate(steps, 100)


MEMORY = """
import resource, tracemalloc
from optimizer.environment.env import OffloadingVectorEnv
warm = OffloadingVectorEnv(1, sensors=200)
warm.reset(seed=0)
warm.step(warm.action_space.sample())
tracemalloc.start()
env = OffloadingVectorEnv(4096, sensors=200)
env.reset(seed=0)
for _ in range(3):
    env.step(env.action_space.sample())
print(tracemalloc.get_traced_memory()[1], resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def memory(console: Console) -> dict[str, Any]:
    done = subprocess.run([sys.executable, "-c", MEMORY], capture_output=True, text=True, check=True)
    batch, process = (int(x) for x in done.stdout.split())
    results = {"batch_bytes": batch, "process_bytes": process * 1024}
    console.print(f"4,096 slots at N = 200: {batch / 1e6:.0f} MB at the peak, {process / 1e3:.0f} MB for the process")
    return results


PARTS = {"speed": speed, "table": errata_table, "growth": growth, "environment": environment, "memory": memory}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", default=",".join(PARTS))
    chosen = parser.parse_args().parts.split(",")
    console = Console(width=130)
    for part in chosen:
        results = PARTS[part](console)
        path = write(f"optimum-{part}", f"python -m benchmarks.optimum --parts {part}", results)
        console.print(f"kept in {path}")


if __name__ == "__main__":
    main()
