"""ONNX files that nobody vouches for: what may be loaded, and running it with the caller's own error.

A graph is data, but not harmless: it can name files elsewhere (external data), loop for ever, ask for tensors of any
size, or be another model than the one that is expected.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from data.common.errors import UserError
from data.common.guard import printable, read_limited
from data.common.limits import limit_bytes

LOOPS = frozenset({"Loop", "Scan", "If", "SequenceMap"})  # they hold graphs of their own; no model of ours has them
DOMAINS = frozenset({"", "ai.onnx", "pkg.onnxscript.torch_lib", "pkg.onnxscript.torch_lib.common", "com.microsoft"})
GROWING = frozenset({"ConstantOfShape", "Expand", "Tile", "Range", "Pad", "Resize", "OneHot", "EyeLike"})
LARGEST_SIDE = 1 << 24  # of a shape that stands in the file; larger ones only ask for memory


def read_onnx(
    path: Path, error: type[UserError], *, allowed: frozenset[Path] = frozenset(), remedy: str = "Export it again."
) -> Any:
    """Parse and check an ONNX model (an `onnx.ModelProto`); external data is not read.

    Args:
        path: The file.
        error: Exception of the calling package.
        allowed: Resolved paths of verified files that external data may stand in; no other file is accepted.
        remedy: What the user should do if the file cannot be used.

    Raises:
        UserError: As `error`: missing, damaged, not ONNX, with graphs inside, with external data elsewhere, or with
            weights that are not finite.
    """
    import onnx

    limit = limit_bytes("JOPA_WEIGHTS_MB")
    try:
        model = onnx.load_model_from_string(
            read_limited(path, error, limit=min(limit, 2**31 - 1), option="JOPA_WEIGHTS_MB", remedy=remedy)
        )
        for tensor in _tensors(model):
            _check_location(path, tensor, allowed, error)
        onnx.checker.check_model(model if model.ByteSize() <= 2**31 - 1 else str(path))
        _check_nodes(model)
        for tensor in _tensors(model):
            _check_values(tensor)
    except UserError:
        raise
    except FileNotFoundError:
        raise error(f"{printable(path)}: no such file.", remedy) from None
    except Exception as problem:  # noqa: BLE001 - whatever a damaged file raises in protobuf, onnx or numpy
        reason = (str(problem).splitlines() or [""])[0][:160] or "cannot be decoded"
        raise error(f"{printable(path)}: not a valid ONNX model ({printable(reason)}).", remedy) from None
    if not model.graph.node:
        raise error(f"{printable(path)}: not a valid ONNX model (it has no operators).", remedy)
    return model


def _tensors(model: Any) -> Iterator[Any]:
    """Every tensor that stands in a model: weights, and constants among the attributes of nodes and functions."""
    yield from model.graph.initializer
    for sparse in model.graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    for node in (*model.graph.node, *(node for function in model.functions for node in function.node)):
        for attribute in node.attribute:
            yield from (t for t in (attribute.t, *attribute.tensors) if t.dims or t.data_location or t.raw_data)
            for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
                yield from (t for t in (sparse.values, sparse.indices) if t.dims or t.data_location)


def _check_location(path: Path, tensor: Any, allowed: frozenset[Path], error: type[UserError]) -> None:
    if tensor.data_location != 1 and not tensor.external_data:  # TensorProto.EXTERNAL
        return
    location = next((e.value for e in tensor.external_data if e.key == "location"), "")
    target = (path.parent / location).resolve() if "\0" not in location else path.parent
    if not location or not target.is_relative_to(path.parent.resolve()) or target not in allowed:
        raise error(
            f"{printable(path)}: {printable(tensor.name)} points at the file {printable(location)!r}, outside its "
            "folder or without a hash in the bundle.",
            "Export the model again, in one file.",
        )


def _check_nodes(model: Any) -> None:
    """Refuse graphs within graphs, and operators that no runtime of ours brings along."""
    for node in (*model.graph.node, *(node for function in model.functions for node in function.node)):
        if node.op_type in LOOPS or any(a.HasField("g") or a.graphs for a in node.attribute):
            raise ValueError(f"the operator {node.op_type} holds a graph of its own")
        if node.domain not in DOMAINS:
            raise ValueError(f"the operator {node.op_type} is of the unknown domain {node.domain!r}")


def _check_values(tensor: Any) -> None:
    """Refuse weights that are not finite, and shapes that only ask for memory."""
    import onnx
    from onnx import numpy_helper

    if any(side < 0 or side > LARGEST_SIDE for side in tensor.dims):
        raise ValueError(f"{tensor.name} has the shape {list(tensor.dims)}")
    if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.data_type == onnx.TensorProto.STRING:
        return
    values = numpy_helper.to_array(tensor)
    if values.dtype.kind == "f" and np.isnan(values).any():
        raise ValueError(f"{tensor.name} holds numbers that are not finite")


@contextmanager
def runtime_errors(name: object, error: type[UserError], remedy: str) -> Iterator[None]:
    """What onnxruntime raises (its own classes derive from Exception alone) as the caller's error."""
    try:
        yield
    except UserError:
        raise
    except Exception as problem:  # noqa: BLE001 - see above
        reason = (str(problem).splitlines() or [type(problem).__name__])[0][:200]
        raise error(f"{printable(name)}: cannot be run as an ONNX model ({printable(reason)}).", remedy) from None


Outputs = list[np.ndarray]
Run = Callable[[Mapping[str, np.ndarray]], Outputs]


def open_onnx(
    path: Path, error: type[UserError], *, threads: int = 0, outputs: Sequence[str] | None = None, remedy: str
) -> tuple[Run, frozenset[str]]:
    """A model as a function from arrays by name to its outputs, and the names of its inputs; on the CPU.

    Args:
        path: The file, checked by `read_onnx`.
        error: Exception of the calling package.
        threads: Number of threads; 0 for the runtime's own choice.
        outputs: Names of the outputs that are wanted, in this order; all if None.
        remedy: What the user should do if the model cannot be run.

    Raises:
        UserError: As `error`: not a model that can be run, or without these outputs. So does the function, where what
            it is given does not fit.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    if threads:
        options.intra_op_num_threads = options.inter_op_num_threads = threads
    options.log_severity_level = 4
    with runtime_errors(path, error, remedy):
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        inputs = frozenset(part.name for part in session.get_inputs())
        held = [part.name for part in session.get_outputs()]
    if outputs is not None and not set(outputs) <= set(held):
        raise error(f"{printable(path)}: another model: it gives {printable(', '.join(held))}.", remedy)

    def run(feed: Mapping[str, np.ndarray]) -> Outputs:
        with runtime_errors(path, error, remedy):
            return [np.asarray(found) for found in session.run(outputs, dict(feed))]

    return run, inputs
