"""Disturbances from two readings of the clocks; no clock is read here."""

import pytest

from profiling.measuring.interference import Reading, disturbances


class TestInterference:
    quiet = Reading(wall=0.0, own=0.0, busy=100.0, steal=0.0, switches=0, clock_hz=2e9)

    def after(self, **changes):
        return Reading(**{**vars(Reading(1.0, 1.9, 101.95, 0.0, 3, 2e9)), **changes})

    def test_a_quiet_second_is_quiet(self):
        assert disturbances(self.quiet, self.after(), 2) == []

    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"own": 1.0, "busy": 101.99}, "other processes"),
            ({"steal": 0.2}, "hypervisor"),
            ({"switches": 500}, "context switches"),
            ({"clock_hz": 1.5e9}, "from 2.00 to 1.50 GHz"),
        ],
    )
    def test_each_disturbance_is_named(self, changes, words):
        assert words in " ".join(disturbances(self.quiet, self.after(**changes), 2))

    def test_nothing_is_claimed_where_the_system_does_not_tell(self):
        blind = {"busy": None, "steal": None, "clock_hz": None}
        assert disturbances(Reading(**{**vars(self.quiet), **blind}), self.after(**blind), 2) == []

    def test_too_short_a_stretch_is_not_judged(self):
        assert disturbances(self.quiet, self.after(wall=0.01, steal=1.0), 2) == []
