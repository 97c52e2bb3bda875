"""A gateway holds no torch: what reads, profiles and decides must import and work without it."""

import importlib.metadata
import os
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

from profiling import Profile

ROOT = Path(__file__).parents[1]
ABSENT = "torch,torchvision,torch_pruning,matplotlib,jinja2,tensorboard,pyarrow,sklearn,onnxscript"
BLOCK = (
    "import sys\n"
    "class Absent:\n"
    "    def find_spec(self, name, path=None, target=None):\n"
    f"        if name.split('.')[0] in {ABSENT!r}.split(','):\n"
    "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
    "sys.meta_path.insert(0, Absent())\n"
)
NEED_TORCH = re.compile(  # training and drawing; everything else must do without
    r"pruning\.(assemble|augment|baseline|budget|config|criteria|cross|crosstable|curve|descent|export|figures"
    r"|filters|jobfolder|jobs|line|load|parallel|run|state|sweep|train|training|vgg|weak|wholebatch|worker)"
    r"|data\.drawing"
    r"|profiling\.(drawing|runtimes\.torch_session)"
    r"|optimizer\.(evaluate|train|tune|tuning.*|capacity|experiment|figures|pipeline.*|trial.figure|environment.picture)"
    r"|optimizer\.evaluation\.(drawing|canvas|capacity_figure|pages|price)"
    r"|optimizer\.learning\.(?!(deployed|manifest|gateway_types|units|factory(\.(?!training$).*)?)$).*"  # what decides
)


def modules(package: str) -> list[str]:
    """The package and all its modules that must import without torch."""
    inside = [m.name for m in pkgutil.walk_packages([str(ROOT / package)], f"{package}.")]
    return [package, *(m for m in inside if not NEED_TORCH.fullmatch(m) and "__main__" not in m)]


def without_torch(code: str) -> subprocess.CompletedProcess:
    """Run Python where importing the absent packages fails, as on a gateway."""
    return subprocess.run([sys.executable, "-c", BLOCK + code], capture_output=True, text=True, cwd=ROOT, check=False)


@pytest.mark.parametrize("package", ["data", "pruning", "profiling", "optimizer"])
def test_modules_import_with_torch_absent(package):
    names = modules(package)
    done = without_torch("import importlib\n" + "\n".join(f"importlib.import_module({n!r})" for n in names))
    assert done.returncode == 0, done.stderr


def test_images_are_made_with_torch_absent(tmp_path):
    done = without_torch(
        "import numpy as np\nfrom data.images import log_spectrogram\n"
        "print(log_spectrogram(np.random.default_rng(0).standard_normal((1, 4000)), 32, 4000.0).shape)"
    )
    assert done.stdout.strip() == "(1, 32, 32)", done.stderr


def test_a_bundle_is_profiled_with_torch_absent(bundle, tmp_path):
    """As on a gateway: the worker, too, is a Python that has no torch."""
    (tmp_path / "sitecustomize.py").write_text(BLOCK)
    command = [sys.executable, "-m", "profiling.run", "--models", str(bundle), "--out", str(tmp_path / "p.json")]
    command += ["--batches", "1", "--threads", "1", "--rounds", "1", "--processes", "1", "--precision", "fp32,int8"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    assert "matplotlib is not installed" in " ".join(done.stdout.split())
    profile = Profile.load(tmp_path / "p.json")
    assert len(profile.models) == 6
    trials = {t.runtime: t for t in profile.measurement.chosen_from}
    assert "torch" not in trials or trials["torch"].error


def test_what_needs_torch_says_so_by_its_import():
    done = without_torch("from pruning import load_model")
    assert "torch" in done.stderr


def test_the_slim_requirements_are_pinned_and_hold_no_torch():
    lines = [x.split("#")[0].strip() for x in (ROOT / "requirements-gateway.txt").read_text().splitlines()]
    names = [re.fullmatch(r"([A-Za-z0-9_.-]+)==[0-9][^;\s]*(\s*;.*)?", x) for x in lines if x]
    assert all(names)
    assert not {m[1].lower() for m in names if m} & set(ABSENT.replace("_", "-").split(","))


def test_the_slim_requirements_cover_what_the_modules_import():
    """Every third-party package that the torch-free modules load is pinned."""
    done = without_torch(
        "import importlib, sys\n"
        + "\n".join(
            f"importlib.import_module({n!r})" for p in ("data", "pruning", "profiling", "optimizer") for n in modules(p)
        )
        + "\nprint(' '.join(sorted({m.split('.')[0] for m in sys.modules})))"
    )
    owners = importlib.metadata.packages_distributions()
    loaded = {d.lower().replace("_", "-") for m in done.stdout.split() for d in owners.get(m, [])}
    pinned = {
        x.split("==")[0].strip().lower().replace("_", "-")
        for x in (ROOT / "requirements-gateway.txt").read_text().splitlines()
        if "==" in x
    }
    assert loaded - pinned <= {"jopa", "pip", "setuptools"}


@pytest.mark.slow
def test_the_documented_slim_install_works_in_an_empty_environment(tmp_path):
    """As the README says it: the core and openvino, in the versions that were tried."""
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
    pip = [str(venv / "bin" / "python"), "-m", "pip", "install", "--quiet"]
    constraints = ["--constraint", str(ROOT / "requirements-gateway.txt")]
    subprocess.run([*pip, *constraints, f"{ROOT}[openvino]"], check=True)
    subprocess.run([str(venv / "bin" / "jopa"), "--help"], check=True, cwd=tmp_path, capture_output=True)
    code = "\n".join(f"import {n}" for p in ("data", "pruning", "profiling", "optimizer") for n in modules(p))
    subprocess.run([str(venv / "bin" / "python"), "-c", code], check=True, cwd=tmp_path)
    subprocess.run(
        [str(venv / "bin" / "python"), "-m", "data.fetch", "--help"], check=True, cwd=tmp_path, capture_output=True
    )


def test_slots_are_solved_and_stepped_with_torch_absent():
    done = without_torch(
        "import gymnasium as gym\n"
        "import optimizer.environment\n"
        "from optimizer import Scenario, draw_states, optimum\n"
        "s = Scenario.load('paper')\n"
        "assert optimum(s, draw_states(s, 1, seed=0)).reward[0] > 1\n"
        "env = gym.make('jopa/OffloadingBox-v0')\n"
        "env.reset(seed=0)\n"
        "env.step(env.action_space.sample())\n"
    )
    assert done.returncode == 0, done.stderr
