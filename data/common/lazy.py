"""Public names that are loaded when they are first used, so that importing a package costs little."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from data.common.extras import needs_extra


def lazy_exports(package: str, names: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """`__getattr__` and `__dir__` of a package whose public names live in other modules (PEP 562).

    Args:
        package: Name of the package, `__name__`.
        names: Public names, each with the module that defines it. A module that needs an extra which is not installed
            raises `MissingExtraError` when its name is used.
    """

    def get(name: str) -> Any:
        if name not in names:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        with needs_extra(package):
            return getattr(import_module(names[name]), name)

    return get, lambda: sorted(names)
