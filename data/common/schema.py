"""Reads files with a schema: JSON, its schema version, and strict pydantic models whose errors name the field.

Numbers are numbers: no text, no truth value, no NaN. Their sizes are bounded, so that a product of a few of them is
still a number.
"""

from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from data.common.errors import UserError
from data.common.guard import printable
from data.common.parse import read_json

LARGEST, SMALLEST = 1e30, 1e-30  # of any quantity here; noise densities are about 1e-19, capacities 1e15
MOST = 2**53  # of anything that is counted: larger numbers are not exact as floating-point numbers
T = TypeVar("T")


def _not_tiny(value: float) -> float:
    if value < SMALLEST:
        raise ValueError(f"expected at least {SMALLEST:g}")
    return value


Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0, le=LARGEST), AfterValidator(_not_tiny)]
NonNegative = Annotated[float, Field(ge=0, le=LARGEST)]
Finite = Annotated[float, Field(ge=-LARGEST, le=LARGEST)]
Rate = Annotated[float, Field(ge=0, lt=1)]
Count = Annotated[int, Field(ge=0, le=MOST)]
Hash = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Many = Annotated[tuple[T, ...], Field(strict=False)]  # a JSON array as a tuple
Pair = Annotated[tuple[T, T], Field(strict=False)]
Model = TypeVar("Model", bound=BaseModel)


class Strict(BaseModel):
    """Base class for the parts of a file. Unknown fields are refused, never ignored; nothing is converted."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


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
    where = ".".join(str(x) for x in detail["loc"] if not str(x).startswith(("tuple", "constrained", "function-")))
    message = {"extra_forbidden": "unknown key", "missing": "missing"}.get(detail["type"], detail["msg"])
    got = detail["input"]
    shown = f"; got {got!r}" if isinstance(got, int | float | str | None) else ""
    return printable(f"{where + ': ' if where else ''}{message.removeprefix('Value error, ')}{shown}")


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
