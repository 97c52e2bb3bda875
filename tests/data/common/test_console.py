import io
import time

from rich.console import Console

from data.common.console import told_if_slow


def told(seconds: float, *, terminal: bool) -> str:
    out = io.StringIO()
    with told_if_slow(Console(file=out, force_terminal=terminal), "still at work", seconds=0.05):
        time.sleep(seconds)
    return out.getvalue()


def test_only_slow_work_is_told_and_only_where_no_progress_is_seen():
    assert told(0.5, terminal=False) == "still at work\n"
    assert told(0.0, terminal=False) == ""
    assert told(0.5, terminal=True) == ""
