"""Reads files with a schema: JSON, its schema version, and strict pydantic models whose errors name the field."""

import json
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from data.common.errors import UserError

Fraction = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Rate = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0)]
Model = TypeVar("Model", bound=BaseModel)


class Strict(BaseModel):
    """Base class for the parts of a file. Unknown fields are refused, never ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def read_json(path: Path, error: type[UserError], *, missing: str = "", remedy: str = "") -> Any:
    """Read and parse a JSON file.

    Args:
        path: File to read.
        error: Exception of the calling package.
        missing: What the user should do if the file does not exist; by default the same as `remedy`.
        remedy: What the user should do if the file cannot be read.

    Raises:
        UserError: As `error`: no such file, not readable, or not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise error(f"{path}: no such file.", missing or remedy) from None
    except IsADirectoryError:
        raise error(f"{path}: is a folder; expected a JSON file.", remedy or missing) from None
    except RecursionError:
        raise error(f"{path}: JSON nested too deeply.", remedy) from None
    except (OSError, ValueError) as problem:
        raise error(f"{path}: cannot be read as JSON ({problem}).", remedy) from None


def check_schema(content: Any, newest: int, name: str, error: type[UserError], what: str) -> None:
    """Refuse content without a schema version, or with one that this version does not read.

    Args:
        content: Parsed JSON.
        newest: Newest schema version that this version of jopa reads; older ones, from 1, are accepted.
        name: File name in messages.
        error: Exception of the calling package.
        what: What the file should be, e.g. "a profile".

    Raises:
        UserError: As `error`.
    """
    schema = content.get("schema") if isinstance(content, dict) else None
    if not isinstance(schema, int) or isinstance(schema, bool):
        raise error(f"{name}: no schema version in it.", f"Is this {what}?")
    if schema > newest:
        raise error(f"{name}: schema {schema} is newer than the {newest} this version reads.", "Update jopa.")
    if schema < 1:
        raise error(f"{name}: unknown schema {schema}; expected 1 to {newest}.")


def first_problem(error: ValidationError) -> str:
    """Describe the first wrong field of a failed validation: its path, what is wrong, and the value."""
    detail = error.errors()[0]
    where = ".".join(str(x) for x in detail["loc"] if not str(x).startswith(("tuple", "constrained")))
    message = {"extra_forbidden": "unknown key", "missing": "missing"}.get(detail["type"], detail["msg"])
    got = detail["input"]
    shown = f"; got {got!r}" if isinstance(got, int | float | str | None) else ""
    return f"{where + ': ' if where else ''}{message.removeprefix('Value error, ')}{shown}"


def read_model(
    path: Path, model: type[Model], newest: int, error: type[UserError], *, what: str, remedy: str, oldest: int = 1
) -> Model:
    """A JSON file as a validated model.

    Args:
        path: The file.
        model: The model of its content; its schema version is the field `schema`.
        newest: Newest schema version that this version reads.
        error: The package's exception.
        what: What the file should be, e.g. "a trial's file".
        remedy: What to do if it cannot be used.
        oldest: Oldest schema version that this version reads.

    Raises:
        UserError: As `error`: no such file, not JSON, of another schema, or with a wrong field (its path is named).
    """
    content = read_json(path, error, remedy=remedy)
    check_schema(content, newest, str(path), error, what)
    if content["schema"] < oldest:
        raise error(f"{path}: schema {content['schema']} is older than {oldest}, the oldest that is read.", remedy)
    return parse_model(content, model, str(path), error, remedy=remedy)


def parse_model(content: Any, model: type[Model], name: str, error: type[UserError], *, remedy: str) -> Model:
    """Parsed JSON as a validated model; `name` is the file's name for messages. Raises `error`."""
    try:
        return model.model_validate(content)
    except ValidationError as problem:
        raise error(f"{name}: {first_problem(problem)}.", remedy) from None
