"""Lines over the time at the edge, and which of them can be best anywhere on an interval (by numba).

Line n is `lines[n, CONSTANT] + slope_unit * n * x`: the worth of a decision that has n tasks served at the edge, where
one task takes x seconds there. A constant of `UNREACHABLE` means that no such decision is known.
"""

from typing import no_type_check

from optimizer.solver.compiled import kernel
from optimizer.solver.problem import CONSTANT

UNREACHABLE = -1e300


@no_type_check
@kernel
def keep_envelope(lines, slope_unit, x_low, x_high, kept):
    """Which lines reach the upper envelope on [x_low, x_high]: sets `kept[n]`."""
    count = len(lines)
    kept[:] = False
    sign = 1 if slope_unit >= 0 else -1
    x = x_low
    now = -1
    for i in range(count):
        n = i if sign > 0 else count - 1 - i  # by ascending slope, so that ties take the steeper one
        if lines[n, CONSTANT] == UNREACHABLE:
            continue
        if now < 0 or lines[n, CONSTANT] + slope_unit * n * x >= lines[now, CONSTANT] + slope_unit * now * x:
            now = n
    while now >= 0:
        kept[now] = True
        if slope_unit == 0.0:
            return
        following, at = -1, x_high
        steeper = now + sign
        while 0 <= steeper < count:
            if lines[steeper, CONSTANT] != UNREACHABLE:
                cross = (lines[now, CONSTANT] - lines[steeper, CONSTANT]) / (slope_unit * (steeper - now))
                if cross <= at:
                    following, at = steeper, cross
            steeper += sign
        now, x = following, at


@no_type_check
@kernel
def best_line(lines, slope_unit, x):
    """The highest line at x; -1 if there is none."""
    now = -1
    for n in range(len(lines)):
        if lines[n, CONSTANT] != UNREACHABLE and (
            now < 0 or lines[n, CONSTANT] + slope_unit * n * x > lines[now, CONSTANT] + slope_unit * now * x
        ):
            now = n
    return now


@no_type_check
@kernel
def rises_above(constant, slope, lines, line, slope_unit, x_low, x_high):
    """Whether a line could be higher than line number `line` somewhere on [x_low, x_high]."""
    if line < 0 or lines[line, CONSTANT] == UNREACHABLE:
        return True
    margin = lines[line, CONSTANT] - constant
    unit = slope_unit * line - slope
    return margin + unit * x_low < 0 or margin + unit * x_high < 0
