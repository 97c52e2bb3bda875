"""A physical model of a faulty rolling bearing: the built-in data set.

x(t) = shaft harmonics + sum_i A_i s(t - T_i) + structure noise + sensor noise.

* T_i: impacts at the strike frequency of the fault (`BearingGeometry.strike_frequency`) with a random slip whose
  variance accumulates from impact to impact (Antoni and Randall, Differential diagnosis of gear and bearing
  faults, J. Vib. Acoust. 124, 2002; Randall and Antoni, Rolling element bearing diagnostics - a tutorial, MSSP 25,
  2011).
* A_i: the load on the defect when it strikes. The load zone is Stribeck's (1 - (1 - cos psi) / (2 e))^1.5; an
  inner-race defect passes it once per shaft turn, a defect on a ball once per cage turn, one on the outer race stands
  in it (McFadden and Smith, Model for the vibration produced by a single point defect in a rolling element bearing, J.
  Sound Vib. 96, 1984).
* s: ring-down of three resonances of the machine. A wider defect strikes harder and excites higher modes less, and
  each strike is double: the step on entry and the impact on exit, a defect's width apart (Sawalhi and Randall, MSSP 25,
  2011).
* Speed falls with load as on an induction motor and wanders slowly; every recording has its own gains and resonances,
  as if a sensor were mounted anew.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.signal import butter, sosfilt

from data.common.paper import SENSOR_HZ
from data.errors import DataError
from data.readers.bearing import BearingGeometry
from data.readers.source import ReadSettings, Source
from data.recording import INCH_MM, Fault, Generated, Location, Recording

NO_LOAD_SPEED_HZ = 29.95  # 1797 rpm
SLIP_HZ_PER_HP = 0.37  # 1730 rpm at 3 hp
SIZES_MIL = (7, 14, 21)
LOADS_HP = (0.0, 1.0, 2.0, 3.0)
TEST_RECORDINGS = 185  # of each class: with the 150 windows of the other recordings at that load, 2,000 in all
SPARE_S = 0.1  # at each end of a test recording, where ring-down and resampling begin and end


@dataclass(frozen=True)
class Machine:
    """The machine that impacts travel through on their way to the sensor.

    Attributes:
        resonances_hz: Natural frequencies of the housing and sensor mount.
        damping: Damping ratio of each resonance.
        gains: Share of an impact on the outer race that excites each resonance.
        paths: By fault location, how much of each passes to the sensor, relative to the outer race: impacts on the
            inner race and on a ball cross more interfaces before they reach the housing.
        shaft_harmonics: Amplitude of 1, 2, 3, ... times shaft speed (imbalance, misalignment), in g.
        slip: Standard deviation of one impact interval over its mean.
        speed_wander: Standard deviation of the slow speed variation over the mean speed.
        mount_spread: Standard deviation of a recording's own gains (natural logarithm) and, a tenth of it, resonances.
    """

    resonances_hz: tuple[float, ...] = (620.0, 1150.0, 1720.0)
    damping: tuple[float, ...] = (0.03, 0.025, 0.02)
    gains: tuple[float, ...] = (0.5, 0.8, 1.0)
    shaft_harmonics: tuple[float, ...] = (0.04, 0.025, 0.012, 0.006)
    paths: Mapping[Location, tuple[float, ...]] = field(
        default_factory=lambda: {
            Location.NORMAL: (1.0, 1.0, 1.0),
            Location.OUTER: (1.0, 1.0, 1.0),
            Location.INNER: (0.6, 1.3, 0.7),
            Location.BALL: (1.2, 0.6, 0.8),
        }
    )
    slip: float = 0.01
    speed_wander: float = 0.001
    mount_spread: float = 0.1


@dataclass(frozen=True)
class SimulationConfig:
    """The simulated data set.

    Attributes:
        sampling_rate_hz: Sampling rate in Hz.
        duration_s: Length of each recording in seconds.
        snr_db: Power of the fault's own signal at the middle size over that of the broadband noise; the noise is the
            same in every class.
        loads_hp: Motor loads.
        sizes_mil: Fault widths in thousandths of an inch.
        recordings_per_condition: Recordings of each class at each load, each with its own sensor mount.
        test_load_hp: Load of more recordings that are only for testing; None for no such recordings.
        test_recordings: Number of them in each class, each with its own sensor mount.
        test_duration_s: Their length in seconds: one window, and `SPARE_S` at each end.
        seed: Seed of every random number.
        geometry: The bearing.
        machine: The machine around it.
    """

    sampling_rate_hz: float = 12000.0
    duration_s: float = 5.0
    snr_db: float = 5.0
    loads_hp: tuple[float, ...] = LOADS_HP
    sizes_mil: tuple[int, ...] = SIZES_MIL
    recordings_per_condition: int = 3
    test_load_hp: float | None = None
    test_recordings: int = TEST_RECORDINGS
    test_duration_s: float = 1.0 + 2 * SPARE_S
    seed: int = 0
    geometry: BearingGeometry = field(default_factory=BearingGeometry)
    machine: Machine = field(default_factory=Machine)

    def __post_init__(self) -> None:
        if self.sampling_rate_hz < 2 * max(self.machine.resonances_hz):
            raise DataError(
                f"a sampling rate of {self.sampling_rate_hz:g} Hz cannot hold resonances up to "
                f"{max(self.machine.resonances_hz):g} Hz.",
                "Give at least twice the highest resonance.",
            )
        if self.duration_s <= 0 or self.recordings_per_condition < 1:
            raise DataError(
                f"duration and recordings per condition must be positive; got {self.duration_s} s and "
                f"{self.recordings_per_condition}."
            )


def load_zone(angle_rad: Float[np.ndarray, " n"], extent: float = 0.45) -> Float[np.ndarray, " n"]:
    """Relative radial load at an angle from the zone's centre (Stribeck), 0 to 1; zero outside the zone."""
    inside = 1 - (1 - np.cos(angle_rad)) / (2 * extent)
    return np.where(inside > 0, np.abs(inside) ** 1.5, 0.0)


