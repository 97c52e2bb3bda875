"""What is written works: every command and code block of the README and of docs, typed in order in one folder."""

import contextlib
import os
import signal
from pathlib import Path

import pytest
from pages import PAGES, Reader, blocks, run_module

# A page builds on what the README's blocks leave, so the README comes first.
DEMO = (
    "--rates", "0.5,0.9", "--width", "0.0625", "--epochs", "1", "--retrain-epochs", "1", "--hop-s", "1.0",
    "--threads", "1", "--out", "runs/demo/bundle",
)  # fmt: skip
WITH_CODE = [page for page in PAGES if any(b.language in ("bash", "python") or b.note[0] for b in blocks(page))]


@contextlib.contextmanager
def standing_in(folder: Path):
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


def prepare(folder: Path) -> None:
    """What `make demo` leaves and the pages build on, narrow and hardly trained: its bundle."""
    with standing_in(folder):
        run_module("pruning.run", DEMO)


@pytest.fixture(scope="module")
def newcomer(tmp_path_factory):
    folder = tmp_path_factory.mktemp("newcomer")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JOPA_CACHE", str(folder / "cache"))
        prepare(folder)
    return Reader(folder), {}


def follow(reader: Reader, page: str) -> int:
    with standing_in(reader.folder):
        return len(list(reader.read(page)))


@pytest.mark.parametrize("page", WITH_CODE)
def test_what_a_page_says_works_when_it_is_typed_in_order(newcomer, page):
    reader, read = newcomer
    for earlier in WITH_CODE[:1] if page not in read else ():
        if earlier not in read:
            read[earlier] = follow(reader, earlier)
    if page not in read:
        read[page] = follow(reader, page)
    assert read[page] == len(blocks(page))


@pytest.mark.slow
def test_the_readme_works_with_a_process_for_each_command(tmp_path, monkeypatch):
    monkeypatch.setenv("JOPA_CACHE", str(tmp_path / "cache"))
    prepare(tmp_path)
    assert follow(Reader(tmp_path, apart=True), "README.md") == len(blocks("README.md"))
