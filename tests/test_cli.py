"""The console script `jopa`: the same commands as `python -m ...`, under one name."""

import os
import pkgutil
import re
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import data
import optimizer
import profiling
import pruning
from optimizer.cli import COMMANDS, completion, main, usage

ROOT = Path(__file__).parents[1]


def jopa(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", "import sys; from optimizer.cli import main; sys.exit(main())", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )


def test_help_lists_every_command_with_one_line():
    lines = usage().splitlines()
    for name, command in COMMANDS.items():
        assert any(re.fullmatch(rf"  {name} +{re.escape(command.help)}", line) for line in lines)
    assert max(map(len, lines)) <= 100


def test_every_module_that_is_a_command_is_one_of_jopas():
    """A module with a `main` and a `__main__` guard can be called with `python -m`."""
    found = set()
    for package in (data, pruning, profiling, optimizer):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            path = ROOT / (module.name.replace(".", "/") + ("/__init__.py" if module.ispkg else ".py"))
            text = path.read_text()
            if 'if __name__ == "__main__":\n    main()' in text and "worker" not in module.name:
                found.add(module.name.removesuffix(".__main__"))
    assert found == {command.module for command in COMMANDS.values()}


def test_help_loads_no_command():
    code = (
        "import sys\nfrom optimizer.cli import main\nmain(['--help'])\n"
        "print([m for m in ('torch', 'tyro', 'matplotlib', 'onnx') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("name", ["schema", "solve"])
def test_a_commands_help_says_how_it_was_called(name):
    done = jopa(name, "--help")
    assert done.returncode == 0, done.stderr
    assert f"usage: jopa {name}" in done.stdout
    assert "python -m" not in done.stdout.splitlines()[0]


def test_a_command_does_what_its_module_does(tmp_path):
    one, other = (tmp_path / f"{n}.json" for n in "ab")
    arguments = ["--slots", "3", "--json"]
    done = jopa("solve", *arguments, str(one))
    assert done.returncode == 0, done.stderr
    subprocess.run(
        [sys.executable, "-m", "optimizer.solve", *arguments, str(other)], check=True, cwd=ROOT, capture_output=True
    )
    assert one.read_bytes() == other.read_bytes()


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        ((), 2, ""),
        (("slove",), 2, "Did you mean jopa solve?"),
        (("xyzzy",), 2, "jopa --help lists all commands"),
        (("solve", "--slots", "0"), 2, "--slots: expected at least 1"),
        (("completion", "fish"), 2, "one of bash, zsh, tcsh; got fish"),
        (("completion",), 2, "got nothing"),
    ],
)
def test_a_wrong_call_is_told_with_exit_code_2(capsys, arguments, status, message):
    try:
        got = main(arguments)
    except SystemExit as end:
        got = end.code
    assert got == status
    assert message in capsys.readouterr().err


def test_the_version_is_told(capsys):
    assert main(["--version"]) == 0
    assert re.fullmatch(r"jopa \d+\.\d+\.\d+\n", capsys.readouterr().out)


def test_completion_knows_commands_and_their_options(tmp_path):
    script = tmp_path / "jopa.sh"
    script.write_text(completion("bash"))
    if shutil.which("bash") is None:
        pytest.skip("no bash here")

    def complete(*words: str) -> set[str]:
        line = " ".join(f"'{w}'" for w in words)
        code = (
            f"source {script}\nCOMP_WORDS=({line})\nCOMP_CWORD={len(words) - 1}\n"
            "$(complete -p jopa | sed 's/.*-F \\([^ ]*\\) .*/\\1/') 2>/dev/null\nprintf '%s\\n' \"${COMPREPLY[@]}\""
        )
        done = subprocess.run(["bash", "-c", code], capture_output=True, text=True, check=True)
        return set(done.stdout.split())

    assert {"prune", "profile", "solve", "demo"} <= complete("jopa", "")
    assert complete("jopa", "so") == {"solve"}
    assert "--slots" in complete("jopa", "solve", "--sl")


def test_an_absent_extra_is_named_and_not_a_traceback(tmp_path):
    """As where only the core is installed: `jopa prune` and `python -m pruning.run` say what to install."""
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\n"
        "class Absent:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in ('torch', 'matplotlib'):\n"
        "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
        "sys.meta_path.insert(0, Absent())\n"
    )
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    for arguments in (
        ["-c", "import sys; from optimizer.cli import main; sys.exit(main(['prune']))"],
        ["-m", "pruning.run"],
        ["-m", "profiling.figures", "x.json"],
        ["-m", "optimizer.train"],
    ):
        done = subprocess.run(
            [sys.executable, *arguments], capture_output=True, text=True, check=False, cwd=tmp_path, env=environment
        )
        assert done.returncode == 2, done.stderr
        assert "pip install 'jopa[train]'" in done.stderr
        assert "Traceback" not in done.stderr


def test_help_answers_within_half_a_second():
    """In processor time, which a busy machine does not stretch."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert jopa("--help").returncode == 0
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 0.5
