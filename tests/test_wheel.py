"""The wheel as a user installs it: built without a warning, whole, and working outside the checkout."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from optimizer.cli import COMMANDS

ROOT = Path(__file__).parents[1]
PACKAGES = ("data", "pruning", "profiling", "optimizer")
JOPA = "import sys; from optimizer.cli import main; sys.exit(main())"


def pip(command: str, *arguments: str) -> subprocess.CompletedProcess:
    """Run pip without the network and without dependencies."""
    options = ["--no-deps", "--no-index", "--disable-pip-version-check"]
    environment = {n: v for n, v in os.environ.items() if n not in ("PYTHONDONTWRITEBYTECODE", "PYTHONPATH")}
    return subprocess.run(
        [sys.executable, "-m", "pip", command, *options, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> tuple[Path, str]:
    """The wheel, built from a copy of the sources, and what the build said."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in PACKAGES:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    done = pip("wheel", "-v", "--no-build-isolation", "--wheel-dir", str(out), str(source))
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = out.glob("*.whl")
    return wheel, done.stdout + done.stderr


@pytest.fixture(scope="module")
def installed(built, tmp_path_factory) -> Path:
    """A folder that holds what the wheel installs, and nothing else."""
    folder = tmp_path_factory.mktemp("installed")
    done = pip("install", "--target", str(folder), str(built[0]))
    assert done.returncode == 0, done.stderr
    return folder


def run(installed: Path, folder: Path, code: str, *arguments: str) -> subprocess.CompletedProcess:
    """Python outside the checkout that finds the installed packages first."""
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(installed)},
    )


def test_the_build_warns_of_nothing(built):
    _, said = built
    lines = [line for line in said.splitlines() if "warn" in line.lower() or "deprecat" in line.lower()]
    assert lines == []


def test_every_file_of_the_packages_is_in_the_wheel(built):
    wanted = {
        path.relative_to(ROOT).as_posix()
        for name in PACKAGES
        for path in (ROOT / name).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and not path.name.startswith(".")
    }
    with zipfile.ZipFile(built[0]) as wheel:
        held = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert held == wanted
    assert {"data/cwru_files.csv", "optimizer/py.typed"} <= held


def test_every_module_imports_and_every_command_has_its_help_outside_the_checkout(installed, tmp_path):
    code = (
        "import contextlib, importlib, io, json, pkgutil, sys\n"
        "from optimizer.cli import COMMANDS, main\n"
        "said = {}\n"
        "for name in COMMANDS:\n"
        "    out = io.StringIO()\n"
        "    with contextlib.redirect_stdout(out):\n"
        "        try: main([name, '--help'])\n"
        "        except SystemExit as end: assert end.code == 0, name\n"
        "    said[name] = out.getvalue()\n"
        f"for package in {PACKAGES!r}:\n"
        "    for module in pkgutil.walk_packages(importlib.import_module(package).__path__, package + '.'):\n"
        "        if module.name not in ('optimizer.evaluate', 'data.readers.worker'):\n"
        "            importlib.import_module(module.name)\n"
        f"files = [m.__file__ for n, m in list(sys.modules.items()) if n.split('.')[0] in {PACKAGES!r}]\n"
        "print(json.dumps([said, [f for f in files if f]]))\n"
    )
    done = run(installed, tmp_path, code)
    assert done.returncode == 0, done.stderr
    said, files = json.loads(done.stdout.splitlines()[-1])
    assert all(f"usage: jopa {name}" in said[name] for name in COMMANDS)
    assert all(Path(file).is_relative_to(installed) for file in files)


@pytest.mark.slow  # the kernels are compiled anew in a new folder
def test_slots_are_solved_and_a_policy_is_trained_outside_the_checkout(installed, tmp_path):
    for arguments in (
        ["solve", "--slots", "5", "--json", "solved.json"],
        ["train", "--sensors", "10", "--default.updates", "2", "--out", "policies"],
        ["evaluate", "--policy", "policies/n10-seed0", "--slots", "5", "--json", "evaluation.json"],
    ):
        done = run(installed, tmp_path, JOPA, *arguments)
        assert done.returncode == 0, done.stderr
    assert len(json.loads((tmp_path / "solved.json").read_text())["slots"]) == 5
    assert json.loads((tmp_path / "evaluation.json").read_text())["optimum"]["reward"] > 0
