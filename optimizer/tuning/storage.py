"""Optuna's storage, with what it lacks on a full disk and after a clock was set back."""

import os
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from data.common.files import disk_full, write_whole

FULL_SERVER = "53100"  # PostgreSQL's error "disk_full"
RUNNING = text(
    "select trial_id, heartbeat from trial_heartbeats join trials using (trial_id)"
    " where study_id = :study and state = 'RUNNING'"
)


class Storage(RDBStorage):
    """Trials give signs of life by the database's clock; whether one has died is also judged by our own.

    The database's clock may be set back: the last sign of life of a dead trial then lies in the future, and would not
    grow old for as long. A trial whose sign of life has not changed for the grace period counts as dead too.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._seen: dict[int, tuple[Any, float]] = {}  # each trial's last sign of life, and when we first saw it

    def record_heartbeat(self, trial_id: int) -> None:
        """Give a sign of life. One that cannot be written is left out: the trial itself meets the same error."""
        with suppress(SQLAlchemyError, StorageInternalError):
            super().record_heartbeat(trial_id)

    def _get_stale_trial_ids(self, study_id: int) -> list[int]:
        with self.engine.connect() as connection:
            beats = {int(trial): beat for trial, beat in connection.execute(RUNNING, {"study": study_id})}
        now = time.monotonic()
        self._seen = {
            trial: self._seen[trial] if self._seen.get(trial, (None,))[0] == beat else (beat, now)
            for trial, beat in beats.items()
        }
        silent = [trial for trial, (_, since) in self._seen.items() if now - since > float(self.grace_period or 0)]
        return sorted({*super()._get_stale_trial_ids(study_id), *silent})


def make_file(path: Path) -> None:
    """Make an SQLite file with Optuna's tables where there is none, whole or not at all.

    Optuna makes its tables one by one. Stopped in the middle, by a kill or a full disk, it would go on without the
    index that keeps a study's name unique.

    Raises:
        UserError: The disk is full, or the folder cannot be written.
    """
    if path.exists():
        return
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "study.db"
        RDBStorage(f"sqlite:///{made}").engine.dispose()
        content = made.read_bytes()
    half = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    write_whole(half, content)
    try:
        path.hardlink_to(half)
    except FileExistsError:  # another command was quicker
        pass
    except OSError:  # a file system without links
        half.rename(path)
    half.unlink(missing_ok=True)


def _is_full(error: BaseException | None) -> bool:
    """Whether an error, or what caused it, is that of a database whose disk is full."""
    while error is not None:
        cause = getattr(error, "orig", None) or error
        if getattr(cause, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
            return True
        if getattr(cause, "sqlstate", None) == FULL_SERVER:
            return True
        error = error.__cause__
    return False


@contextmanager
def told_if_full(url: str) -> Iterator[None]:
    """Raise UserError in place of the database's own error if its disk is full.

    Args:
        url: The storage's address.
    """
    try:
        yield
    except (SQLAlchemyError, StorageInternalError) as error:
        if not _is_full(error):
            raise
        place = make_url(url)
        file = place.database if place.drivername == "sqlite" else None
        raise disk_full(file or place.render_as_string(hide_password=True), None) from None
