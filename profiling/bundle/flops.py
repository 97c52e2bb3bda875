"""FLOPs of an ONNX model from its graph, without running it.

A multiply-accumulate of a convolution or matrix product counts as 2 FLOP, as in `torch.utils.flop_counter`; fvcore and
THOP count it once. All figures are for one input. Element-wise work (bias, activation, pooling, normalisation,
addition) is counted separately, one operation for each number produced unless the table of operators says otherwise.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper, shape_inference
from onnx.reference import ReferenceEvaluator

from data.common.guard import printable
from data.common.limits import megabytes
from data.common.onnxfile import GROWING, read_onnx
from profiling.errors import ProfilingError
from profiling.profile.entries import Layer

Shape = tuple[int, ...]
_NUMBERS = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16, onnx.TensorProto.DOUBLE)
LARGEST = 1 << 29  # bytes that one operator may hold for one input; VGG-16 at 128 pixels holds 8 million
SMALL = 65_536  # largest tensor that may take part in arithmetic on shapes, in numbers


@dataclass(frozen=True)
class Work:
    """One node as the table's functions see it: shapes of its inputs and of its first output, and its attributes."""

    inputs: list[Shape]
    output: Shape
    attributes: dict[str, object]


def _kernel(work: Work) -> int:
    shape = work.attributes.get("kernel_shape")
    return prod(shape) if isinstance(shape, list | tuple) else 1


def _conv(work: Work) -> tuple[int, int]:
    weight = work.inputs[1]  # (out, in / groups, kernel ...)
    return 2 * prod(work.output) * prod(weight[1:]), prod(work.output) if len(work.inputs) > 2 else 0


def _qlinear_conv(work: Work) -> tuple[int, int]:
    weight = work.inputs[3]
    return 2 * prod(work.output) * prod(weight[1:]), prod(work.output)


def _conv_transpose(work: Work) -> tuple[int, int]:
    weight = work.inputs[1]  # (in, out / groups, kernel ...)
    return 2 * prod(work.inputs[0]) * prod(weight[1:]), prod(work.output) if len(work.inputs) > 2 else 0


def _gemm(work: Work) -> tuple[int, int]:
    a = work.inputs[0]
    inner = a[0] if work.attributes.get("transA") else a[1]
    return 2 * prod(work.output) * inner, prod(work.output) if len(work.inputs) > 2 else 0


def _matmul(work: Work) -> tuple[int, int]:
    return 2 * prod(work.output) * work.inputs[0][-1], 0


def _each(times: int = 1) -> Callable[[Work], tuple[int, int]]:
    return lambda work: (0, times * prod(work.output))


def _pool(work: Work) -> tuple[int, int]:
    return 0, prod(work.output) * _kernel(work)


def _reduce(work: Work) -> tuple[int, int]:
    return 0, prod(work.inputs[0])


def _free(_: Work) -> tuple[int, int]:
    return 0, 0


# operator -> (FLOP of multiply-accumulates, element-wise operations)
OPERATORS: dict[str, Callable[[Work], tuple[int, int]]] = {
    "Conv": _conv,
    "QLinearConv": _qlinear_conv,
    "ConvTranspose": _conv_transpose,
    "Gemm": _gemm,
    "MatMul": _matmul,
    **dict.fromkeys(
        ("Relu", "LeakyRelu", "Clip", "Add", "Sub", "Mul", "Div", "Neg", "Abs", "Max", "Min", "Sqrt", "Pow", "Dropout"),
        _each(),
    ),
    **dict.fromkeys(("Sigmoid", "HardSigmoid", "HardSwish", "Tanh", "Erf", "Exp"), _each()),
    "BatchNormalization": _each(2),
    **dict.fromkeys(("QuantizeLinear", "DequantizeLinear"), _each(2)),
    "Softmax": _each(3),
    **dict.fromkeys(("MaxPool", "AveragePool"), _pool),
    **dict.fromkeys(("GlobalAveragePool", "GlobalMaxPool", "ReduceMean", "ReduceSum", "ReduceMax"), _reduce),
    **dict.fromkeys(
        (
            "Cast",
            "Concat",
            "Constant",
            "ConstantOfShape",
            "Expand",
            "Flatten",
            "Equal",
            "Gather",
            "GatherND",
            "Greater",
            "Identity",
            "Less",
            "Pad",
            "Range",
            "Reshape",
            "Shape",
            "Slice",
            "Split",
            "Squeeze",
            "Tile",
            "Transpose",
            "Unsqueeze",
            "Where",
        ),
        _free,
    ),
}


