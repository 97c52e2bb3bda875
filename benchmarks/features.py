"""Why images are made as they are.

`python -m benchmarks.features [--root DIR] [--parts segments,rates]`.

* `segments`: a linear classifier on row means, ten classes of CWRU, trained on loads 1 to 3; accuracy on load 0 for
  several Fourier segments and for the logarithm taken before or after the mean over a band.
* `rates`: the two simple detectors of `pruning.run` on images of windows at several sampling rates: each load and each
  fault size of CWRU held out, and the 14 recordings of MFPT with each of them left out in turn.
"""

import argparse
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy.signal import stft
from sklearn.linear_model import LogisticRegression

from benchmarks.cwru import LOADS, default_root
from benchmarks.machine import write
from data import DataConfig, Dataset, build_dataset, build_folds
from data.images import resample
from data.readers import cwru
from data.recording import INCH_MM, class_name
from data.splits import Part, plan_split, window_starts
from pruning.baseline import fit_baselines

BANDS = 32


def features(windows: np.ndarray, segment: int, log_first: bool) -> np.ndarray:
    power = np.abs(stft(windows, nperseg=segment, padded=False, boundary=None)[2][:, : segment // 2]) ** 2 + 1e-13
    if log_first:
        return np.log10(power).mean(axis=-1).reshape(len(windows), BANDS, -1).mean(axis=-1)
    return np.log10(power.mean(axis=-1).reshape(len(windows), BANDS, -1).mean(axis=-1))


def segments(root: Path, console: Console) -> None:
    recordings = [r.only("DE") for r in cwru.read(root, cwru.chosen("fault"))]
    names = [class_name(r, "fault") for r in recordings]
    plan = plan_split(recordings, names, "load", window_s=1.0, hop_s=0.25, held_out=0.0)
    signals = [resample(r.signal(), r.sampling_rate_hz, 4000.0) for r in recordings]
    parts: dict[bool, tuple[list[np.ndarray], list[str]]] = {True: ([], []), False: ([], [])}
    for segment in plan.segments:
        for start in window_starts(segment, 1.0, 0.25):
            windows, labels = parts[segment.part is Part.TEST]
            windows.append(signals[segment.recording][round(4000 * start) :][:4000])
            labels.append(names[segment.recording])
    train, test = (np.stack(parts[is_test][0]) for is_test in (False, True))
    table = Table(title="accuracy on load 0 (%), logistic regression on 32 row means")
    for heading in ("segment (samples)", "mean of power, then logarithm", "logarithm, then mean"):
        table.add_column(heading, justify="right")
    results = {}
    for segment in (64, 128, 256, 512, 1024):
        own = {}
        for log_first in (False, True):
            a, b = features(train, segment, log_first), features(test, segment, log_first)
            mean, deviation = a.mean(), a.std()
            model = LogisticRegression(C=0.1, max_iter=5000).fit((a - mean) / deviation, parts[False][1])
            accuracy = model.score((b - mean) / deviation, parts[True][1])
            own["log_first" if log_first else "power_first"] = float(accuracy)
        results[segment] = own
        table.add_row(str(segment), f"{100 * own['power_first']:.1f}", f"{100 * own['log_first']:.1f}")
    console.print(table)
    write("features", "python -m benchmarks.features --parts segments", results)


def right(datasets: Iterable[Dataset]) -> dict[str, float]:
    """For each simple detector, the share of all test windows that it names rightly."""
    found: dict[str, list[np.ndarray]] = {}
    for dataset in datasets:
        for own in fit_baselines(dataset, noisy=False):
            found.setdefault(own.kind, []).append(own.called["clean"] == dataset.test.labels)
    return {kind: float(np.concatenate(each).mean()) for kind, each in found.items()}


def rates(root: Path, console: Console) -> None:
    columns = {f"load {load:g}": ("load", load) for load in LOADS}
    columns |= {f"{mil} mil": ("severity", mil * INCH_MM / 1000) for mil in (7, 14, 21)}
    table = Table(title="accuracy (%) by sampling rate of the windows")
    for heading in ("Hz", "detector", *columns, "14 recordings"):
        table.add_column(heading, justify="right")
    results = {}
    for rate in (4000.0, 6000.0, 8000.0, 9600.0, 12000.0, 24000.0, 48828.0):
        found: dict[str, dict[str, float]] = {}
        for name, (split, value) in columns.items() if rate <= 12000 else ():
            config = DataConfig(data="cwru", root=root, split=split, held_out=value, rate_hz=rate)
            found[name] = right([build_dataset(config)])
        mfpt = DataConfig(data="mfpt", root=root.parent / "mfpt", rate_hz=rate)
        found["14 recordings"] = right(build_folds(mfpt, 14)[1])
        results[f"{rate:g}"] = found
        for kind in found["14 recordings"]:
            own = (f"{100 * found[name][kind]:.1f}" if name in found else "" for name in (*columns, "14 recordings"))
            table.add_row(f"{rate:g}", kind, *own)
    console.print(table)
    write("features-rates", "python -m benchmarks.features --parts rates", results)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=default_root())
    parser.add_argument("--parts", default="segments,rates")
    arguments = parser.parse_args()
    console = Console(width=120)
    for name, part in (("segments", segments), ("rates", rates)):
        if name in arguments.parts.split(","):
            part(arguments.root, console)


if __name__ == "__main__":
    main()
