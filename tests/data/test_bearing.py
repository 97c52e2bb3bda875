import pytest

from data.readers.bearing import BearingGeometry
from data.recording import Location

BEARING = BearingGeometry()


def test_the_default_bearing_has_the_multiples_that_cwru_publishes_for_the_drive_end():
    # https://engineering.case.edu/bearingdatacenter/bearing-information: inner 5.4152, outer 3.5848, cage 0.39828,
    # rolling element 4.7135 times the running speed.
    assert BEARING.ball_pass_inner(1.0) == pytest.approx(5.4152, rel=1e-3)
    assert BEARING.ball_pass_outer(1.0) == pytest.approx(3.5848, rel=1e-3)
    assert BEARING.cage_frequency(1.0) == pytest.approx(0.39828, rel=1e-3)
    assert 2 * BEARING.ball_spin(1.0) == pytest.approx(4.7135, rel=1e-3)


def test_every_ball_passes_one_of_the_races():
    shaft = 29.95
    both = BEARING.ball_pass_inner(shaft) + BEARING.ball_pass_outer(shaft)
    assert both == pytest.approx(BEARING.rolling_elements * shaft)


def test_a_healthy_bearing_strikes_never():
    assert BEARING.strike_frequency(Location.NORMAL, 30.0) == 0.0


def test_a_contact_angle_slows_the_outer_race_less_than_the_inner_gains():
    tilted = BearingGeometry(contact_angle_deg=40.0)
    assert tilted.ball_pass_outer(1.0) > BEARING.ball_pass_outer(1.0)
    assert tilted.ball_pass_inner(1.0) < BEARING.ball_pass_inner(1.0)
