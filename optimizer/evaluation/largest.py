"""The largest number that passes a check which small numbers pass and large ones fail, in few checks."""

from collections.abc import Callable

import numpy as np

FINE = 0.01  # the number is found to within 1 %
STEP = 1.04  # a guess is left by this factor, and further by the square of the one before


def largest(passes: Callable[[int], bool], least: int, most: int, start: int | None = None) -> int:
    """The largest number that passes, within 1 %, for something that passes below a point and fails above it.

    Args:
        passes: Whether a number passes.
        least: Smallest number; 0 is returned if even it fails.
        most: Largest number.
        start: A guess. What passes is looked for near it, and then further and further away.
    """
    if most < least:
        return 0
    guess = max(least, min(start or least, most))
    good, bad = _beside(guess, passes, least, most, None if start is None else STEP)
    while good and bad - good > max(1, int(FINE * good)):
        middle = int(np.sqrt(good * bad)) if good > 1 else (good + bad) // 2
        middle = min(max(middle, good + 1), bad - 1)
        if passes(middle):
            good = middle
        else:
            bad = middle
    return good


def _beside(guess: int, passes: Callable[[int], bool], least: int, most: int, step: float | None) -> tuple[int, int]:
    """A number that passes and a larger one that fails; 0 where none passes, most + 1 where none fails.

    Args:
        guess: Where to begin.
        passes: Whether a number passes.
        least: Smallest number.
        most: Largest number.
        step: The first factor away from the guess, squared each time; None: always 2.
    """
    up = passes(guess)
    inside, factor = guess, step or 2.0
    while inside != (most if up else least):
        to = int(inside * factor) if up else int(inside / factor)
        to = min(max(to, inside + 1), most) if up else max(min(to, inside - 1), least)
        if passes(to) != up:
            return (inside, to) if up else (to, inside)
        inside, factor = to, factor**2 if step else 2.0
    return (most, most + 1) if up else (0, least)
