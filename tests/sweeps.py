"""A quick sweep on a tiny data set, for the tests of sweeps and bundles."""

from dataclasses import replace
from pathlib import Path

from rich.console import Console

from data import DataConfig
from pruning.config import SweepConfig
from pruning.sweep import run_sweep
from pruning.train import TrainConfig

QUICK = SweepConfig(
    rates=(0.5, 0.9),
    width=0.0625,
    threads=1,
    folds=1,
    train=TrainConfig(epochs=3, retrain_epochs=2, updates=0, retrain_updates=0, batch=8, precision="float32"),
    data=DataConfig(),
)
SILENT = Console(quiet=True)


def sweep(out: Path, **changes):
    return run_sweep(replace(QUICK, out=out, **changes), SILENT)


def snapshot(folder: Path) -> dict[str, bytes]:
    """Every artifact of a run; not the lock, which names its process."""
    return {
        str(p.relative_to(folder)): p.read_bytes()
        for p in sorted(folder.rglob("*"))
        if p.is_file() and p.name != ".lock"
    }
