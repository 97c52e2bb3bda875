"""The API reference is built from every public name, without a warning and without a network."""

import os
import re
import subprocess
import sys
from importlib import import_module

import pytest
from pages import ROOT

PACKAGES = ("data", "pruning", "profiling", "optimizer")


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """The pages, as `make docs` builds them."""
    ask = ["make", "--no-print-directory", "-n", "-o", ".venv/.ready", "docs"]
    # Under `make test` this make would be a part of that one, with its options.
    alone = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    recipe = subprocess.run(ask, capture_output=True, text=True, cwd=ROOT, env=alone)
    command = recipe.stdout.strip().splitlines()[-1].split()
    assert command[0].endswith("python"), recipe.stdout + recipe.stderr
    folder = tmp_path_factory.mktemp("reference")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, *command[1:-1], str(folder)], capture_output=True, text=True, cwd=ROOT, env=environment
    )
    assert done.returncode == 0, done.stderr
    assert "warning" not in done.stderr.lower(), done.stderr
    return folder


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_is_documented(reference, package):
    page = (reference / f"{package}.html").read_text(encoding="utf-8")
    for name in import_module(package).__all__:
        assert f'id="{name}"' in page, name


def test_the_pages_need_no_network_and_name_no_folder_of_this_machine(reference):
    for page in reference.glob("*.html"):
        text = page.read_text(encoding="utf-8")
        loaded = re.findall(r"<(?:script|link|img)\b[^>]*\b(?:src|href)=\"(https?:[^\"]*)\"", text)
        assert loaded == [], page.name
        assert str(ROOT) not in text, page.name


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_says_what_it_is_for(package):
    module = import_module(package)
    for name in module.__all__:
        found = getattr(module, name)
        if callable(found):
            assert found.__doc__, f"{package}.{name}"
            assert not found.__doc__.startswith(("Of ", "Whose", "Theirs")), f"{package}.{name}"