@cache
def _low_pass(edge_hz: float, rate_hz: float) -> Any:
    """A filter of first order; to design one takes as long as to simulate a second."""
    return butter(1, edge_hz, fs=rate_hz, output="sos")


def shaft_phase(config: SimulationConfig, shaft_hz: float, rng: np.random.Generator) -> Float[np.ndarray, " samples"]:
    """Shaft angle in turns at every sample: constant speed plus a slow wander (below about 2 Hz)."""
    count = round(config.duration_s * config.sampling_rate_hz)
    slow = sosfilt(_low_pass(2.0, config.sampling_rate_hz), rng.standard_normal(count))
    speed = shaft_hz * (1 + config.machine.speed_wander * slow / (slow.std() + 1e-12))
    return np.cumsum(speed) / config.sampling_rate_hz


def strike_turns(orders: float, turns: float, slip: float, rng: np.random.Generator) -> Float[np.ndarray, " strikes"]:
    """Shaft angles (turns) of the impacts: `orders` per turn on average, each interval with its own random slip."""
    expected = int(np.ceil(turns * orders * 1.05)) + 8
    intervals = (1 + slip * rng.standard_normal(expected)) / orders
    angles = np.cumsum(intervals) - rng.uniform(0, 1 / orders)
    return angles[(angles > 0) & (angles < turns)]


def strike_amplitudes(
    location: Location, angles: Float[np.ndarray, " strikes"], config: SimulationConfig
) -> Float[np.ndarray, " strikes"]:
    """Load on the defect at each impact, 0 to 1: what modulates the impacts of each kind of fault."""
    if location is Location.OUTER:
        return np.ones_like(angles)
    if location is Location.INNER:  # passes the load zone once per shaft turn, and is never wholly unloaded
        return 0.35 + 0.65 * load_zone(2 * np.pi * angles)
    cage = config.geometry.cage_frequency(1.0)
    weak = np.where(np.arange(len(angles)) % 2 == 0, 1.0, 0.8)  # outer and inner race answer a ball's two strikes
    return weak * (0.45 + 0.55 * load_zone(2 * np.pi * cage * angles))


