"""The recordings that a configuration names, with their classes, after the checks that need all of them."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from data.checks import check, sampling_rate_tells
from data.common.limits import MOST_SAMPLES, too_much
from data.config import DataConfig
from data.errors import DataError
from data.images import AT_ONCE
from data.lock import verify
from data.recording import Generated, Recording, class_name
from data.sources import DATASETS
from data.splits import Part

COPIES = 6  # of an image (as made, standardised, with three noises) and of a window that is being transformed
MIXED_RATE = 0.8  # of the lowest rate: what an instrument samples at f, it has filtered above about 0.8 f / 2


@dataclass(frozen=True, eq=False)
class Gathered:
    """Checked recordings and their classes.

    Attributes:
        config: The settings, every default resolved.
        recordings: All recordings, each with the one channel that is used.
        labels: Class name of each recording.
        notes: Sentences that a reader of the results must know.
    """

    config: DataConfig
    recordings: list[Recording]
    labels: list[str]
    notes: list[str] = field(default_factory=list)

    @property
    def rate_hz(self) -> float:
        """Sampling rate of the windows in Hz."""
        assert self.config.rate_hz is not None
        return self.config.rate_hz


def read_recordings(config: DataConfig) -> list[Recording]:
    """The recordings that a configuration names, each with the one channel that is used.

    Raises:
        DataError: See the data set's reader; also a file that differs from the lock file that `data.fetch` wrote.
    """
    source = DATASETS[config.data]
    recordings = source.read(config)
    if config.root is not None:
        verify(config.root, [r.path for r in recordings if r.path])
    channel = config.channel or source.default_channel(config)
    return [r.only(channel or _only_channel(r)) for r in recordings]


def _only_channel(recording: Recording) -> str:
    if len(recording.channels) > 1:
        recording.signal()  # refuses them
    return next(iter(recording.channels))


def windows_rate_hz(config: DataConfig, recordings: Sequence[Recording]) -> float:
    """Sampling rate of the windows in Hz: as recorded, where neither user nor data set names one.

    Recordings of several rates are all resampled, to a rate below the lowest: a filter that only some have passed
    would tell their class (`sampling_rate_tells`).

    Raises:
        DataError: A window would have more samples than a bundle allows.
    """
    rates = {r.sampling_rate_hz for r in recordings}
    recorded = min(rates) if len(rates) == 1 else MIXED_RATE * min(rates)
    rate_hz = config.wanted_rate_hz or recorded
    if config.window_s * rate_hz > MOST_SAMPLES:
        raise DataError(
            f"a window of {config.window_s:g} s at {rate_hz:g} Hz has more than {MOST_SAMPLES:,} samples.",
            "Give a shorter --window-s or a smaller --rate-hz.",
        )
    return rate_hz


def step_s(config: DataConfig, part: Part) -> float:
    """Step between the windows of a part in seconds; test windows of some data sets do not overlap."""
    apart = part is Part.TEST and DATASETS[config.data].tests_apart
    return max(config.hop_s, config.window_s) if apart else config.hop_s


def gather(config: DataConfig) -> Gathered:
    """Read, label and check all recordings of a configuration.

    Raises:
        DataError: Recordings of a single class, flawed signals, differing sampling rates that nobody vouches for, and
            what the readers raise.
    """
    recordings = read_recordings(config)
    config = replace(config, rate_hz=windows_rate_hz(config, recordings))
    check_windows(config, recordings)
    split = config.split or default_split(recordings)
    labels = [class_name(r, config.labels_kind) for r in recordings]
    check_classes(labels)
    notes = rate_notes(config, recordings, labels) + band_notes(config, recordings)
    read = [r for r in recordings if not isinstance(r.channels, Generated)]  # to compute the others takes seconds
    for name, flaws in check(read, None, config.accept).items():
        notes.append(f"recording {name} is used although flawed: {'; '.join(map(str, flaws))}")
    return Gathered(replace(config, split=split, labels=config.labels_kind), recordings, labels, notes)


def check_windows(config: DataConfig, recordings: list[Recording]) -> None:
    """Refuse settings that would make more images, or longer windows, than memory holds.

    Raises:
        DataError: With an estimate of what they would need.
    """
    read = [r for r in recordings if not isinstance(r.channels, Generated)]
    windows = sum(max(0.0, r.duration_s - config.window_s) / config.hop_s + 1 for r in read)
    assert config.rate_hz is not None
    samples = config.window_s * config.rate_hz
    needed = windows * COPIES * 4 * config.size**2 + AT_ONCE * COPIES * 8 * samples
    problem = too_much("JOPA_MEMORY_MB", f"{windows:,.0f} windows of {samples:,.0f} samples", needed)
    if problem is not None:
        raise DataError(f"{problem}.", "Give a larger --hop-s or a smaller --rate-hz, or raise that limit.")


def default_split(recordings: list[Recording]) -> Literal["load", "blocked"]:
    """The split that is used where the user names none: by loads if the recordings say several."""
    return "load" if len({r.load for r in recordings if r.load is not None}) > 1 else "blocked"


def check_classes(labels: list[str]) -> None:
    """Refuse recordings of a single class.

    Raises:
        DataError: There is only one.
    """
    if len(set(labels)) < 2:
        raise DataError(
            f"one class only ({labels[0]}) in {len(labels)} recordings.", "Expected recordings of at least two classes."
        )


def band_notes(config: DataConfig, recordings: list[Recording]) -> list[str]:
    """What to note about recorded vibration that lies above the band that the data set gives to windows."""
    source, lowest = DATASETS[config.data], min(r.sampling_rate_hz for r in recordings)
    if source.rate_hz is None or config.rate_hz != source.rate_hz or not source.needs_root:
        return []
    return [
        f"windows are resampled to {source.rate_hz:g} Hz, the rate of the paper's sensors: what was recorded above "
        f"{source.rate_hz / 2:g} Hz is left out (--rate-hz {MIXED_RATE * lowest:g} keeps it)"
    ]


def rate_notes(config: DataConfig, recordings: list[Recording], labels: list[str]) -> list[str]:
    """What to note about differing sampling rates.

    Raises:
        DataError: The rates differ, the data set does not vouch for them, and the user has not agreed to resample.
    """
    rates = sorted({r.sampling_rate_hz for r in recordings})
    if len(rates) == 1:
        return []
    tells, blind = sampling_rate_tells(recordings, labels)
    said = (
        f"recordings are sampled at {', '.join(f'{r:g}' for r in rates)} Hz; the sampling rate alone names the "
        f"class of {tells:.0%} of the recordings (knowing nothing: {blind:.0%})"
    )
    if not (DATASETS[config.data].trusted_rates or config.resample):
        raise DataError(said + ".", f"If the rates are right, go on with --resample (all to {config.rate_hz:g} Hz).")
    return [f"{said}; all are resampled to {config.rate_hz:g} Hz"]
