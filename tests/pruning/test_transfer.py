"""Is the simulation true enough to teach something about real bearings?"""

import numpy as np
from scipy.signal import butter, hilbert, sosfiltfilt
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import balanced_accuracy_score

from data import Location, Recording
from data.images import resample
from data.readers import cwru, simulated
from data.readers.bearing import BearingGeometry

GEOMETRY = BearingGeometry()
LOCATIONS = (Location.INNER, Location.BALL, Location.OUTER)
RATE = 12000.0


def order_features(recording: Recording) -> list[np.ndarray]:
    """How far the envelope's lines at each fault's frequency and its harmonics stand out, one row per 2 s window.

    The envelope's spectrum is taken in three bands at 12 kHz; each line is compared with the median around it.
    """
    x = resample(np.asarray(recording.signal()), recording.sampling_rate_hz, RATE)
    length = round(2 * RATE)
    rows = []
    for start in range(0, len(x) - length + 1, length // 2):
        window = x[start : start + length]
        row: list[float] = []
        for low, high in ((500, 1500), (1500, 3000), (2500, 5000)):
            band = sosfiltfilt(butter(4, (low, high), "bandpass", fs=RATE, output="sos"), window)
            envelope = np.abs(hilbert(band)) ** 2
            spectrum = np.abs(np.fft.rfft((envelope - envelope.mean()) * np.hanning(length)))
            frequencies = np.fft.rfftfreq(length, 1 / RATE)
            for location in LOCATIONS:
                strike = GEOMETRY.strike_frequency(location, recording.shaft_speed_hz or 29.5)
                for harmonic in (1, 2, 3):
                    near = np.abs(frequencies - harmonic * strike) < 0.012 * harmonic * strike
                    around = np.abs(frequencies - harmonic * strike) < 25
                    row.append(float(np.log10(spectrum[near].max() / np.median(spectrum[around]))))
        rows.append(np.array(row))
    return rows


def table(recordings: list[Recording]) -> tuple[np.ndarray, np.ndarray]:
    rows, labels = [], []
    for recording in recordings:
        own = order_features(recording)
        rows += own
        labels += [str(recording.fault.location)] * len(own)
    return np.array(rows), np.array(labels)


def test_trained_on_simulated_bearings_alone_it_finds_real_fault_locations_better_than_chance(bearing_data):
    """Four classes, chance is 25 % balanced accuracy."""
    config = simulated.SimulationConfig(
        duration_s=6.0,
        recordings_per_condition=1,
        machine=simulated.Machine(resonances_hz=(900.0, 2200.0, 3600.0), mount_spread=0.4, slip=0.01),
    )
    noisy = [
        r
        for snr in (5.0, -5.0, -12.0)
        for r in simulated.read(simulated.SimulationConfig(**{**vars(config), "snr_db": snr, "seed": round(snr) + 50}))
    ]
    x, y = table(noisy)
    forest = RandomForestClassifier(200, random_state=0, class_weight="balanced", n_jobs=1).fit(x, y)
    real_x, real_y = table([r.only("DE") for r in cwru.read(bearing_data)])
    accuracy = balanced_accuracy_score(real_y, forest.predict(real_x))
    print(f"simulated -> CWRU, four locations: balanced accuracy {accuracy:.1%}")
    assert accuracy > 0.45