def ring_down(
    config: SimulationConfig, location: Location, size_mil: int, rng: np.random.Generator
) -> Float[np.ndarray, " samples"]:
    """Response of the machine to one impact of a defect at this place and of this width, at its own mount."""
    machine = config.machine
    time = np.arange(round(0.02 * config.sampling_rate_hz)) / config.sampling_rate_hz
    response = np.zeros_like(time)
    for mode, (frequency, damping, gain) in enumerate(
        zip(machine.resonances_hz, machine.damping, machine.gains, strict=True)
    ):
        own = frequency * np.exp(0.1 * machine.mount_spread * rng.standard_normal())
        # A wider defect gives a longer, softer contact: its spectrum falls earlier.
        softened = gain * (SIZES_MIL[0] / size_mil) ** (0.6 * mode)
        loud = softened * machine.paths[location][mode] * np.exp(machine.mount_spread * rng.standard_normal())
        omega = 2 * np.pi * own
        response += loud * np.exp(-damping * omega * time) * np.sin(omega * np.sqrt(1 - damping**2) * time)
    return response


def place(
    times_s: Float[np.ndarray, " strikes"], amplitudes: Float[np.ndarray, " strikes"], count: int, rate_hz: float
) -> Float[np.ndarray, " samples"]:
    """Impulses at real-valued times, each shared between its two neighbouring samples."""
    train = np.zeros(count + 1)
    position = times_s * rate_hz
    left = position.astype(int)
    keep = (left >= 0) & (left < count)
    left, part, size = left[keep], (position - left)[keep], amplitudes[keep]
    np.add.at(train, left, size * (1 - part))
    np.add.at(train, left + 1, size * part)
    return train[:count]


def simulate(
    fault: Fault, load_hp: float, config: SimulationConfig, seed: tuple[int, ...]
) -> tuple[Float[np.ndarray, " samples"], float]:
    """One recording of a bearing with this fault at this load.

    Args:
        fault: Location and size; a size of None is taken as the middle one.
        load_hp: Motor load; speed falls and impacts grow with it.
        config: The data set's settings.
        seed: Numbers that, with the data set's seed, make the recording's own seed.

    Returns:
        Acceleration in g at `config.sampling_rate_hz`, and the mean shaft speed in Hz.
    """
    rng = np.random.default_rng([config.seed, *seed])
    machine = config.machine
    shaft_hz = shaft_speed_hz(load_hp)
    phase = shaft_phase(config, shaft_hz, rng)
    count = len(phase)
    x = np.zeros(count)
    for order, amplitude in enumerate(machine.shaft_harmonics, start=1):
        own = amplitude * np.exp(machine.mount_spread * rng.standard_normal())
        x += own * np.sin(2 * np.pi * order * phase + rng.uniform(0, 2 * np.pi))
    size = round((fault.diameter_mm or SIZES_MIL[1] / 1000 * INCH_MM) / INCH_MM * 1000)
    response = ring_down(config, fault.location, size, rng)
    if fault.location is not Location.NORMAL:
        x += _fault_signal(fault.location, size, load_hp, phase, response, config, rng)
    return x + _noise(count, config, rng), shaft_hz


def _fault_signal(
    location: Location,
    size_mil: int,
    load_hp: float,
    phase: Float[np.ndarray, " samples"],
    response: Float[np.ndarray, " taps"],
    config: SimulationConfig,
    rng: np.random.Generator,
) -> Float[np.ndarray, " samples"]:
    geometry = config.geometry
    angles = strike_turns(geometry.strike_frequency(location, 1.0), float(phase[-1]), config.machine.slip, rng)
    times = np.interp(angles, phase, np.arange(len(phase)) / config.sampling_rate_hz)
    severity = (size_mil / SIZES_MIL[1]) ** 1.2 * (1 + 0.08 * load_hp)
    amplitudes = severity * strike_amplitudes(location, angles, config) * (1 + 0.1 * rng.standard_normal(len(angles)))
    # Entry and exit of the defect: the rolling element needs this long to cross its width.
    surface = np.pi * geometry.pitch_diameter_mm * NO_LOAD_SPEED_HZ / 2
    crossing_s = size_mil / 1000 * INCH_MM / surface
    train = place(times, -0.3 * amplitudes, len(phase), config.sampling_rate_hz)
    train += place(times + crossing_s, amplitudes, len(phase), config.sampling_rate_hz)
    signal: np.ndarray = np.convolve(train, response)[: len(phase)]
    return signal


