"""What is written works: every command and code block of the README and of docs, typed in order in one folder.

The README comes first and the tutorial second; the other pages find what these two leave, as a reader would. What
`make demo` leaves is a bundle of the shape that it would have, but narrow and hardly trained.
"""

import contextlib
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from pages import PAGES, Reader, blocks, made_smaller, measuring_shortly

WITH_CODE = [page for page in PAGES if any(block.language or block.note[0] for block in blocks(page))]
ORDER = ["README.md", "docs/tutorial.md", *(p for p in WITH_CODE if p not in ("README.md", "docs/tutorial.md"))]


@contextlib.contextmanager
def standing_in(folder: Path) -> Iterator[None]:
    """The folder as the current one; signals as they were afterwards, since every command sets its own handlers."""
    before = Path.cwd()
    handlers = {n: signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)}
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
        for number, handler in handlers.items():
            signal.signal(number, handler)


def follow(reader: Reader, page: str) -> int:
    """Do what a page says; how many blocks it has."""
    with standing_in(reader.folder), measuring_shortly():
        return len(list(reader.read(page)))


@pytest.fixture(scope="module")
def newcomer(tmp_path_factory, bundle, kernels):
    """A reader who has run `make demo` and typed what the README says."""
    folder = tmp_path_factory.mktemp("newcomer")
    shutil.copytree(bundle, folder / "runs" / "demo" / "bundle")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JOPA_CACHE", str(folder / "cache"))
        reader = Reader(folder)
        done = follow(reader, "README.md")
        yield reader, done


def test_the_readme_works_as_it_is_typed(newcomer):
    assert newcomer[1] == len(blocks("README.md"))


@pytest.mark.parametrize("page", ORDER[1:])
def test_a_page_works_as_it_is_typed(newcomer, page):
    assert follow(newcomer[0], page) == len(blocks(page))


def test_options_are_added_to_a_command_and_never_taken_away():
    typed = ["--models", "b", "--rounds", "8"]
    smaller = made_smaller("profiling.run", typed)
    assert smaller[: len(typed)] == typed
    assert smaller.count("--rounds") == 1


@pytest.mark.slow
def test_the_readme_works_with_a_process_for_each_command(tmp_path, monkeypatch, bundle):
    """As a shell would run it, with every cell measured as long as it is for a user."""
    monkeypatch.setenv("JOPA_CACHE", str(tmp_path / "cache"))
    shutil.copytree(bundle, tmp_path / "runs" / "demo" / "bundle")
    with standing_in(tmp_path):
        assert len(list(Reader(tmp_path, apart=True).read("README.md"))) == len(blocks("README.md"))
