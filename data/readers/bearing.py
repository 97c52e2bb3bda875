"""Geometry of a rolling bearing and the frequencies at which its faults strike."""

from dataclasses import dataclass
from math import cos, radians

from data.recording import Location


@dataclass(frozen=True)
class BearingGeometry:
    """A single-row rolling bearing whose inner ring turns (Randall and Antoni 2011, eq. 1-4).

    The default is the SKF 6205-2RS JEM at the drive end of the CWRU rig.

    Attributes:
        rolling_elements: Number of balls or rollers.
        ball_diameter_mm: Diameter of a rolling element.
        pitch_diameter_mm: Diameter of the circle on which the centres of the rolling elements run.
        contact_angle_deg: Angle of the load from the radial plane.
    """

    rolling_elements: int = 9
    ball_diameter_mm: float = 7.94
    pitch_diameter_mm: float = 39.04
    contact_angle_deg: float = 0.0

    @property
    def _ratio(self) -> float:
        return self.ball_diameter_mm / self.pitch_diameter_mm * cos(radians(self.contact_angle_deg))

    def cage_frequency(self, shaft_hz: float) -> float:
        """Fundamental train frequency (FTF) in Hz: how often the cage turns."""
        return shaft_hz / 2 * (1 - self._ratio)

    def ball_pass_outer(self, shaft_hz: float) -> float:
        """BPFO in Hz: rolling elements passing a point of the outer race."""
        return self.rolling_elements * shaft_hz / 2 * (1 - self._ratio)

    def ball_pass_inner(self, shaft_hz: float) -> float:
        """BPFI in Hz: rolling elements passing a point of the inner race."""
        return self.rolling_elements * shaft_hz / 2 * (1 + self._ratio)

    def ball_spin(self, shaft_hz: float) -> float:
        """BSF in Hz: turns of a rolling element about itself. A defect on it strikes each race once per turn."""
        return shaft_hz * self.pitch_diameter_mm / (2 * self.ball_diameter_mm) * (1 - self._ratio**2)

    def strike_frequency(self, location: Location, shaft_hz: float) -> float:
        """Impulses per second of a fault at `location`: BPFI, BPFO or twice BSF; 0 for a healthy bearing."""
        return {
            Location.NORMAL: 0.0,
            Location.INNER: self.ball_pass_inner(shaft_hz),
            Location.OUTER: self.ball_pass_outer(shaft_hz),
            Location.BALL: 2 * self.ball_spin(shaft_hz),
        }[location]
