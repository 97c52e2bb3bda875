"""Builds the API reference: every public name of the four packages, as HTML that opens offline.

`python docs/build_reference.py [FOLDER]`, which is what `make docs` runs. Public is what a package's `__all__` names.
A warning is an error: a name that does not resolve, an annotation that cannot be read.
"""

import argparse
import warnings
from importlib import import_module
from pathlib import Path
from unittest.mock import patch

import pdoc
import pdoc.render

PACKAGES = ("data", "pruning", "profiling", "optimizer")


def build(folder: Path) -> None:
    """Write the reference into a folder.

    Args:
        folder: Where the pages go; it is made if it is not there.

    Raises:
        Warning: Something in the packages cannot be documented.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for package in PACKAGES:
            module = import_module(package)
            # Names that a package loads when they are first asked for are invisible to pdoc until they are there.
            for name in module.__all__:
                setattr(module, name, getattr(module, name))
        pdoc.render.configure(docformat="google", show_source=False, footer_text="jopa")
        # Modules inside a package get no page of their own: what is public in them is exported by the package.
        with patch("pdoc.extract.iter_modules2", lambda _: {}):
            pdoc.pdoc(*PACKAGES, output_directory=folder)


def main() -> None:
    """Build into the folder of the command line."""
    parser = argparse.ArgumentParser(description="Build the API reference.")
    parser.add_argument("folder", type=Path, nargs="?", default=Path("build/docs"))
    folder: Path = parser.parse_args().folder
    build(folder)
    print(f"reference: {folder / 'index.html'}")


if __name__ == "__main__":
    main()
