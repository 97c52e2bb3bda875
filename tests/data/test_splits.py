from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data import DataError, Fault, Location, Recording
from data.splits import GUARD_S, Part, plan_split, window_starts


def recording(duration_s: float, location: Location = Location.INNER, load=None, size=None, name="r") -> Recording:
    fault = Fault(location, size)
    return Recording(name, "test", {"DE": np.zeros(round(100 * duration_s))}, 100.0, fault, load=load)


def windows(plan, recordings, window_s=1.0, hop_s=0.25):
    """All windows as (recording, part, start, stop)."""
    return [
        (s.recording, s.part, start, start + window_s)
        for s in plan.segments
        for start in window_starts(s, window_s, hop_s)
    ]


def overlaps(plan, recordings, **kwargs) -> bool:
    made = windows(plan, recordings, **kwargs)
    train = [w for w in made if w[1] is not Part.TEST]
    test = [w for w in made if w[1] is Part.TEST]
    return any(a[0] == b[0] and a[2] < b[3] - 1e-6 and b[2] < a[3] - 1e-6 for a in train for b in test)


SETS = st.lists(
    st.tuples(
        st.floats(3.2, 12.0),
        st.sampled_from([Location.NORMAL, Location.INNER, Location.OUTER]),
        st.sampled_from([0.0, 1.0, 2.0]),
        st.sampled_from([0.2, 0.4]),
    ),
    min_size=4,
    max_size=8,
)


@settings(deadline=None, max_examples=80)
@given(SETS, st.sampled_from(["load", "severity", "blocked"]), st.sampled_from([0.1, 0.25, 0.4]))
def test_no_test_window_overlaps_a_training_window_in_any_split_but_random(made, split, hop_s):
    recordings = [
        recording(d, location, load, None if location is Location.NORMAL else size, f"r{i}")
        for i, (d, location, load, size) in enumerate(made)
    ]
    labels = [str(m[1]) for m in made]
    try:
        plan = plan_split(recordings, labels, split, window_s=1.0, hop_s=hop_s)
    except DataError:
        return  # nothing to hold out in this set
    assert not overlaps(plan, recordings, hop_s=hop_s)
    assert {s.part for s in plan.segments} >= {Part.TRAIN, Part.TEST}
    for s in plan.segments:
        assert 0 <= s.start_s < s.stop_s <= recordings[s.recording].duration_s + 1e-9


def test_the_random_split_overlaps_and_says_that_it_leaks():
    recordings = [recording(10, name="a"), recording(10, Location.OUTER, name="b")]
    plan = plan_split(recordings, ["inner", "outer"], "random", window_s=1.0, hop_s=0.25)
    assert overlaps(plan, recordings)
    assert "leaks" in plan.notes[0]


def test_blocked_parts_follow_one_another_with_a_guard_gap():
    plan = plan_split([recording(10.0)], ["inner"], "blocked", window_s=1.0, hop_s=0.5)
    train, validation, test = plan.segments
    assert (train.part, validation.part, test.part) == (Part.TRAIN, Part.VALIDATION, Part.TEST)
    assert validation.start_s - train.stop_s >= GUARD_S - 1e-9
    assert test.start_s - validation.stop_s >= GUARD_S - 1e-9
    assert test.stop_s - test.start_s == pytest.approx(3.0)


def test_the_load_split_tests_one_load_alone():
    recordings = [recording(5, loc, load) for loc in (Location.INNER, Location.OUTER) for load in (0.0, 1.0, 2.0)]
    plan = plan_split(recordings, [str(r.fault.location) for r in recordings], "load", window_s=1.0, hop_s=0.5)
    assert plan.held_out == 2.0
    assert plan.notes == ()
    for s in plan.segments:
        assert (s.part is Part.TEST) == (recordings[s.recording].load == 2.0)


def test_a_class_in_a_single_recording_is_split_in_time_and_the_plan_says_so():
    recordings = [recording(5, Location.NORMAL, 0.0)]
    recordings += [recording(5, loc, load) for loc in (Location.INNER, Location.OUTER) for load in (0.0, 3.0)]
    labels = [str(r.fault.location) for r in recordings]
    plan = plan_split(recordings, labels, "load", window_s=1.0, hop_s=0.5)
    assert {s.part for s in plan.segments if s.recording == 0} == {Part.TRAIN, Part.VALIDATION, Part.TEST}
    assert "'normal' (1 recording)" in plan.notes[0]


def test_the_default_fault_size_is_one_that_the_most_classes_have():
    recordings = [recording(5, Location.INNER, size=s) for s in (0.2, 0.5, 0.7)]
    recordings += [recording(5, Location.OUTER, size=s) for s in (0.2, 0.5)]
    recordings += [recording(5, Location.BALL, size=s) for s in (0.2, 0.5, 0.7)]
    labels = [str(r.fault.location) for r in recordings]
    assert plan_split(recordings, labels, "severity", window_s=1.0, hop_s=0.5).held_out == 0.5


def test_recordings_without_loads_refuse_the_load_split():
    with pytest.raises(DataError, match="needs recordings of two or more classes at two or more values"):
        plan_split([recording(5), recording(5, Location.OUTER)], ["inner", "outer"], "load", window_s=1.0, hop_s=0.5)


def test_an_unknown_load_lists_those_that_exist():
    recordings = [recording(5, loc, load) for loc in (Location.INNER, Location.OUTER) for load in (0.0, 1.0)]
    with pytest.raises(DataError, match=r"no recording has load 7") as caught:
        plan_split(recordings, ["inner"] * 2 + ["outer"] * 2, "load", window_s=1.0, hop_s=0.5, held_out=7.0)
    assert "0, 1" in caught.value.remedy


def test_a_recording_shorter_than_the_split_needs_is_named():
    with pytest.raises(DataError, match=r"recording short: 1.50 s long; this split needs at least 2.10 s"):
        plan_split([recording(1.5, name="short")], ["inner"], "blocked", window_s=1.0, hop_s=0.5)


def test_recordings_for_testing_only_are_never_learned_from():
    """They are tested on where their load is held out, without the guard at their ends, and otherwise left out."""
    usual = [recording(6.0, k, load=load, name=f"{k}{load:g}") for k in Location for load in (0.0, 3.0)]
    extra = [replace(r, name=f"x{r.name}", only_test=True) for r in usual]
    both = [*usual, *extra]
    labels = [str(r.fault.location) for r in both]
    first = len(usual)
    for split in ("load", "blocked", "random"):
        plan = plan_split(both, labels, split, window_s=1.0, hop_s=0.25)
        own = [s for s in plan.segments if s.recording >= first]
        expected = [i for i in range(first, len(both)) if both[i].load == 3.0] if split == "load" else []
        assert [s.recording for s in own] == expected
        assert {(s.part, s.start_s, s.stop_s) for s in own} <= {(Part.TEST, 0.1, both[0].duration_s - 0.1)}
