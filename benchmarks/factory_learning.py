"""How well the learned policy does in a factory's network of measured profiles, beside the optimum and simple schemes.

`python -m benchmarks.factory_learning [--seeds 0,1,2]`, about 15 minutes on one core.

The network has the latencies of a measured profile (`profile-cwru-amd-epyc-2-threads.json`, fp32, batches beyond the
measured ones along the last two; the edge server is the same processor at int8) and the accuracies of the paper's Table
II, because on those recordings every model is as good as the complete one. It works by level, with a queue at the edge.
Each row is a number of sensors and of gateways; each policy is trained from nothing.
"""

import argparse
import time
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from benchmarks.machine import write
from benchmarks.simple import GATEWAY
from optimizer.learning.factory.policy import decide, to_action
from optimizer.learning.factory.settings import FactoryConfig
from optimizer.learning.factory.training import FactoryTraining
from optimizer.network.outcome import evaluate
from optimizer.network.parts import Edge, Gateway, Task
from optimizer.network.scenario import Scenario
from optimizer.network.slots import draw_states
from optimizer.schemes.registry import make_scheme
from profiling import Profile

LOADS = ((100, 5), (2000, 5), (4000, 5), (6000, 5), (400, 1), (3000, 30))  # sensors, gateways
SCHEMES = ("optimum", "greedy", "local", "local-batch")
SLOTS = {6000: 20}  # the optimum of an overloaded slot takes seconds
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
        training = FactoryTraining([scenario], FactoryConfig(), seed)
        while training.done < training.total:
            training.run_block()
        took = time.monotonic() - begun
        outcome = evaluate(scenario, state, to_action(decide(training.laws, scenario, state), scenario, state))
        own = {"reward": float(outcome.reward.mean()), "lost": float(outcome.drop_ratio.mean()), "seconds": took}
        found[f"learned, seed {seed}"] = own
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", default="0,1,2")
    arguments = parser.parse_args()
    seeds = tuple(int(x) for x in arguments.seeds.split(","))
    torch.set_num_threads(1)
    rows = []
    for load in LOADS:
        rows.append(row(*load, seeds))
        write("factory-learning", "python -m benchmarks.factory_learning", rows)
        table = Table("scheme", "reward", "lost, %", title=f"{load[0]} sensors, {load[1]} gateways")
        for name, own in rows[-1].items():
            if isinstance(own, dict):
                table.add_row(name, f"{own['reward']:.5f}", f"{100 * own['lost']:.3f}")
        Console(width=100).print(table)


if __name__ == "__main__":
    main()
