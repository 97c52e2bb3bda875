"""From a raw signal to a class, with a model of a bundle and the preprocessing that the bundle was made with."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float, Float32, Num
from scipy.special import softmax

from data import DataError, Recording
from data.checks import find_flaws
from data.common.device import is_installed
from data.common.onnxfile import open_onnx, read_onnx
from data.images import FLOOR, SMOOTHING, log_spectrogram, prepare_signal, segment_length, standardise, window_at
from data.splits import Part, Segment, window_starts
from pruning.bundle import Manifest, ModelEntry, read_manifest, verified
from pruning.errors import PruningError

BATCH = 256
Model = Callable[[Float32[np.ndarray, "n 1 size size"]], Float[np.ndarray, "n classes"]]
"""From standardised images to logits."""


@dataclass(frozen=True)
class Classified:
    """What a model says of a signal.

    Attributes:
        name: Class with the highest mean probability over the windows.
        probabilities: Mean probability of each class over the windows; they sum to 1.
        windows: Most probable class of each window, in time order.
        starts_s: Start of each window in seconds.
    """

    name: str
    probabilities: dict[str, float]
    windows: tuple[str, ...]
    starts_s: tuple[float, ...]


class Classifier:
    """A model of a bundle, loaded once, that classifies raw signals.

    Args:
        bundle: Folder written by `python -m pruning.run`.
        rate: Pruning rate of the model; 0.0 is the dense one.
        runtime: "torch", "onnxruntime", or "auto" for torch if it is installed and onnxruntime otherwise.

    Raises:
        PruningError: Not a bundle, no model of this rate, a damaged file, no runtime, or a bundle whose preprocessing
            this version does not have.
    """

    def __init__(
        self, bundle: str | Path, rate: float, runtime: Literal["auto", "torch", "onnxruntime"] = "auto"
    ) -> None:
        folder = Path(bundle)
        self.manifest = read_manifest(folder)
        _check_preprocessing(self.manifest, folder)
        entry = self.manifest.entry(rate)
        if runtime == "auto":
            runtime = "torch" if is_installed("torch") and is_installed("torchvision") else "onnxruntime"
        self._model = _torch_model(folder, rate) if runtime == "torch" else _onnx_model(folder, self.manifest, entry)

    def images(
        self, signal: Num[np.ndarray, " samples"], sampling_rate_hz: float
    ) -> tuple[Float32[np.ndarray, "n 1 size size"], tuple[float, ...]]:
        """The images of a signal's windows as the model takes them, and the start of each window in seconds.

        Raises:
            PruningError: The signal is shorter than a window, sampled too slowly, silent, stuck, or not finite.
        """
        steps = self.manifest.preprocessing
        try:
            recording = Recording("signal", "your", {"signal": np.asarray(signal, dtype=np.float64)}, sampling_rate_hz)
            flaws = [flaw for flaw in find_flaws(recording, "signal") if flaw.kind != "clipped"]
            if flaws:
                raise PruningError(f"the signal cannot be classified: {flaws[0]}.", "Check the sensor and its cable.")
            if recording.duration_s < steps.window_s * (1 - 1e-9):
                raise PruningError(
                    f"the signal is {recording.duration_s:.3g} s long; a window of this bundle takes "
                    f"{steps.window_s:g} s.",
                    "Give a longer signal.",
                )
            prepared = prepare_signal(recording.signal(), sampling_rate_hz, steps.rate_hz)
        except DataError as error:
            raise PruningError(error.problem, "Give a signal sampled fast enough, with its true rate.") from None
        samples = round(steps.window_s * steps.rate_hz)
        whole = Segment(0, Part.TEST, 0.0, recording.duration_s)
        cut = [
            window_at(prepared, start, samples, steps.rate_hz)
            for start in window_starts(whole, steps.window_s, self.manifest.hop_s)
        ]
        made = log_spectrogram(np.stack([window for _, window in cut]), steps.size, steps.rate_hz)
        return standardise(made, steps.mean, steps.deviation), tuple(first / steps.rate_hz for first, _ in cut)

    def __call__(self, signal: Num[np.ndarray, " samples"], sampling_rate_hz: float) -> Classified:
        """Classify a signal; see `classify`."""
        images, starts_s = self.images(signal, sampling_rate_hz)
        logits = np.concatenate([self._model(images[i : i + BATCH]) for i in range(0, len(images), BATCH)])
        if not np.isfinite(logits).all():
            raise PruningError("the model's answer is not a number.", "Restore the bundle, or run the sweep again.")
        probabilities = softmax(logits.astype(np.float64), axis=1)
        names, mean = self.manifest.classes, probabilities.mean(axis=0)
        return Classified(
            names[int(mean.argmax())],
            {name: float(p) for name, p in zip(names, mean, strict=True)},
            tuple(names[i] for i in logits.argmax(axis=1)),
            starts_s,
        )


def classify(
    bundle: str | Path,
    rate: float,
    signal: Num[np.ndarray, " samples"],
    sampling_rate_hz: float,
    runtime: Literal["auto", "torch", "onnxruntime"] = "auto",
) -> Classified:
    """The class of a raw vibration signal, according to one model of a bundle.

    The signal is prepared as the bundle's training data were: mean off, resampled, windows, log-spectrograms. For many
    signals, make a `Classifier` once and call it.

    Args:
        bundle: Folder written by `python -m pruning.run`.
        rate: Pruning rate of the model; 0.0 is the dense one.
        signal: Samples of one accelerometer, in the unit of the recordings that the bundle was trained on.
        sampling_rate_hz: Samples per second, at least the bundle's own rate.
        runtime: "torch", "onnxruntime", or "auto" for torch if it is installed and onnxruntime otherwise.

    Raises:
        PruningError: See `Classifier` and `Classifier.images`.
    """
    return Classifier(bundle, rate, runtime)(signal, sampling_rate_hz)


def _check_preprocessing(manifest: Manifest, folder: Path) -> None:
    """Refuse a bundle whose images this version would make otherwise."""
    steps = manifest.preprocessing
    own = (segment_length(steps.size, steps.rate_hz), FLOOR, SMOOTHING)
    if (steps.segment, steps.floor, steps.smoothing) != own:
        raise PruningError(
            f"{folder}: images were made with segment, floor and smoothing {steps.segment}, {steps.floor:g}, "
            f"{steps.smoothing:g}; this version makes them with {own[0]}, {own[1]:g}, {own[2]:g}.",
            "Use the version of jopa that wrote the bundle (its `library` entry), or run the sweep again.",
        )


def _torch_model(folder: Path, rate: float) -> Model:
    from pruning.load import load_model
    from pruning.train import predict

    model = load_model(folder, rate)
    return lambda images: predict(model, images)


def _onnx_model(folder: Path, manifest: Manifest, entry: ModelEntry) -> Model:
    if not is_installed("onnxruntime"):
        raise PruningError("neither torch nor onnxruntime is installed.", "pip install onnxruntime")
    if entry.onnx is None:
        raise PruningError(
            f"{folder}: the model of rate {entry.rate:g} was not exported as ONNX.",
            "Install torch (pip install 'jopa[train]'), or run the sweep with --onnx.",
        )
    path, classes = verified(folder, manifest, entry.onnx), len(manifest.classes)
    read_onnx(path, PruningError, allowed=frozenset((folder / name).resolve() for name in manifest.sha256))
    run, _ = open_onnx(path, PruningError, remedy="Restore the bundle.")

    def logits(images: Float32[np.ndarray, "n 1 size size"]) -> Float[np.ndarray, "n classes"]:
        found = run({"images": images})[0]
        if found.shape != (len(images), classes):
            raise PruningError(
                f"{path}: another model: it gives numbers of shape {found.shape}.", "Restore the bundle."
            )
        return found

    return logits
