"""The public names of `optimizer`, and what importing them costs."""

import subprocess
import sys

import pytest

import optimizer

HEAVY = ("torch", "numba", "gymnasium", "matplotlib", "onnxruntime")


def loaded_by(code):
    """Which heavy packages a fresh Python has loaded after this code."""
    code += f"\nimport sys\nprint(' '.join(m for m in {HEAVY} if m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_every_public_name_exists_and_is_listed():
    assert set(dir(optimizer)) >= set(optimizer.__all__)
    for name in optimizer.__all__:
        assert getattr(optimizer, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'optimise'"):
        _ = optimizer.optimise


def test_importing_the_package_or_the_network_loads_nothing_heavy():
    assert loaded_by("import optimizer") == set()
    rooms = ("codec", "from_profiles", "metrics", "options", "outcome", "readings", "world")
    assert loaded_by("\n".join(f"import optimizer.network.{m}" for m in rooms)) == set()


def test_the_exact_planner_needs_neither_torch_nor_gymnasium():
    code = "from optimizer import Scenario, draw_states, optimum, make_scheme\n"
    code += "s = Scenario.load('paper').with_sensors(5)\noptimum(s, draw_states(s, 1, 0))\nmake_scheme('agdm', s)"
    assert loaded_by(code) == {"numba"}


@pytest.mark.parametrize(
    "before",
    ["import optimizer.solver.exact", "import optimizer.network.outcome", "import optimizer.evaluation.compare", ""],
)
def test_optimum_and_evaluate_are_functions_whatever_else_is_imported(before):
    """No command's module hides a function of the same name."""
    code = (
        f"{before}\nimport inspect, optimizer\n"
        "try:\n    import optimizer.evaluate\n"
        "except ImportError as e:\n    assert 'optimizer.evaluation.compare' in str(e)\n"
        "import optimizer.solve\n"
        "assert inspect.isfunction(optimizer.optimum) and inspect.isfunction(optimizer.evaluate)\n"
        "from optimizer import evaluate, optimum\n"
        "assert optimum.__module__ == 'optimizer.solver.exact' and evaluate.__module__ == 'optimizer.network.outcome'"
    )
    loaded_by(code)
