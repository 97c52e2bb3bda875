"""The fields of a profile that say which test windows each model classifies correctly."""

from typing import Any

import numpy as np
from jaxtyping import Bool, Int64

from profiling.profile.entries import Interval
from profiling.profile.outcomes import by_recording, drawn_ratios, pack_right, pack_runs


def _by_recording(recordings: Int64[np.ndarray, " n"]) -> Int64[np.ndarray, " n"]:
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
    order = _by_recording(recordings)
    counts = np.unique(recordings, return_counts=True)[1].tolist()
    own, reference = by_recording(np.stack([right[order], whole[order]]), counts)
    ratio = float(right.mean() / whole.mean())
    low, high = np.quantile(drawn_ratios(own[None], reference)[:, 0], (0.025, 0.975))
    interval = Interval(low=min(ratio, float(low)), high=max(ratio, float(high)))
    return {"right": pack_right(right[order]), "relative_accuracy_interval": interval}
