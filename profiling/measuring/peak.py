"""The FLOP/s of one square matrix product on the same runtime, to compare the models with.

A convolution may exceed it: Winograd's algorithm executes fewer multiply-accumulates than are counted.
"""

from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from data.common.files import write_whole
from profiling.profile.entries import Device, Precision
from profiling.runtimes.registry import Runtime

SIDE: dict[Device, int] = {"cpu": 1024, "cuda": 8192}
PEAK = "peak"
PEAK_FILE = ".peak.onnx"


def peak_flops(device: Device) -> int:
    """FLOP of the product (a multiply-accumulate is 2)."""
    return 2 * SIDE[device] ** 3


def write_peak(path: Path, side: int) -> None:
    """An ONNX model that multiplies its input (rows, side) by a constant (side, side)."""
    weight = np.random.default_rng(0).standard_normal((side, side), dtype=np.float32) / side**0.5
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["images", "weight"], ["logits"])],
        "peak",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", side])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", side])],
        [numpy_helper.from_array(weight, "weight")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    write_whole(path, model.SerializeToString())


def peak_cell(runtime: Runtime, device: Device, precision: Precision, threads: int, folder: Path) -> dict[str, Any]:
    """The matrix product as a cell for the worker; its ONNX file is written if the runtime needs one."""
    side = SIDE[device]
    path = folder / PEAK_FILE
    if runtime.needs_onnx and not path.exists():
        write_peak(path, side)
    return {
        "key": f"{PEAK}/{precision}/{side}/{threads}",
        "precision": precision,
        "batch": side,
        "shape": [side],
        "onnx": str(path) if runtime.needs_onnx else None,
        "bundle": None,
        "needs_bytes": 12 * side * side,
    }
