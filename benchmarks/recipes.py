"""Which recipe generalises, chosen without a look at any test part.

`python -m benchmarks.recipes [--root DIR] [--seeds 0] [--width 0.25] [--problems cwru,sizes,mfpt,simulated]
[--outer 0] [--device cpu] [--rate-hz HZ] [--only NAMES]`.

Each problem has groups: motor loads, fault sizes, or (the set of 14 recordings) pairs of one recording of each class.
Every pair of groups is left out once: a recipe trains on all others, and each of the two is named. For a test group k,
the choice of a recipe rests on the trainings without k, named on the other one that was left out. So no recipe is
chosen with windows of the group that it is then judged on. Chosen is the recipe with the highest mean over these
trainings (and seeds). `--outer 1` then trains the chosen recipe, the default one, the plain VGG-16 and the straight
line on all groups but one and names that one; this is the only look at a test part.

The networks are narrow by default (a quarter of VGG-16's width: 3 s instead of 25 s a training on two cores), because a
choice takes hundreds of trainings. `--rate-hz` makes images of another sampling rate, in a file of its own
(`recipes_9600.json`); `--only "line 0.5;line 1"` tries fewer recipes.
"""

import argparse
from collections.abc import Callable, Sequence
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

from benchmarks.cwru import default_root
from benchmarks.machine import write
from data import DataConfig, Dataset
from data.build import make_dataset
from data.gather import Gathered, gather
from data.recording import INCH_MM, Recording
from pruning.augment import Augmentation
from pruning.baseline import band_numbers, line_coefficients, straight_line
from pruning.spec import dense_spec
from pruning.train import TrainConfig, Trainer, predict
from pruning.vgg import CorrectingVGG, build_vgg

PLAIN = "VGG-16 alone"
DEFAULT = "line 0.5, restraint 0.1"  # what `pruning.run` does unless told otherwise
LINE = "straight line alone"


@dataclass(frozen=True)
class Recipe:
    """How a model is made and trained, as the options of `pruning.run` say it."""

    line: float = 0.0
    augmentation: Augmentation = field(default_factory=Augmentation)
    train: TrainConfig = field(default_factory=TrainConfig)


FREE, LIGHT, MILD, FIRM = (TrainConfig(restraint=restraint) for restraint in (0.0, 0.05, 0.1, 0.3))

RECIPES = {
    PLAIN: Recipe(),
    "no variation of images": Recipe(augmentation=Augmentation(roll=False, jitter=0.0, warp=0.0)),
    "weight decay 0.01": Recipe(train=TrainConfig(weight_decay=0.01)),
    "line 0.25": Recipe(line=0.25, train=FREE),
    "line 0.5": Recipe(line=0.5, train=FREE),
    "line 0.5, 14 epochs": Recipe(line=0.5, train=replace(FREE, epochs=14)),
    "line 1": Recipe(line=1.0, train=FREE),
    "line 1, 14 epochs": Recipe(line=1.0, train=replace(FREE, epochs=14)),
    "line 0.5, restraint 0.05": Recipe(line=0.5, train=LIGHT),
    "line 0.5, restraint 0.05, 14 epochs": Recipe(line=0.5, train=replace(LIGHT, epochs=14)),
    DEFAULT: Recipe(line=0.5, train=MILD),
    "line 0.5, restraint 0.1, 14 epochs": Recipe(line=0.5, train=replace(MILD, epochs=14)),
    "line 0.5, restraint 0.3": Recipe(line=0.5, train=FIRM),
}


def load_of(recording: Recording) -> float | None:
    """Motor load in hp."""
    return recording.load


def size_of(recording: Recording) -> float | None:
    """Fault size in thousandths of an inch; None if healthy."""
    size = recording.fault.diameter_mm
    return None if size is None else round(1000 * size / INCH_MM, 3)


@dataclass(frozen=True)
class Problem:
    """A data set, and what of its recordings is left out.

    Attributes:
        config: The data set; its split leaves out what `of` says.
        of: The group of a recording; None if it belongs to every part.
        values: All that occur, ascending.
        held_out: `DataConfig.held_out` for one of the values.
    """

    config: DataConfig
    of: Callable[[Recording], float | None]
    values: tuple[float, ...]
    held_out: Callable[[float], float]


def numbered(gathered: Gathered) -> Gathered:
    """Recordings that say no load get the number at the end of their names for one."""
    if any(recording.load is not None for recording in gathered.recordings):
        return gathered
    recordings = [replace(own, load=float(own.name.rsplit("_", 1)[1])) for own in gathered.recordings]
    return replace(gathered, recordings=recordings)