@dataclass(frozen=True)
class Count:
    """The cost of one input.

    Attributes:
        flops: FLOP of multiply-accumulates.
        elementwise: Element-wise operations.
        parameters: Number of weights.
        weight_bytes: Bytes of the weights.
        activation_bytes: Bytes of all tensors that operators with arithmetic read and write, weights aside.
        largest_bytes: Bytes of the largest input and output that one operator holds at a time, weights aside.
        layers: One entry per operator that does arithmetic.
    """

    flops: int
    elementwise: int
    parameters: int
    weight_bytes: int
    activation_bytes: int
    largest_bytes: int
    layers: list[Layer]


def read_graph(path: Path, allowed: frozenset[Path] = frozenset()) -> onnx.ModelProto:
    """Read and check an ONNX model; external data is accepted in verified files only.

    Args:
        path: ONNX file.
        allowed: Resolved paths of the external data files that have been verified; no other file is read.

    Raises:
        ProfilingError: The file is damaged or not ONNX, or refers to a file outside its folder or not verified.
    """
    model: onnx.ModelProto = read_onnx(path, ProfilingError, allowed=allowed, remedy="Restore it, or export it again.")
    return model


def _with_batch_of_one(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model for one input, with all shapes inferred; arithmetic on shapes is replaced by its result."""
    fixed = onnx.ModelProto()
    fixed.CopyFrom(model)
    for value in (*fixed.graph.input, *fixed.graph.output):
        dims = value.type.tensor_type.shape.dim
        if dims and not dims[0].HasField("dim_value"):
            dims[0].dim_value = 1
    while True:
        del fixed.graph.value_info[:]
        inferred = shape_inference.infer_shapes(fixed)
        shapes = {v.name: _shape(v) for v in (*inferred.graph.input, *inferred.graph.value_info)}
        known = {t.name: t for t in fixed.graph.initializer if prod(t.dims) <= SMALL and t.data_type not in _NUMBERS}
        values = {name: numpy_helper.to_array(t) for name, t in known.items() if not t.external_data}
        folded = [n for n in fixed.graph.node if _fold(n, shapes, values)]
        if not folded:
            return inferred
        for node in folded:
            fixed.graph.node.remove(node)
            fixed.graph.initializer.append(numpy_helper.from_array(values[node.output[0]], node.output[0]))


def _fold(node: onnx.NodeProto, shapes: dict[str, Shape | None], values: dict[str, np.ndarray]) -> bool:
    """Compute an integer node whose inputs are known and store the result in `values`; whether it could be."""
    shape = shapes.get(node.input[0]) if node.op_type == "Shape" else None
    if shape is not None:
        ends = {a.name: int(onnx.helper.get_attribute_value(a)) for a in node.attribute}
        values[node.output[0]] = np.array(shape[ends.get("start", 0) : ends.get("end", len(shape))], np.int64)
        return True
    if not node.input or len(node.output) != 1 or not all(x in values for x in node.input if x):
        return False
    if node.op_type in GROWING and not _stays_small(node, values):
        return False
    result = ReferenceEvaluator(node).run(None, {x: values[x] for x in node.input if x})
    found = np.asarray(next(iter(result)))
    if found.size > SMALL or found.dtype.kind not in "iub":
        return False
    values[node.output[0]] = found
    return True


def _stays_small(node: onnx.NodeProto, values: dict[str, np.ndarray]) -> bool:
    """Whether an operator that makes tensors of a given size makes a small one of these inputs."""
    if node.op_type not in ("ConstantOfShape", "Expand"):
        return all(abs(int(x)) <= SMALL for name in node.input if name for x in values[name].ravel()[:64])
    sides = values[node.input[-1]].ravel()
    return len(sides) <= 8 and prod(max(1, abs(int(x))) for x in sides) <= SMALL


def _shape(value: onnx.ValueInfoProto) -> Shape | None:
    dims = value.type.tensor_type.shape.dim
    return tuple(d.dim_value for d in dims) if all(d.HasField("dim_value") for d in dims) else None


def input_shape(model: onnx.ModelProto) -> Shape:
    """Shape of one input without the batch: (channels, rows, columns)."""
    names = {t.name for t in model.graph.initializer}
    value = next(v for v in model.graph.input if v.name not in names)
    return tuple(d.dim_value for d in value.type.tensor_type.shape.dim)[1:]


def count(model: onnx.ModelProto, name: str) -> Count:
    """Count the work of one input.

    Args:
        model: Model from `read_graph`.
        name: Name of the model in messages.

    Raises:
        ProfilingError: An operator is missing from the table, or its shapes cannot be inferred.
    """
    for i, node in enumerate(model.graph.node):
        if node.op_type not in OPERATORS:
            raise ProfilingError(
                f"{name}: the operator {printable(node.op_type)} ({printable(node.name or i)}) is not in the table of "
                "operators.",
                "Add it to profiling.bundle.flops.OPERATORS.",
            )
    try:
        found = _count(model, name)
    except ProfilingError:
        raise
    except Exception as problem:  # noqa: BLE001 - whatever onnx raises for a graph that contradicts itself
        reason = (str(problem).splitlines() or [type(problem).__name__])[0][:160]
        raise ProfilingError(f"{name}: its work cannot be counted ({printable(reason)}).", "Export it again.") from None
    if found.largest_bytes > LARGEST:
        raise ProfilingError(
            f"{name}: one operator would hold {megabytes(found.largest_bytes)} for a single input.", "Export it again."
        )
    return found


def _count(model: onnx.ModelProto, name: str) -> Count:
    graph = _with_batch_of_one(model).graph
    weights = {t.name: t for t in graph.initializer}
    shapes: dict[str, Shape | None] = {t.name: tuple(t.dims) for t in graph.initializer}
    shapes |= {v.name: _shape(v) for v in (*graph.input, *graph.output, *graph.value_info)}
    layers: list[Layer] = []
    touched = largest = 0
    for i, node in enumerate(graph.node):
        if OPERATORS[node.op_type] is _free:
            continue
        known = [shapes.get(x) for x in (*(x for x in node.input if x), node.output[0])]
        if any(s is None for s in known):
            raise ProfilingError(f"{name}: the shapes at {node.op_type} ({node.name or i}) cannot be inferred.")
        sizes = [s for s in known if s is not None]
        attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        flops, elementwise = OPERATORS[node.op_type](Work(sizes[:-1], sizes[-1], attributes))
        moving = [prod(s) for x, s in zip((x for x in node.input if x), sizes, strict=False) if x not in weights]
        held = 4 * (sum(moving) + prod(sizes[-1]))
        touched, largest = touched + held, max(largest, held)
        if flops + elementwise:
            layers.append(
                Layer(
                    name=node.name or f"{node.op_type}_{i}",
                    operator=node.op_type,
                    output=list(sizes[-1]),
                    flops=flops,
                    elementwise=elementwise,
                )
            )
    numbers = [prod(t.dims) for t in weights.values() if t.data_type in _NUMBERS]
    return Count(
        flops=sum(x.flops for x in layers),
        elementwise=sum(x.elementwise for x in layers),
        parameters=sum(numbers),
        weight_bytes=sum(prod(t.dims) * _item_bytes(t) for t in weights.values()),
        activation_bytes=touched,
        largest_bytes=largest,
        layers=layers,
    )


def _item_bytes(tensor: onnx.TensorProto) -> int:
    return int(onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize)
