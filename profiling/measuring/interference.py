"""Detects what disturbed a measurement: other processes, stolen time, context switches, a changing clock.

Each finding is a difference between two readings of /proc; what the operating system does not report is not judged.
"""

import os
import resource
import time
from dataclasses import dataclass
from pathlib import Path

from profiling.measuring.device import frequency_hz

OTHERS, STEAL, CLOCK = 0.05, 0.01, 0.05  # shares of the cores' time, and of the clock, above which a stretch is noisy
SWITCHES = 100.0  # involuntary context switches per second above which a stretch is noisy
SHORT_S = 0.02  # /proc counts in hundredths of a second: shorter stretches cannot be judged by it


@dataclass(frozen=True)
class Reading:
    """One reading of the clocks, in seconds, with a count of context switches and the clock frequency in Hz."""

    wall: float
    own: float
    busy: float | None
    steal: float | None
    switches: int
    clock_hz: float | None


def _system_times() -> tuple[float | None, float | None]:
    """Seconds that all cores were busy, and were kept waiting by the hypervisor, since boot."""
    try:
        fields = [int(x) for x in Path("/proc/stat").read_text().splitlines()[0].split()[1:]]
    except (OSError, ValueError, IndexError):
        return None, None
    if len(fields) < 8:
        return None, None
    tick = os.sysconf("SC_CLK_TCK")
    user, nice, system, _idle, _iowait, irq, softirq, steal = fields[:8]
    return (user + nice + system + irq + softirq) / tick, steal / tick


def look() -> Reading:
    """Read the clocks now."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    busy, steal = _system_times()
    return Reading(time.monotonic(), usage.ru_utime + usage.ru_stime, busy, steal, usage.ru_nivcsw, frequency_hz())


def disturbances(before: Reading, after: Reading, cores: int) -> list[str]:
    """Describe what disturbed the time between two readings; empty if nothing did.

    Args:
        before: Reading at the beginning.
        after: Reading at the end.
        cores: Number of cores of the whole machine.
    """
    wall = after.wall - before.wall
    if wall < SHORT_S:
        return []
    found = []
    tick = 1 / os.sysconf("SC_CLK_TCK")
    if before.busy is not None and after.busy is not None:
        others = after.busy - before.busy - (after.own - before.own) - 2 * tick * cores  # its counters tick coarsely
        if others > OTHERS * wall * cores:
            found.append(f"other processes took {others / (wall * cores):.0%} of the cores")
    if before.steal is not None and after.steal is not None:
        stolen = after.steal - before.steal - tick
        if stolen > STEAL * wall * cores:
            found.append(f"the hypervisor kept back {stolen / (wall * cores):.0%} of the cores' time")
    switches = (after.switches - before.switches) / wall
    if switches > SWITCHES:
        found.append(f"{switches:.0f} involuntary context switches per second")
    if before.clock_hz and after.clock_hz and abs(after.clock_hz / before.clock_hz - 1) > CLOCK:
        found.append(f"the clock moved from {before.clock_hz / 1e9:.2f} to {after.clock_hz / 1e9:.2f} GHz")
    return found