def problems(root: Path) -> dict[str, Problem]:
    """The simulated bearings and, where the recordings are at hand, CWRU's loads and fault sizes, and MFPT's faults.

    Args:
        root: Folder of the CWRU recordings, beside that of MFPT's.
    """
    loads = (0.0, 1.0, 2.0, 3.0)
    found = {"simulated": Problem(DataConfig(split="load"), load_of, loads, float)}
    if root.is_dir():
        cwru = DataConfig(data="cwru", root=root)
        found["cwru"] = Problem(replace(cwru, split="load"), load_of, loads, float)
        found["sizes"] = Problem(
            replace(cwru, split="severity"), size_of, (7.0, 14.0, 21.0, 28.0), lambda size: size * INCH_MM / 1000
        )
    mfpt = root.parent / "mfpt"
    if mfpt.is_dir():
        config = DataConfig(data="mfpt", root=mfpt, split="load")
        found["mfpt"] = Problem(config, load_of, tuple(float(n) for n in range(1, 8)), float)
    return found


def part_of(gathered: Gathered, problem: Problem, train: Sequence[float], test: float) -> Dataset | None:
    """Training on some values, testing on one; None if a class is lacking there.

    Classes that occur at a single value are always there, split in time.
    """
    values_of: dict[str, set[float | None]] = {}
    for recording, name in zip(gathered.recordings, gathered.labels, strict=True):
        values_of.setdefault(name, set()).add(problem.of(recording))
    if any(len(values) > 1 and test not in values for values in values_of.values()):
        return None  # CWRU's faults of 0.028 in. are in two of three places
    kept = [
        i
        for i, (recording, name) in enumerate(zip(gathered.recordings, gathered.labels, strict=True))
        if problem.of(recording) in (*train, test) or len(values_of[name]) == 1
    ]
    config = replace(gathered.config, held_out=problem.held_out(test))
    some = Gathered(config, [gathered.recordings[i] for i in kept], [gathered.labels[i] for i in kept], [])
    return make_dataset(some, "")


def accuracies(
    datasets: Sequence[Dataset], recipe: Recipe, seed: int, width: float, device: torch.device
) -> list[float]:
    """Train one model, and the share of test windows that it names rightly, for sets that differ in these alone."""
    dataset = datasets[0]
    assert all(np.array_equal(other.train.images, dataset.train.images) for other in datasets)
    torch.manual_seed(seed)
    spec = dense_spec(len(dataset.classes), dataset.config.size, width=width, line=recipe.line > 0)
    train = recipe.train.for_windows(len(dataset.train))
    model = build_vgg(spec, train.dropout)
    if isinstance(model, CorrectingVGG):
        model.line.give(*line_coefficients(dataset.train, recipe.line))
    trainer = Trainer(model, dataset, train, seed=seed, device=device, augmentation=recipe.augmentation)
    trainer.run(lambda *_: None, lambda: None)
    return [float((predict(model, own.test.images).argmax(1) == own.test.labels).mean()) for own in datasets]


def mean_accuracies(
    datasets: Sequence[Dataset], recipe: Recipe, seeds: Sequence[int], width: float, device: torch.device
) -> Float[np.ndarray, " datasets"]:
    """Their means over seeds."""
    return np.mean([accuracies(datasets, recipe, seed, width, device) for seed in seeds], axis=0)


def line_accuracy(dataset: Dataset) -> float:
    """The straight line alone."""
    line = straight_line().fit(band_numbers(dataset.train.images), dataset.train.labels)
    return float(line.score(band_numbers(dataset.test.images), dataset.test.labels))


