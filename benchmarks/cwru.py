"""Accuracy on the CWRU recordings: the figures of the README.

`python -m benchmarks.cwru [--root DIR] [--parts blocked,mask,load,severity] [--seeds 0,1,2] [--line 0]`. Every part is
a sweep of `pruning.run` in `runs/bench`, so a second call continues or only prints; `--executor ray [--address ...]`
trains its models on a cluster. `--line 0.5` measures the networks that correct a straight line, in files of their own
(`cwru_line_*.json`), `--rate-hz 9600` images of a wider band (`cwru_9600_*.json`), and `--channel FE` the accelerometer
at the fan end (`cwru_FE_*.json`; 3001.mat to 3008.mat lack it, so `--root` must be a folder without them). The straight
line and the random forest on the same windows stand beside them.
"""

import argparse
import os
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from safetensors.numpy import load_file

from benchmarks.machine import write
from data import DataConfig
from data.common.sweep.options import Execution
from pruning.bundle import Manifest
from pruning.config import SweepConfig
from pruning.metrics import difference
from pruning.sweep import run_sweep

RATES = (0.1, 0.3, 0.5, 0.7, 0.8, 0.9)
PAPER = dict(zip(RATES, (0.9976, 0.9803, 0.9752, 0.9517, 0.9477, 0.9221), strict=True))
LOADS = (0.0, 1.0, 2.0, 3.0)


def default_root() -> Path:
    said = os.environ.get("BEARING_DATA")
    return (Path(said) if said else Path(__file__).parents[2] / "shared" / "data") / "cwru"


def row(manifest: Manifest) -> dict[str, Any]:
    found: dict[str, Any] = {
        f"{m.rate:g}": {
            "accuracy": m.accuracy,
            "interval": m.accuracy_interval,
            "before": m.accuracy_before,
            "snr": {k: v.accuracy.value for k, v in m.after.items()},
            "missed_faults": m.after["clean"].missed_faults.value if m.after["clean"].missed_faults else None,
            "difference": m.difference.model_dump(),
        }
        for m in manifest.models
    }
    if manifest.control:
        found["control"] = {"accuracy": manifest.control.accuracy}
    return found | {
        simple.kind: {"accuracy": simple.accuracy.value, "difference": simple.difference.model_dump()}
        for simple in manifest.baselines
    }


def correct(out: Path, manifest: Manifest) -> dict[float, np.ndarray]:
    """For each rate, seeds x windows: called rightly. The jobs' predictions stay in the run folder."""
    labels = load_file(out / manifest.test)["labels"]
    return {
        m.rate: np.stack(
            [
                load_file(
                    out
                    / "jobs"
                    / (f"seed{s.seed}-dense" if m.rate == 0 else f"seed{s.seed}-p{m.rate:g}")
                    / "predictions.safetensors"
                )["after.clean"]
                == labels
                for s in m.seeds
            ]
        )
        for m in manifest.models
    }


def average_loads(console: Console, base: SweepConfig, out: Path) -> dict[str, Any]:
    """The load split with each load held out in turn; each load counts the same."""
    single, right, recordings = {}, [], []
    for load in LOADS:
        config = replace(base, data=replace(base.data, split="load", held_out=load), out=out / f"load{load:g}")
        manifest = run_sweep(config, console)
        single[f"{load:g}"] = row(manifest)
        right.append(correct(config.out, manifest))
        recordings.append(load_file(config.out / manifest.test)["recordings"] + int(1000 * load))
    mean = {}
    for rate in right[0]:
        own = np.concatenate([r[rate] for r in right], axis=1)
        dense = np.concatenate([r[0.0] for r in right], axis=1)
        gain = difference([own, dense], np.concatenate(recordings))
        by_seed = np.mean([r[rate].mean(axis=1) for r in right], axis=0)
        mean[f"{rate:g}"] = {
            "accuracy": float(np.mean([r[rate].mean() for r in right])),
            "by_seed": by_seed.tolist(),
            "difference": dict(zip(("value", "low", "high"), gain, strict=True)),
        }
    return {"mean": mean, "loads": single}


def show(console: Console, results: dict[str, Any]) -> None:
    table = Table(title="CWRU test accuracy in percent")
    for heading in ("part", "dense", *(f"{r:g}" for r in RATES)):
        table.add_column(heading, justify="right")
    table.add_row("paper, Table II(a)", "", *(f"{100 * PAPER[r]:.2f}" for r in RATES))
    for name, part in results.items():
        values = part.get("mean", part)
        keys = ("0", *(f"{r:g}" for r in RATES))
        table.add_row(name, *(f"{100 * values[k]['accuracy']:.2f}" if k in values else "" for k in keys))
    console.print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, default=default_root())
    parser.add_argument("--parts", default="blocked,mask,load,severity")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--line", type=float, default=0.0)
    parser.add_argument("--rates", default=",".join(f"{rate:g}" for rate in RATES))
    parser.add_argument("--rate-hz", type=float)
    parser.add_argument("--channel")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--executor", choices=("local", "ray"), default="local")
    parser.add_argument("--address")
    parser.add_argument("--out", type=Path, default=Path("runs/bench"))
    arguments = parser.parse_args()
    console = Console(width=100)
    if not arguments.root.is_dir():
        console.print(f"no CWRU recordings in {arguments.root}; set BEARING_DATA or give --root: skipped")
        return
    seeds = tuple(int(s) for s in arguments.seeds.split(","))
    wide = "" if arguments.rate_hz is None else f"{arguments.rate_hz:g}_"
    sensor = "" if arguments.channel is None else f"{arguments.channel}_"
    kind = ("line_" if arguments.line else "") + wide + sensor
    base = SweepConfig(
        rates=tuple(float(rate) for rate in arguments.rates.split(",")),
        seeds=seeds,
        onnx=False,
        line=arguments.line,
        threads=arguments.threads,
        execution=Execution(executor=arguments.executor, address=arguments.address),
        data=DataConfig(
            data="cwru", root=arguments.root, accept=("weak",), rate_hz=arguments.rate_hz, channel=arguments.channel
        ),
    )
    results: dict[str, Any] = {}
    for part in arguments.parts.split(","):
        out = arguments.out / f"{kind}{part}"
        if part == "load":
            results[part] = average_loads(console, base, out)
        else:
            split = "severity" if part == "severity" else "blocked"
            config = replace(
                base,
                out=out,
                data=replace(base.data, split=split),
                method="mask" if part == "mask" else "structural",
            )
            results[part] = row(run_sweep(config, console))
        settings = {"train": asdict(base.train), "augmentation": asdict(base.augmentation), "seeds": seeds}
        write(
            f"cwru_{kind}{part}",
            f"python -m benchmarks.cwru --parts {part} --seeds {arguments.seeds} --line {arguments.line:g} "
            f"--rates {arguments.rates} --threads {arguments.threads}"
            + (f" --rate-hz {arguments.rate_hz:g}" if wide else "")
            + (f" --channel {arguments.channel}" if sensor else ""),
            {"accuracy": results[part], "settings": settings},
        )
    show(console, results)


if __name__ == "__main__":
    main()
