"""JSON and TOML that nobody vouches for: bounded size and depth, finite numbers, each key once.

What comes out can be walked, printed, computed with and written again: no NaN, no number beyond 64 bits, no text that
is not Unicode, nothing nested so deeply that a recursive function would fail on it.
"""

import json
import math
import re
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from data.common.errors import UserError
from data.common.guard import printable, read_limited
from data.common.limits import limit_bytes

DEEPEST = 64  # levels of nesting; our own files have up to 9
LARGEST_INTEGER = 2**63 - 1
DOTTED = 16  # parts of one TOML key; each is a table of its own
_NO_TEXT = re.compile("[\0\ud800-\udfff]")  # NUL, and halves of characters that cannot be written as UTF-8
# A part begins where a name or a quote begins, so that a search takes time in proportion to the text.
_DOTTED_KEY = re.compile(
    r"(?<![\w-])(?:(?:[\w-]+|\"[^\"\n]*\"|'[^'\n]*')[ \t]*\.[ \t]*){%d}" % DOTTED  # noqa: UP031 - braces
)


def _whole(text: str) -> int:
    value = int(text) if len(text) <= 20 else LARGEST_INTEGER + 1
    if abs(value) > LARGEST_INTEGER:
        raise ValueError(f"the number {text[:24]}{'...' * (len(text) > 24)} has more than 64 bits")
    return value


def _real(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"the number {text[:24]} is too large")
    return value


def _no_constant(text: str) -> float:
    raise ValueError(f"{text} is not a number")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"the key {twice[:60]!r} is there twice")
    return made


def _check_text(texts: Iterable[str]) -> None:
    for text in texts:
        if _NO_TEXT.search(text):
            raise ValueError(f"{text[:40]!r} holds characters that are not text")


def check_tree(value: Any) -> None:
    """Refuse parsed content that is nested too deeply or holds whole numbers or text that nothing can be done with.

    NaN and infinity, which TOML can say, are left to the schema, which names the field.

    Raises:
        ValueError: What was found.
    """
    level, depth = [value], 0
    while level:
        below: list[Any] = []
        for node in level:
            if isinstance(node, dict):
                _check_text(node)
                below.extend(node.values())
            elif isinstance(node, list | tuple):
                below.extend(node)
            elif isinstance(node, str):
                _check_text((node,))
            elif isinstance(node, int) and abs(node) > LARGEST_INTEGER:
                raise ValueError("a number has more than 64 bits")
        level, depth = below, depth + 1
        if depth > DEEPEST + 1:
            raise ValueError(f"nested too deeply: more than {DEEPEST} levels")


def parse_json(text: str | bytes) -> Any:
    """Parsed JSON. Raises ValueError: not JSON, nested too deeply, or with a key twice or a number that is none."""
    try:
        value = json.loads(
            text.decode("utf-8") if isinstance(text, bytes) else text,
            parse_int=_whole, parse_float=_real, parse_constant=_no_constant, object_pairs_hook=_once,
        )  # fmt: skip
    except RecursionError:
        raise ValueError(f"nested too deeply: more than {DEEPEST} levels") from None
    check_tree(value)
    return value


def read_json(path: Path, error: type[UserError], *, missing: str = "", remedy: str = "") -> Any:
    """Read and parse a JSON file.

    Args:
        path: File to read.
        error: Exception of the calling package.
        missing: What the user should do if the file does not exist; by default the same as `remedy`.
        remedy: What the user should do if the file cannot be read.

    Raises:
        UserError: As `error`: no such file, no regular file, too large, or not JSON as `parse_json` takes it.
    """
    name = printable(path)
    try:
        limit = limit_bytes("JOPA_JSON_MB")
        return parse_json(read_limited(path, error, limit=limit, option="JOPA_JSON_MB", remedy=remedy))
    except FileNotFoundError:
        raise error(f"{name}: no such file.", missing or remedy) from None
    except IsADirectoryError:
        raise error(f"{name}: is a folder; expected a JSON file.", remedy or missing) from None
    except ValueError as problem:
        raise error(f"{name}: cannot be read as JSON ({problem}).", remedy) from None


def read_lines(path: Path, error: type[UserError], *, remedy: str = "") -> list[Any]:
    """The values of a file with one JSON value on each line. Raises as `read_json` does."""
    name = printable(path)
    try:
        content = read_limited(path, error, limit=limit_bytes("JOPA_JSON_MB"), option="JOPA_JSON_MB", remedy=remedy)
        return [parse_json(line) for line in content.splitlines() if line.strip()]
    except (FileNotFoundError, IsADirectoryError):
        raise error(f"{name}: no such file.", remedy) from None
    except ValueError as problem:
        raise error(f"{name}: cannot be read as lines of JSON ({problem}).", remedy) from None


def read_toml(path: Path, error: type[UserError], *, missing: str = "", remedy: str = "") -> dict[str, Any]:
    """Read and parse a TOML file; arguments and errors as `read_json`."""
    name = printable(path)
    try:
        content = read_limited(path, error, limit=limit_bytes("JOPA_TOML_MB"), option="JOPA_TOML_MB", remedy=remedy)
        text = content.decode("utf-8")
        if _DOTTED_KEY.search(text):
            raise ValueError(f"a dotted key of more than {DOTTED} parts")
        value = tomllib.loads(text)
        check_tree(value)
    except FileNotFoundError:
        raise error(f"{name}: no such file.", missing or remedy) from None
    except IsADirectoryError:
        raise error(f"{name}: cannot be read: it is a folder; expected a TOML file.", missing or remedy) from None
    except RecursionError:
        raise error(
            f"{name}: cannot be read as TOML (nested too deeply: more than {DEEPEST} levels).", remedy
        ) from None
    except ValueError as problem:
        raise error(f"{name}: cannot be read as TOML ({problem}).", remedy) from None
    return value
