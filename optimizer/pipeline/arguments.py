"""A command's settings as the command-line arguments that produce them, so that a stage can pass its settings on."""

from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Any, get_type_hints

from tyro.constructors import PrimitiveConstructorSpec


def arguments(config: Any, command: type, prefix: str = "") -> tuple[str, ...]:
    """Command-line arguments that turn a command's default settings into `config`.

    Args:
        config: Settings: an instance of `command`, or of a class derived from it.
        command: The command's own dataclass of settings.
        prefix: What the names of the options begin with, e.g. "default.".

    Returns:
        The options whose values differ from the command's defaults, in the order of its fields.
    """
    hints = get_type_hints(command, include_extras=True)
    found: list[str] = []
    for field in fields(command):
        value, metadata = getattr(config, field.name), getattr(hints[field.name], "__metadata__", ())
        if is_dataclass(value):
            named = [m.name for m in metadata if getattr(m, "name", None) is not None]
            name = named[0] if named else field.name.replace("_", "-")
            declared = hints[field.name].__origin__ if metadata else hints[field.name]
            found += arguments(value, declared, f"{prefix}{name}." if name else prefix)
        elif value != _default(field):
            found += _option(prefix, field.name.replace("_", "-"), value, metadata)
    return tuple(found)


def _default(field: "Field[Any]") -> Any:
    return field.default_factory() if field.default_factory is not MISSING else field.default


def _option(prefix: str, name: str, value: Any, metadata: tuple[Any, ...]) -> list[str]:
    """One option with its value, as tyro reads it."""
    if isinstance(value, bool):
        return [f"--{prefix}{name}" if value else f"--{prefix}no-{name}"]
    for spec in metadata:
        if isinstance(spec, PrimitiveConstructorSpec):
            return [f"--{prefix}{name}", *spec.str_from_instance(value)]
    values = value if isinstance(value, tuple) else (value,)
    return [f"--{prefix}{name}", *(str(v) for v in values)]
