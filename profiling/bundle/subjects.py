"""A bundle as a list of models to measure; every file is checked before it is used."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, Int64

from data.common.files import sha256
from data.common.tensors import check_finite, read_tensors
from profiling.bundle.flops import Count, count, input_shape, read_graph
from profiling.errors import ProfilingError
from profiling.profile.entries import BundleReference
from pruning.bundle import MANIFEST, Manifest, ModelEntry, read_manifest, verified


@dataclass(frozen=True)
class Subject:
    """One model of a bundle: its entry, its ONNX file (None if the bundle has none) and the cost of one input."""

    entry: ModelEntry
    onnx: Path | None
    cost: Count

    @property
    def name(self) -> str:
        """The rate, or "dense"."""
        return "dense" if self.entry.rate == 0 else f"p = {self.entry.rate:g}"

    @property
    def facts(self) -> dict[str, Any]:
        """The fields of a `profile.entries.Model` that need no measurement."""
        of_entry = {name: getattr(self.entry, name) for name in ("rate", "method", "flops_nominal", "parameters")}
        of_cost = {name: getattr(self.cost, name) for name in ("flops", "activation_bytes", "layers")}
        renamed = {"flops_elementwise": self.cost.elementwise, "accuracy_bundle": self.entry.accuracy}
        return of_entry | of_cost | renamed


@dataclass(frozen=True, eq=False)
class Bundle:
    """A verified bundle.

    Attributes:
        folder: Folder of the bundle.
        manifest: Content of `models.json`.
        reference: Summary of the bundle that the profile keeps.
        subjects: Models by ascending rate.
        shape: Shape of one input, without the batch.
        labels: True classes of the test windows.
        independent: Which test windows overlap no other chosen window.
        recordings: Recording of each test window.
        called: Class that the bundle's own file of each model names for each test window, by rate, as it was found when
            the bundle was written; empty for bundles before schema 5.
    """

    folder: Path
    manifest: Manifest
    reference: BundleReference
    subjects: list[Subject]
    shape: tuple[int, ...]
    labels: Int64[np.ndarray, " n"]
    independent: Bool[np.ndarray, " n"]
    recordings: Int64[np.ndarray, " n"]
    called: dict[float, Int64[np.ndarray, " n"]]

    def right(self, rate: float) -> Bool[np.ndarray, " n"] | None:
        """Which test windows a model classified correctly when the bundle was written; None if it does not say."""
        return self.called[rate] == self.labels if rate in self.called else None

    @property
    def test(self) -> Path:
        """Safetensors file of the test part."""
        return self.folder / self.manifest.test

    def calibration(self) -> tuple[Float32[np.ndarray, "n ..."], str]:
        """Images for calibrating int8 models, and a description of them."""
        if self.manifest.calibration is not None:
            path = verified(self.folder, self.manifest, self.manifest.calibration)
            images = _images(_tensors(path), "images", self.shape, path)
            return images, f"{len(images)} training windows"
        images = _images(_tensors(self.test), "images.clean", self.shape, self.test)
        step = max(1, len(images) // 64)
        chosen = images[::step]
        return chosen, f"{len(chosen)} test windows (this older bundle holds no others: int8 accuracy is optimistic)"


def _tensors(path: Path) -> dict[str, np.ndarray]:
    tensors = read_tensors(path, ProfilingError)
    check_finite(tensors, path, ProfilingError)
    return tensors


def _images(tensors: dict[str, np.ndarray], name: str, shape: tuple[int, ...], path: Path) -> np.ndarray:
    """Images of the size that the models take. Raises ProfilingError."""
    images = tensors.get(name)
    if images is None or images.dtype != np.float32 or images.shape[1:] != shape or not len(images):
        got = "nothing" if images is None else f"{images.dtype} of shape {images.shape}"
        raise ProfilingError(f"{path}: {name}: expected float32 images of shape {shape}; got {got}.", "Restore it.")
    return images


def _vector(tensors: dict[str, np.ndarray], name: str, length: int, most: int, path: Path) -> np.ndarray:
    """Whole numbers from 0 to below `most`, one for each test window. Raises ProfilingError."""
    found = tensors[name]
    if (
        found.shape != (length,)
        or found.dtype.kind not in "iub"
        or (length and not 0 <= found.min() <= found.max() < most)
    ):
        raise ProfilingError(f"{path}: {name}: expected {length} whole numbers from 0 to below {most}.", "Restore it.")
    return found.astype(np.int64)


def _without_graph(entry: ModelEntry) -> Count:
    """The cost as far as the manifest states it."""
    return Count(entry.flops, 0, entry.parameters, 4 * entry.parameters, 0, 0, [])


def _called(folder: Path, manifest: Manifest, windows: int) -> dict[float, Int64[np.ndarray, " n"]]:
    """What the exported seed of each model names, by rate."""
    if manifest.predictions is None:
        return {}
    path = verified(folder, manifest, manifest.predictions)
    tensors = _tensors(path)
    found = {}
    for entry in manifest.models:
        row, name = [s.seed for s in entry.seeds].index(entry.exported_seed), Path(entry.weights).stem
        if name not in tensors or tensors[name].ndim != 2 or len(tensors[name]) <= row:
            raise ProfilingError(f"{path}: lacks the predictions of {name}.", "Restore it.")
        found[entry.rate] = _vector({name: tensors[name][row]}, name, windows, len(manifest.classes), path)
    return found


def read_bundle(folder: Path | str, need_onnx: bool = False) -> Bundle:
    """Read a bundle and check every file that will be used.

    Args:
        folder: Bundle that `python -m pruning.run` wrote.
        need_onnx: Whether to refuse a bundle without ONNX files.

    Raises:
        ProfilingError: An ONNX model that is needed is missing, damaged, or differs from the manifest.
        PruningError: The bundle is missing, incomplete, altered, or of a newer schema.
    """
    folder = Path(folder)
    manifest = read_manifest(folder)
    subjects = []
    for entry in sorted(manifest.models, key=lambda m: m.rate):
        if entry.onnx is None:
            if need_onnx:
                raise ProfilingError(
                    f"{folder}: holds no ONNX model of rate {entry.rate:g}.",
                    "Use --runtime torch, or write the bundle again without --no-onnx.",
                )
            subjects.append(Subject(entry, None, _without_graph(entry)))
            continue
        path = verified(folder, manifest, entry.onnx)
        graph = read_graph(path, frozenset((folder / f).resolve() for f in manifest.sha256))
        cost = count(graph, entry.onnx)
        if cost.flops != entry.flops:
            raise ProfilingError(
                f"{path}: its graph has {cost.flops:,} FLOP, models.json says {entry.flops:,}.",
                "The bundle is inconsistent; run the sweep again.",
            )
        if input_shape(graph) != (1, manifest.preprocessing.size, manifest.preprocessing.size):
            raise ProfilingError(f"{path}: takes inputs of {input_shape(graph)}, not of the size in models.json.")
        subjects.append(Subject(entry, path, cost))
    test = _tensors(verified(folder, manifest, manifest.test))
    missing = {"images.clean", "labels", "independent"} - set(test)
    if missing:
        raise ProfilingError(f"{folder / manifest.test}: {', '.join(sorted(missing))} missing.", "Restore it.")
    size, path = manifest.preprocessing.size, folder / manifest.test
    windows = len(_images(test, "images.clean", (1, size, size), path))
    methods = sorted({m.method for m in manifest.models if m.rate > 0}) or ["dense"]
    reference = BundleReference(
        sha256=sha256(folder / MANIFEST),
        data=manifest.data.name,
        split=manifest.data.split,
        size=size,
        classes=len(manifest.classes),
        method="+".join(methods),
    )
    return Bundle(
        folder=folder,
        manifest=manifest,
        reference=reference,
        subjects=subjects,
        shape=(1, size, size),
        labels=_vector(test, "labels", windows, len(manifest.classes), path),
        independent=_vector(test, "independent", windows, 2, path).astype(bool),
        recordings=_vector(test, "recordings", windows, 1 << 31, path) if "recordings" in test else np.arange(windows),
        called=_called(folder, manifest, windows),
    )
