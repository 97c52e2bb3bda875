"""Pictures of recordings: what each class looks and how much of it there is."""

from pathlib import Path

import numpy as np

from data.common.extras import needs_extra
from data.common.pictures import save_png
from data.config import DataConfig
from data.gather import read_recordings, windows_rate_hz
from data.images import prepare_signal
from data.recording import Recording, class_name
from data.survey import Survey

with needs_extra(__name__):
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

SHOWN_S = 10.0  # of a recording
SEGMENT_S = 0.032  # of a Fourier segment


def draw_spectrograms(config: DataConfig, path: Path) -> None:
    """The beginning of the first recording of each class, resampled as for training: log-power over time and Hz."""
    from scipy.signal import spectrogram

    first: dict[str, Recording] = {}
    recordings = read_recordings(config)
    rate_hz = windows_rate_hz(config, recordings)
    for recording in recordings:
        first.setdefault(class_name(recording, config.labels_kind), recording)
    figure, axes = plt.subplots(
        len(first), 1, figsize=(9, 0.8 + 1.6 * len(first)), layout="constrained", squeeze=False, sharex=True
    )
    for axis, (label, recording) in zip(axes[:, 0], sorted(first.items()), strict=True):
        target = min(rate_hz, recording.sampling_rate_hz)
        signal = recording.signal()[: round(SHOWN_S * recording.sampling_rate_hz)]
        signal = prepare_signal(np.asarray(signal, dtype=np.float64), recording.sampling_rate_hz, target)
        hertz, seconds, power = spectrogram(signal, target, nperseg=min(max(2, round(SEGMENT_S * target)), len(signal)))
        axis.pcolormesh(seconds, hertz, np.log10(power + 1e-12), shading="nearest", rasterized=True)
        axis.set_title(f"{label} ({recording.name})", fontsize=9)
        axis.set_ylabel("Hz", fontsize=8)
    axes[-1, 0].set_xlabel("s")
    save_png(figure, path)


def draw_overview(found: Survey, path: Path) -> None:
    """Recordings of each class by their length, and the length of each class."""
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(10, 1.6 + 0.35 * len(found.classes)), layout="constrained", sharey=True
    )
    for row, label in enumerate(found.classes):
        lengths = [r.duration_s for r in found.recordings if r.label == label]
        left.plot(lengths, [row] * len(lengths), "o", alpha=0.6, color="tab:blue")
        right.barh(row, sum(lengths), color="tab:blue")
        right.text(sum(lengths), row, f" {len(lengths)}", va="center", fontsize=8)
    left.set_yticks(range(len(found.classes)), found.classes)
    left.set(xlabel="length of each recording (s)", xlim=(0, None))
    right.set(xlabel="length of all (s), and their number")
    for axis in (left, right):
        axis.grid(alpha=0.3, axis="x")
    save_png(figure, path)
