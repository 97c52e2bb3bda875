"""ONNX Runtime: on a CPU, or on a GPU with inputs and outputs bound to the device."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from profiling.errors import ProfilingError
from profiling.profile.entries import Device
from profiling.runtimes.session import Images, Request, Session, fixed_input


@contextmanager
def _runtime_errors() -> Iterator[None]:
    """Turn ONNX Runtime's exceptions, which derive from Exception alone, into RuntimeError."""
    try:
        yield
    except Exception as error:
        if type(error).__module__.split(".")[0] == "onnxruntime":
            raise RuntimeError(str(error)) from error
        raise


class OnnxRuntimeSession(Session):
    """An `onnxruntime.InferenceSession` of an ONNX file."""

    def __init__(self, request: Request) -> None:
        import onnxruntime  # a gateway may have another runtime only

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = request.threads
        options.inter_op_num_threads = 1
        provider = "CUDAExecutionProvider" if request.device == "cuda" else "CPUExecutionProvider"
        with _runtime_errors():
            self._session = onnxruntime.InferenceSession(str(request.onnx), options, providers=[provider])
        self._name = self._session.get_inputs()[0].name
        self._feed = {self._name: fixed_input(request)}
        self._binding: Any = None
        if request.device == "cuda":
            self._binding = self._session.io_binding()
            on_device = onnxruntime.OrtValue.ortvalue_from_numpy(self._feed[self._name], "cuda", 0)
            self._binding.bind_ortvalue_input(self._name, on_device)
            self._binding.bind_output(self._session.get_outputs()[0].name, "cuda")

    def sample(self) -> tuple[float, float | None]:
        """See `Session.sample`."""
        with _runtime_errors():
            start = time.perf_counter()
            self._session.run(None, self._feed)
            whole = time.perf_counter() - start
            if self._binding is None:
                return whole, None
            start = time.perf_counter()
            self._session.run_with_iobinding(self._binding)
            self._binding.synchronize_outputs()
            return time.perf_counter() - start, whole

    def logits(self, images: Images) -> np.ndarray:
        """See `Session.logits`."""
        with _runtime_errors():
            return np.asarray(self._session.run(None, {self._name: images})[0])


def open_session(request: Request) -> Session:
    """Load an ONNX file."""
    return OnnxRuntimeSession(request)


def check_device(device: Device) -> None:
    """Raise ProfilingError if this installation has no support for a GPU."""
    import onnxruntime

    if device == "cuda" and "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        raise ProfilingError(
            "this onnxruntime has no CUDA provider.",
            "Install onnxruntime-gpu in its place, or use --runtime torch.",
        )
