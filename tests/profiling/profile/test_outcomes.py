"""Which windows are right, packed and unpacked, and how well the ratio of two accuracies is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from profiles import content

from profiling import Profile, ProfilingError
from profiling.profile.outcomes import (
    by_recording,
    drawn_ratios,
    outcome_fields,
    pack_right,
    pack_runs,
    packed_recordings,
    unpack_right,
    unpack_runs,
    unseen,
)


@given(st.lists(st.booleans(), min_size=1, max_size=60))
def test_packed_windows_are_unpacked_again(right):
    text = pack_right(np.array(right))
    assert unpack_right(text, len(right)).tolist() == right
    assert len(text) <= len(right) / 4 + 2


@given(st.lists(st.integers(1, 5), min_size=1, max_size=30))
def test_packed_numbers_are_unpacked_again(counts):
    assert unpack_runs(pack_runs(counts)) == counts


def test_2000_windows_take_500_digits():
    assert len(pack_right(np.ones(2000, bool))) == 500
    assert pack_runs([5] * 30 + [1] * 1850) == "30*5 1850*1"


@pytest.mark.parametrize("wrong", ["5", "1*x", "3*0", "2*2*2"])
def test_other_text_is_refused(wrong):
    with pytest.raises(ValueError, match=r"expected|invalid|at least"):
        unpack_runs(wrong)


def test_right_windows_are_counted_by_recording():
    right = np.array([[1, 0, 1, 1], [0, 0, 0, 1]], bool)
    assert by_recording(right, [1, 3]).tolist() == [[1, 2], [0, 1]]


def test_draws_are_those_of_a_bootstrap_in_a_plain_loop():
    rng = np.random.default_rng(3)
    sizes = rng.integers(1, 6, 40)
    whole, own = rng.binomial(sizes, 0.95), rng.binomial(sizes, 0.9)
    found = drawn_ratios(own[None], whole)[:, 0]
    plain = np.empty(4000)
    for i in range(4000):
        picked = rng.integers(0, 40, 40)
        plain[i] = own[picked].sum() / whole[picked].sum()
    assert found.mean() == pytest.approx(plain.mean(), abs=2e-3)
    assert np.quantile(found, [0.05, 0.95]) == pytest.approx(np.quantile(plain, [0.05, 0.95]), abs=4e-3)


def test_pairs_are_known_better_than_accuracies_by_themselves():
    """Windows that are hard for both cancel out."""
    rng = np.random.default_rng(0)
    hard = rng.random(2000) < 0.1
    whole = ~hard
    own = whole & (rng.random(2000) > 0.01)
    interval = outcome_fields(own, whole, np.arange(2000))["relative_accuracy_interval"]
    assert interval.low <= own.mean() / whole.mean() <= interval.high
    assert interval.high - interval.low < 0.012
    half = 1.96 * np.sqrt(whole.mean() * (1 - whole.mean()) / 2000)  # of one accuracy alone
    assert interval.high - interval.low < half


def test_a_lower_bound_holds_as_often_as_it_says():
    """300 made-up tests of 150 recordings whose windows resemble each other; the true ratio is known."""
    rng = np.random.default_rng(1)
    held = 0
    for _ in range(300):
        shared = rng.beta(18, 2, 150)  # each recording is more or less hard
        whole = rng.binomial(4, shared)
        own = rng.binomial(whole, 0.97)
        held += np.quantile(drawn_ratios(own[None], whole), 0.05) <= 0.97
    assert 0.91 <= held / 300 <= 0.99


def test_what_was_not_seen_is_bounded_by_the_rule_of_three():
    assert unseen(0.95, 1000) == pytest.approx(0.003, rel=0.01)


def test_windows_of_a_recording_need_not_follow_one_another():
    right, whole = np.array([1, 0, 1, 1], bool), np.ones(4, bool)
    recordings = np.array([7, 3, 7, 3])
    assert packed_recordings(recordings) == "2*2"
    assert unpack_right(outcome_fields(right, whole, recordings)["right"], 4).tolist() == [False, True, True, True]


def test_a_profile_gives_the_counts_and_checks_them():
    made = content()
    assert Profile.parse(made, "x").right(Profile.parse(made, "x").models) is None
    made["test_recordings"] = "2*2"
    for model in made["models"]:
        model["right"] = "f0"
    profile = Profile.parse(made, "x")
    assert profile.right(profile.models[:2]).tolist() == [[2, 2], [2, 2]]
    made["models"][0]["right"] = "f0f0"
    with pytest.raises(ProfilingError, match="expected 4 windows; got 4 digits"):
        Profile.parse(made, "x")
    made["models"][0]["right"] = "f0"
    made["test_recordings"] = None
    with pytest.raises(ProfilingError, match="right, but no test_recordings"):
        Profile.parse(made, "x")


def test_a_profile_of_schema_2_is_read_without_them():
    made = content() | {"schema": 2}
    del made["test_recordings"]
    for model in made["models"]:
        del model["right"], model["relative_accuracy_interval"]
    assert Profile.parse(made, "x").test_recordings is None
