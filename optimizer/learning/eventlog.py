"""Numbers for TensorBoard: an event file for each process that trained, each event whole or not there.

PyTorch's own writer hands events to a thread, whose errors (a full disk) come out as a traceback beside the message.
"""

import os
import platform
import re
import time
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

from data.common.files import append_whole, unwritable
from data.common.guard import open_own

NAME = re.compile(r"events\.out\.tfevents\.(\d+)\.")


class EventLog:
    """An event file, made when there is something to log.

    Args:
        folder: Folder of the event files.
        step: Step that is gone on from; what earlier processes logged from there on is not shown.
    """

    def __init__(self, folder: Path, step: int) -> None:
        self._folder, self._step = folder, step
        self._file: BinaryIO | None = None

    def _begin(self) -> BinaryIO:
        folder, step = self._folder, self._step
        try:
            folder.mkdir(parents=True, exist_ok=True)
            earlier = [int(found[1]) for p in folder.iterdir() if (found := NAME.match(p.name))]
            # TensorBoard reads files in the order of this number, which must not depend on a clock that was set back.
            number = max([int(time.time()), *(n + 1 for n in earlier)])
            self._path = folder / f"events.out.tfevents.{number:010d}.{platform.node()}.{os.getpid()}.0"
            self._file = open_own(self._path)
        except OSError as error:
            raise unwritable(folder, error, needed=0) from None
        self._end = 0
        self._add(self._file, file_version="brain.Event:2", step=step)
        self._add(self._file, session_log=_session_start(), step=step)
        return self._file

    def add(self, numbers: Mapping[str, float], step: int) -> None:
        """Log numbers of one step, by name. Raises UserError if the disk is full."""
        from tensorboard.compat.proto.summary_pb2 import Summary

        file = self._file or self._begin()
        values = [Summary.Value(tag=name, simple_value=number) for name, number in numbers.items()]
        self._add(file, summary=Summary(value=values), step=step)

    def _add(self, file: BinaryIO, **fields: Any) -> None:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.summary.writer.record_writer import RecordWriter

        record = BytesIO()
        RecordWriter(record).write(Event(wall_time=time.time(), **fields).SerializeToString())
        self._end = append_whole(file, self._path, self._end, record.getvalue())

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()


def _session_start() -> Any:
    from tensorboard.compat.proto.event_pb2 import SessionLog

    return SessionLog(status=SessionLog.START)
