"""Grouped folds: every group is tested once, and no fold learns a sample of what it tests."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data import DataConfig, DataError, Fault, Location, Recording, build_folds
from data.cache import Cache
from data.folds import plan_folds
from data.splits import GUARD_S, Part

RATE = 100.0


def recording(name, seconds=3.0, *, load=None, machine=None, size=None):
    location = Location.INNER if size else None
    return Recording(
        name, "folder", {"x": np.zeros(round(seconds * RATE))}, RATE, load=load, machine=machine, label=name[0],
        fault=Fault(location, size) if location else None,
    )  # fmt: skip


def folds_of(recordings, split="blocked", folds=5, window_s=1.0):
    return plan_folds(recordings, [r.name[0] for r in recordings], split, folds=folds, window_s=window_s)


FOURTEEN = [recording(f"{label}{i}") for label in "ab" for i in range(7)]


def test_the_14_recordings_are_14_groups_and_each_fold_has_both_classes():
    found = folds_of(FOURTEEN)
    assert found.words == "14 recordings"
    assert len(found.plans) == 5
    for plan in found.plans:
        tested = [s.recording for s in plan.segments if s.part is Part.TEST]
        assert {FOURTEEN[i].label for i in tested} == {"a", "b"}
        assert len(tested) in (2, 3, 4)


SETS = st.lists(
    st.tuples(st.sampled_from("abc"), st.floats(2.4, 9.0), st.sampled_from([None, "m", "n"])), min_size=2, max_size=12
)


@given(SETS, st.integers(2, 6))
def test_every_group_is_tested_once_and_no_fold_learns_what_it_tests(drawn, folds):
    recordings = [recording(f"{label}{i}", s, machine=machine) for i, (label, s, machine) in enumerate(drawn)]
    try:
        found = folds_of(recordings, folds=folds)
    except DataError:
        return
    tested = sorted((s.recording, s.start_s) for p in found.plans for s in p.segments if s.part is Part.TEST)
    assert tested == sorted((r, start) for g in found.groups for r, start, _ in g.pieces)
    for fold, plan in enumerate(found.plans):
        held = [s for s in plan.segments if s.part is Part.TEST]
        others = [s for s in plan.segments if s.part is not Part.TEST]
        assert {recordings[s.recording].label for s in others} == {r.label for r in recordings}
        for one in held:
            assert found.fold_of[found.group_of(one.recording, one.start_s)] == fold
            for other in others:
                if one.recording == other.recording:
                    gap = max(one.start_s - other.stop_s, other.start_s - one.stop_s)
                    assert gap >= GUARD_S - 1e-9


def test_recordings_of_one_machine_are_tested_together():
    own = [recording(f"{label}{i}", machine=f"pump {i // 2}") for label in "ab" for i in range(6)]
    found = folds_of(own)
    assert found.words == "3 machines"
    for plan in found.plans:
        assert len({own[s.recording].machine for s in plan.segments if s.part is Part.TEST}) == 1


def test_there_are_no_more_folds_than_a_class_has_groups():
    found = folds_of([recording(f"{label}{i}") for label in "ab" for i in range(3)], folds=5)
    assert len(found.plans) == 3
    assert all(len([s for s in p.segments if s.part is Part.TEST]) == 2 for p in found.plans)


def test_a_class_on_one_machine_alone_is_grouped_by_recording():
    own = [recording(f"a{i}", machine=f"pump {i}") for i in range(3)]
    own += [recording(f"b{i}", machine="x") for i in range(2)]
    assert folds_of(own).words == "3 machines and 2 recordings"


def test_the_load_split_is_cross_validated_over_loads_and_severity_over_sizes():
    loads = [recording(f"{label}{i}", load=float(i)) for label in "ab" for i in range(3)]
    found = folds_of(loads, "load")
    assert [g.name for g in found.groups] == ["load 0", "load 1", "load 2"]
    assert len(found.plans) == 3
    sizes = [recording(f"{label}{i}", size=0.5 + i) for label in "ab" for i in range(2)]
    assert folds_of(sizes, "severity").words == "2 fault sizes"


def test_a_class_of_one_recording_is_cut_in_time_and_the_notes_say_so():
    found = folds_of([recording("a0", 6.0), recording("b0", 6.0)])
    assert found.words == "10 time blocks"
    assert "one recording only of a, b: cross-validation cuts it in time" in found.notes[0]
    assert folds_of([recording("a0", 2.2), recording("b0", 2.2)]).words == "4 time blocks"


@pytest.mark.parametrize(
    ("recordings", "split", "message"),
    [
        ([recording("a0", 2.1), recording("b0", 2.1)], "blocked", r"2\.10 s long; this split needs at least 2\.20 s"),
        ([recording("a0"), recording("a1", 0.5), recording("b0")], "blocked", r"0\.50 s long"),
        (FOURTEEN, "random", "has no groups"),
    ],
)
def test_what_cannot_be_grouped_is_told(recordings, split, message):
    with pytest.raises(DataError, match=message):
        folds_of(recordings, split)


def test_datasets_of_folds_pool_to_every_window_once(tmp_path):
    rng = np.random.default_rng(0)
    for label in ("normal", "worn"):
        for i in range(4):
            (tmp_path / "set" / label).mkdir(parents=True, exist_ok=True)
            np.savez(tmp_path / "set" / label / f"{i}.npz", x=rng.standard_normal(12000), fs=4000)
    config = DataConfig(data="folder", root=tmp_path / "set")
    _, made = build_folds(config, 4, Cache(tmp_path / "cache"))
    assert [len(d.test) for d in made] == [18] * 4  # two recordings of nine windows
    assert all(not set(d.test.recordings) & set(d.train.recordings) for d in made)
    pooled = {(int(r), float(s)) for d in made for r, s in zip(d.test.recordings, d.test.starts_s, strict=True)}
    assert len(pooled) == 72
    again = build_folds(config, 4, Cache(tmp_path / "cache"))[1]
    for one, other in zip(made, again, strict=True):
        np.testing.assert_array_equal(one.train.images, other.train.images)
        assert abs(one.train.images.mean()) < 1e-6  # standardised by its own training part
