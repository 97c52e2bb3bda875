"""PyTorch as a runtime: channels_last on a CPU; CUDA graphs timed by events on a GPU."""

import time

import numpy as np
import torch
from torch import nn

from profiling.errors import ProfilingError
from profiling.profile.entries import Device
from profiling.runtimes.session import Images, Request, Session, fixed_input
from pruning.load import load_model


def _model(request: Request) -> nn.Module:
    if request.bundle is not None:
        model: nn.Module = load_model(*request.bundle)
        return model
    torch.manual_seed(0)
    return nn.Linear(request.shape[0], request.shape[0], bias=False).eval()


def _dtype(request: Request) -> torch.dtype:
    return torch.bfloat16 if request.precision == "bf16" else torch.float32


def _tensor(images: Images, request: Request) -> torch.Tensor:
    tensor = torch.from_numpy(np.ascontiguousarray(images)).to(_dtype(request))
    return tensor.to(memory_format=torch.channels_last) if tensor.ndim == 4 else tensor


class CpuSession(Session):
    """A model on the CPU, in channels_last order."""

    def __init__(self, request: Request) -> None:
        torch.set_num_threads(request.threads)
        self._request = request
        self._model = _model(request).to(_dtype(request))
        self._input = _tensor(fixed_input(request), request)

    @torch.inference_mode()
    def sample(self) -> tuple[float, float | None]:
        """See `Session.sample`."""
        start = time.perf_counter()
        self._model(self._input)
        return time.perf_counter() - start, None

    @torch.inference_mode()
    def logits(self, images: Images) -> np.ndarray:
        """See `Session.logits`."""
        return np.asarray(self._model(_tensor(images, self._request)).float().numpy())


class CudaSession(Session):
    """A captured CUDA graph, so that the time of the GPU is measured and not the time Python takes to launch it."""

    @torch.inference_mode()
    def __init__(self, request: Request) -> None:
        self._request = request
        self._model = _model(request).to("cuda", _dtype(request))
        self._host = _tensor(fixed_input(request), request).pin_memory()
        self._input = self._host.to("cuda")
        side = torch.cuda.Stream()  # type: ignore[no-untyped-call] # torch leaves these untyped
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                self._model(self._input)
        torch.cuda.current_stream().wait_stream(side)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            self._output = self._model(self._input)
        self._start = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call] # as above
        self._end = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call] # as above

    @torch.inference_mode()
    def sample(self) -> tuple[float, float | None]:
        """See `Session.sample`."""
        self._start.record()
        self._graph.replay()
        self._end.record()
        self._end.synchronize()
        device = self._start.elapsed_time(self._end) / 1e3
        start = time.perf_counter()
        self._input.copy_(self._host, non_blocking=True)
        self._graph.replay()
        self._output.float().cpu()
        return device, time.perf_counter() - start

    @torch.inference_mode()
    def logits(self, images: Images) -> np.ndarray:
        """See `Session.logits`."""
        self._input.copy_(_tensor(images, self._request))
        self._graph.replay()
        found = np.asarray(self._output.float().cpu().numpy())
        self._input.copy_(self._host)
        return found

    def device_bytes(self) -> int:
        """Largest memory that tensors have used on the GPU, in bytes."""
        return torch.cuda.max_memory_allocated()


def open_session(request: Request) -> Session:
    """A session that runs a model of the bundle; without a bundle it multiplies matrices, to find the peak speed."""
    return CudaSession(request) if request.device == "cuda" else CpuSession(request)


def check_device(device: Device) -> None:
    """Raise ProfilingError if the device is a GPU and torch sees none."""
    if device == "cuda" and not torch.cuda.is_available():
        raise ProfilingError("no CUDA device is visible.", "Check nvidia-smi and the driver, or use --device cpu.")
