"""Which test windows each model classifies correctly, in a few hundred characters, and what follows from it.

All models are tested on the same windows, so accuracies are compared in pairs: windows that are hard for every model
cancel out. Whole recordings are drawn again, because windows of one recording are not independent.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64, Int64

from profiling.profile.entries import Interval

RESAMPLES = 4000  # enough for a confidence of 0.999: four draws lie below
SEED = 0
MOST, MOST_RECORDINGS = 10_000_000, 100_000  # test windows and recordings; a file that says more is damaged
CHUNK, CELLS = 200, 2_000_000  # draws at a time, and draws times recordings, to keep memory small


def pack_right(right: Bool[np.ndarray, " n"]) -> str:
    """Whether each window is right, as hexadecimal digits: the first window is the highest bit of the first digit."""
    return np.packbits(right).tobytes().hex()


def unpack_right(text: str, count: int) -> Bool[np.ndarray, " n"]:
    """What `pack_right` packed. Raises ValueError for another number of windows."""
    packed = np.frombuffer(bytes.fromhex(text), np.uint8)
    if len(packed) != -(-count // 8):
        raise ValueError(f"expected {count} windows; got {len(text)} digits")
    return np.unpackbits(packed, count=count).astype(bool)


def pack_runs(counts: Sequence[int]) -> str:
    """Numbers, with repetitions as factors: 5 5 5 1 1 becomes "3*5 2*1"."""
    found: list[list[int]] = []
    for count in counts:
        if found and found[-1][1] == count:
            found[-1][0] += 1
        else:
            found.append([1, count])
    return " ".join(f"{times}*{count}" for times, count in found)


def unpack_runs(text: str) -> list[int]:
    """What `pack_runs` packed. Raises ValueError for anything else."""
    pairs = [part.split("*") for part in text.split()]
    if any(len(pair) != 2 for pair in pairs):
        raise ValueError("expected e.g. '30*5 1850*1': recordings times windows")
    runs = [(int(times), int(count)) for times, count in pairs]
    if any(times < 1 or count < 1 for times, count in runs) or sum(times * count for times, count in runs) > MOST:
        raise ValueError(f"a recording has at least one window, and all together have at most {MOST:,}")
    if sum(times for times, _ in runs) > MOST_RECORDINGS:
        raise ValueError(f"there are at most {MOST_RECORDINGS:,} recordings")
    return [count for times, count in runs for _ in range(times)]


def by_recording(right: Bool[np.ndarray, "models n"], windows: Sequence[int]) -> Int64[np.ndarray, "models recordings"]:
    """Number of right windows of each recording; `windows` is how many each has, in order."""
    starts = np.concatenate([[0], np.cumsum(windows)[:-1]]).astype(np.int64)
    return np.add.reduceat(right.astype(np.int64), starts, axis=1)


def drawn_ratios(
    right: Int64[np.ndarray, "models recordings"], whole: Int64[np.ndarray, " recordings"]
) -> Float64[np.ndarray, "draws models"]:
    """Accuracy of each model over the complete model's, on recordings that are drawn again.

    Args:
        right: Number of right windows of each model and recording.
        whole: The same of the complete model.
    """
    rng = np.random.default_rng(SEED)
    count = len(whole)
    table = np.concatenate([right, whole[None]]).T.astype(np.float64)
    found = np.empty((RESAMPLES, len(right)))
    chunk = max(1, min(CHUNK, CELLS // count))
    for start in range(0, RESAMPLES, chunk):
        size = min(chunk, RESAMPLES - start)
        picked = rng.integers(0, count, (size, count))
        picked += count * np.arange(size)[:, None]
        times = np.bincount(picked.ravel(), minlength=size * count).reshape(size, count)
        sums = times.astype(np.float64) @ table
        found[start : start + size] = sums[:, :-1] / np.maximum(sums[:, -1:], 1.0)
    return found


def unseen(confidence: float, recordings: int) -> float:
    """Upper bound of the share of recordings on which two models differ, if none of those tested shows a difference.

    The rule of three at any confidence: a share of 1 - (1 - confidence)^(1/n) would have shown itself in one of n.
    """
    return float(1 - (1 - confidence) ** (1 / recordings))


def in_order(recordings: Int64[np.ndarray, " n"]) -> Int64[np.ndarray, " n"]:
    """An order of the windows in which those of one recording follow one another."""
    return np.argsort(recordings, kind="stable")


def packed_recordings(recordings: Int64[np.ndarray, " n"]) -> str:
    """Number of test windows of each recording, packed."""
    return pack_runs(np.unique(recordings, return_counts=True)[1].tolist())


def outcome_fields(
    right: Bool[np.ndarray, " n"] | None, whole: Bool[np.ndarray, " n"] | None, recordings: Int64[np.ndarray, " n"]
) -> dict[str, Any]:
    """`right` and `relative_accuracy_interval` of a model.

    Args:
        right: Which windows it classifies correctly; None if that is not known.
        whole: The same of the complete model.
        recordings: Recording of each window.
    """
    if right is None or whole is None or not whole.any():
        return {}
    order = in_order(recordings)
    counts = np.unique(recordings, return_counts=True)[1].tolist()
    own, reference = by_recording(np.stack([right[order], whole[order]]), counts)
    ratio = float(right.mean() / whole.mean())
    low, high = np.quantile(drawn_ratios(own[None], reference)[:, 0], (0.025, 0.975))
    interval = Interval(low=min(ratio, float(low)), high=max(ratio, float(high)))
    return {"right": pack_right(right[order]), "relative_accuracy_interval": interval}
