"""How sound files are damaged: bytes, parsed JSON, TOML text, safetensors headers and ONNX graphs."""

import json
import pickle
import re
import struct
from collections.abc import Callable
from typing import Any

import numpy as np

Rng = np.random.Generator
RAW = "@@raw:"  # text that stands in JSON as it is, without quotes
NASTY: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2, 0.0, -0.5, 0.5, 1.5, 1e-320, 1e-30, 1e30, 1e308, -1e308, 2**31, 2**53, 2**63,
    -(2**63), 99, 1000, 10**6, 10**9, "", "x", "1", "nan", "../../x", "/dev/zero", "a" * 300, "\u0000", "\ud800",
    "é\n", [], {}, [[]], [1, 2], {"a": 1}, [None],
    RAW + "NaN", RAW + "Infinity", RAW + "-Infinity", RAW + "1e999", RAW + "9" * 40, RAW + "1" * 5000,
    RAW + "[" * 3000 + "]" * 3000, RAW + '{"a":' * 3000 + "1" + "}" * 3000, RAW + "[" * 70 + "]" * 70,
    RAW + '{"a":1,"a":2}',
)  # fmt: skip
TOML_NASTY = (
    "nan", "inf", "-inf", "true", '""', '"1"', "[]", "{}", "-1", "0", "1e308", "1e-320", "9" * 30, "1979-05-27", "'x'",
    "[" * 200 + "]" * 200, "[" * 5000 + "]" * 5000, "{a=" * 200 + "1" + "}" * 200, "0x7fffffffffffffff", "1e30",
    "1000000", '"' + "a" * 400 + '"', "[1, 2]", "1.5", "100", '"\\u0000"',
)  # fmt: skip
EXTREMES = (
    b"\xff\xff\xff\xff",
    b"\x00\x00\x00\x80",
    b"\xff\xff\xff\x7f",
    b"\x00\x00\x00\x00",
    b"\xff" * 8,
    b"\xff" * 7 + b"\x7f",
)


def one(rng: Rng, choices: Any) -> Any:
    """One of several."""
    return choices[int(rng.integers(len(choices)))]


# Bytes


def _at(rng: Rng, size: int) -> int:
    """A place in a file: half of them in its first 256 bytes or its last, where headers are."""
    kind = rng.random()
    if kind < 0.35:
        return int(rng.integers(min(256, size)))
    if kind < 0.5:
        return size - 1 - int(rng.integers(min(256, size)))
    return int(rng.integers(size))


def damage_bytes(content: bytes, rng: Rng) -> bytes:
    """Flipped bits, extreme numbers, pieces cut, doubled, moved or zeroed; or something else altogether."""
    data = bytearray(content)
    for _ in range(int(rng.integers(1, 4))):
        if not data:
            break
        kind, at = int(rng.integers(9)), _at(rng, len(data))
        length = int(rng.integers(1, 1 + min(64, len(data))))
        if kind <= 2:
            data[at] ^= 1 << int(rng.integers(8))
        elif kind == 3:
            extreme = one(rng, EXTREMES)
            data[at : at + len(extreme)] = extreme
        elif kind == 4:
            del data[at : at + length]
        elif kind == 5:
            data[at:at] = data[at : at + length]
        elif kind == 6:
            data[at : at + length] = bytes(len(data[at : at + length]))
        elif kind == 7:
            del data[at:]
        else:
            data[at : at + length] = rng.bytes(length)
    if rng.random() < 0.02:
        return one(
            rng, (b"", pickle.dumps({"a": [1]}), bytes(100), b"PK\x03\x04", b"\x89HDF\r\n\x1a\n", b"RIFF", b"\n" * 50)
        )
    return bytes(data)


# JSON


