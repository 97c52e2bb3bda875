"""Signals are checked piece by piece, and a flaw that lies across pieces is the same flaw."""

import numpy as np
import pytest

from data.checks import find_flaws
from data.recording import Recording


def flaws(signal, rate=1000.0):
    return find_flaws(Recording("a", "folder", {"x": signal}, rate), "x")


def stuck(at, length):
    signal = np.random.default_rng(0).standard_normal(5000)
    signal[at : at + length] = 0.5
    return signal


CASES = {
    "sound": np.random.default_rng(1).standard_normal(5000),
    "stuck across pieces": stuck(990, 200),
    "stuck at the end": stuck(4900, 100),
    "stuck over several pieces": stuck(100, 4500),
    "constant": np.full(5000, 3.0),
    "zero": np.zeros(5000),
    "clipped": np.clip(np.random.default_rng(2).standard_normal(5000), -0.5, 0.5),
    "clipped on top": np.minimum(np.repeat(np.random.default_rng(3).standard_normal(1250), 4), 1.0),
    "nan": np.where(np.arange(5000) == 999, np.nan, 1.0),
    "short": np.arange(3.0),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("kind", [np.float64, np.float32])
def test_pieces_find_what_the_whole_has(monkeypatch, case, kind):
    signal = CASES[case].astype(kind)
    whole = flaws(signal)
    monkeypatch.setattr("data.checks.PIECE", 100)
    assert flaws(signal) == whole
    assert bool(whole) == (case not in ("sound", "short"))
