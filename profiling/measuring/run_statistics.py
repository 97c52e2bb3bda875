"""Percentiles, intervals and warnings from the runs of one cell; no run is dropped."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float64
from scipy.stats import binom

from profiling.profile.entries import Interval, Latency, Percentile

PERCENTILES: dict[Percentile, float] = {"p50": 0.5, "p90": 0.9, "p99": 0.99}
OUTLIER_MAD = 5.0
DRIFT = 0.05  # change of speed between rounds, over all cells, above which the run is noisy
WIDE = 0.05  # a median whose 95 % interval is wider than this, relative to it, makes a cell noisy
DISTURBED = 1 / 3  # share of visits with a disturbance from which a cell is noisy
RESAMPLES = 500
THINNED = 200  # most runs per round that take part in the bootstrap, evenly spaced
Samples = Float64[np.ndarray, "_"]


@dataclass
class Visits:
    """All visits to one cell, with one list entry per visit."""

    samples: list[Samples] = field(default_factory=list)
    host: list[Samples] = field(default_factory=list)
    disturbed: list[list[str]] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)
    steady: list[bool] = field(default_factory=list)

    def add(self, event: dict[str, Any]) -> None:
        """Add one visit, as the worker reports it."""
        self.samples.append(np.asarray(event["samples"], float))
        self.host.append(np.asarray(event["host"], float))
        self.disturbed.append(list(event["disturbed"]))
        self.memory.append(int(event["memory"]))
        self.steady.append(bool(event["steady"]))

    @property
    def medians(self) -> list[float]:
        """Median seconds of each visit."""
        return [float(np.median(s)) for s in self.samples]

    @property
    def median(self) -> float:
        """Median seconds of all runs."""
        return float(np.median(np.concatenate(self.samples)))


def order_interval(ordered: Samples, share: float) -> Interval | None:
    """Distribution-free 95 % interval of a percentile: two of the sorted runs, by the binomial distribution.

    None where there are too few runs for it to exist (for the 99th percentile under 368).
    """
    n = len(ordered)
    low = int(binom.ppf(0.025, n, share))
    high = int(binom.ppf(0.975, n, share))
    while high < n and binom.cdf(high, n, share) < 0.975:
        high += 1
    if low < 1 or high >= n:
        return None
    return Interval(low=float(ordered[low - 1]), high=float(ordered[high]))


def bootstrap_median(rounds: Sequence[Samples], seed: int) -> tuple[float, float]:
    """95 % bootstrap interval of the median: rounds are drawn first, then runs within them.

    Runs of one visit resemble each other, so drawing single runs would give too narrow an interval.
    """
    rng = np.random.default_rng(seed)
    thinned = [r[np.linspace(0, len(r) - 1, min(len(r), THINNED)).astype(int)] for r in rounds]
    medians = np.empty(RESAMPLES)
    for i in range(RESAMPLES):
        drawn = [thinned[k] for k in rng.integers(len(thinned), size=len(thinned))]
        medians[i] = np.median(np.concatenate([r[rng.integers(len(r), size=len(r))] for r in drawn]))
    low, high = np.quantile(medians, [0.025, 0.975])
    return float(low), float(high)


def drift(cells: Sequence[Visits], rounds: int) -> float:
    """By how much the whole device changed speed during a run: slowest over fastest round, minus 1.

    A round's slowness is the geometric mean, over cells, of its median relative to the cell's. Single cells may be
    steady within themselves while a host slows all of them down together; this figure shows it.
    """
    whole = [v.medians[:rounds] for v in cells if len(v.samples) >= rounds]
    if not whole or rounds < 2:
        return 0.0
    logs = np.log(np.asarray(whole))
    slowness = (logs - np.median(logs, axis=1, keepdims=True)).mean(axis=0)
    return float(np.exp(slowness.max() - slowness.min()) - 1)


def _disturbances(visits: Visits) -> list[str]:
    hit = [reasons for reasons in visits.disturbed if reasons]
    if not hit:
        return []
    return [f"{len(hit)} of {len(visits.disturbed)} visits disturbed, e.g. {'; '.join(hit[0])}"]


def is_noisy(visits: Visits, seed: int = 0) -> bool:
    """Whether the median's interval is wider than 5 %, or more than a third of the visits were disturbed."""
    low, high = bootstrap_median(visits.samples, seed)
    hit = sum(bool(r) for r in visits.disturbed)
    return high - low > WIDE * visits.median or hit > DISTURBED * len(visits.disturbed)


def summarise(visits: Visits, batch: int, threads: int, seed: int = 0) -> Latency:
    """Summarise all runs of a cell as an entry of the profile.

    Args:
        visits: At least one visit, with at least one run each.
        batch: Number of inputs in each run.
        threads: Number of CPU threads.
        seed: Random seed of the bootstrap.
    """
    runs = np.concatenate(visits.samples)
    ordered = np.sort(runs)
    middle = float(np.median(runs))
    deviation = float(np.median(np.abs(runs - middle)))
    outliers = int((runs > middle + OUTLIER_MAD * deviation).sum())
    low, high = bootstrap_median(visits.samples, seed)
    intervals = {name: i for name, share in PERCENTILES.items() if (i := order_interval(ordered, share))}
    notes = _disturbances(visits)
    if high - low > WIDE * middle:
        medians = visits.medians
        apart = (max(medians) - min(medians)) / middle
        notes.append(f"the median is known within {(high - low) / middle:.0%} only; rounds are up to {apart:.0%} apart")
    if not all(visits.steady):
        notes.append("never became steady while warming up")
    if "p99" not in intervals:
        notes.append(f"low n: {len(runs)} runs give p99 no interval")
    p50, p90, p99 = (float(np.quantile(runs, share)) for share in PERCENTILES.values())
    host = np.concatenate(visits.host)
    return Latency(
        batch=batch,
        threads=threads,
        p50_s=p50,
        p90_s=p90,
        p99_s=p99,
        mean_s=float(runs.mean()),
        p50_low_s=min(low, p50),
        p50_high_s=max(high, p50),
        intervals=intervals,
        count=len(runs),
        outliers=outliers,
        round_p50_s=visits.medians,
        host_p50_s=float(np.median(host)) if len(host) else None,
        memory_bytes=max(visits.memory) or None,
        noisy=is_noisy(visits, seed),
        notes=notes,
    )