def _noise(count: int, config: SimulationConfig, rng: np.random.Generator) -> Float[np.ndarray, " samples"]:
    """Broadband noise at `snr_db` below the middle fault's power, half of it coloured by the structure."""
    reference = _reference_power(config) / 10 ** (config.snr_db / 10)
    white = rng.standard_normal(count)
    coloured = sosfilt(_low_pass(600.0, config.sampling_rate_hz), rng.standard_normal(count))
    mixed = white / np.sqrt(2) + coloured / coloured.std() / np.sqrt(2)
    return np.asarray(np.sqrt(reference) * mixed)


def _reference_power(config: SimulationConfig) -> float:
    """Mean power of an outer-race fault of the middle size, without spread, in g^2."""
    machine, power = config.machine, 0.0
    strikes = config.geometry.ball_pass_outer(NO_LOAD_SPEED_HZ)
    for mode, (frequency, damping, gain) in enumerate(
        zip(machine.resonances_hz, machine.damping, machine.gains, strict=True)
    ):
        softened = gain * (SIZES_MIL[0] / SIZES_MIL[1]) ** (0.6 * mode)
        power += strikes * softened**2 / (4 * damping * 2 * np.pi * frequency)  # energy of one ring-down
    return power


def shaft_speed_hz(load_hp: float) -> float:
    """Mean shaft speed at a motor load, in revolutions per second."""
    return NO_LOAD_SPEED_HZ - SLIP_HZ_PER_HP * load_hp


def conditions(config: SimulationConfig) -> list[tuple[Fault, float]]:
    """Every fault at every load: normal, and inner, ball and outer (6:00) at each size."""
    faults = [Fault(Location.NORMAL)]
    for location in (Location.INNER, Location.BALL, Location.OUTER):
        position = "6:00" if location is Location.OUTER else None
        faults += [Fault(location, mil / 1000 * INCH_MM, position) for mil in config.sizes_mil]
    return [(fault, load) for fault in faults for load in config.loads_hp]


def read(config: SimulationConfig | None = None) -> list[Recording]:
    """All recordings of the simulated set; the same for the same config on every machine's NumPy."""
    config = config or SimulationConfig()
    repeats = range(config.recordings_per_condition)
    recordings = [
        _recording(fault, load, config, index, repeat)
        for index, (fault, load) in enumerate(conditions(config))
        for repeat in repeats
    ]
    return recordings + list(_test_recordings(config))


def _recording(fault: Fault, load: float, config: SimulationConfig, index: int, repeat: int) -> Recording:
    """A recording whose signal is simulated when it is first asked for."""
    size = f"-{fault.diameter_mm / INCH_MM * 1000:.0f}mil" if fault.diameter_mm else ""
    return Recording(
        name=f"{fault.location}{size}-{load:g}hp-{repeat}",
        source="simulated",
        channels=Generated("DE", lambda: simulate(fault, load, config, (index, repeat))[0]),
        sampling_rate_hz=config.sampling_rate_hz,
        fault=fault,
        shaft_speed_hz=shaft_speed_hz(load),
        load=load,
        load_unit="hp",
    )


def _test_recordings(config: SimulationConfig) -> Iterator[Recording]:
    """Many short recordings, of one window each, so that accuracies are known well; class after class in turns."""
    short = replace(config, duration_s=config.test_duration_s)
    for repeat in range(config.test_recordings):
        for index, (fault, load) in enumerate(conditions(config)):
            if load == config.test_load_hp:
                made = _recording(fault, load, short, index, config.recordings_per_condition + repeat)
                yield replace(made, only_test=True)


def _configured(settings: ReadSettings) -> SimulationConfig:
    """The settings of the set; where a load is held out, there are many test recordings at it."""
    held_out = max(LOADS_HP) if settings.held_out is None else settings.held_out
    return SimulationConfig(
        snr_db=settings.simulated_snr_db,
        seed=settings.data_seed,
        test_load_hp=held_out if settings.split in (None, "load") else None,
        test_duration_s=settings.window_s + 2 * SPARE_S,
    )


SOURCE = Source(
    "simulated",
    "Built-in simulation of a rolling bearing (120 recordings of 5 s, 12 kHz, and 1,850 of one window for tests at a "
    "load that is held out); needs no files.",
    lambda settings: read(_configured(settings)),
    needs_root=False,
    version=lambda settings: [asdict(_configured(settings)), np.__version__],
    tests_apart=True,
    rate_hz=SENSOR_HZ,
)
