"""The lock file beside downloaded recordings: the SHA-256 of each file when it was first seen."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from data.common.files import sha256, write_json
from data.common.guard import is_file
from data.common.parse import read_json
from data.common.schema import check_schema
from data.errors import DataError

LOCK = "jopa-lock.json"
SCHEMA = 1
REMEDY = "Remove it and run python -m data.fetch again."


def read_lock(root: Path) -> dict[str, dict[str, Any]]:
    """Entries of a folder's lock file by path below the folder; empty if there is no lock file.

    Raises:
        DataError: The file is damaged or written by a newer version.
    """
    path = root / LOCK
    if not is_file(path):
        return {}
    content = read_json(path, DataError, remedy=REMEDY)
    check_schema(content, SCHEMA, str(path), DataError, "a lock file")
    entries = content.get("files")
    if not isinstance(entries, dict) or not all(_is_entry(e) for e in entries.values()):
        raise DataError(f"{path}: damaged; expected `files` with a `sha256` and `bytes` for each.", REMEDY)
    return entries


def _is_entry(found: Any) -> bool:
    return (
        isinstance(found, dict)
        and isinstance(found.get("sha256"), str)
        and isinstance(found.get("bytes"), int)
        and isinstance(found.get("url", ""), str)
    )


def write_lock(root: Path, entries: dict[str, dict[str, Any]]) -> None:
    """Write the lock file of a folder."""
    write_json(root / LOCK, {"schema": SCHEMA, "files": dict(sorted(entries.items()))})


def entry(path: Path, url: str) -> dict[str, Any]:
    """A lock entry for a file as it is now."""
    return {"sha256": sha256(path), "bytes": path.stat().st_size, "url": url}


def verify(root: Path, paths: Sequence[Path]) -> None:
    """Compare files with the lock file of their folder, if there is one.

    Raises:
        DataError: A locked file has changed since it was fetched.
    """
    entries = read_lock(root)
    for path in paths:
        locked = entries.get(path.relative_to(root).as_posix())
        if locked and (path.stat().st_size != locked["bytes"] or sha256(path) != locked["sha256"]):
            raise DataError(
                f"{path}: differs from the file that was fetched (SHA-256 in {root / LOCK}).",
                "Remove it and run python -m data.fetch again, or take it out of the lock file if you changed it.",
            )
