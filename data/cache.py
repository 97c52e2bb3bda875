"""Finished data sets on disk, found again by the hash of what they were made from."""

import json
import os
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file as load_tensors
from safetensors.numpy import save as save_tensors

from data.common.errors import UserError
from data.common.files import write_whole
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
            with safe_open(path, "np") as file:
                rest: dict[str, Any] = json.loads((file.metadata() or {})["dataset"])
            tensors = load_tensors(path)
            parts: dict[str, Any] = {p: Examples(*(tensors[f"{p}.{a}"] for a in ARRAYS)) for p in PARTS}
            noisy = {int(n.split(".")[1]): t for n, t in tensors.items() if n.startswith("noisy.")}
            rest = {k: tuple(v) if isinstance(v, list) else v for k, v in rest.items()}
            return Dataset(**{**rest, **parts, "noisy": dict(sorted(noisy.items(), reverse=True)), "config": config})
        except (OSError, SafetensorError, KeyError, ValueError, TypeError):
            return None
