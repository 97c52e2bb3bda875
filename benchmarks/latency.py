"""The claims of `profiling` about time, each side by side in one run.

`python -m benchmarks.latency [--parts timers,speed,repeat] [--bundle runs/demo/bundle] [--size 128] [--repeats 7]`

* timers: our median against `torch.utils.benchmark` (torch) and OpenVINO's `benchmark_app`, in turns.
* speed: the dense VGG-16, 0.9 by FLOPs (also with widths in multiples of 8 and 16) and 0.9 masked at `--size` pixels
  on every runtime and precision, in turns. Weights are random: time does not depend on them.
* repeat: two profiles of one bundle, one after the other, compared cell by cell.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch.utils.benchmark import Timer

from benchmarks.machine import write
from profiling.comparison import compare_profiles, verdict_line
from profiling.measuring.device import int8_saturates
from profiling.measuring.quantize import quantize
from profiling.measuring.worker import warm_up
from profiling.profile.entries import Precision, RuntimeName
from profiling.profile.profile import Profile
from profiling.runtimes.registry import open_session
from profiling.runtimes.session import Request, Session
from pruning.bundle import read_manifest
from pruning.export import to_onnx
from pruning.filters import keep_by_layer, linear_masks, zero_filters
from pruning.load import load_model
from pruning.spec import channel_target, dense_spec, flops_target
from pruning.vgg import build_vgg

THREADS = 2
REDUCED = ("dense", "0.9", "0.9 by 16")  # models that are also timed in bf16 and int8
VARIANTS: list[tuple[RuntimeName, Precision]] = [
    ("torch", "fp32"),
    ("onnxruntime", "fp32"),
    ("openvino", "fp32"),
    ("openvino", "bf16"),
    ("onnxruntime", "int8"),
    ("openvino", "int8"),
]


def median_ms(session: Session, seconds: float) -> float:
    """Median of the runs of a stretch, after three that do not count."""
    for _ in range(3):
        session.sample()
    begun, times = time.monotonic(), []
    while len(times) < 5 or time.monotonic() - begun < seconds:
        times.append(session.sample()[0])
    return 1e3 * statistics.median(times)


def open_onnx(runtime: RuntimeName, path: Path, batch: int, size: int, precision: Precision = "fp32") -> Session:
    return open_session(Request(runtime, "cpu", precision, THREADS, batch, (1, size, size), path, None))


def timers(bundle: Path, repeats: int, console: Console) -> list[dict[str, Any]]:
    """Ours over theirs, in turns; batch 8, dense and the most pruned model."""
    manifest = read_manifest(bundle)
    size, results = manifest.preprocessing.size, []
    for entry in (manifest.models[0], manifest.models[-1]):
        ours = open_session(Request("torch", "cpu", "fp32", THREADS, 8, (1, size, size), None, (bundle, entry.rate)))
        model = load_model(bundle, entry.rate)
        images = torch.randn(8, 1, size, size).to(memory_format=torch.channels_last)
        torch.set_num_threads(THREADS)
        theirs = Timer("m(x)", globals={"m": model, "x": images}, num_threads=THREADS)
        warm_up(ours)
        pairs = []
        for _ in range(repeats):
            with torch.inference_mode():
                pairs.append((median_ms(ours, 1.0), 1e3 * theirs.blocked_autorange(min_run_time=1.0).median))
        results.append(_timer_row("torch", "torch.utils.benchmark", entry.rate, pairs))
        path = bundle / str(entry.onnx)
        ours = open_onnx("openvino", path, 8, size)
        warm_up(ours)
        pairs = [(median_ms(ours, 2.0), benchmark_app(path, 8, size)) for _ in range(repeats)]
        results.append(_timer_row("openvino", "benchmark_app", entry.rate, pairs))
    table = Table("runtime", "other timer", "rate", "ours, ms", "theirs, ms", "ours / theirs")
    for r in results:
        numbers = (f"{r['ours_ms']:.3f}", f"{r['theirs_ms']:.3f}", f"{r['ratio']:.3f}")
        table.add_row(r["runtime"], r["other"], f"{r['rate']:g}", *numbers)
    console.print(table)
    return results


def _timer_row(runtime: str, other: str, rate: float, pairs: list[tuple[float, float]]) -> dict[str, Any]:
    ratios = [a / b for a, b in pairs]
    ours, theirs = (statistics.median(x) for x in zip(*pairs, strict=True))
    return {
        "runtime": runtime,
        "other": other,
        "rate": rate,
        "ours_ms": ours,
        "theirs_ms": theirs,
        "ratio": statistics.median(ratios),
        "ratios": ratios,
    }


def benchmark_app(path: Path, batch: int, size: int) -> float:
    """Median milliseconds by OpenVINO's own tool, for 2 s with the settings that we use."""
    with tempfile.TemporaryDirectory() as folder:
        tool = Path(sys.executable).with_name("benchmark_app")
        options = f"-m {path} -d CPU -api sync -hint none -nstreams 1 -nthreads {THREADS} -infer_precision f32 -t 2"
        report = f"-shape [{batch},1,{size},{size}] -report_type no_counters -json_stats -report_folder {folder}"
        subprocess.run([str(tool), *options.split(), *report.split()], check=True, capture_output=True)
        found = json.loads(next(Path(folder).glob("*.json")).read_text())
    return float(found["execution_results"]["latency (ms)"])


