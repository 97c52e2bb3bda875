"""A process that does jobs, one after another, for the process that started it."""

import ctypes
import os
import signal
import sys
import threading
from multiprocessing.connection import Connection

from data.common.sweep.carry import outcome
from data.common.sweep.job import Begun, Ended, Job, Said, Tell
from data.common.sweep.payload import unpack

PR_SET_PDEATHSIG = 1  # linux/prctl.h


def end_with_parent(parent: int) -> None:
    """Let Linux kill this process when the one that started it ends, however that ends; elsewhere nothing happens.

    Args:
        parent: The id of the process that started this one.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)


def end_with(parent: int, lifeline: int) -> None:
    """End this process when the one that started it ends, however that ends, also in the middle of a job.

    Args:
        parent: Its process id.
        lifeline: Descriptor of a pipe that it holds open; used where the system has no signal for this.
    """
    end_with_parent(parent)

    def watch() -> None:
        os.read(lifeline, 1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _teller(connection: Connection, name: str) -> Tell:
    return lambda message: connection.send(Said(name, message))


def main(parent: int, handle: int, payload: int, lifeline: int) -> None:
    """Do jobs until the connection ends.

    Args:
        parent: Id of the process that started this one.
        handle: Descriptor of the connection to it: jobs come, events go.
        payload: Descriptor of the file with the function that does a job, and what all jobs share.
        lifeline: Descriptor of a pipe that ends when the parent does.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer
    end_with(parent, lifeline)
    os.dup2(2, 1)  # what a job prints does not mix with what the command prints
    connection: Connection = Connection(handle)
    work, shared = unpack(payload)
    while True:
        try:
            job: Job = connection.recv()
        except EOFError:
            return
        name = job.name
        connection.send(Begun(name))  # loading modules took its time before this
        error = outcome(work, shared, job, _teller(connection, name))
        connection.send(Ended(name, error))
