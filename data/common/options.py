"""Command-line options that take several values separated by commas, or one of a registry's names."""

import re
from collections.abc import Iterable
from typing import Any

from tyro.constructors import PrimitiveConstructorSpec

from data.common.errors import UserError


def parse_list(text: str, kind: type, name: str) -> tuple[Any, ...]:
    """Parse values separated by commas (or spaces).

    Args:
        text: Value of the option.
        kind: Type of the values: `float`, `int` or `str`.
        name: Name of the option, for error messages.

    Raises:
        UserError: A value has another type, there is no value, or a value is repeated.
    """
    parts = [p for p in re.split(r"[,\s]+", text.strip()) if p]
    try:
        values = tuple(kind(p) for p in parts)
    except (ValueError, OverflowError):
        what = "words" if kind is str else "numbers"
        raise UserError(f"--{name} takes {what} separated by commas; got {text!r}.") from None
    if not values:
        raise UserError(f"--{name} is empty.", "Give at least one value.")
    twice = [str(v) for v in dict.fromkeys(values) if values.count(v) > 1]
    if twice:
        raise UserError(f"--{name} holds {', '.join(twice)} twice.", "Give each value once.")
    return values


def check_least(error: type[UserError], option: str, value: float, least: int) -> None:
    """Refuse a number that is too small.

    Args:
        error: Exception of the calling package.
        option: Name of the option.
        value: Its value, or the smallest of its values.
        least: The smallest value that is allowed.

    Raises:
        UserError: As `error`.
    """
    if value < least:
        raise error(f"--{option}: expected at least {least}; got {value}.")


def comma_separated(kind: type, name: str, letter: str) -> Any:
    """Annotation that makes tyro read a tuple field as values separated by commas.

    Args:
        kind: Type of the values: `float`, `int` or `str`.
        name: Name of the option, for error messages.
        letter: Placeholder of one value in the help text.
    """
    return PrimitiveConstructorSpec(
        nargs=1,
        metavar=f"{letter},{letter},...",
        instance_from_str=lambda args: parse_list(args[0], kind, name),
        is_instance=lambda value: isinstance(value, tuple),
        str_from_instance=lambda value: [",".join(f"{v:g}" if kind is not str else v for v in value)],
    )


def one_of(choices: Iterable[str]) -> Any:
    """Annotation that makes tyro offer the keys of a registry as the choices of a `str` field."""
    names = tuple(choices)
    return PrimitiveConstructorSpec(
        nargs=1,
        metavar="{" + ",".join(names) + "}",
        instance_from_str=lambda args: args[0],
        is_instance=lambda value: isinstance(value, str),
        str_from_instance=lambda value: [value],
        choices=names,
    )


def number_or_auto(name: str) -> Any:
    """Annotation that makes tyro read an `int | None` field as a whole number, or as `auto`, which is None.

    Args:
        name: Name of the option, for error messages.
    """

    def read(args: list[str]) -> int | None:
        if args[0] == "auto":
            return None
        if not re.fullmatch(r"\d{1,9}", args[0]):
            raise UserError(f"--{name} takes a whole number or auto; got {args[0]!r}.")
        return int(args[0])

    return PrimitiveConstructorSpec(
        nargs=1,
        metavar="INT|auto",
        instance_from_str=read,
        is_instance=lambda value: value is None or isinstance(value, int),
        str_from_instance=lambda value: ["auto" if value is None else str(value)],
    )