def speed(size: int, repeats: int, console: Console) -> list[dict[str, Any]]:
    """Milliseconds of every (model, runtime, precision) at batch 1, 8 and 32, in turns."""
    torch.manual_seed(0)
    spec = dense_spec(10, size)
    dense = build_vgg(spec).eval()
    masked = build_vgg(spec).eval()
    masked.load_state_dict(dense.state_dict())
    narrow = channel_target(spec, 0.9)
    zero_filters(masked, keep_by_layer(masked, narrow.widths + narrow.hidden), linear_masks(masked, 0.9))
    models = {
        "dense": dense,
        "0.9": build_vgg(flops_target(spec, 0.9)).eval(),
        "0.9 by 8": build_vgg(flops_target(spec, 0.9, 8)).eval(),
        "0.9 by 16": build_vgg(flops_target(spec, 0.9, 16)).eval(),
        "0.9 masked": masked,
    }
    images = np.random.default_rng(0).standard_normal((16, 1, size, size), dtype=np.float32)
    results = []
    with tempfile.TemporaryDirectory() as folder:
        for name, model in models.items():
            path = Path(folder) / f"{name.replace(' ', '-')}.onnx"
            path.write_bytes(to_onnx(model, size))
            if name in REDUCED:
                quantize(path, path.with_suffix(".int8.onnx"), images, narrow=int8_saturates())
        for batch in (1, 8, 32):
            sessions = {
                (name, runtime, precision): _session(Path(folder), model, name, runtime, precision, batch, size)
                for name, model in models.items()
                for runtime, precision in VARIANTS
                if name in REDUCED or precision == "fp32"
            }
            times: dict[tuple[str, str, str], list[float]] = {key: [] for key in sessions}
            for _ in range(repeats):
                for key, session in sessions.items():
                    times[key].append(median_ms(session, 0.3))
            results += [
                {"model": m, "runtime": r, "precision": p, "batch": batch, "ms": statistics.median(t), "runs_ms": t}
                for (m, r, p), t in times.items()
            ]
    _print_speed(results, size, console)
    return results


