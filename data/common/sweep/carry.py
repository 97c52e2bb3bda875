"""What every executor does around a job: its threads, and its error in a form that travels."""

import pickle
import sys
import traceback
from typing import Any

from data.common.errors import UserError
from data.common.files import as_told, is_full
from data.common.sweep.job import Job, JobError, Tell, Work


def do(work: Work, shared: Any, job: Job, tell: Tell) -> None:
    """Do a job on its number of threads, and give the threads back."""
    torch: Any = sys.modules.get("torch")  # where nobody has loaded it, nobody computes with it
    before = torch.get_num_threads() if torch is not None else 0
    try:
        if torch is not None:
            torch.set_num_threads(job.threads)
        work(shared, job.arguments, tell)
    finally:
        if torch is not None:
            torch.set_num_threads(before)


def outcome(work: Work, shared: Any, job: Job, tell: Tell) -> Exception | None:
    """Do a job; what it raised, as an exception that can be sent to another process."""
    try:
        do(work, shared, job, tell)
    except UserError as error:
        return _sendable(error) or UserError(error.problem, error.remedy)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is raised again where the sweep is watched
        if isinstance(error, OSError) and is_full(error):
            return as_told(error)
        return JobError(f"{job.name} failed:\n{traceback.format_exc()}")
    return None


def _sendable(error: UserError) -> Exception | None:
    """The error, if it survives being sent; some exceptions cannot be built again from their text."""
    error = error.with_traceback(None)
    error.__cause__ = error.__context__ = None
    try:
        again = pickle.loads(pickle.dumps(error))  # noqa: S301 - what was pickled in the same line
    except Exception:  # noqa: BLE001 - anything can go wrong with an unknown class
        return None
    return error if isinstance(again, UserError) else None
