"""Parts that are installed only when asked for: `pip install 'jopa[train]'` and the like.

The core is what a gateway needs: reading recordings, profiling exported models, deciding. Whatever else is imported
comes from one of the extras of pyproject.toml; where it is absent, the message names the extra.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from data.common.errors import UserError

EXTRAS = {
    "torch": "train",
    "torchvision": "train",
    "torch_pruning": "train",
    "onnxscript": "train",
    "sklearn": "train",
    "matplotlib": "train",
    "jinja2": "train",
    "tensorboard": "train",
    "pyarrow": "parquet",
    "openvino": "openvino",
    "ray": "ray",
    "optuna": "tune",
    "sqlalchemy": "tune",
    "psycopg": "tune",
}
"""Importable module -> the extra that installs it."""


class MissingExtraError(UserError, ImportError):
    """A module of an extra is needed and not installed."""


def missing_extra(error: ImportError) -> MissingExtraError | None:
    """What to tell a user about a failed import; None where no extra would help."""
    module = (error.name or "").split(".")[0]
    if module not in EXTRAS:
        return None
    extra = EXTRAS[module]
    found = MissingExtraError(
        f"{module} is not installed; it is part of the extra [{extra}].",
        f"Install it with: pip install 'jopa[{extra}]'",
    )
    found.name = module
    return found


@contextmanager
def needs_extra(importer: str) -> Iterator[None]:
    """Imports that need an extra: a failed one says which.

    Args:
        importer: `__name__` of the importing module; a command ("__main__") prints the message and exits with 2.

    Raises:
        MissingExtraError: A module of an extra is absent.
    """
    try:
        yield
    except ImportError as error:
        told = error if isinstance(error, MissingExtraError) else missing_extra(error)
        if told is None:
            raise
        if importer == "__main__":
            print(f"error: {told}", file=sys.stderr)
            sys.exit(2)
        raise told from error
