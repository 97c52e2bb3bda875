"""Finished data sets on disk, found again by the hash of what they were made from."""

import json
import os
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from data.common.errors import UserError
from data.common.files import write_whole

if TYPE_CHECKING:
    from data.dataset import Dataset

PARTS = ("train", "validation", "test")
ARRAYS = ("images", "labels", "recordings", "starts_s")


class Cache:
    """A folder of data sets, one safetensors file each, named by fingerprint.

    Args:
        folder: Made on first use. Where it cannot be written or a file in it is damaged, nothing is cached.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.problem: str | None = None

    @classmethod
    def default(cls) -> "Cache":
        """`$JOPA_CACHE`, else `~/.cache/jopa`."""
        return cls(Path(os.environ.get("JOPA_CACHE") or Path.home() / ".cache" / "jopa"))

    def _path(self, fingerprint: str) -> Path:
        return self.folder / f"{fingerprint[:32]}.safetensors"

    def save(self, dataset: "Dataset") -> None:
        """Keep a data set; a folder that cannot be written is remembered in `problem`, not raised."""
        tensors = {f"{p}.{a}": np.ascontiguousarray(getattr(getattr(dataset, p), a)) for p in PARTS for a in ARRAYS}
        tensors |= {f"noisy.{snr}": np.ascontiguousarray(images) for snr, images in dataset.noisy.items()}
        rest = {f.name: getattr(dataset, f.name) for f in fields(dataset) if f.name not in (*PARTS, "noisy")}
        try:
            write_whole(self._path(dataset.fingerprint), save_tensors(tensors, {"dataset": json.dumps(rest)}))
        except UserError as error:
            self.problem = f"the data set is not cached: {error.problem}"

    def load(self, fingerprint: str) -> "Dataset | None":
        """The data set of this fingerprint; None where there is none, or only a damaged file."""
        from data.dataset import Dataset, Examples

        path = self._path(fingerprint)
        try:
            content = path.read_bytes()
            tensors = load_tensors(content)
            rest: dict[str, Any] = json.loads(_metadata(content)["dataset"])
            parts: dict[str, Any] = {p: Examples(*(tensors[f"{p}.{a}"] for a in ARRAYS)) for p in PARTS}
            noisy = {int(n.split(".")[1]): t for n, t in tensors.items() if n.startswith("noisy.")}
            rest = {k: tuple(v) if isinstance(v, list) else v for k, v in rest.items()}
            return Dataset(**{**rest, **parts, "noisy": dict(sorted(noisy.items(), reverse=True))})
        except (OSError, SafetensorError, KeyError, ValueError, TypeError):
            return None


def _metadata(content: bytes) -> dict[str, str]:
    length = int.from_bytes(content[:8], "little")
    metadata: dict[str, str] = json.loads(content[8 : 8 + length])["__metadata__"]
    return metadata