@dataclass(frozen=True)
class Study:
    """One problem, its recordings, and how networks are trained for it."""

    problem: Problem
    gathered: Gathered
    recipes: dict[str, Recipe]
    seeds: Sequence[int]
    width: float
    device: torch.device
    console: Console

    def inner(self) -> dict[str, dict[str, float]]:
        """Mean accuracy over the seeds of each recipe, by "values trained on > value named"."""
        found: dict[str, dict[str, float]] = {name: {} for name in (LINE, *self.recipes)}
        for pair in track(list(combinations(self.problem.values, 2)), "inner folds", console=self.console):
            train = [value for value in self.problem.values if value not in pair]
            parts = {test: part_of(self.gathered, self.problem, train, test) for test in pair}
            datasets = {test: part for test, part in parts.items() if part is not None}
            keys = [f"{'+'.join(f'{value:g}' for value in train)} > {test:g}" for test in datasets]
            found[LINE] |= dict(zip(keys, map(line_accuracy, datasets.values()), strict=True))
            for name, recipe in self.recipes.items():
                reached = mean_accuracies(list(datasets.values()), recipe, self.seeds, self.width, self.device)
                found[name] |= dict(zip(keys, reached.tolist(), strict=True))
        return found

    def outer(self, chosen: dict[str, str]) -> dict[str, dict[str, float]]:
        """What each recipe below reaches on each value, trained on all others."""
        found = {}
        for value in track(self.problem.values, "outer folds", console=self.console):
            others = [other for other in self.problem.values if other != value]
            dataset = part_of(self.gathered, self.problem, others, value)
            if dataset is not None:
                names = {PLAIN: PLAIN, "default": DEFAULT, "chosen": chosen[f"{value:g}"]}
                found[f"{value:g}"] = {LINE: line_accuracy(dataset)} | {
                    title: float(mean_accuracies([dataset], RECIPES[name], self.seeds, self.width, self.device)[0])
                    for title, name in names.items()
                }
        return found

    def results(self, outer: bool) -> dict[str, Any]:
        """The inner folds, the recipe chosen for each value, and, if asked for, what it then reaches."""
        inner = self.inner()
        picked = {f"{value:g}": chosen(inner, value) for value in self.problem.values}
        return {"inner": inner, "chosen": picked} | ({"outer": self.outer(picked)} if outer else {})


def chosen(results: dict[str, dict[str, float]], test: float) -> str:
    """The recipe that is best where `test` was neither trained on nor named."""
    own = [key for key in results[LINE] if f"{test:g}" not in key.replace(" > ", "+").split("+")]
    return max(
        [name for name in results if name != LINE], key=lambda name: float(np.mean([results[name][key] for key in own]))
    )


def show(name: str, found: dict[str, Any], console: Console) -> None:
    """Tables of one problem."""
    folds = len(next(iter(found["inner"].values())))
    table = Table("recipe", "mean, %", "lowest, %", title=f"{name}: two groups left out, one named, {folds} folds")
    for recipe, own in found["inner"].items():
        table.add_row(recipe, f"{100 * np.mean(list(own.values())):.1f}", f"{100 * min(own.values()):.1f}")
    console.print(table)
    reached = found.get("outer", {})
    titles = list(next(iter(reached.values()), {}))
    table = Table("left out", "chosen without it", *(f"{title}, %" for title in titles))
    for value, recipe in found["chosen"].items():
        own = reached.get(value, {})
        table.add_row(value, recipe, *(f"{100 * own[title]:.1f}" for title in own))
    if reached:
        table.add_row(
            "mean", "", *(f"{100 * np.mean([own[title] for own in reached.values()]):.1f}" for title in titles)
        )
    console.print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=default_root())
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--width", type=float, default=0.25)
    parser.add_argument("--problems", default="cwru,sizes,mfpt,simulated")
    parser.add_argument("--outer", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rate-hz", type=float)
    parser.add_argument("--only")
    arguments = parser.parse_args()
    console = Console(width=100)
    seeds = [int(seed) for seed in arguments.seeds.split(",")]
    names = arguments.only.split(";") if arguments.only else list(RECIPES)
    recipes = {name: RECIPES[name.strip()] for name in names}
    results: dict[str, Any] = {"recipes": {name: asdict(recipe) for name, recipe in recipes.items()}}
    wide = "" if arguments.rate_hz is None else f"_{arguments.rate_hz:g}"
    for name, problem in problems(arguments.root).items():
        if name in arguments.problems.split(","):
            device = torch.device(arguments.device)
            config = replace(problem.config, rate_hz=arguments.rate_hz)
            study = Study(problem, numbered(gather(config)), recipes, seeds, arguments.width, device, console)
            results[name] = study.results(bool(arguments.outer))
            show(name, results[name], console)
            command = f"python -m benchmarks.recipes --seeds {arguments.seeds} --width {arguments.width:g}"
            command += f" --problems {arguments.problems} --outer {arguments.outer}"
            command += (f" --rate-hz {arguments.rate_hz:g}" if wide else "") + (
                f' --only "{arguments.only}"' if arguments.only else ""
            )
            write(f"recipes{wide}", command, results)


if __name__ == "__main__":
    main()
