"""The runtimes that execute a model, behind one small interface: open a session for a batch size, time a run.

Needs none of them to be imported; each is loaded when a session of it is opened.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32

from data.common.device import is_installed, library_version
from profiling.errors import ProfilingError
from profiling.profile.entries import Precision, RuntimeName

Device = Literal["cpu", "cuda"]
Images = Float32[np.ndarray, "batch ..."]
SUPPORTED: Mapping[tuple[RuntimeName, Device], tuple[Precision, ...]] = {
    ("openvino", "cpu"): ("fp32", "bf16", "int8"),
    ("onnxruntime", "cpu"): ("fp32", "int8"),
    ("torch", "cpu"): ("fp32", "bf16"),
    ("onnxruntime", "cuda"): ("fp32",),
    ("torch", "cuda"): ("fp32", "bf16"),
}
EXTRAS: Mapping[RuntimeName, str] = {
    "openvino": "pip install openvino (or jopa[openvino])",
    "onnxruntime": "pip install onnxruntime",
    "torch": "install jopa with its dependencies, or pip install torch torchvision",
}


@dataclass(frozen=True)
class Request:
    """What to open.

    Attributes:
        runtime: Which one.
        device: Where.
        precision: Of the arithmetic; int8 needs a quantised ONNX file.
        threads: CPU threads.
        batch: Inputs a run.
        shape: Of one input, without the batch.
        onnx: The model's file (not for torch).
        bundle: Folder and rate to load from with torch; None for the matrix product that gives the peak.
    """

    runtime: RuntimeName
    device: Device
    precision: Precision
    threads: int
    batch: int
    shape: tuple[int, ...]
    onnx: Path | None
    bundle: tuple[Path, float] | None


@runtime_checkable
class Session(Protocol):
    """A model ready to run batches of one size."""

    def sample(self) -> tuple[float, float | None]:
        """Run once on a fixed input. Returns seconds and, on a GPU, seconds with the copies to it and back."""
        ...

    def logits(self, images: Images) -> np.ndarray:
        """Run on exactly one batch of images."""
        ...


def fixed_input(request: Request) -> Images:
    """The seeded input that all timing uses."""
    shape = (request.batch, *request.shape)
    return np.random.default_rng(0).standard_normal(shape, dtype=np.float32)


class _OnnxRuntime:
    def __init__(self, request: Request) -> None:
        import onnxruntime  # loaded only where it is used: a gateway may hold one runtime alone

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = request.threads
        options.inter_op_num_threads = 1
        provider = "CUDAExecutionProvider" if request.device == "cuda" else "CPUExecutionProvider"
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
        return np.asarray(self._session.run(None, {self._name: images})[0])


class _OpenVINO:
    def __init__(self, request: Request) -> None:
        import openvino

        core = openvino.Core()
        model = core.read_model(str(request.onnx))
        model.reshape([request.batch, *request.shape])  # a static batch is faster than a dynamic one
        settings = {
            "INFERENCE_NUM_THREADS": request.threads,
            "NUM_STREAMS": 1,
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": "bf16" if request.precision == "bf16" else "f32",
            "ENABLE_CPU_PINNING": True,
        }
        if request.precision == "bf16" and "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            raise ProfilingError("this CPU has no bfloat16 instructions.", "Use --precision fp32 or int8.")
        self._request = core.compile_model(model, "CPU", settings).create_infer_request()
        self._tensor = openvino.Tensor(fixed_input(request))
        self._openvino = openvino
        self._request.set_input_tensor(self._tensor)

    def sample(self) -> tuple[float, float | None]:
        start = time.perf_counter()
        self._request.infer()
        return time.perf_counter() - start, None

    def logits(self, images: Images) -> np.ndarray:
        self._request.set_input_tensor(self._openvino.Tensor(np.ascontiguousarray(images)))
        self._request.infer()
        found = np.array(self._request.get_output_tensor().data)
        self._request.set_input_tensor(self._tensor)
        return found


def open_session(request: Request) -> Session:
    """Load a model and make it ready.

    Raises:
        ProfilingError: This runtime cannot do that on this device. Runtimes raise their own errors, e.g. for memory.
    """
    if request.runtime == "onnxruntime":
        return _OnnxRuntime(request)
    if request.runtime == "openvino":
        return _OpenVINO(request)
    from profiling.runtimes.torch_session import open_torch  # torch is loaded only where it is asked for

    return open_torch(request)


def installed(runtime: RuntimeName) -> str | None:
    """A runtime's version, None where it is absent."""
    if not is_installed(runtime):
        return None
    names = {"onnxruntime": ("onnxruntime", "onnxruntime-gpu")}.get(runtime, (runtime,))
    return next((v for n in names if (v := library_version(n))), "unknown")


def check(runtime: RuntimeName, device: Device, precision: Precision) -> None:
    """Raise unless a runtime is installed and can do a precision on a device.

    Raises:
        ProfilingError: Absent runtime or device, or a combination that does not exist; says what to install or use.
    """
    if installed(runtime) is None:
        raise ProfilingError(f"the runtime {runtime} is not installed.", f"Install it: {EXTRAS[runtime]}.")
    if (runtime, device) not in SUPPORTED:
        others = ", ".join(r for r, d in SUPPORTED if d == device)
        raise ProfilingError(f"{runtime} is not used on {device} here.", f"On {device}: {others}.")
    if precision not in SUPPORTED[runtime, device]:
        able = [r for (r, d), p in SUPPORTED.items() if d == device and precision in p]
        remedy = f"Use --runtime {' or '.join(able)}." if able else f"{device} takes fp32 or bf16 here."
        raise ProfilingError(f"{runtime} has no {precision} on {device} here.", remedy)
    if device == "cuda":
        _check_cuda(runtime)


def _check_cuda(runtime: RuntimeName) -> None:
    if runtime == "onnxruntime":
        import onnxruntime

        if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
            raise ProfilingError(
                "this onnxruntime has no CUDA provider.",
                "Install onnxruntime-gpu in its place, or use --runtime torch.",
            )
        return
    import torch

    if not torch.cuda.is_available():
        raise ProfilingError("no CUDA device is visible.", "Check nvidia-smi and the driver, or use --device cpu.")
