"""Why images are made as they are: a linear classifier on row means, CWRU load 0 held out, ten classes.

`python -m benchmarks.features [--root DIR]`. Trained on loads 1 to 3; accuracy on load 0 for several Fourier segments
and for the logarithm taken before or after the mean over a band.
"""

import argparse
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy.signal import stft
from sklearn.linear_model import LogisticRegression

from benchmarks.cwru import default_root
from benchmarks.machine import write
from data.images import resample
from data.readers import cwru
from data.recording import class_name
from data.splits import Part, plan_split, window_starts

BANDS = 32


def features(windows: np.ndarray, segment: int, log_first: bool) -> np.ndarray:
    power = np.abs(stft(windows, nperseg=segment, padded=False, boundary=None)[2][:, : segment // 2]) ** 2 + 1e-13
    if log_first:
        return np.log10(power).mean(axis=-1).reshape(len(windows), BANDS, -1).mean(axis=-1)
    return np.log10(power.mean(axis=-1).reshape(len(windows), BANDS, -1).mean(axis=-1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, default=default_root())
    root = parser.parse_args().root
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
    Console().print(table)
    print(write("features", "python -m benchmarks.features", results))


if __name__ == "__main__":
    main()
