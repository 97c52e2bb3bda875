"""A model as an ONNX file with a dynamic batch, checked against torch."""

import contextlib
import io
import logging
import warnings
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from jaxtyping import Float32
from torch import nn

from data.common.files import write_whole
from pruning.errors import PruningError
from pruning.train import predict

AGREEMENT = 1e-4  # largest difference of a logit between onnxruntime and torch, relative to the largest logit above 1


def to_onnx(model: nn.Module, size: int) -> bytes:
    """Serialised ONNX model: input "images" (batch, 1, size, size) float32, output "logits" (batch, classes).

    One file without external data, so that a copy of it is whole; weights above 2 GB would not fit, a VGG-16 has 0.5.
    """
    model = model.cpu().eval()
    example = torch.zeros(2, 1, size, size)
    chatter = logging.getLogger("torch.onnx")
    level = chatter.level
    chatter.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")  # the exporter's own deprecations
            program = torch.onnx.export(
                model,
                (example,),
                dynamo=True,
                input_names=["images"],
                output_names=["logits"],
                dynamic_shapes=({0: torch.export.Dim("batch")},),
                verbose=False,
            )
    finally:
        chatter.setLevel(level)
    assert program is not None
    proto = program.model_proto
    for node in proto.graph.node:  # stack traces hold this machine's paths and make equal models differ
        del node.metadata_props[:]
    for value in (*proto.graph.value_info, *proto.graph.input, *proto.graph.output):
        del value.metadata_props[:]
    del proto.graph.metadata_props[:]
    del proto.metadata_props[:]
    return bytes(proto.SerializeToString(deterministic=True))


def onnx_error(content: bytes, model: nn.Module, images: Float32[np.ndarray, "n 1 size size"]) -> float:
    """Largest difference between onnxruntime's logits and torch's, relative where logits exceed 1."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    got = session.run(None, {"images": images})[0]
    wanted = predict(model, images)
    return float(np.max(np.abs(got - wanted) / np.maximum(1.0, np.abs(wanted))))


def export(model: nn.Module, path: Path, images: Float32[np.ndarray, "n 1 size size"]) -> float:
    """Write a model as ONNX after comparing it with torch on some images, at batch sizes 1 and all.

    Returns:
        The largest difference of a logit.

    Raises:
        PruningError: They differ by more than 1e-4.
    """
    content = to_onnx(model, images.shape[-1])
    error = max(onnx_error(content, model, images[:1]), onnx_error(content, model, images))
    if not error <= AGREEMENT:
        raise PruningError(f"{path.name}: the exported model's logits differ from torch's by {error:.2e}.")
    write_whole(path, content)
    return error
