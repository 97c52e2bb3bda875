"""A gateway or the edge server of a trial: a process of its own that runs real models on real windows, as in service.

Each model is opened once, with a dynamic batch where the runtime has one. Requests and answers are plain tuples over a
pipe. The models run in the same runtime, on as many cores, as in the profile.
"""

import os
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from data.common.tensors import read_tensors
from optimizer.errors import OptimizerError
from profiling.measuring.interference import disturbances, look
from profiling.measuring.worker import pin
from profiling.profile.entries import Precision, RuntimeName
from profiling.runtimes.registry import open_session, runtime_of
from profiling.runtimes.service import Service
from profiling.runtimes.session import Request

Job = tuple[tuple[float, Precision], list[int], int]  # a model, indices of test windows, and how many run at a time
Answer = tuple[list[float], list[int]]  # seconds of each batch, and the class of each window
Ran = tuple[list[Answer], list[str]]  # an answer for each job, and what disturbed the machine meanwhile


@dataclass(frozen=True)
class Station:
    """What a process runs.

    Attributes:
        bundle: Folder of the model bundle.
        onnx: ONNX file of each model, by its pruning rate and precision.
        runtime: Runtime of the profile.
        threads: CPU threads of the profile; the process is pinned to as many cores.
        largest: Most windows that run at a time.
        shape: Shape of one input.
        test: Safetensors file with the test windows.
    """

    bundle: Path
    onnx: dict[tuple[float, Precision], Path]
    runtime: RuntimeName
    threads: int
    largest: int
    shape: tuple[int, ...]
    test: Path


def serve(station: Station, pipe: Connection) -> None:
    """Answer each list of jobs with a list of answers and of disturbances, until None is received.

    The seconds of a batch go from the windows in memory to the answers in memory, by a monotonic clock. Disturbances
    are what /proc tells of other processes and of the hypervisor while the jobs ran (`profiling.measuring`). An error
    of the runtime is answered as text.
    """
    pin(station.threads)
    images = read_tensors(station.test, OptimizerError)["images.clean"]
    services: dict[tuple[float, Precision], Service] = {}
    while True:
        try:
            asked: Any = pipe.recv()
        except (EOFError, KeyboardInterrupt):
            return
        if asked is None:
            return
        try:
            before = look()
            answers = [_answer(_service(station, services, model), images, w, size) for model, w, size in asked]
            pipe.send((answers, disturbances(before, look(), os.cpu_count() or 1)))
        except Exception as error:  # noqa: BLE001 - whatever a runtime raises is told to the parent
            pipe.send(f"{type(error).__name__}: {error}")


def _service(
    station: Station, services: dict[tuple[float, Precision], Service], model: tuple[float, Precision]
) -> Service:
    if model not in services:
        rate, precision = model
        request = Request(
            runtime=station.runtime, device="cpu", precision=precision, threads=station.threads,
            batch=station.largest, shape=station.shape, onnx=station.onnx[model], bundle=(station.bundle, rate),
        )  # fmt: skip
        services[model] = Service(request, open_session, dynamic=runtime_of(station.runtime).dynamic)
    return services[model]


def _answer(service: Service, images: np.ndarray, windows: list[int], size: int) -> Answer:
    seconds, classes = [], []
    for start in range(0, len(windows), size):
        took, found = service.serve(images[windows[start : start + size]])
        seconds.append(took)
        classes += found.tolist()
    return seconds, classes
