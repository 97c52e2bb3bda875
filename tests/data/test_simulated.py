from dataclasses import replace

import numpy as np
import pytest
from scipy.signal import butter, hilbert, sosfiltfilt

from data import DataError, Fault, Location
from data.readers.simulated import (
    INCH_MM,
    SimulationConfig,
    conditions,
    load_zone,
    read,
    simulate,
    strike_turns,
)

CONFIG = SimulationConfig()


def envelope_spectrum(
    x: np.ndarray, rate: float, low: float = 400, high: float = 2200
) -> tuple[np.ndarray, np.ndarray]:
    """Amplitude of the squared envelope's spectrum in a resonance band, by scipy alone."""
    band = sosfiltfilt(butter(4, (low, high), "bandpass", fs=rate, output="sos"), x)
    envelope = np.abs(hilbert(band)) ** 2
    spectrum = np.abs(np.fft.rfft((envelope - envelope.mean()) * np.hanning(len(envelope))))
    return np.fft.rfftfreq(len(envelope), 1 / rate), spectrum


def strongest(frequencies: np.ndarray, spectrum: np.ndarray, low: float, high: float) -> float:
    inside = (frequencies >= low) & (frequencies <= high)
    return float(frequencies[inside][np.argmax(spectrum[inside])])


@pytest.mark.parametrize("location", [Location.INNER, Location.BALL, Location.OUTER])
@pytest.mark.parametrize("size_mil", [7, 14, 21])
@pytest.mark.parametrize("load", [0.0, 3.0])
def test_the_strongest_envelope_peaks_are_the_theoretical_frequencies_within_1_percent(location, size_mil, load):
    signal, shaft = simulate(Fault(location, size_mil / 1000 * INCH_MM), load, CONFIG, (size_mil, 1))
    frequencies, spectrum = envelope_spectrum(signal, CONFIG.sampling_rate_hz)
    strike = CONFIG.geometry.strike_frequency(location, shaft)
    # The strongest line from above the shaft's own modulation to beyond the third harmonic is a harmonic of the fault.
    peak = strongest(frequencies, spectrum, 0.6 * strike, 3.4 * strike)
    order = round(peak / strike)
    assert order >= 1
    assert peak == pytest.approx(order * strike, rel=0.01)
    assert strongest(frequencies, spectrum, 0.75 * strike, 1.25 * strike) == pytest.approx(strike, rel=0.01)


def test_a_healthy_bearing_shows_none_of_the_fault_frequencies():
    signal, shaft = simulate(Fault(Location.NORMAL), 0.0, CONFIG, (0, 0))
    frequencies, spectrum = envelope_spectrum(signal, CONFIG.sampling_rate_hz)
    for location in (Location.INNER, Location.BALL, Location.OUTER):
        strike = CONFIG.geometry.strike_frequency(location, shaft)
        near = spectrum[np.abs(frequencies - strike) < 0.01 * strike].max()
        around = spectrum[(np.abs(frequencies - strike) < 0.25 * strike)]
        assert near < 6 * np.median(around)


def test_an_inner_race_fault_has_sidebands_at_shaft_speed():
    signal, shaft = simulate(Fault(Location.INNER, 0.3556), 0.0, CONFIG, (3, 3))
    frequencies, spectrum = envelope_spectrum(signal, CONFIG.sampling_rate_hz)
    strike = CONFIG.geometry.ball_pass_inner(shaft)
    for side in (strike - shaft, strike + shaft):
        near = spectrum[np.abs(frequencies - side) < 1.0].max()
        assert near > 5 * np.median(spectrum[np.abs(frequencies - side) < 12])


def test_slip_smears_but_keeps_the_mean_rate():
    angles = strike_turns(3.585, 3000.0, 0.02, np.random.default_rng(0))
    assert len(angles) / 3000 == pytest.approx(3.585, rel=2e-3)
    intervals = np.diff(angles) * 3.585
    assert intervals.std() == pytest.approx(0.02, rel=0.1)


def test_the_noise_is_at_the_set_ratio_to_a_middle_outer_race_fault():
    quiet = replace(CONFIG, snr_db=60.0, machine=replace(CONFIG.machine, mount_spread=0.0, shaft_harmonics=()))
    loud = replace(quiet, snr_db=0.0)
    fault = Fault(Location.OUTER, 0.3556)
    alone = simulate(fault, 0.0, quiet, (5,))[0]
    noise = simulate(Fault(Location.NORMAL), 0.0, loud, (5,))[0]
    assert 10 * np.log10(alone.var() / noise.var()) == pytest.approx(0.0, abs=1.5)


def test_a_wider_defect_is_louder():
    levels = [simulate(Fault(Location.OUTER, mil / 1000 * INCH_MM), 0.0, CONFIG, (9,))[0].std() for mil in (7, 14, 21)]
    assert levels == sorted(levels)


def test_speed_falls_with_load_as_on_the_cwru_motor():
    speeds = [simulate(Fault(Location.NORMAL), load, CONFIG, (0,))[1] * 60 for load in (0.0, 3.0)]
    assert speeds == pytest.approx([1797, 1730], rel=2e-3)


def test_the_load_zone_is_full_at_its_centre_and_empty_opposite():
    zone = load_zone(np.array([0.0, np.pi / 2, np.pi]))
    assert zone[0] == 1.0
    assert zone[2] == 0.0


def test_equal_seeds_give_equal_recordings_and_others_do_not():
    config = SimulationConfig(duration_s=1.0, loads_hp=(0.0,), sizes_mil=(7,), recordings_per_condition=1)
    first, again, other = read(config), read(config), read(replace(config, seed=1))
    assert all(np.array_equal(a.signal(), b.signal()) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0].signal(), other[0].signal())


def test_there_are_ten_classes_at_four_loads():
    assert len(conditions(CONFIG)) == 40


def test_a_sampling_rate_below_the_resonances_is_refused():
    with pytest.raises(DataError, match="cannot hold resonances"):
        SimulationConfig(sampling_rate_hz=3000.0)


def test_recordings_are_simulated_when_they_are_asked_for_and_only_once(monkeypatch):
    made = []
    monkeypatch.setattr("data.readers.simulated.simulate", lambda *a: made.append(a) or simulate(*a))
    one, *_ = read(replace(CONFIG, recordings_per_condition=1))
    assert (set(one.channels), len(one.channels), made) == ({"DE"}, 1, [])
    assert one.only("DE") is one
    np.testing.assert_array_equal(one.signal(), simulate(one.fault, 0.0, CONFIG, (0, 0))[0])
    assert one.duration_s == 5.0
    assert len(made) == 1
    with pytest.raises(DataError, match="no channel 'FE'"):
        one.signal("FE")


def test_where_a_load_is_held_out_there_are_2000_test_windows_of_different_mounts():
    plain, some = read(CONFIG), read(replace(CONFIG, test_load_hp=2.0, test_recordings=3))
    assert [r.name for r in some[: len(plain)]] == [r.name for r in plain]
    extra = some[len(plain) :]
    assert len(extra) == 3 * 10
    assert all(r.only_test and r.load == 2.0 for r in extra)
    assert not any(r.only_test for r in plain)
    assert len({r.name for r in some}) == len(some)
    signals = np.stack([r.signal() for r in extra])
    assert signals.shape[1] == 1.2 * 12000
    assert np.abs(np.corrcoef(signals) - np.eye(30)).max() < 0.6  # no two are the same recording
