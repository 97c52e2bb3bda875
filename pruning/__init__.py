"""The VGG-16, its two ways of L1 pruning, retraining, and the model bundle that a sweep over rates writes.

In: a `data.Dataset`. Out: a bundle folder (`models.json`, safetensors, ONNX, test part, figures) that the next
packages read. `python -m pruning.run` is the command; `sweep.run_sweep` what it calls; `load_model(bundle, rate)` loads
a model back. Start reading at `filters` (which filters go, and how) and `spec` (how many). Reading a bundle's manifest
(`read_manifest`) needs no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from pruning.bundle import Manifest, ModelEntry, read_manifest
from pruning.errors import PruningError
from pruning.spec import VGGSpec, dense_spec, flops

if TYPE_CHECKING:
    from pruning.config import RunConfig
    from pruning.load import load_model
    from pruning.sweep import run_sweep
    from pruning.vgg import build_vgg

_NEED_TORCH = {
    "RunConfig": "pruning.config",
    "build_vgg": "pruning.vgg",
    "load_model": "pruning.load",
    "run_sweep": "pruning.sweep",
}

__all__ = [
    "Manifest",
    "ModelEntry",
    "PruningError",
    "RunConfig",
    "VGGSpec",
    "build_vgg",
    "dense_spec",
    "flops",
    "load_model",
    "read_manifest",
    "run_sweep",
]


def __getattr__(name: str) -> Any:
    """Load what needs torch when it is first asked for, so that a gateway can read a manifest without torch."""
    if name in _NEED_TORCH:
        return getattr(import_module(_NEED_TORCH[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
