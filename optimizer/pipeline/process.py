"""A stage's command in a process of its own, which never outlives the pipeline."""

import ctypes
import signal
import subprocess
import sys
from collections.abc import Sequence
from threading import Thread
from typing import IO

from data.common.command import StoppedError
from optimizer.errors import OptimizerError

PR_SET_PDEATHSIG = 1  # linux/prctl.h
STOPPED = (130, 143)  # exit codes of a command that was stopped by Ctrl-C or SIGTERM
PREFIXES = {"prune": "prune", "profile": "profile", "train": "train", "paper's policy": "train"}


def _end_with_parent() -> None:
    """Called in the child: end when the pipeline is killed (kill -9), so that its next start finds no lock."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def run_commands(commands: Sequence[Sequence[str]], stage: str) -> None:
    """Run commands of a stage side by side, each in a process of its own; their output goes to ours.

    Of several commands it comes line by line, without bars that would overwrite one another.

    Raises:
        OptimizerError: One ended with an error.
        StoppedError: One was stopped.
    """
    several = subprocess.PIPE if len(commands) > 1 else None
    processes = []
    try:
        for command in commands:
            call = [sys.executable, "-m", *command]
            processes.append(subprocess.Popen(call, stdout=several, stderr=several, preexec_fn=_end_with_parent))
        forwards = [
            Thread(target=_forward, args=(pipe, ours.buffer), daemon=True)
            for process in processes
            for pipe, ours in ((process.stdout, sys.stdout), (process.stderr, sys.stderr))
            if pipe is not None
        ]
        for forward in forwards:
            forward.start()
        codes = [process.wait() for process in processes]
        for forward in forwards:
            forward.join()
    except BaseException:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait()
        raise
    for command, code in zip(commands, codes, strict=True):
        _check(code, command, stage)


def _forward(lines: IO[bytes], to: IO[bytes]) -> None:
    with lines:
        for line in lines:
            to.write(line)
            to.flush()


def _check(code: int, command: Sequence[str], stage: str) -> None:
    if code in STOPPED:
        raise StoppedError(code)
    if code != 0:
        remedy = "Its message stands above. The same command goes on from this stage."
        if stage in PREFIXES:
            remedy += f" Options of {command[0]} are given as --{PREFIXES[stage]}.NAME (see --help)."
        raise OptimizerError(f"stage {stage}: python -m {' '.join(command)} ended with exit code {code}.", remedy)