class _Torch(Session):
    """The torch runtime on a model in memory."""

    def __init__(self, model: torch.nn.Module, batch: int, size: int) -> None:
        torch.set_num_threads(THREADS)
        self._model = model.to(memory_format=torch.channels_last)
        self._input = torch.randn(batch, 1, size, size).to(memory_format=torch.channels_last)

    @torch.inference_mode()
    def sample(self) -> tuple[float, float | None]:
        start = time.perf_counter()
        self._model(self._input)
        return time.perf_counter() - start, None

    def logits(self, images: Any) -> Any:
        raise NotImplementedError


def _session(
    folder: Path, model: torch.nn.Module, name: str, runtime: RuntimeName, precision: Precision, batch: int, size: int
) -> Session:
    if runtime == "torch":
        return _Torch(model, batch, size)
    path = folder / f"{name.replace(' ', '-')}{'.int8' if precision == 'int8' else ''}.onnx"
    return open_onnx(runtime, path, batch, size, precision)


def _print_speed(results: list[dict[str, Any]], size: int, console: Console) -> None:
    table = Table("model", "runtime", "", "batch 1", "batch 8", "batch 32", "dense / it, b=8", "torch / it, b=8")
    found = {(r["model"], r["runtime"], r["precision"], r["batch"]): r["ms"] for r in results}
    for model, runtime, precision in dict.fromkeys((r["model"], r["runtime"], r["precision"]) for r in results):
        own = [found[model, runtime, precision, b] for b in (1, 8, 32)]
        gain = found["dense", runtime, precision, 8] / own[1]
        over = found[model, "torch", "fp32", 8] / own[1]
        table.add_row(model, runtime, precision, *(f"{x:.2f}" for x in own), f"{gain:.2f}", f"{over:.2f}")
    console.print(f"{size} pixels, median ms per batch")
    console.print(table)


def repeat(bundle: Path, console: Console) -> dict[str, Any]:
    """Two profiles of one bundle, one after the other."""
    with tempfile.TemporaryDirectory() as folder:
        profiles = []
        for name in ("a", "b"):
            out = Path(folder) / f"{name}.json"
            command = [sys.executable, "-m", "profiling.run", "--models", str(bundle), "--no-figures"]
            begun = time.monotonic()
            subprocess.run([*command, "--out", str(out)], check=True, capture_output=True)
            profiles.append((Profile.load(out), time.monotonic() - begun))
    (a, a_s), (b, b_s) = profiles
    ratios = compare_profiles(a, b)
    agree = sum(abs(r.ratio - 1) <= 0.05 for r in ratios) / len(ratios)
    console.print(verdict_line(ratios))
    measured = [p.measurement for p in (a, b) if p.measurement is not None]
    console.print(f"grades: {[m.grade for m in measured]}; seconds: {a_s:.0f}, {b_s:.0f}")
    return {
        "cells": len(ratios),
        "share_within_5_percent": agree,
        "grades": [m.grade for m in measured],
        "noisy_cells": [m.noisy_cells for m in measured],
        "drift": [m.drift for m in measured],
        "seconds": [a_s, b_s],
        "ratios": [r.ratio for r in ratios],
        "left_out_median_error": {
            f.law: [f.left_out_median_error, g.left_out_median_error]
            for f, g in zip(a.capacities[0].laws, b.capacities[0].laws, strict=True)
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", default="timers,speed,repeat")
    parser.add_argument("--bundle", type=Path, default=Path("runs/demo/bundle"))
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    console = Console(width=100)
    command = (
        f"python -m benchmarks.latency --bundle {options.bundle} --size {options.size} --repeats {options.repeats}"
    )
    for part in options.parts.split(","):
        if part == "timers":
            results: Any = timers(options.bundle, options.repeats, console)
        elif part == "speed":
            results = speed(options.size, options.repeats, console)
        elif part == "repeat":
            results = repeat(options.bundle, console)
        else:
            parser.error(f"unknown part {part}")
        name = f"latency-{part}" + (f"-{options.size}" if part == "speed" else "")
        console.print(f"kept in {write(name, f'{command} --parts {part}', results)}")


if __name__ == "__main__":
    main()
