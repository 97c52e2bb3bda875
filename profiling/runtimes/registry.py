"""All runtimes that can execute a model. To add one: write its module (see `session`) and name it in RUNTIMES.

Everything else is derived from this table: the choices of `--runtime`, the race of `--runtime auto` (in this order),
the versions in a profile, and what a measuring process loads. A runtime's library is imported only when a session of
it is opened, so a gateway needs only one of them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from data.common.device import is_installed, library_version
from profiling.errors import ProfilingError
from profiling.profile.entries import Device, Precision, RuntimeName
from profiling.runtimes.session import Request, Session


@dataclass(frozen=True)
class Runtime:
    """A library that executes models.

    Attributes:
        name: Name that users type and that the profile keeps.
        precisions: Precisions that the runtime offers on each device.
        session: Function that opens a session, as "module:function"; measuring processes import it by this name.
        install: How to install the runtime, for messages.
        library: Python module whose presence means that the runtime is installed; by default `name`.
        distributions: Distributions that may provide the library, for its version; by default the library.
        needs_onnx: Whether the runtime reads ONNX files; otherwise it builds models from the bundle's weights.
        check: Function that raises ProfilingError if a device other than the CPU cannot be used, as "module:function";
            optional.
        dynamic: Whether a session on a CPU can take any batch size; otherwise a session is opened for each size.
    """

    name: RuntimeName
    precisions: Mapping[Device, tuple[Precision, ...]]
    session: str
    install: str
    library: str = ""
    distributions: tuple[str, ...] = field(default=())
    needs_onnx: bool = True
    check: str = ""
    dynamic: bool = True

    def version(self) -> str | None:
        """Installed version, or None if the runtime is not installed."""
        library = self.library or self.name
        if not is_installed(library):
            return None
        return next((v for n in self.distributions or (library,) if (v := library_version(n))), "unknown")


RUNTIMES: dict[RuntimeName, Runtime] = {
    runtime.name: runtime
    for runtime in (
        Runtime(
            "openvino",
            {"cpu": ("fp32", "bf16", "int8")},
            session="profiling.runtimes.openvino_session:open_session",
            install="pip install openvino (or jopa[openvino])",
        ),
        Runtime(
            "onnxruntime",
            {"cpu": ("fp32", "int8"), "cuda": ("fp32",)},
            session="profiling.runtimes.onnxruntime_session:open_session",
            check="profiling.runtimes.onnxruntime_session:check_device",
            install="pip install onnxruntime",
            distributions=("onnxruntime", "onnxruntime-gpu"),
        ),
        Runtime(
            "torch",
            {"cpu": ("fp32", "bf16"), "cuda": ("fp32", "bf16")},
            session="profiling.runtimes.torch_session:open_session",
            check="profiling.runtimes.torch_session:check_device",
            install="install jopa with its dependencies, or pip install torch torchvision",
            needs_onnx=False,
        ),
    )
}


def _named(name: str) -> Callable[..., Any]:
    module, _, function = name.partition(":")
    found: Callable[..., Any] = getattr(import_module(module), function)
    return found


def opener(session: str) -> Callable[[Request], Session]:
    """The function that a runtime's `session` ("module:function") names."""
    return _named(session)


def runtime_of(name: RuntimeName) -> Runtime:
    """The runtime of a name.

    Raises:
        ProfilingError: The registry has no such runtime; the message lists those it has.
    """
    if name not in RUNTIMES:
        raise ProfilingError(f"unknown runtime {name!r}.", f"Expected one of {', '.join(RUNTIMES)}.")
    return RUNTIMES[name]


def open_session(request: Request) -> Session:
    """Load a model and make it ready.

    Raises:
        ProfilingError: Unknown runtime, or one that cannot do this on the device. Runtimes raise errors of their own
            too, e.g. MemoryError.
    """
    return opener(runtime_of(request.runtime).session)(request)


def check(name: RuntimeName, device: Device, precision: Precision) -> None:
    """Raise unless a runtime is installed and offers a precision on a device.

    Raises:
        ProfilingError: Unknown or absent runtime, absent device, or an unsupported combination. The message says what
            to install or to use instead.
    """
    runtime = runtime_of(name)
    if runtime.version() is None:
        raise ProfilingError(f"the runtime {name} is not installed.", f"Install it: {runtime.install}.")
    offered = runtime.precisions.get(device)
    if offered is None:
        others = ", ".join(r.name for r in RUNTIMES.values() if device in r.precisions)
        raise ProfilingError(f"{name} is not used on {device} here.", f"On {device}: {others}.")
    if precision not in offered:
        able = [r.name for r in RUNTIMES.values() if precision in r.precisions.get(device, ())]
        known = dict.fromkeys(p for r in RUNTIMES.values() for p in r.precisions.get(device, ()))
        remedy = f"Use --runtime {' or '.join(able)}." if able else f"{device} takes {' or '.join(known)} here."
        raise ProfilingError(f"{name} has no {precision} on {device} here.", remedy)
    if runtime.check and device != "cpu":
        _named(runtime.check)(device)
