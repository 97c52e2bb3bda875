"""The README and the pages of docs, cut into code blocks that can be run as a newcomer would type them.

A block with the comment `<!-- not run: reason -->` above it is checked without being carried out: its commands must be
ones that exist, with options that they take. A block with the comment `<!-- file: NAME -->` is saved under that name.
Every other block in bash or Python is carried out; the blocks of a page follow each other in one folder.
"""

import ast
import contextlib
import re
import runpy
import shlex
import subprocess
import sys
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from unittest.mock import patch

import tyro

from optimizer.cli import COMMANDS
from profiling.config import GRADES

ROOT = Path(__file__).parents[1]
PAGES = ("README.md", *(f"docs/{p.relative_to(ROOT / 'docs')}" for p in sorted((ROOT / "docs").rglob("*.md"))))

# What makes a heavy command small: options that are added to it where it does not give them itself. Nothing is taken
# away, so the command is the one on the page.
SMALLER = {
    "profiling.run": {"--runtime": "onnxruntime", "--threads": "1", "--rounds": "2", "--processes": "1"},
    "optimizer.train": {"--default.updates": "25", "--factory.updates": "8"},
    "optimizer.solve": {"--slots": "20"},
    "optimizer.evaluate": {"--slots": "50"},
    "optimizer.experiment": {"--slots": "20"},
    "optimizer.trial": {"--slots": "2"},
    "optimizer.capacity": {"--seconds": "3", "--most": "500"},
}


# Commands that start several processes, each with its own imports: in this process they are only checked, and
# carried out where every command has a process of its own (the slow test).
ONLY_APART = {"optimizer.trial"}


@dataclass(frozen=True)
class Block:
    """A fenced block of a page.

    Attributes:
        page: Path of the page, relative to the repository.
        line: Line of the page on which the block's text begins.
        language: What stands after the opening fence.
        text: The block without its fences.
        note: Key and value of the HTML comment above it, e.g. ("not run", "needs a gateway"); empty without one.
    """

    page: str
    line: int
    language: str
    text: str
    note: tuple[str, str] = ("", "")

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks(page: str) -> list[Block]:
    """All fenced blocks of a page, in order."""
    found = []
    note: tuple[str, str] = ("", "")
    lines = (ROOT / page).read_text(encoding="utf-8").splitlines()
    number = 0
    while number < len(lines):
        line = lines[number]
        if comment := re.fullmatch(r"<!-- (not run|file): (.+) -->", line):
            note = (comment[1], comment[2])
        elif fence := re.fullmatch(r"```(\w*)", line):
            end = lines.index("```", number + 1)
            found.append(Block(page, number + 2, fence[1], "\n".join(lines[number + 1 : end]) + "\n", note))
            number, note = end, ("", "")
        elif line.strip():
            note = ("", "")
        number += 1
    return found


def commands(text: str) -> list[list[str]]:
    """The commands of a block in bash: comments removed, `&&` and `|` taken as ends, words split."""
    joined = text.replace("\\\n", " ")
    found = []
    for line in joined.splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars="&|;")
        lexer.whitespace_split = True
        words: list[str] = []
        for word in [*lexer, ";"]:
            if word and set(word) <= set("&|;"):
                if words:
                    found.append(words)
                words = []
            else:
                words.append(word)
    return found


def module_of(command: Sequence[str]) -> tuple[str, list[str]] | None:
    """The module that a command runs and its arguments; None if it is not one of this project's commands."""
    if command[:2] == ["python", "-m"]:
        return command[2], list(command[3:])
    if command[0] == "jopa":
        return COMMANDS[command[1]].module, list(command[2:])
    return None


def made_smaller(module: str, arguments: list[str]) -> list[str]:
    """The arguments with the options of `SMALLER` that they lack."""
    given = {a.split("=")[0] for a in arguments}
    added = [x for option, value in SMALLER.get(module, {}).items() if option not in given for x in (option, value)]
    return [*arguments, *added]


