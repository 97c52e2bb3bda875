"""The recordings that a configuration names, with their classes, after the checks that need all of them."""

from dataclasses import dataclass, field, replace

from data.checks import check, sampling_rate_tells
from data.config import DataConfig
from data.errors import DataError
from data.lock import verify
from data.readers import cwru, folder, mfpt, simulated
from data.recording import Recording, class_name


@dataclass(frozen=True, eq=False)
class Sources:
    """Recordings with their classes, the settings with every default resolved, and notes for whoever reads results."""

    config: DataConfig
    recordings: list[Recording]
    labels: list[str]
    notes: list[str] = field(default_factory=list)


def read_recordings(config: DataConfig) -> list[Recording]:
    """The recordings that a configuration names, each with the one channel that is used.

    Raises:
        DataError: See the readers; also a file that differs from the lock file `data.fetch` wrote.
    """
    labels = config.labels or ("location" if config.split == "severity" else "fault")
    if config.data == "simulated":
        return simulated.read(simulated.SimulationConfig(snr_db=config.simulated_snr_db, seed=config.data_seed))
    assert config.root is not None
    if config.data == "folder":
        recordings = folder.read(config.root, config.sampling_rate, config.channel)
    elif config.data == "mfpt":
        recordings = mfpt.read(config.root)
    else:
        end, rate = config.cwru_set.split("-")
        recordings = cwru.read(config.root, cwru.chosen(labels, end, 1000 * float(rate.removesuffix("k"))))
    verify(config.root, [r.path for r in recordings if r.path])
    channel = config.channel
    if config.data == "cwru" and channel is None:
        channel = "FE" if config.cwru_set.startswith("fan") else "DE"
    return [r.only(channel or _only_channel(r)) for r in recordings]


def _only_channel(recording: Recording) -> str:
    recording.signal()  # refuses several
    return next(iter(recording.channels))


def gather(config: DataConfig) -> Sources:
    """Read, label and check all recordings of a configuration.

    Raises:
        DataError: One class only, flawed signals, differing sampling rates of unknown origin, and what readers raise.
    """
    recordings = read_recordings(config)
    split = config.split
    if split is None:
        split = "load" if len({r.load for r in recordings if r.load is not None}) > 1 else "blocked"
    labels_kind = config.labels or ("location" if split == "severity" else "fault")
    labels = [class_name(r, labels_kind) for r in recordings]
    if len(set(labels)) < 2:
        raise DataError(
            f"one class only ({labels[0]}) in {len(labels)} recordings.", "Expected recordings of at least two classes."
        )
    notes: list[str] = []
    rates = sorted({r.sampling_rate_hz for r in recordings})
    if len(rates) > 1:
        tells, blind = sampling_rate_tells(recordings, labels)
        said = (
            f"recordings are sampled at {', '.join(f'{r:g}' for r in rates)} Hz; the sampling rate alone names the "
            f"class of {tells:.0%} of the recordings (knowing nothing: {blind:.0%})"
        )
        if config.data == "folder" and not config.resample:
            raise DataError(
                said + ".", f"If the rates are right, go on with --resample (all to {config.rate_hz:g} Hz)."
            )
        notes.append(f"{said}; all are resampled to {config.rate_hz:g} Hz")
    for name, flaws in check(recordings, None, config.accept).items():
        notes.append(f"recording {name} is used although flawed: {'; '.join(map(str, flaws))}")
    return Sources(replace(config, split=split, labels=labels_kind), recordings, labels, notes)
