"""What pages point at exists: links, files, modules, functions; and the README stays short."""

import importlib
import re
from pathlib import Path

import pytest
from pages import PAGES, ROOT, blocks

CODE = re.compile(r"`([^`\n]+)`")
DOTTED = re.compile(r"(?:data|pruning|profiling|optimizer)(?:\.\w+)+")
FILE = re.compile(r"(?:data|pruning|profiling|optimizer|tests|benchmarks|docs)/[\w./*-]+")


def prose(page: str) -> str:
    """A page without its code blocks."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}


def resolves(name: str) -> bool:
    """Whether a dotted name is a module, or an attribute of one."""
    parts = name.split(".")
    for cut in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:cut]))
        except ImportError:
            continue
        for part in parts[cut:]:
            fields = {**getattr(found, "__annotations__", {}), **getattr(found, "model_fields", {})}
            if not hasattr(found, part):
                return part in fields and part == parts[-1]
            found = getattr(found, part)
        return True
    return False


@pytest.mark.parametrize("page", [*PAGES, "CONTRIBUTING.md", "CHANGELOG.md"])
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if target.startswith(("http://", "https://")):
            continue
        path, _, anchor = target.partition("#")
        file = (ROOT / page).parent / path if path else ROOT / page
        assert file.exists(), f"{page}: {target}"
        assert not anchor or anchor in anchors(file), f"{page}: {target}: no such heading"


@pytest.mark.parametrize("page", [*PAGES, "CONTRIBUTING.md"])
def test_names_in_the_text_exist(page):
    for code in CODE.findall(prose(page)):
        for name in DOTTED.findall(code) if "/" not in code else ():
            assert resolves(name), f"{page}: `{code}`: there is no {name}"
        for name in FILE.findall(code):
            assert list(ROOT.glob(name.rstrip("."))), f"{page}: `{code}`: there is no file {name}"


def test_the_evidence_of_the_errata_exists():
    tests = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    named = re.findall(r"`(test_\w+)`", (ROOT / "docs" / "errata.md").read_text(encoding="utf-8"))
    assert len(named) > 5
    for name in named:
        assert f"def {name}(" in tests, name


def test_the_readme_is_read_in_five_minutes():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 110


@pytest.mark.parametrize("page", [*PAGES, "CONTRIBUTING.md", "CHANGELOG.md"])
def test_lines_outside_tables_have_at_most_120_characters(page):
    for number, line in enumerate((ROOT / page).read_text(encoding="utf-8").splitlines(), 1):
        assert len(line) <= 120 or line.startswith("|"), f"{page}:{number}"


def test_every_block_that_is_not_run_says_why():
    for page in PAGES:
        for block in blocks(page):
            if block.note[0] == "not run":
                assert len(block.note[1].split()) >= 2, str(block)


def test_results_name_a_command_and_a_machine():
    for page in (ROOT / "docs" / "results").glob("*.md"):
        text = page.read_text(encoding="utf-8")
        assert "EPYC" in text or "Xeon" in text, page.name
        assert "python -m" in text, page.name
