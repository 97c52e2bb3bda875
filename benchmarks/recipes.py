"""Which recipe generalises, chosen without a look at any test part.

`python -m benchmarks.recipes [--root DIR] [--seeds 0] [--width 0.25] [--problems cwru,simulated] [--outer 0]`.

Each problem has four motor loads. A recipe trains on two loads, and the other two are named one after the other: for a
test load k, the choice of a recipe rests on the trainings on two of the three other loads, named on the third. So no
recipe is chosen with windows of the load that it is then judged on. Chosen is the recipe with the highest mean over
these three trainings (and seeds). `--outer 1` then trains the chosen recipe, the plain VGG-16 and the straight line on
all three loads and names the fourth; this is the only look at a test part.

The networks are narrow by default (a quarter of VGG-16's width: 3 s instead of 25 s a training on two cores), because a
choice takes hundreds of trainings.
"""

import argparse
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.cwru import LOADS, default_root
from benchmarks.machine import write
from data import DataConfig, Dataset
from data.build import make_dataset
from data.gather import Gathered, gather
from pruning.augment import Augmentation
from pruning.baseline import band_numbers, line_coefficients, straight_line
from pruning.spec import dense_spec
from pruning.train import TrainConfig, Trainer, predict
from pruning.vgg import CorrectingVGG, build_vgg

PLAIN = "VGG-16 alone"
LINE = "straight line alone"


@dataclass(frozen=True)
class Recipe:
    """How a model is made and trained, as the options of `pruning.run` say it."""

    line: float = 0.0
    augmentation: Augmentation = field(default_factory=Augmentation)
    train: TrainConfig = field(default_factory=TrainConfig)


RECIPES = {
    PLAIN: Recipe(),
    "no variation of images": Recipe(augmentation=Augmentation(roll=False, jitter=0.0, warp=0.0)),
    "gain 0.3": Recipe(augmentation=Augmentation(gain=0.3)),
    "balance 1": Recipe(train=TrainConfig(balance=1.0)),
    "weight decay 0.01": Recipe(train=TrainConfig(weight_decay=0.01)),
    "line 0.25": Recipe(line=0.25),
    "line 0.5": Recipe(line=0.5),
    "line 0.7": Recipe(line=0.7),
    "line 1": Recipe(line=1.0),
    "line 0.5, weight decay 0.01": Recipe(line=0.5, train=TrainConfig(weight_decay=0.01)),
}


def configs(root: Path) -> dict[str, DataConfig]:
    """The problems: a data set whose recordings say their loads."""
    found = {"simulated": DataConfig(split="load")}
    if root.is_dir():
        found["cwru"] = DataConfig(data="cwru", root=root, split="load")
    return found


def part_of(gathered: Gathered, train: Sequence[float], test: float) -> Dataset:
    """Training on some loads, testing on one; classes with a single load are always there, split in time."""
    loads_of = {name: {r.load for r, own in zip(gathered.recordings, gathered.labels, strict=True) if own == name}
                for name in set(gathered.labels)}  # fmt: skip
    kept = [
        i
        for i, (recording, name) in enumerate(zip(gathered.recordings, gathered.labels, strict=True))
        if recording.load in (*train, test) or len(loads_of[name]) == 1
    ]
    config = replace(gathered.config, held_out=test)
    some = Gathered(config, [gathered.recordings[i] for i in kept], [gathered.labels[i] for i in kept], [])
    return make_dataset(some, "")


def accuracies(datasets: Sequence[Dataset], recipe: Recipe, seed: int, width: float) -> list[float]:
    """Train one model, and the share of test windows that it names rightly, for sets that differ in these alone."""
    dataset = datasets[0]
    assert all(np.array_equal(other.train.images, dataset.train.images) for other in datasets)
    torch.manual_seed(seed)
    spec = dense_spec(len(dataset.classes), dataset.config.size, width=width, line=recipe.line > 0)
    train = recipe.train.for_windows(len(dataset.train))
    model = build_vgg(spec, train.dropout)
    if isinstance(model, CorrectingVGG):
        model.line.give(*line_coefficients(dataset.train, recipe.line))
    trainer = Trainer(model, dataset, train, seed=seed, device=torch.device("cpu"), augmentation=recipe.augmentation)
    trainer.run(lambda *_: None, lambda: None)
    return [float((predict(model, own.test.images).argmax(1) == own.test.labels).mean()) for own in datasets]


