"""The shape of the code: no import cycle, hidden ones included; rooms that say what they are; nothing too long."""

import ast
from functools import cache
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("data", "pruning", "profiling", "optimizer")
LONGEST_MODULE, LONGEST_FUNCTION = 350, 60  # lines
MOST_ROOMS, MOST_LEVELS = 9, 8  # of `optimizer`
DOCSTRING_LINES = 5  # of a room's __init__
ROOM_WORDS = ("In:", "Out:", "Start reading at", "import")


@cache
def sources() -> dict[str, Path]:
    """Every module of the four packages with its file; a package stands for its `__init__`."""
    found = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
def parsed(module: str) -> ast.Module:
    return ast.parse(sources()[module].read_text(encoding="utf-8"))


def imports_of(module: str) -> set[str]:
    """Modules of ours that a module imports anywhere: at its top, in functions, and for type checking."""
    known, found = sources(), set()
    for node in ast.walk(parsed(module)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}, line {node.lineno}: write the whole name instead of a relative import"
            base = node.module or ""
            found |= {f"{base}.{a.name}" if f"{base}.{a.name}" in known else base for a in node.names}
    return (found & set(known)) - {module}


def cycle_in(graph: dict[str, set[str]]) -> list[str]:
    """The names along one cycle of a graph, the first repeated at the end; empty where there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(reversed(error.args[1]))  # it lists imported before importing
    return []


def rooms_of(package: str) -> dict[str, set[str]]:
    """Top-level rooms and modules of a package, with those of the same package that they import."""
    graph: dict[str, set[str]] = {}
    for module in sources():
        if module.startswith(f"{package}."):
            room = module.split(".")[1]
            inside = {m.split(".")[1] for m in imports_of(module) if m.startswith(f"{package}.")}
            graph[room] = graph.get(room, set()) | (inside - {room})
    return graph


def levels_of(graph: dict[str, set[str]]) -> dict[str, int]:
    """Level of each room: 1 without imports, otherwise one more than the highest that it imports."""
    levels: dict[str, int] = {}
    for room in TopologicalSorter(graph).static_order():
        levels[room] = 1 + max((levels[r] for r in graph.get(room, ())), default=0)
    return levels


def test_a_cycle_is_found_and_named():
    assert cycle_in({"a": {"b"}, "b": {"c"}, "c": set()}) == []
    found = cycle_in({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}})
    assert set(found) == {"a", "b", "c"}
    assert found[0] == found[-1]
    following = {"a": "b", "b": "c", "c": "a"}
    assert all(following[x] == y for x, y in pairwise(found))


def test_levels_count_the_longest_way_down():
    assert levels_of({"top": {"middle", "low"}, "middle": {"low"}, "low": set()}) == {"low": 1, "middle": 2, "top": 3}


def test_no_import_cycle_between_modules():
    cycle = cycle_in({module: imports_of(module) for module in sources()})
    assert not cycle, f"import cycle: {' -> '.join(cycle)}"


@pytest.mark.parametrize("package", PACKAGES)
def test_no_import_cycle_between_rooms(package):
    cycle = cycle_in(rooms_of(package))
    assert not cycle, f"import cycle between rooms of {package}: {' -> '.join(cycle)}"


def test_no_module_is_too_long():
    lengths = {m: len(p.read_text(encoding="utf-8").splitlines()) for m, p in sources().items()}
    long = [f"{m}: {n} lines" for m, n in lengths.items() if n > LONGEST_MODULE]
    assert not long, f"longer than {LONGEST_MODULE} lines: {'; '.join(long)}"


def test_no_function_is_too_long():
    long = []
    for module in sources():
        for node in ast.walk(parsed(module)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or 0) - node.lineno + 1
                if length > LONGEST_FUNCTION:
                    long.append(f"{module}.{node.name}: {length} lines")
    assert not long, f"longer than {LONGEST_FUNCTION} lines: {'; '.join(long)}"


@pytest.mark.parametrize("room", [m for m, path in sources().items() if path.name == "__init__.py"])
def test_every_room_says_what_it_is(room):
    """Five lines: what it is for, what comes in and goes out, where to start reading, what it may import."""
    first = parsed(room).body[0]
    text = " ".join((ast.get_docstring(parsed(room)) or "").split())
    assert (first.end_lineno or 0) - first.lineno + 1 >= DOCSTRING_LINES, f"{room}: {text}"
    for word in ROOM_WORDS:
        assert word in text, f"{room}: {word!r} is missing in its docstring"


def test_optimizer_has_few_rooms_and_levels():
    graph = rooms_of("optimizer")
    rooms = [r for r in graph if sources()[f"optimizer.{r}"].name == "__init__.py"]
    assert len(rooms) <= MOST_ROOMS, f"{len(rooms)} rooms: {', '.join(rooms)}"
    levels = levels_of(graph)
    told = ", ".join(f"{r} {n}" for r, n in sorted(levels.items(), key=lambda x: x[1]))
    assert max(levels.values()) <= MOST_LEVELS, f"levels: {told}"
