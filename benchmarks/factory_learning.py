"""How well the learned policy does in a factory's network of measured profiles, beside the optimum and simple schemes.

`python -m benchmarks.factory_learning [--parts table,world] [--seeds 0,1,2]`, about 10 minutes on one core.

The network has the latencies of a measured profile (`profile-cwru-amd-epyc-2-threads.json`, fp32, batches beyond the
measured ones along the last two; the edge server is the same processor at int8) and the accuracies of the paper's Table
II, because on those recordings every model is as good as the complete one. It works by level, with a queue at the edge.
Each row is a number of sensors and of gateways; each policy is trained from nothing. `world` is 2,000 sensors where
reality differs from the network, with the optimum of the network beside the policy, also at 10 and 30 % longer times.
"""

import argparse
import json
import time
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from benchmarks.machine import RESULTS, write
from benchmarks.simple import GATEWAY
from optimizer.learning.factory.policy import decide, to_action
from optimizer.learning.factory.settings import FactoryConfig
from optimizer.learning.factory.training import FactoryTraining
from optimizer.network.outcome import evaluate
from optimizer.network.parts import Edge, Gateway, Task
from optimizer.network.scenario import Scenario
from optimizer.network.slots import draw_states
from optimizer.network.world import World, play
from optimizer.schemes.registry import make_scheme
from profiling import Profile

LOADS = ((100, 5), (2000, 5), (4000, 5), (6000, 5), (400, 1), (3000, 30))  # sensors, gateways
SCHEMES = ("optimum", "greedy", "local", "local-batch")
SLOTS = {6000: 20, 3000: 10}  # the optimum of an overloaded slot, and of 30 gateways, takes seconds
MARGINS = (0.0, 0.1, 0.3)
WORLDS = {
    "as modelled": World(),
    "every local batch takes 10 % longer": World(bias=1.1),
    "local batches scatter by 10 %": World(spread=0.1),
    "2 % of them take 3 times as long": World(tail=0.02),
}
SEED = 1  # of the slots that are compared; training draws others


def network(sensors: int, gateways: int) -> Scenario:
    """Measured latencies and the paper's accuracies, by level and with a queue at the edge."""
    profile, paper = Profile.load(GATEWAY), Scenario.load("paper")
    models = tuple(
        model.model_copy(
            update={
                "flops": profile.model(model.rate, "fp32").flops,
                "latency_s": tuple((cell.batch, cell.p50_s) for cell in profile.cells(model.rate, "fp32")),
            }
        )
        for model in paper.models
    )
    return paper.change(
        name="measured latencies",
        groups=(sensors // gateways,) * gateways,
        models=models,
        task=Task(flops=profile.model(0.0).flops),
        gateway=Gateway(execution="by level"),
        edge=Edge(task_s=profile.latency(0.0, 1, precision="int8"), queue="fifo"),
        reward="service",
        extrapolate=True,
    )


def row(sensors: int, gateways: int, seeds: tuple[int, ...]) -> dict[str, Any]:
    """Reward, lost tasks and time of training of each seed; reward and lost tasks of each scheme."""
    scenario = network(sensors, gateways)
    state = draw_states(scenario, SLOTS.get(sensors, 200), SEED)
    found: dict[str, Any] = {"sensors": sensors, "gateways": gateways, "slots": len(state)}
    for name in SCHEMES:
        outcome = evaluate(scenario, state, make_scheme(name, scenario, "exact", 0).decide(state))
        found[name] = {"reward": float(outcome.reward.mean()), "lost": float(outcome.drop_ratio.mean())}
    for seed in seeds:
        begun = time.monotonic()
        training = trained(scenario, seed)
        took = time.monotonic() - begun
        outcome = evaluate(scenario, state, to_action(decide(training.laws, scenario, state), scenario, state))
        own = {"reward": float(outcome.reward.mean()), "lost": float(outcome.drop_ratio.mean()), "seconds": took}
        found[f"learned, seed {seed}"] = own
    return found


def in_worlds() -> dict[str, Any]:
    """Reward and lost tasks in each world: solved, solved with a margin, and learned there."""
    scenario, found = network(2000, 5), {}
    state = draw_states(scenario, 200, SEED)
    planned = {f"solved, margin {m:g}": make_scheme("optimum", scenario.slower(1 + m)).decide(state) for m in MARGINS}
    for name, world in WORLDS.items():
        training = trained(scenario, 0, world)
        actions = planned | {"learned there": to_action(decide(training.laws, scenario, state), scenario, state)}
        found[name] = {}
        for who, action in actions.items():
            outcome = play(scenario, state, action, world, np.random.default_rng(SEED))
            found[name][who] = {"reward": float(outcome.reward.mean()), "lost": float(outcome.drop_ratio.mean())}
        print(name, found[name], training.laws.margins)
    return found


def trained(scenario: Scenario, seed: int, world: World | None = None) -> FactoryTraining:
    """A finished training."""
    training = FactoryTraining([scenario], FactoryConfig(), seed, world)
    while training.done < training.total:
        training.run_block()
    return training


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", default="table,world")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--loads", default=",".join(f"{n}x{g}" for n, g in LOADS), help="rows to measure again")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if "table" in arguments.parts:
        loads = [(int(n), int(g)) for n, g in (x.split("x") for x in arguments.loads.split(","))]
        compare_loads(loads, tuple(int(x) for x in arguments.seeds.split(",")))
    if "world" in arguments.parts:
        write("factory-world", "python -m benchmarks.factory_learning --parts world", in_worlds())


def compare_loads(loads: list[tuple[int, int]], seeds: tuple[int, ...]) -> None:
    """Rows of the table, written after each; other rows of the file stay."""
    path = RESULTS / "factory-learning.json"
    rows = json.loads(path.read_text())["results"] if path.exists() else []
    for load in loads:
        rows = [x for x in rows if (x["sensors"], x["gateways"]) != load]
        rows.append(row(*load, seeds))
        write("factory-learning", "python -m benchmarks.factory_learning", rows)
        table = Table("scheme", "reward", "lost, %", title=f"{load[0]} sensors, {load[1]} gateways")
        for name, own in rows[-1].items():
            if isinstance(own, dict):
                table.add_row(name, f"{own['reward']:.5f}", f"{100 * own['lost']:.3f}")
        Console(width=100).print(table)


if __name__ == "__main__":
    main()
