"""Finished data sets on disk, found again by the hash of what they were made from."""

import json
import os
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save as save_tensors

from data.common.errors import UserError
from data.common.files import write_whole
from data.common.tensors import check_finite, read_metadata, read_tensors
from data.config import DataConfig
from data.dataset import Dataset, Examples

PARTS = ("train", "validation", "test")
ARRAYS = ("images", "labels", "recordings", "starts_s")


class Cache:
    """A folder of data sets, one safetensors file each, named by fingerprint.

    Args:
        folder: Made on first use. If it cannot be written or a file in it is damaged, nothing is cached.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.problem: str | None = None

    @classmethod
    def default(cls) -> "Cache":
        """The cache in `$JOPA_CACHE`, or in `~/.cache/jopa` if that is not set."""
        return cls(Path(os.environ.get("JOPA_CACHE") or Path.home() / ".cache" / "jopa"))

    def _path(self, fingerprint: str) -> Path:
        return self.folder / f"{fingerprint[:32]}.safetensors"

    def save(self, dataset: Dataset) -> None:
        """Keep a data set. If the folder cannot be written, the reason is kept in `problem` and nothing is raised."""
        tensors = {f"{p}.{a}": np.ascontiguousarray(getattr(getattr(dataset, p), a)) for p in PARTS for a in ARRAYS}
        tensors |= {f"noisy.{snr}": np.ascontiguousarray(images) for snr, images in dataset.noisy.items()}
        rest = {f.name: getattr(dataset, f.name) for f in fields(dataset) if f.name not in (*PARTS, "noisy", "config")}
        try:
            write_whole(self._path(dataset.fingerprint), save_tensors(tensors, {"dataset": json.dumps(rest)}))
        except UserError as error:
            self.problem = f"the data set is not cached: {error.problem}"

    def load(self, fingerprint: str, config: DataConfig) -> Dataset | None:
        """The data set with this fingerprint; None if there is none or its file is damaged.

        Args:
            fingerprint: Hash of everything that the data set is made from.
            config: The resolved settings, which the file does not hold: `root` may be another one than it was.
        """
        path = self._path(fingerprint)
        try:
            rest: dict[str, Any] = read_metadata(path, "dataset")
            tensors = read_tensors(path, UserError)
            check_finite(tensors, path, UserError)
            parts: dict[str, Any] = {p: Examples(*(tensors[f"{p}.{a}"] for a in ARRAYS)) for p in PARTS}
            noisy = {int(n.split(".")[1]): t for n, t in tensors.items() if n.startswith("noisy.")}
            rest = {k: tuple(v) if isinstance(v, list) else v for k, v in rest.items()}
            found = Dataset(**{**rest, **parts, "noisy": dict(sorted(noisy.items(), reverse=True)), "config": config})
            return found if found.fingerprint == fingerprint and _whole(found) else None
        except (OSError, UserError, KeyError, ValueError, TypeError, AttributeError, IndexError):
            return None


def _whole(dataset: Dataset) -> bool:
    """Whether a data set's arrays belong together: images of one size, labels and recordings that exist."""
    size = dataset.config.size
    images = [*(getattr(dataset, part).images for part in PARTS), *dataset.noisy.values()]
    if any(i.dtype != np.float32 or i.shape[1:] != (1, size, size) for i in images):
        return False
    for own in (getattr(dataset, part) for part in PARTS):
        for values, most in ((own.labels, len(dataset.classes)), (own.recordings, len(dataset.recordings))):
            if values.shape != own.images.shape[:1] or values.dtype.kind != "i":
                return False
            if values.size and not 0 <= values.min() <= values.max() < most:
                return False
        if own.starts_s.shape != own.images.shape[:1]:
            return False
    return bool(np.isfinite([dataset.mean, dataset.deviation]).all() and dataset.deviation > 0)
