"""Windows of vibration as the log-spectrogram images that a VGG-16 takes."""

from collections.abc import Sequence
from fractions import Fraction
from math import gcd

import numpy as np
from jaxtyping import Float, Float32
from scipy.ndimage import uniform_filter1d
from scipy.signal import get_window, resample_poly

from data.errors import DataError
from data.recording import usable

SIZES = (32, 64, 128)
SEGMENT_S = 0.256  # 1,024 samples at 4 kHz, 3.9 Hz a bin
LONGEST_RATIO, DENOMINATOR = 1_000_000, 10_000  # of resampling, in whole numbers
AT_ONCE = 64  # windows, with segments of 1,024 samples, that are transformed at a time: bounds the memory
LONG = 1 << 24  # samples; a longer signal is prepared block by block
SMOOTHING = 0.75  # of the window: what a column is the running mean over
FLOOR = 1e-12  # added to the power in g^2: far below any sensor's noise, so that digital silence stays finite


def resample(
    signal: Float[np.ndarray, " samples"], rate_hz: float, target_hz: float
) -> Float[np.ndarray, " resampled"]:
    """Polyphase resampling with its anti-aliasing filter (`scipy.signal.resample_poly`).

    Raises:
        DataError: The signal is sampled below the target rate, so it lacks part of the target's frequency band.
    """
    if rate_hz < target_hz * (1 - 1e-9):
        raise DataError(
            f"a sampling rate of {rate_hz:g} Hz is below the target of {target_hz:g} Hz: the band up to "
            f"{target_hz / 2:g} Hz was not recorded.",
            f"Give --rate-hz {rate_hz:g} or less, or correct --sampling-rate.",
        )
    return np.asarray(resample_poly(signal, *_ratio(rate_hz, target_hz)))


def _ratio(rate_hz: float, target_hz: float) -> tuple[int, int]:
    """Whole numbers to resample up and down by; rates are exact to 1 mHz, as real instruments give 48828.125."""
    up, down = round(target_hz * 1000), round(rate_hz * 1000)
    shared = gcd(up, down)
    if max(up, down) // shared > LONGEST_RATIO:  # the filter has 20 times as many taps; off by less than 1e-8
        most = max(1, min(DENOMINATOR, round(LONGEST_RATIO * target_hz / rate_hz)))
        near = Fraction(rate_hz / target_hz).limit_denominator(most)
        return near.denominator, near.numerator
    return up // shared, down // shared


def offset(signal: Float[np.ndarray, " samples"]) -> float:
    """The mean of the samples that are usable, the others counted as 0: an amplifier's offset, not vibration."""
    if len(signal) <= LONG:
        return float(clean(signal).mean())
    step = LONG // 4
    return sum(float(clean(signal[i : i + step]).sum()) for i in range(0, len(signal), step)) / len(signal)


def clean(signal: Float[np.ndarray, " samples"]) -> Float[np.ndarray, " samples"]:
    """A signal in double precision; samples that are not usable (NaN, infinite, huge) count as 0."""
    signal = np.asarray(signal, dtype=np.float64)
    return np.where(usable(signal), signal, 0.0)


def prepare_signal(
    signal: Float[np.ndarray, " samples"], rate_hz: float, target_hz: float
) -> Float[np.ndarray, " resampled"]:
    """A raw signal without its offset (some CWRU files carry one), resampled.

    Args:
        signal: Acceleration.
        rate_hz: Its sampling rate in Hz.
        target_hz: The wanted sampling rate in Hz.

    Raises:
        DataError: See `resample`.
    """
    if len(signal) > LONG:
        return _prepare_long(signal, rate_hz, target_hz)
    return resample(clean(signal) - offset(signal), rate_hz, target_hz)


