"""How far longer training takes the dense model on loads never seen: CWRU, each load held out in turn.

`python -m benchmarks.dense_loads [--epochs 14] [--seeds 0,1,2]`. The dense model alone, so that it takes minutes;
`benchmarks.cwru --parts load` measures the pruned ones with the default number of epochs.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from rich.console import Console

from benchmarks.cwru import LOADS, default_root
from benchmarks.machine import write
from data import DataConfig, build_dataset
from pruning.spec import dense_spec
from pruning.train import TrainConfig, Trainer, predict
from pruning.vgg import build_vgg


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, default=default_root())
    parser.add_argument("--epochs", type=int, default=14)
    parser.add_argument("--seeds", default="0,1,2")
    arguments = parser.parse_args()
    seeds = [int(s) for s in arguments.seeds.split(",")]
    console = Console(width=100)
    accuracy: dict[str, list[float]] = {}
    for load in reversed(LOADS):
        dataset = build_dataset(DataConfig(data="cwru", root=arguments.root, split="load", held_out=load))
        for seed in seeds:
            torch.manual_seed(seed)
            model = build_vgg(dense_spec(len(dataset.classes), 32), 0.0)
            config = TrainConfig(epochs=arguments.epochs)
            Trainer(model, dataset, config, seed=seed, device=torch.device("cpu")).run(lambda *_: None, lambda: None)
            right = predict(model, dataset.test.images).argmax(axis=1) == dataset.test.labels
            accuracy.setdefault(f"{load:g}", []).append(float(right.mean()))
            console.print(f"load {load:g}, seed {seed}: {right.mean():.2%}", highlight=False)
    by_seed = np.mean(list(accuracy.values()), axis=0)
    console.print(f"mean of the loads: {by_seed.mean():.2%} (by seed {', '.join(f'{a:.2%}' for a in by_seed)})")
    command = f"python -m benchmarks.dense_loads --epochs {arguments.epochs} --seeds {arguments.seeds}"
    results = {"loads": accuracy, "mean": float(by_seed.mean()), "by_seed": by_seed.tolist()}
    console.print(str(write("cwru_dense_loads", command, results)))


if __name__ == "__main__":
    main()
