"""The VGG-16, its two ways of pruning, retraining, and the model bundle that a sweep over rates writes.

In: a `data.Dataset`. Out: a bundle folder (`models.json`, safetensors, ONNX, test part, figures) that the next
packages read. `python -m pruning.run` is the command; `run_sweep` is what it calls; `load_model(bundle, rate)` loads a
model back, and `classify(bundle, rate, signal, sampling_rate_hz)` names the class of a raw signal. Start reading at
`filters` (which filters go, and how), `criteria` (what a filter is worth) and `spec` (how many). May import `data`.
"""

from typing import TYPE_CHECKING

from data.common.lazy import lazy_exports
from data.common.loading import stop_quietly_if_a_command_loads

stop_quietly_if_a_command_loads()

if TYPE_CHECKING:
    from pruning.augment import Augmentation
    from pruning.bundle import Manifest, ModelEntry, read_manifest
    from pruning.classifier import Classified, Classifier, classify
    from pruning.config import SweepConfig
    from pruning.criteria import CRITERIA, Criterion
    from pruning.errors import PruningError
    from pruning.load import load_model
    from pruning.spec import VGGSpec, dense_spec, flops
    from pruning.sweep import run_sweep
    from pruning.train import TrainConfig
    from pruning.vgg import build_vgg

__all__ = [
    "CRITERIA",
    "Augmentation",
    "Classified",
    "Classifier",
    "Criterion",
    "Manifest",
    "ModelEntry",
    "PruningError",
    "SweepConfig",
    "TrainConfig",
    "VGGSpec",
    "build_vgg",
    "classify",
    "dense_spec",
    "flops",
    "load_model",
    "read_manifest",
    "run_sweep",
]

# Loaded when first used, so that a gateway can read a manifest or classify a signal without torch.
__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "CRITERIA": "pruning.criteria",
        "Augmentation": "pruning.augment",
        "Classified": "pruning.classifier",
        "Classifier": "pruning.classifier",
        "Criterion": "pruning.criteria",
        "Manifest": "pruning.bundle",
        "ModelEntry": "pruning.bundle",
        "PruningError": "pruning.errors",
        "SweepConfig": "pruning.config",
        "TrainConfig": "pruning.train",
        "VGGSpec": "pruning.spec",
        "build_vgg": "pruning.vgg",
        "classify": "pruning.classifier",
        "dense_spec": "pruning.spec",
        "flops": "pruning.spec",
        "load_model": "pruning.load",
        "read_manifest": "pruning.bundle",
        "run_sweep": "pruning.sweep",
    },
)
