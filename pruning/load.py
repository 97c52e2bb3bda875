"""Load models from a bundle."""

from pathlib import Path

import torch
from safetensors.torch import load_file
from torchvision.models.vgg import VGG

from data.common.tensors import load_guarded
from pruning.bundle import read_manifest, verified
from pruning.errors import PruningError
from pruning.spec import VGGSpec, parameters
from pruning.vgg import build_vgg


def load_weights(path: Path | str, spec: VGGSpec) -> VGG:
    """A model of this structure with the weights of a safetensors file, in evaluation mode.

    Raises:
        PruningError: The file is not a safetensors file, or has weights of another structure, or that are not numbers.
    """
    tensors = load_guarded(Path(path), load_file, PruningError)
    held = sum(tensor.numel() for tensor in tensors.values())
    if held < parameters(spec):  # before a model is made whose widths nothing vouches for
        raise PruningError(
            f"{path}: weights of another structure ({held:,} numbers; the model has {parameters(spec):,}).",
            "Restore it.",
        )
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise PruningError(f"{path}: {name} holds numbers that are not finite.", "Restore it.")
    with torch.device("meta"):
        model = build_vgg(spec)
    try:
        model.load_state_dict(tensors, assign=True)
    except RuntimeError as error:
        raise PruningError(f"{path}: weights of another structure ({str(error)[:200]}).", "Restore it.") from None
    return model.to(memory_format=torch.channels_last).eval()


def load_model(bundle: Path | str, rate: float) -> VGG:
    """The model of a pruning rate (0.0: the dense one), bit for bit as it was tested, in evaluation mode.

    Args:
        bundle: Folder written by `python -m pruning.run`.
        rate: One of the bundle's rates.

    Returns:
        A torchvision VGG that takes (batch, 1, size, size) standardised images; see the manifest's `preprocessing`.

    Raises:
        PruningError: Not a bundle, a newer schema, no model of this rate, or a weights file that was changed.
    """
    folder = Path(bundle)
    manifest = read_manifest(folder)
    entry = manifest.entry(rate)
    return load_weights(verified(folder, manifest, entry.weights), entry.spec(manifest))
