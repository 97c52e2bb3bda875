"""Damaged and hostile files: 300 of the 20,000 that `python -m benchmarks.hostile` tries."""

import warnings

import pytest

from benchmarks.hostile.__main__ import shares
from benchmarks.hostile.crew import MOST_S, mutant, try_one
from benchmarks.hostile.targets import TARGETS
from benchmarks.hostile.uses import Place

MUTANTS = 300


@pytest.fixture(scope="module")
def place(finished, tmp_path_factory):
    return Place(finished.out.resolve(), tmp_path_factory.mktemp("hostile"))


@pytest.mark.parametrize("target", TARGETS, ids=lambda t: t.name)
def test_a_mutant_is_refused_with_our_own_error_or_is_sound(place, target):
    seeds = target.seeds(place)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ended = [
            try_one(target, mutant(target, seeds, 1, number), place, number)
            for number in (0, *range(len(seeds), len(seeds) + shares(MUTANTS)[target.name]))
        ]
    assert ended[0].status == "used", ended[0].detail  # the sound file itself
    assert not [f"{own.number}: {own.detail}" for own in ended if own.status == "failed"]
    assert max(own.seconds for own in ended[1:]) < MOST_S
