"""Do the oldest versions that pyproject.toml admits work? Runs tests in a virtual environment that holds exactly them.

`python -m benchmarks.oldest [--extras train,parquet] [--folder FOLDER] [--tests tests/data ...]`.

The versions are read from pyproject.toml: each direct dependency that is `>=` a version there is `==` that version
here. What they need in turn is chosen by pip. The environment is made in a temporary folder, or in --folder, where it
stays and is used again.
"""

import argparse
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
LEAST = re.compile(r"([\w.-]+(?:\[[\w,]+\])?)>=([\w.]+)")
TOOLS = ("beartype", "fvcore", "hypothesis", "pytest", "pytest-timeout")
TESTS = (  # what touches each dependency, in minutes on one core
    "tests/data",
    "tests/profiling",
    "tests/pruning/test_bundle.py",
    "tests/pruning/test_criteria.py",
    "tests/pruning/test_filters.py",
    "tests/pruning/test_sweep.py",
    "tests/pruning/test_train.py",
    "tests/optimizer/environment",
    "tests/optimizer/network",
    "tests/optimizer/solver/test_exact.py",
    "tests/optimizer/learning/test_onnx_export.py",
    "tests/optimizer/learning/test_run.py",
    "tests/optimizer/test_solve.py",
    "tests/optimizer/test_tune.py",
    "tests/test_cli.py",
)
# Old versions use what newer versions of their own dependencies call deprecated; elsewhere any warning fails a test.
DEPRECATED = ("-W", "default::DeprecationWarning", "-W", "default::FutureWarning")


def oldest(extras: Sequence[str]) -> list[str]:
    """The oldest admitted version of each direct dependency, as requirements.

    Args:
        extras: Extras of the package that are wanted beside its core.
    """
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    optional = project["optional-dependencies"]
    tools = [line for line in optional["dev"] if line.split(">=")[0] in TOOLS]
    wanted = [*project["dependencies"], *(line for extra in extras for line in optional[extra]), *tools]
    pinned = []
    for line in wanted:
        if line.startswith("jopa["):
            continue
        found = LEAST.fullmatch(line)
        if found is None:
            raise SystemExit(f"pyproject.toml: {line!r} has no lower bound of the form name>=version")
        pinned.append(f"{found[1]}=={found[2]}")
    return pinned


def make(folder: Path, pinned: Sequence[str]) -> Path:
    """The Python of a virtual environment with these versions and this package."""
    python = folder / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    subprocess.run([python, "-m", "pip", "install", "--quiet", *pinned], check=True)
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-deps", "--editable", ROOT], check=True)
    return python


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--extras", default="train,parquet,openvino,tune")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--tests", nargs="*", default=TESTS)
    arguments = parser.parse_args()
    pinned = oldest([extra for extra in arguments.extras.split(",") if extra])
    print(*pinned, sep="\n", flush=True)
    with tempfile.TemporaryDirectory(prefix="oldest-") as own:
        python = make(arguments.folder or Path(own), pinned)
        command = [python, "-m", "pytest", "-q", *DEPRECATED, *arguments.tests]
        sys.exit(subprocess.run(command, cwd=ROOT, check=False).returncode)


if __name__ == "__main__":
    main()
