"""OpenVINO on a CPU, compiled for one batch size, or for any up to it."""

import time

import numpy as np

from profiling.errors import ProfilingError
from profiling.runtimes.session import Images, Request, Session, fixed_input


class OpenVINOSession(Session):
    """An inference request of an ONNX file. A static batch runs faster than a dynamic one."""

    def __init__(self, request: Request) -> None:
        import openvino  # a gateway may have another runtime only

        core = openvino.Core()
        model = core.read_model(str(request.onnx))
        batch = openvino.Dimension(1, request.batch) if request.dynamic else openvino.Dimension(request.batch)
        model.reshape(openvino.PartialShape([batch, *request.shape]))
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

    def sample(self) -> tuple[float, float | None]:
        """See `Session.sample`."""
        self._request.set_input_tensor(self._tensor)
        start = time.perf_counter()
        self._request.infer()
        return time.perf_counter() - start, None

    def logits(self, images: Images) -> np.ndarray:
        """See `Session.logits`."""
        self._request.set_input_tensor(self._openvino.Tensor(np.ascontiguousarray(images), shared_memory=True))
        self._request.infer()
        return np.array(self._request.get_output_tensor().data)


def open_session(request: Request) -> Session:
    """Load an ONNX file and compile it for the CPU."""
    return OpenVINOSession(request)