def damage_tree(node: Any, rng: Rng, whole: Any, depth: int = 0) -> Any:
    """Parsed JSON with one place changed; what is not changed is shared."""
    if isinstance(node, dict) and node and rng.random() < 0.93:
        key = one(rng, list(node))
        kind = rng.random()
        made = dict(node)
        if kind < 0.06:
            del made[key]
        elif kind < 0.09:
            made[key + "x"] = made.pop(key)
        elif kind < 0.12:
            made["surprise"] = one(rng, NASTY)
        else:
            made[key] = damage_tree(node[key], rng, whole, depth + 1)
        return made
    if isinstance(node, list) and node and rng.random() < 0.9:
        at, kind = int(rng.integers(len(node))), rng.random()
        made_list = list(node)
        if kind < 0.06:
            del made_list[at]
        elif kind < 0.12:
            made_list.insert(at, made_list[at])
        elif kind < 0.14:
            made_list.reverse()
        elif kind < 0.16:
            made_list *= 50
        else:
            made_list[at] = damage_tree(node[at], rng, whole, depth + 1)
        return made_list
    if isinstance(node, int | float) and not isinstance(node, bool) and rng.random() < 0.5:
        factor = float(one(rng, (-1, 0.1, 10, 1e3, 1e-3, 1e6, 1e9, 1e-9, 1.0000001)))
        return one(rng, (node * factor, node + 1, node - 1, float(node), int(abs(node) % 1e15), str(node)))
    if rng.random() < 0.1:
        return _somewhere(whole, rng)
    return one(rng, NASTY)


def _somewhere(node: Any, rng: Rng) -> Any:
    """Another part of the same file."""
    while isinstance(node, dict | list) and node and rng.random() < 0.8:
        node = one(rng, list(node.values()) if isinstance(node, dict) else node)
    return node


def dump(tree: Any) -> bytes:
    """JSON text, with raw pieces as they are."""
    text = json.dumps(tree)
    return re.sub(f'"{RAW}((?:[^"\\\\]|\\\\.)*)"', lambda found: json.loads(f'"{found[1]}"'), text).encode()


def damage_json(content: bytes, rng: Rng) -> bytes:
    """Changed in its structure, or (a fifth) in its bytes."""
    if rng.random() < 0.2:
        return damage_bytes(content, rng)
    tree = json.loads(content)
    for _ in range(int(rng.integers(1, 3))):
        tree = damage_tree(tree, rng, tree)
    return dump(tree)


def damage_lines(content: bytes, rng: Rng) -> bytes:
    """One line of a file with a JSON value on each."""
    lines = content.splitlines()
    at = int(rng.integers(len(lines)))
    lines[at] = damage_json(lines[at], rng)
    return b"\n".join(lines)


# TOML and CSV


def damage_toml(content: bytes, rng: Rng) -> bytes:
    """Other values, lines twice or missing, keys with many dots; or damaged bytes."""
    if rng.random() < 0.2:
        return damage_bytes(content, rng)
    lines = content.decode().split("\n")
    for _ in range(int(rng.integers(1, 3))):
        at, kind = int(rng.integers(len(lines))), int(rng.integers(8))
        if kind == 0:
            lines.insert(at, lines[at])
        elif kind == 1 and len(lines) > 1:
            del lines[at]
        elif kind == 2:
            lines.insert(at, ".".join(["a"] * int(10 ** rng.uniform(0, 5))) + " = 1")
        else:
            with_value = [i for i, line in enumerate(lines) if "=" in line]
            if with_value:
                at = one(rng, with_value)
                lines[at] = lines[at].split("=")[0] + "= " + one(rng, TOML_NASTY)
    return "\n".join(lines).encode()


def damage_csv(content: bytes, rng: Rng) -> bytes:
    """Cells replaced, rows cut, columns doubled; or damaged bytes."""
    if rng.random() < 0.3:
        return damage_bytes(content, rng)
    rows = [line.split(",") for line in content.decode().splitlines()]
    for _ in range(int(rng.integers(1, 4))):
        at = int(rng.integers(min(4, len(rows)))) if rng.random() < 0.5 else int(rng.integers(len(rows)))
        column, kind = int(rng.integers(max(1, len(rows[at])))), int(rng.integers(6))
        if kind == 0:
            rows[at] = rows[at][:column]
        elif kind == 1:
            rows[at] = rows[at] + ["7"]
        elif kind == 2 and rows[0]:
            rows[0] = [one(rng, rows[0])] * len(rows[0])
        elif rows[at]:
            rows[at][min(column, len(rows[at]) - 1)] = str(
                one(rng, ("", "nan", "inf", "1e400", "x", '"', "-1", "9" * 50, "../x", "a" * 300, "\0", "1;2", "0,5"))
            )
    return "\n".join(",".join(row) for row in rows).encode()


