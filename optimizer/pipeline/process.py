"""A stage's command in a process of its own, which never outlives the pipeline."""

import ctypes
import signal
import subprocess
import sys
from collections.abc import Sequence

from data.common.command import StoppedError
from optimizer.errors import OptimizerError

PR_SET_PDEATHSIG = 1  # linux/prctl.h
STOPPED = (130, 143)  # exit codes of a command that was stopped by Ctrl-C or SIGTERM
PREFIXES = {"prune": "prune", "profile": "profile", "train": "train", "retrain": "train", "small network": "train"}


def _end_with_parent() -> None:
    """Called in the child: end when the pipeline is killed (kill -9), so that its next start finds no lock."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def run_command(command: Sequence[str], stage: str) -> None:
    """Run a stage's command in a process of its own; its output goes to ours.

    Raises:
        OptimizerError: It ended with an error.
        StoppedError: It was stopped.
    """
    process = subprocess.Popen([sys.executable, "-m", *command], preexec_fn=_end_with_parent)
    try:
        code = process.wait()
    except BaseException:
        process.terminate()
        process.wait()
        raise
    if code in STOPPED:
        raise StoppedError(code)
    if code != 0:
        remedy = "Its message stands above. The same command goes on from this stage."
        if stage in PREFIXES:
            remedy += f" Options of {command[0]} are given as --{PREFIXES[stage]}.NAME (see --help)."
        raise OptimizerError(f"stage {stage}: python -m {' '.join(command)} ended with exit code {code}.", remedy)
