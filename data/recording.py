"""One vibration recording: what was measured, how, and what was wrong with the bearing."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from data.errors import DataError

INCH_MM = 25.4
SLOWEST_HZ, FASTEST_HZ = 1e-3, 1e9  # sampling rates beyond are damage
LARGEST = 1e15  # no accelerometer gives more in any unit, and its square still is a number


class Location(StrEnum):
    """Where the bearing is damaged."""

    NORMAL = "normal"
    INNER = "inner"
    BALL = "ball"
    OUTER = "outer"


@dataclass(frozen=True)
class Fault:
    """A seeded fault.

    Attributes:
        location: The damaged part; `NORMAL` is a healthy bearing.
        diameter_mm: Width of the defect in millimetres, None where unknown or healthy.
        position: Clock position of an outer-race fault relative to the load zone ("6:00" is its centre).
    """

    location: Location
    diameter_mm: float | None = None
    position: str | None = None


class Generated(Mapping[str, Any]):
    """The one channel of a recording that is computed, not read: made when it is first asked for, and then kept.

    Args:
        name: Name of the channel.
        make: Computes its samples.
    """

    def __init__(self, name: str, make: Callable[[], Float[np.ndarray, " samples"]]) -> None:
        self._name, self._make = name, make
        self._made: Float[np.ndarray, " samples"] | None = None

    def __getitem__(self, name: str) -> Float[np.ndarray, " samples"]:
        if name != self._name:
            raise KeyError(name)
        if self._made is None:
            self._made = self._make()
        return self._made

    def __contains__(self, name: object) -> bool:
        return name == self._name

    def __iter__(self) -> Iterator[str]:
        return iter((self._name,))

    def __len__(self) -> int:
        return 1


@dataclass(frozen=True, eq=False)
class Recording:
    """A vibration recording of one bearing in one condition.

    Attributes:
        name: Unique within its data set ("97", "inner/pump3").
        source: The data set ("cwru", "mfpt", "simulated", "folder").
        channels: Samples of each accelerometer by its name, all of one length, in the file's unit (g where known).
        sampling_rate_hz: Sampling rate in Hz.
        fault: What is wrong with the bearing; None if only a class name is known (`label`).
        label: Class name given by the user's folder; None if it follows from `fault`.
        shaft_speed_hz: Shaft speed in revolutions per second; None if unknown.
        load: Motor or radial load in `load_unit`; None if unknown.
        load_unit: "hp" (CWRU, simulated), "lbf" (MFPT).
        machine: Name of the machine that it was recorded on; None if unknown.
        path: The file it was read from; None for a simulated one.
        known_flaws: Kinds of flaws that the data set's reader knows of and accepts, e.g. "clipped".
        only_test: Whether it is tested on or not used at all, but never learned from. Such recordings come last in
            their data set.
    """

    name: str
    source: str
    channels: Mapping[str, Any]  # arrays of samples; to check their shapes would make those that are `Generated`
    sampling_rate_hz: float
    fault: Fault | None = None
    label: str | None = None
    shaft_speed_hz: float | None = None
    load: float | None = None
    load_unit: str = ""
    machine: str | None = None
    path: Path | None = None
    known_flaws: frozenset[str] = field(default_factory=frozenset)
    only_test: bool = False

    def __post_init__(self) -> None:
        if not self.channels:
            raise DataError(f"{self.where}: no channel holds a signal.", "Expected at least one numeric vector.")
        if not (np.isfinite(self.sampling_rate_hz) and self.sampling_rate_hz > 0):
            raise DataError(
                f"{self.where}: the sampling rate must be above 0 Hz; got {self.sampling_rate_hz}.",
                "Give it with --sampling-rate HZ.",
            )
        if not SLOWEST_HZ <= self.sampling_rate_hz <= FASTEST_HZ:
            raise DataError(
                f"{self.where}: expected a sampling rate of {SLOWEST_HZ:g} to {FASTEST_HZ:g} Hz; got "
                f"{self.sampling_rate_hz:g}.",
                "Give it with --sampling-rate HZ.",
            )
        for what, value in (("load", self.load), ("shaft speed", self.shaft_speed_hz)):
            if value is not None and not abs(value) <= LARGEST:
                raise DataError(f"{self.where}: the {what} is {value}; expected a number.", "Check the file.")

    @property
    def where(self) -> str:
        """What an error message points at: the file, or the recording's name if it has no file."""
        return str(self.path) if self.path else f"{self.source} recording {self.name}"

    def signal(self, channel: str | None = None) -> Float[np.ndarray, " samples"]:
        """Samples of one channel: the named one, or the only one.

        Raises:
            DataError: There is no channel of that name, or there are several and none was named.
        """
        names = ", ".join(self.channels)
        if channel is None:
            if len(self.channels) > 1:
                raise DataError(f"{self.where} holds several channels: {names}.", "Choose one with --channel NAME.")
            channel = next(iter(self.channels))
        if channel not in self.channels:
            raise DataError(f"{self.where} has no channel {channel!r}; it holds {names}.", "Choose one of those.")
        named: Float[np.ndarray, " samples"] = self.channels[channel]
        return named

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return len(next(iter(self.channels.values()))) / self.sampling_rate_hz

    def only(self, channel: str) -> "Recording":
        """The same recording with one channel."""
        return self if list(self.channels) == [channel] else replace(self, channels={channel: self.signal(channel)})


def usable(signal: Float[np.ndarray, " samples"]) -> Bool[np.ndarray, " samples"]:
    """Which samples are finite numbers of a size that can be squared."""
    return np.asarray((signal <= LARGEST) & (signal >= -LARGEST))  # no copy of the signal, as abs() would make


def class_name(recording: Recording, labels: str) -> str:
    """The class of a recording.

    Args:
        recording: The recording.
        labels: "location" for the damaged part alone, "fault" for the part and the size ("inner-0.007in").

    Returns:
        The user's own label if the recording has one.
    """
    if recording.label is not None or recording.fault is None:
        return recording.label or "unknown"
    fault = recording.fault
    if labels == "location" or fault.diameter_mm is None:
        return str(fault.location)
    return f"{fault.location}-{fault.diameter_mm / INCH_MM:.3f}in"