# Tensors and graphs


def damage_tensors(content: bytes, rng: Rng) -> bytes:
    """A safetensors file with another header, with numbers that are none, or with damaged bytes."""
    kind = rng.random()
    if kind < 0.3:
        return damage_bytes(content, rng)
    (length,) = struct.unpack("<Q", content[:8])
    header, payload = json.loads(content[8 : 8 + length]), bytearray(content[8 + length :])
    if kind < 0.6 and payload:
        at = 4 * int(rng.integers(max(1, len(payload) // 4)))
        payload[at : at + 4] = one(
            rng, (b"\x00\x00\xc0\x7f", b"\x00\x00\x80\x7f", b"\xff\xff\x7f\x7f", b"\xff\xff\xff\xff")
        )
        if rng.random() < 0.3:
            payload[:] = b"\x00\x00\xc0\x7f" * (len(payload) // 4) + bytes(len(payload) % 4)
    else:
        for name, value in (header.get("__metadata__") or {}).items():
            if rng.random() < 0.7:
                header["__metadata__"][name] = damage_json(value.encode(), rng).decode("utf-8", "replace")
        if rng.random() < 0.6 or "__metadata__" not in header:
            header = damage_tree(header, rng, header)
    text = dump(header)
    return struct.pack("<Q", len(text)) + text + bytes(payload)


def damage_onnx(content: bytes, rng: Rng) -> bytes:
    """An ONNX model with other weights, shapes, operators or names; or with damaged bytes."""
    import onnx

    if rng.random() < 0.4:
        return damage_bytes(content, rng)
    model = onnx.load_model_from_string(content)
    graph, kind = model.graph, int(rng.integers(10))
    weight = one(rng, graph.initializer) if graph.initializer else onnx.TensorProto()
    node = one(rng, graph.node)
    if kind <= 1 and weight.raw_data:
        bad = one(rng, (np.nan, np.inf, 1e38, -1.0))
        weight.raw_data = np.full(len(weight.raw_data) // 4 or 1, bad, np.float32).tobytes()[: len(weight.raw_data)]
    elif kind == 2:
        weight.dims[:] = [int(one(rng, (1 << 40, 1 << 20, 0, 3)))] * max(1, len(weight.dims))
    elif kind == 3:
        node.op_type = one(rng, ("Loop", "Einsum", "ConstantOfShape", "MatMul", "Add", "Relu", "Expand", "Custom"))
    elif kind == 4:
        graph.node.remove(node)
    elif kind == 5:
        weight.data_location = onnx.TensorProto.EXTERNAL
        weight.external_data.append(
            onnx.StringStringEntryProto(key="location", value=one(rng, ("../x", "/etc/passwd", "x")))
        )
    elif kind == 6:
        value = one(rng, (*graph.input, *graph.output))
        value.name += "x"
    elif kind == 7:
        sides = one(rng, (*graph.input, *graph.output)).type.tensor_type.shape.dim
        if sides:
            one(rng, sides).dim_value = int(one(rng, (0, 1, 7, 1 << 20, 1 << 40)))
    elif kind == 8 and node.input:
        node.input[int(rng.integers(len(node.input)))] = one(rng, graph.node).output[0]
    elif weight.data_type == onnx.TensorProto.INT64 and weight.raw_data:
        numbers = np.frombuffer(weight.raw_data, np.int64).copy()
        numbers[int(rng.integers(len(numbers)))] = int(one(rng, (1 << 40, -5, 1 << 24, 0)))
        weight.raw_data = numbers.tobytes()
    return model.SerializeToString()


Damage = Callable[[bytes, Rng], bytes]
