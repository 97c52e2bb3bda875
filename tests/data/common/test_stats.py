import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, norm

from data.common.stats import Z95, half_interval, wilson


@given(st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_intervals_are_scipys_wilson_intervals(pair):
    right, count = pair
    theirs = binomtest(right, count).proportion_ci(0.95, method="wilson")
    assert wilson(right / count, count) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


@given(st.floats(0, 1), st.integers(0, 10_000))
def test_an_interval_holds_its_proportion_and_stays_within_0_and_1(share, count):
    low, high = wilson(share, count)
    assert 0 <= low <= share <= high <= 1


def test_nothing_seen_is_an_interval_of_everything():
    assert wilson(0.0, 0) == (0.0, 1.0)


def test_z95_leaves_a_fortieth_of_a_normal_variable_above_it():
    assert norm.sf(Z95) == pytest.approx(0.025, abs=1e-12)


def test_half_interval_of_a_mean():
    # Five values with a standard deviation of sqrt(2.5): 1.96 * sqrt(2.5 / 5).
    assert half_interval(np.array([1.0, 2.0, 3.0, 4.0, 5.0])) == pytest.approx(1.38590, abs=1e-5)
    assert half_interval(np.array([7.0])) == 0.0
