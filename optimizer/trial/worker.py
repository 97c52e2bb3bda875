"""A gateway or the edge server of a trial: a process of its own that runs real models on real windows.

Requests and answers are plain tuples over a pipe. The models run in the same runtime as in the profile.
"""

import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file

from profiling.profile.entries import Precision, RuntimeName
from profiling.runtimes.registry import open_session
from profiling.runtimes.session import Request, Session

WARM_RUNS = 5


@dataclass(frozen=True)
class Station:
    """What a process runs.

    Attributes:
        bundle: Folder of the model bundle.
        onnx: ONNX file of each model, by its pruning rate.
        runtime: Runtime of the profile.
        precision: Precision of the profile.
        threads: CPU threads of the profile.
        shape: Shape of one input.
        test: Safetensors file with the test windows.
    """

    bundle: Path
    onnx: dict[float, Path]
    runtime: RuntimeName
    precision: Precision
    threads: int
    shape: tuple[int, ...]
    test: Path


def serve(station: Station, pipe: Connection) -> None:
    """Answer each request (rate, windows, batch) with (seconds, classes), until None is received.

    The windows run in batches of `batch`. The seconds of a batch include copying its input and output and are read from
    a monotonic clock. An error of the runtime is answered as text.
    """
    images = load_file(station.test)["images.clean"]
    sessions: dict[tuple[float, int], Session] = {}
    while True:
        try:
            asked: Any = pipe.recv()
        except (EOFError, KeyboardInterrupt):
            return
        if asked is None:
            return
        rate, windows, batch = asked
        try:
            pipe.send(_answer(station, sessions, images[windows], rate, batch))
        except Exception as error:  # noqa: BLE001 - whatever a runtime raises is told to the parent
            pipe.send(f"{type(error).__name__}: {error}")


def _answer(
    station: Station, sessions: dict[tuple[float, int], Session], images: np.ndarray, rate: float, batch: int
) -> tuple[list[float], list[int]]:
    session = sessions.get((rate, batch))
    if session is None:
        session = open_session(
            Request(
                runtime=station.runtime, device="cpu", precision=station.precision, threads=station.threads,
                batch=batch, shape=station.shape, onnx=station.onnx[rate], bundle=(station.bundle, rate),
            )
        )  # fmt: skip
        sessions[rate, batch] = session
    for _ in range(WARM_RUNS):  # the caches hold another model by now; a gateway in service runs one for many slots
        session.sample()
    seconds, classes = [], []
    for start in range(0, len(images), batch):
        part = np.ascontiguousarray(images[start : start + batch])
        begun = time.perf_counter()
        logits = session.logits(part)
        seconds.append(time.perf_counter() - begun)
        classes += [int(c) for c in logits.argmax(axis=1)]
    return seconds, classes
