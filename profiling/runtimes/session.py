"""The interface of a runtime: what is asked for (`Request`) and what answers (`Session`).

To add a runtime, write a module with a function `open_session(request) -> Session` and add one line to
`profiling.runtimes.registry.RUNTIMES`.
"""

import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int64

from profiling.profile.entries import Device, Precision, RuntimeName

Images = Float32[np.ndarray, "batch ..."]


@dataclass(frozen=True)
class Request:
    """A model to open, ready for batches of one size, or of any size up to that one.

    Attributes:
        runtime: Name of the runtime in the registry.
        device: Device that executes the model.
        precision: Precision of the arithmetic; int8 needs a quantised ONNX file.
        threads: Number of CPU threads.
        batch: Number of inputs in each run; with `dynamic`, the largest number.
        shape: Shape of one input, without the batch.
        onnx: ONNX file of the model; None for a runtime that does not need one.
        bundle: Folder and rate of a model that is built from its weights instead. If both `onnx` and `bundle` are
            None, the model is the matrix product that measures the device's peak.
        dynamic: Whether runs may have any number of inputs up to `batch`, as in service.
    """

    runtime: RuntimeName
    device: Device
    precision: Precision
    threads: int
    batch: int
    shape: tuple[int, ...]
    onnx: Path | None
    bundle: tuple[Path, float] | None
    dynamic: bool = False


class Session(ABC):
    """A model that is loaded and ready to run batches of one size, or of any size if that was asked for.

    A session may raise MemoryError, RuntimeError, ValueError or OSError; the cell being measured has then failed, and
    the measurement continues with the next one.
    """

    @abstractmethod
    def sample(self) -> tuple[float, float | None]:
        """Run once on a fixed input.

        Returns:
            Seconds of the run and, on a GPU, seconds including the copies to the GPU and back (otherwise None).
        """

    @abstractmethod
    def logits(self, images: Images) -> np.ndarray:
        """Run on exactly one batch of images (if dynamic, on any number up to it); returns (batch, classes)."""

    def serve(self, images: Images) -> tuple[float, Int64[np.ndarray, " batch"]]:
        """Answer a batch as a gateway in service does.

        Returns:
            Seconds from a batch in memory to its answers in memory, and the predicted class of each image.
        """
        start = time.perf_counter()
        logits = self.logits(images)
        return time.perf_counter() - start, logits.argmax(axis=1)

    def device_bytes(self) -> int:
        """Largest memory that the model has used on a GPU, in bytes; 0 if the runtime does not report it."""
        return 0


def fixed_input(request: Request) -> Images:
    """The seeded random input, (batch, *shape), that every timing uses."""
    shape = (request.batch, *request.shape)
    return np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