@contextlib.contextmanager
def measuring_shortly() -> Iterator[None]:
    """Profiles from 3 runs and 20 ms of each cell, where `--grade quick` has 30 runs and 1 s."""
    with patch.dict(GRADES, quick=(3, 0.02)):
        yield


class ParsedError(Exception):
    """The command line was understood; nothing was carried out."""


def run_module(module: str, arguments: Sequence[str], *, parse_only: bool = False) -> None:
    """`python -m module arguments` in this process. Raises SystemExit with a status other than 0 if it fails."""
    parse = tyro.cli

    def stop_after_parsing(*given: Any, **named: Any) -> Any:
        parse(*given, **named)
        raise ParsedError

    with patch.object(sys, "argv", [module, *arguments]), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "'.*' found in sys.modules", RuntimeWarning)  # other tests import them
        if not parse_only:
            runpy.run_module(module, run_name="__main__", alter_sys=True)
            return
        with patch.object(tyro, "cli", stop_after_parsing):
            try:
                runpy.run_module(module, run_name="__main__", alter_sys=True)
            except ParsedError:
                return
    raise AssertionError(f"python -m {module} reads no options")


def targets() -> set[str]:
    """What `make` knows."""
    return set(re.findall(r"^(\w[\w-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def check(block: Block) -> None:
    """Check a block that is not carried out: it parses, and its commands and options exist."""
    if block.language == "python":
        ast.parse(block.text)
    elif block.language == "bash":
        for command in commands(block.text):
            check_command(command)


def check_command(command: Sequence[str]) -> None:
    """Check that a command exists and takes the options that it is given."""
    if command[0] == "torchrun":  # PyTorch's; what it starts is ours
        command = ["python", *command[command.index("-m") :]]
    if "python" in command or command[0] == "jopa":
        command = command[command.index("python") :] if "python" in command else command  # `ssh gateway python -m ...`
        own = module_of(command)
        assert own is not None, command
        assert find_spec(own[0]) is not None, f"{own[0]}: no such module"
        if not own[0].startswith("benchmarks."):
            run_module(*own, parse_only=True)
    elif command[0] == "make":
        assert set(command[1:]) <= targets(), f"make has no target {command[1:]}"
    elif command[0] == "pip":
        for name in (word for word in command if word.endswith(".txt")):
            assert (ROOT / name).is_file(), name
    else:
        assert command[0] in ("source", "git", "cd", "scp", "ssh", "pytest"), f"unknown command {command[0]}"


class Reader:
    """Someone who reads pages and types what they say, in one folder.

    Args:
        folder: Where everything is typed.
        apart: Whether each command runs in a process of its own, as in a shell, and not in this one.
    """

    def __init__(self, folder: Path, *, apart: bool = False) -> None:
        self.folder = folder
        self._apart = apart
        self._names: dict[str, Any] = {}

    def read(self, page: str) -> Iterator[Block]:
        """Carry out the blocks of a page, in order; each is given back when it is done."""
        self._names = {"__name__": "__main__"}
        for block in blocks(page):
            try:
                self._do(block)
            except (Exception, SystemExit) as error:
                raise AssertionError(f"{block}: {type(error).__name__}: {error}\n\n{block.text}") from error
            yield block

    def _do(self, block: Block) -> None:
        kind, value = block.note
        if kind == "file":
            (self.folder / value).write_text(block.text, encoding="utf-8")
        elif kind == "not run":
            check(block)
        elif block.language == "python":
            exec(compile(block.text, str(block), "exec"), self._names)
        elif block.language == "bash":
            for command in commands(block.text):
                own = module_of(command)
                assert own is not None, f"{command[0]} cannot be carried out here: say why in a comment"
                self._run(own[0], made_smaller(*own))

    def _run(self, module: str, arguments: list[str]) -> None:
        if not self._apart:
            run_module(module, arguments, parse_only=module in ONLY_APART)
            return
        done = subprocess.run([sys.executable, "-m", module, *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{' '.join(arguments)}\n{done.stdout}\n{done.stderr}"
