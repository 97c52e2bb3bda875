import tracemalloc

import numpy as np
import pytest
from scipy.signal import welch

from data import DataError, Recording
from data.checks import find_flaws
from data.images import add_noise, log_spectrogram, prepare_signal, resample, segment_length

RATE = 4000.0


def tone(frequency: float, rate: float = RATE, seconds: float = 1.0) -> np.ndarray:
    return np.sin(2 * np.pi * frequency * np.arange(round(rate * seconds)) / rate)


@pytest.mark.parametrize("size", [32, 64, 128])
@pytest.mark.parametrize("frequency", [100.0, 777.0, 1900.0])
def test_a_tone_is_brightest_in_the_row_of_its_band(size, frequency):
    image = log_spectrogram(tone(frequency)[None] + 1e-3, size, RATE)[0]
    assert image.shape == (size, size)
    assert int(image.mean(axis=1).argmax()) == int(frequency / (RATE / 2) * size)


def test_white_noise_has_the_level_of_its_power_spectral_density():
    x = np.random.default_rng(0).standard_normal((20, 4000))
    image = log_spectrogram(x, 32, RATE)
    # The mean logarithm of an exponential variable lies Euler's constant below the logarithm of its mean.
    expected = -0.5772 / np.log(10)
    assert image.mean() == pytest.approx(expected, abs=0.02)
    density = welch(x.ravel(), RATE, nperseg=1024)[1].mean()
    assert density * RATE / 2 == pytest.approx(1.0, rel=0.05)


def test_twice_the_amplitude_is_0_6_decades_everywhere():
    x = np.random.default_rng(1).standard_normal((2, 4000))
    np.testing.assert_allclose(
        log_spectrogram(2 * x, 32, RATE) - log_spectrogram(x, 32, RATE), 2 * np.log10(2), atol=1e-4
    )


def test_a_change_in_time_shows_from_left_to_right():
    x = np.random.default_rng(2).standard_normal(4000) * np.repeat([0.1, 1.0], 2000)
    image = log_spectrogram(x[None], 32, RATE)[0].mean(axis=0)
    assert image[-1] > image[0] + 0.3


def test_segments_are_a_quarter_second_and_divide_into_rows():
    assert segment_length(32, 4000) == 1024
    assert segment_length(128, 4000) == 1024
    assert segment_length(64, 12000) % 128 == 0


def test_a_window_shorter_than_a_segment_still_gives_an_image():
    assert np.isfinite(log_spectrogram(tone(500, seconds=0.05)[None], 32, RATE)).all()


def test_resampling_keeps_a_tone_and_removes_what_would_fold():
    x = resample(tone(500, 12000) + tone(3500, 12000), 12000, 4000)
    assert len(x) == 4000
    np.testing.assert_allclose(x[200:-200], tone(500)[200:-200], atol=0.01)


def test_odd_rates_of_real_instruments_resample_to_the_right_length():
    assert len(resample(tone(500, 97656), 97656, 4000)) == pytest.approx(4000, abs=1)
    assert len(resample(tone(500, 48828), 48828.125, 4000)) == pytest.approx(4000, abs=1)


def test_a_rate_below_twice_the_band_is_refused():
    with pytest.raises(DataError, match="band up to 2000 Hz was not recorded"):
        resample(tone(100, 3000), 3000, 4000)


@pytest.mark.parametrize("snr", [10, 5, 0])
def test_added_noise_has_the_ratio_asked_for(snr):
    clean = np.stack([tone(300), 5 * tone(700)])
    noise = add_noise(clean, snr, np.random.default_rng(0)) - clean
    measured = 10 * np.log10(clean.var(axis=1) / noise.var(axis=1))
    np.testing.assert_allclose(measured, snr, atol=0.3)


@pytest.mark.parametrize("rate", [4000.0, 12000.0, 48828.0, 48828.125, 100000.0])
@pytest.mark.parametrize("long", [4096, 30000])
def test_a_long_signal_is_prepared_block_by_block_as_it_would_be_whole(monkeypatch, rate, long):
    signal = np.random.default_rng(0).standard_normal(100_003) + 7.0
    signal[[5, 50_000]] = np.nan
    whole = prepare_signal(signal, rate, 4000.0)
    monkeypatch.setattr("data.images.LONG", long)
    np.testing.assert_allclose(prepare_signal(signal, rate, 4000.0), whole, atol=1e-10)
    with pytest.raises(DataError, match="below the target"):
        prepare_signal(signal, 1000.0, 4000.0)


def test_preparing_and_checking_a_long_signal_needs_little_more_memory_than_the_signal(monkeypatch):
    """An hour at 100 kHz is 1.4 GB as float32; five copies as float64 are 14 GB. Here all is 100 times less."""
    monkeypatch.setattr("data.images.LONG", 1 << 17)
    monkeypatch.setattr("data.checks.PIECE", 1 << 15)
    signal = np.random.default_rng(0).standard_normal(3_600_000, dtype=np.float32)
    recording = Recording("a", "folder", {"x": signal}, 100_000.0)
    tracemalloc.start()
    try:
        prepare_signal(signal, 100_000.0, 4000.0)
        assert tracemalloc.get_traced_memory()[1] < 1.0 * signal.nbytes
        tracemalloc.reset_peak()
        assert find_flaws(recording, "x") == []
        assert tracemalloc.get_traced_memory()[1] < 2.0 * signal.nbytes
    finally:
        tracemalloc.stop()
