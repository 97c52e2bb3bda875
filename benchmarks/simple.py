"""What the simplest answers reach: a straight line in place of VGG-16, and no offloading in place of the optimum.

`python -m benchmarks.simple [--root DIR] [--parts line,local]`.

* `line`: a logistic regression on the mean and deviation over time of each row of the images that VGG-16 gets, on the
  same windows and splits as `benchmarks.cwru`, with the simulated bearings beside them.
* `local`: every scheme on the network of a measured profile (`profile-cwru-amd-epyc-2-threads.json` as the gateway, the
  paper's edge server by its datasheet), 100 sensors over 5 gateways.
"""

import argparse
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.cwru import LOADS, default_root
from benchmarks.machine import RESULTS, write
from data import DataConfig, Dataset, build_dataset
from optimizer.network.from_profiles import measured_scenario
from optimizer.network.outcome import evaluate
from optimizer.network.parts import Edge, Task
from optimizer.network.scenario import Scenario
from optimizer.network.slots import draw_states
from optimizer.schemes.registry import make_scheme
from optimizer.schemes.summary import summarise
from profiling import Profile
from profiling.datasheet import DEVICES, datasheet_profile
from profiling.spec import SpecConfig
from pruning.baseline import band_numbers, straight_line

GATEWAY = RESULTS / "profile-cwru-amd-epyc-2-threads.json"
SCHEMES = ("optimum", "jopav1", "local", "edge")


def line_accuracy(dataset: Dataset) -> float:
    """Test accuracy of the straight line that `python -m pruning.run` fits too."""
    line = straight_line()
    line.fit(band_numbers(dataset.train.images), dataset.train.labels)
    return float(line.score(band_numbers(dataset.test.images), dataset.test.labels))


def lines(root: Path) -> dict[str, float]:
    """The straight line on every split."""
    found = {"simulated, load 3 held out": line_accuracy(build_dataset(DataConfig()))}
    if root.is_dir():
        for load in LOADS:
            config = DataConfig(data="cwru", root=root, split="load", held_out=load)
            found[f"cwru, load {load:g} held out"] = line_accuracy(build_dataset(config))
        for split in ("blocked", "severity"):
            found[f"cwru, {split}"] = line_accuracy(build_dataset(DataConfig(data="cwru", root=root, split=split)))
    return found


def network() -> Scenario:
    """100 sensors over 5 gateways as measured, the edge server by its datasheet."""
    gateway = Profile.load(GATEWAY)
    edge = datasheet_profile(SpecConfig())
    made = measured_scenario(gateway, edge, Scenario.load("paper").with_sensors(100), allow_other_bundle=True)
    flops = gateway.model(0.0).flops
    return made.change(task=Task(flops=flops), edge=Edge(task_s=flops / DEVICES["rtx-3070"][1]))


def schemes(scenario: Scenario) -> dict[str, dict[str, Any]]:
    """Reward, drops, delay and accuracy of each scheme on 1,000 slots."""
    state = draw_states(scenario, slots=1000, seed=0)
    found = {}
    for name in SCHEMES:
        action = make_scheme(name, scenario, "exact", 0).decide(state)
        found[name] = summarise(evaluate(scenario, state, action)).dump()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, default=default_root())
    parser.add_argument("--parts", default="line,local")
    arguments = parser.parse_args()
    console = Console(width=100)
    if "line" in arguments.parts:
        table = Table("recordings and split", "accuracy, %", title="logistic regression on 64 numbers per image")
        results = lines(arguments.root)
        for name, value in results.items():
            table.add_row(name, f"{100 * value:.1f}")
        console.print(table)
        write("simple-line", "python -m benchmarks.simple --parts line", results)
    if "local" in arguments.parts:
        table = Table("scheme", "reward", "dropped, %", "mean delay, ms", "accuracy, %", title="measured network")
        found = schemes(network())
        for name, own in found.items():
            values = (own["reward"], 100 * own["drop_ratio"], 1e3 * own["delay_s"], 100 * own["accuracy"])
            table.add_row(name, *(f"{v:.2f}" for v in values))
        console.print(table)
        write("simple-local", "python -m benchmarks.simple --parts local", found)


if __name__ == "__main__":
    main()
