"""A full disk where only the system call fails; `tests/test_full_disk.py` has whole commands on a real one."""

import errno
import os

import pytest

from data.common.errors import UserError
from data.common.files import append_whole, as_told
from data.common.runfolder import only_process
from data.common.sweep.carry import outcome
from data.common.sweep.job import Job


@pytest.fixture
def full(monkeypatch):
    """A disk that takes three bytes and no more."""
    pwrite, left = os.pwrite, [3]

    def scarce(handle, content, position):
        if not left[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        done = pwrite(handle, content[: left[0]], position)
        left[0] -= done
        return done

    monkeypatch.setattr(os, "pwrite", scarce)


def test_of_a_line_that_finds_no_room_nothing_is_left(tmp_path, full):
    path = tmp_path / "journal"
    path.write_bytes(b"first\n")
    with path.open("r+b") as file:
        with pytest.raises(UserError, match=r"the disk is full: .*journal needs 7 bytes"):
            append_whole(file, path, 6, b"second\n")
        assert path.read_bytes() == b"first\n"


def test_a_line_is_added_at_the_end(tmp_path):
    path = tmp_path / "journal"
    with path.open("w+b") as file:
        end = append_whole(file, path, 0, b"first\n")
        assert append_whole(file, path, end, b"second\n") == 13
    assert path.read_bytes() == b"first\nsecond\n"


def test_a_lock_holds_also_where_its_holder_could_not_be_written(tmp_path, full):
    with only_process(tmp_path):
        os.truncate(tmp_path / ".lock", 0)
        with pytest.raises(UserError, match="in use by another process"), only_process(tmp_path):
            pass


def fails(shared, arguments, tell):
    raise OSError(errno.ENOSPC, "No space left on device", "log.txt")


def test_a_job_whose_disk_is_full_failed_by_a_mistake_of_its_user():
    error = outcome(fails, None, Job("job"), print)
    assert isinstance(error, UserError)
    assert "the disk is full: log.txt cannot grow." in str(error)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "the disk is full."),
        (OSError(errno.EDQUOT, "Disk quota exceeded", "a.db"), "the disk is full: a.db cannot grow."),
        (OSError(errno.EIO, "Input/output error", "a.db"), "a.db: Input/output error."),
        (OSError(errno.EIO, "Input/output error"), "Input/output error."),
    ],
)
def test_an_error_of_the_system_is_told(error, told):
    assert as_told(error).problem == told
