"""Static int8 quantisation (QDQ): weights per channel, activations by their range on calibration windows."""

import logging
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from data.common.files import write_whole
from profiling.errors import ProfilingError

CHUNK = 16


class _Windows:
    """Calibration windows in the form that onnxruntime's quantiser reads them."""

    def __init__(self, images: Float32[np.ndarray, "n ..."], name: str) -> None:
        self._parts: Iterator[dict[str, Any]] = iter(
            [{name: images[i : i + CHUNK]} for i in range(0, len(images), CHUNK)]
        )

    def get_next(self) -> dict[str, Any] | None:
        return next(self._parts, None)


def _beside_convolutions(graph: Any) -> list[str]:
    """Names of the nodes that no convolution stands before, and of the additions that read them; all get names.

    Such a branch, as the straight line in `pruning.line`, costs next to nothing, and eight bits would spoil it: its
    numbers span more than those of the network.
    """
    after, beside, names = set(), set(), []
    for i, node in enumerate(graph.node):
        node.name = node.name or f"{node.op_type}_{i}"
        if node.op_type == "Conv" or any(name in after for name in node.input):
            after.update(node.output)
            if node.op_type == "Add" and any(name in beside for name in node.input):
                names.append(node.name)
        else:
            beside.update(node.output)
            names.append(node.name)
    return names


def quantize(source: Path, target: Path, images: Float32[np.ndarray, "n ..."], *, narrow: bool) -> None:
    """Write an int8 copy of an ONNX model.

    Args:
        source: fp32 ONNX model.
        target: File to write, whole or not at all.
        images: Calibration windows, standardised as the model takes them.
        narrow: Use 7 of the weights' 8 bits, for processors on which int8 sums overflow (`device.int8_saturates`).

    Raises:
        ProfilingError: The model cannot be quantised.
    """
    import onnx
    import onnxruntime
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Reader(CalibrationDataReader):  # type: ignore[misc] # onnxruntime is untyped
        def __init__(self, windows: _Windows) -> None:
            self._windows = windows

        def get_next(self) -> dict[str, Any] | None:
            return self._windows.get_next()

    root = logging.getLogger()
    level = root.level
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        root.setLevel(logging.ERROR)  # it advises, at each call, a step that these models do not need
        try:
            options = onnxruntime.SessionOptions()
            options.log_severity_level = 3
            options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
            options.optimized_model_filepath = str(Path(folder) / "folded.onnx")  # batch norm into convolutions
            session = onnxruntime.InferenceSession(str(source), options, providers=["CPUExecutionProvider"])
            name = session.get_inputs()[0].name
            folded = onnx.load(options.optimized_model_filepath)
            aside = _beside_convolutions(folded.graph)
            onnx.save(folded, options.optimized_model_filepath)
            quantize_static(
                options.optimized_model_filepath,
                str(Path(folder) / "int8.onnx"),
                Reader(_Windows(images, name)),
                quant_format=QuantFormat.QDQ,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                per_channel=True,
                reduce_range=narrow,
                nodes_to_exclude=aside,
            )
        except Exception as error:
            if isinstance(error, MemoryError):
                raise
            raise ProfilingError(f"{source.name} cannot be quantised: {' '.join(str(error).split())[:240]}") from error
        finally:
            root.setLevel(level)
        write_whole(target, (Path(folder) / "int8.onnx").read_bytes())
