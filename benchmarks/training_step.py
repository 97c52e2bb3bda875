"""Training speed: this project's loop against a plain float32, contiguous one, side by side in one run.

`python -m benchmarks.training_step [--sizes 32,64,128] [--repeats 5] [--threads 2]`. Medians over repeats, interleaved,
so that a noisy machine troubles all alike.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own short name
from rich.console import Console
from rich.table import Table

from benchmarks.machine import write
from data import DataConfig, Dataset, Examples
from pruning.augment import Augmentation
from pruning.spec import dense_spec
from pruning.train import TrainConfig, Trainer
from pruning.vgg import build_vgg

BATCH = 32


def examples(size: int, count: int) -> Examples:
    rng = np.random.default_rng(0)
    images = rng.standard_normal((count, 1, size, size)).astype(np.float32)
    labels = np.arange(count) % 10
    return Examples(images, labels, np.zeros(count, dtype=np.int64), np.zeros(count, dtype=np.float32))


def project_step(size: int, device: torch.device, precision: str) -> Callable[[], None]:
    """One update by `pruning.train.Trainer`, augmentation and class weights included."""
    part = examples(size, BATCH)
    dataset = Dataset(
        part, part, part, {}, tuple("abcdefghij"), 0, ("a",), "blocked", None, 0.0, 1.0, (), "benchmark", DataConfig()
    )
    torch.manual_seed(0)
    trainer = Trainer(
        build_vgg(dense_spec(10, size)),
        dataset,
        TrainConfig(batch=BATCH, precision=precision),
        seed=0,
        device=device,
        augmentation=Augmentation(),
    )
    trainer.model.train()
    generator = torch.Generator().manual_seed(0)
    chosen = torch.arange(BATCH)

    def step() -> None:
        float(trainer._update(chosen, 1e-3, generator))

    return step


def plain_step(size: int, device: torch.device) -> Callable[[], None]:
    """One update of the loop that everybody writes first: float32, contiguous."""
    torch.manual_seed(0)
    model = build_vgg(dense_spec(10, size)).to(device).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)
    images = torch.from_numpy(examples(size, BATCH).images).to(device)
    labels = torch.arange(BATCH, device=device) % 10

    def step() -> None:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        loss.item()

    return step


def measure(steps: dict[str, Callable[[], None]], repeats: int) -> dict[str, float]:
    """Median milliseconds an image of each kind of step; kinds take turns."""
    for step in steps.values():
        step()
        step()
    samples: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(repeats):
        for name, step in steps.items():
            start = time.perf_counter()
            step()
            samples[name].append((time.perf_counter() - start) / BATCH * 1e3)
    return {name: statistics.median(values) for name, values in samples.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default="32,64,128")
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    device = torch.device(arguments.device)
    table = Table(title=f"milliseconds an image, VGG-16 with batch norm and small head, batch {BATCH}")
    for heading in ("pixels", "plain float32", "project float32", "project bfloat16", "speed-up"):
        table.add_column(heading, justify="right")
    results = {}
    for size in map(int, arguments.sizes.split(",")):
        steps = {
            "plain_float32": plain_step(size, device),
            "project_float32": project_step(size, device, "float32"),
            "project_bfloat16": project_step(size, device, "bfloat16"),
        }
        medians = measure(steps, arguments.repeats if size < 128 else max(3, arguments.repeats // 2))
        best = min(medians["project_float32"], medians["project_bfloat16"])
        results[size] = {**medians, "speed_up": medians["plain_float32"] / best}
        table.add_row(str(size), *(f"{v:.1f}" for v in medians.values()), f"{results[size]['speed_up']:.2f}")
    Console().print(table)
    command = f"python -m benchmarks.training_step --sizes {arguments.sizes} --repeats {arguments.repeats}"
    name = (
        "training_step" if device.type == "cpu" else f"training_step_{torch.cuda.get_device_name(0).replace(' ', '_')}"
    )
    print(write(name, f"{command} --threads {arguments.threads} --device {arguments.device}", results))


if __name__ == "__main__":
    main()