def mean_accuracies(
    datasets: Sequence[Dataset], recipe: Recipe, seeds: Sequence[int], width: float
) -> Float[np.ndarray, " datasets"]:
    """Their means over seeds."""
    return np.mean([accuracies(datasets, recipe, seed, width) for seed in seeds], axis=0)


def line_accuracy(dataset: Dataset) -> float:
    """The straight line alone."""
    line = straight_line().fit(band_numbers(dataset.train.images), dataset.train.labels)
    return float(line.score(band_numbers(dataset.test.images), dataset.test.labels))


def inner(gathered: Gathered, seeds: Sequence[int], width: float, console: Console) -> dict[str, dict[str, float]]:
    """Mean accuracy over the seeds of each recipe, by "loads trained on > load named"."""
    found: dict[str, dict[str, float]] = {name: {} for name in (LINE, *RECIPES)}
    for pair in track(list(combinations(LOADS, 2)), "inner folds", console=console):
        tests = [load for load in LOADS if load not in pair]
        datasets = [part_of(gathered, pair, test) for test in tests]
        keys = [f"{pair[0]:g}+{pair[1]:g} > {test:g}" for test in tests]
        found[LINE] |= dict(zip(keys, map(line_accuracy, datasets), strict=True))
        for name, recipe in RECIPES.items():
            reached = mean_accuracies(datasets, recipe, seeds, width).tolist()
            found[name] |= dict(zip(keys, reached, strict=True))
    return found


def chosen(results: dict[str, dict[str, float]], test: float) -> str:
    """The recipe that is best where `test` was neither trained on nor named."""
    own = [key for key in results[PLAIN] if f"{test:g}" not in key]
    return max(RECIPES, key=lambda name: float(np.mean([results[name][key] for key in own])))


def study(gathered: Gathered, seeds: Sequence[int], width: float, outer: bool, console: Console) -> dict[str, Any]:
    """The inner folds of one problem, the recipe chosen for each load, and, if asked for, what it then reaches."""
    results = inner(gathered, seeds, width, console)
    found: dict[str, Any] = {"inner": results, "chosen": {f"{load:g}": chosen(results, load) for load in LOADS}}
    if outer:
        found["outer"] = {}
        for load in track(LOADS, "outer folds", console=console):
            dataset = part_of(gathered, [other for other in LOADS if other != load], load)
            names = {PLAIN: PLAIN, "chosen": found["chosen"][f"{load:g}"]}
            reached = {
                title: float(mean_accuracies([dataset], RECIPES[name], seeds, width)[0])
                for title, name in names.items()
            }
            found["outer"][f"{load:g}"] = {LINE: line_accuracy(dataset), **reached}
    return found


def show(name: str, found: dict[str, Any], console: Console) -> None:
    """Tables of one problem."""
    folds = len(next(iter(found["inner"].values())))
    table = Table(
        "recipe", "mean, %", "lowest, %", title=f"{name}: trained on two loads, another one named, {folds} folds"
    )
    for recipe, own in found["inner"].items():
        table.add_row(recipe, f"{100 * np.mean(list(own.values())):.1f}", f"{100 * min(own.values()):.1f}")
    console.print(table)
    for load, recipe in found["chosen"].items():
        reached = found.get("outer", {}).get(load, {})
        told = ", ".join(f"{title} {100 * value:.1f} %" for title, value in reached.items())
        console.print(f"load {load} held out: chosen {recipe!r}{'; ' + told if told else ''}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=default_root())
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--width", type=float, default=0.25)
    parser.add_argument("--problems", default="cwru,simulated")
    parser.add_argument("--outer", type=int, default=0)
    arguments = parser.parse_args()
    console = Console(width=100)
    seeds = [int(seed) for seed in arguments.seeds.split(",")]
    results = {"recipes": {name: asdict(recipe) for name, recipe in RECIPES.items()}}
    for name, config in configs(arguments.root).items():
        if name in arguments.problems.split(","):
            found = study(gather(config), seeds, arguments.width, bool(arguments.outer), console)
            show(name, found, console)
            results[name] = found
            command = f"python -m benchmarks.recipes --seeds {arguments.seeds} --width {arguments.width:g}"
            write("recipes", f"{command} --problems {arguments.problems} --outer {arguments.outer}", results)


if __name__ == "__main__":
    main()