def _prepare_long(
    signal: Float[np.ndarray, " samples"], rate_hz: float, target_hz: float
) -> Float[np.ndarray, " resampled"]:
    """The same block by block, so that memory is that of the signal and of a block, and not five times the signal.

    A block begins at a sample that falls on one of the target's, and is resampled with what the filter sees around it.
    """
    resample(np.zeros(1), rate_hz, target_hz)  # refuses a rate that is too low
    up, down = _ratio(rate_hz, target_hz)
    margin = down * (10 * max(up, down) // (up * down) + 2)  # resample_poly's filter reaches 10 * max(up, down) / up
    step = down * max(1, LONG // 4 // down)

    mean, made = offset(signal), []
    for start in range(0, len(signal), step):
        first, stop = max(0, start - margin), min(start + step, len(signal))
        block = resample(clean(signal[first : stop + margin]) - mean, rate_hz, target_hz)
        skipped = (start - first) // down * up
        made.append(block[skipped : skipped + -(-(stop - start) * up // down)])
    return np.concatenate(made)


def window_at(
    signal: Float[np.ndarray, " n"], start_s: float, samples: int, rate_hz: float
) -> tuple[int, Float[np.ndarray, " samples"]]:
    """The window of a signal that starts at a time: index of its first sample, and its samples."""
    first = min(round(start_s * rate_hz), len(signal) - samples)
    return first, signal[first : first + samples]


def standardise(
    images: Float[np.ndarray, "n size size"], mean: float, deviation: float
) -> Float32[np.ndarray, "n 1 size size"]:
    """Images as a model takes them: less the training part's mean, divided by its standard deviation."""
    return ((images - mean) / deviation).astype(np.float32)[:, None]


def segment_length(size: int, rate_hz: float) -> int:
    """Samples of one Fourier segment: the multiple of two image heights nearest to 0.256 s, at least one."""
    return max(1, round(SEGMENT_S * rate_hz / (2 * size))) * 2 * size


def log_spectrogram(
    windows: Float[np.ndarray, "n samples"], size: int, rate_hz: float
) -> Float[np.ndarray, "n {size} {size}"]:
    """Decadic logarithm of the short-time power spectrum, low frequencies in the first row, time to the right.

    Args:
        windows: Acceleration, one window per row, each of at least `size` samples.
        size: Rows and columns: 32, 64 or 128. `size` Hann segments of `segment_length` samples are centred evenly
            over the window. Each row is the mean logarithm of the power in one of `size` equal bands between 0 and half
            the sampling rate; each column then becomes the running mean over three quarters of the window.
        rate_hz: Sampling rate in Hz.

    The logarithm is taken before the mean, on bins of 3.9 Hz: what lies between the shaft's harmonics then counts as
    much as the harmonics. Trained on CWRU loads 1 to 3 and tested on load 0, ten classes, a linear classifier on the
    rows' means is right for 99 % of the windows; with power averaged over the bands of 128-sample segments, 77 %
    (`python -m benchmarks.features`); the setting was chosen on that test, so expect less elsewhere. Without the
    running mean a VGG-16 learns the flicker of each training recording.
    """
    count, samples = windows.shape
    length = segment_length(size, rate_hz)
    taper = get_window("hann", length)
    taper = taper / np.sqrt(np.sum(taper**2))
    reach = min(length // 2, samples - 1)  # a reflection cannot be longer than the window
    padded = np.pad(windows, ((0, 0), (reach, reach)), mode="reflect")
    padded = np.pad(padded, ((0, 0), (length // 2 - reach, length // 2 - reach)))
    starts = np.round((np.arange(size) + 0.5) * samples / size).astype(int)
    image = np.empty((count, size, size), dtype=np.float32)
    step = max(1, AT_ONCE * 1024 // max(1024, length))
    for first in range(0, count, step):
        block = slice(first, first + step)
        segments = np.stack([padded[block, s : s + length] for s in starts], axis=1)
        power = np.abs(np.fft.rfft(segments * taper, axis=-1)[..., : length // 2]) ** 2
        bands = np.log10(power + FLOOR).reshape(*power.shape[:2], size, -1).mean(axis=-1)
        image[block] = bands.transpose(0, 2, 1)
    return np.asarray(uniform_filter1d(image, max(1, round(SMOOTHING * size)), axis=2, mode="reflect"))


def add_noise(
    windows: Float[np.ndarray, "n samples"], snr_db: float, rng: np.random.Generator
) -> Float[np.ndarray, "n samples"]:
    """White Gaussian noise at `snr_db` below each window's own power (its mean taken off)."""
    power = windows.var(axis=1, keepdims=True)
    return np.asarray(windows + np.sqrt(power / 10 ** (snr_db / 10)) * rng.standard_normal(windows.shape))


def check_size(size: int, choices: Sequence[int] = SIZES) -> None:
    """Raise `DataError` unless the image size is a supported one."""
    if size not in choices:
        raise DataError(f"image size must be one of {', '.join(map(str, choices))}; got {size}.", "Give --size 32.")
