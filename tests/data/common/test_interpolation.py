import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.interpolate import interp1d

from data.common.interpolation import piecewise_linear

POINTS = st.lists(st.tuples(st.integers(0, 100), st.floats(-10, 10)), min_size=2, max_size=8, unique_by=lambda p: p[0])


@given(POINTS, st.lists(st.floats(-50, 150), min_size=1, max_size=5))
def test_lines_are_scipys(points, places):
    knots, values = zip(*sorted(points), strict=True)
    theirs = interp1d(knots, values, fill_value="extrapolate")(places)
    np.testing.assert_allclose(piecewise_linear(places, knots, values), theirs, atol=1e-9)


def test_measured_points_are_kept_exactly():
    assert piecewise_linear([1, 2, 4], [1, 2, 4], [0.1, 0.15, 0.27]).tolist() == [0.1, 0.15, 0.27]


def test_a_single_point_is_a_constant():
    assert piecewise_linear(7, [1], [0.25]) == pytest.approx(0.25)
