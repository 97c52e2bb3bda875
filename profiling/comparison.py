"""Two profiles cell by cell: how much slower or faster one is than the other, and whether the difference is real."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log, sqrt
from typing import Literal

from scipy.stats import norm

from data.common.stats import Z95
from profiling.errors import ProfilingError
from profiling.profile.entries import Latency, Precision
from profiling.profile.profile import Profile

SMALLEST = 0.05  # ratios nearer to 1 do not count as a difference: fresh runs of one bundle differ by as much
Verdict = Literal["slower", "faster", "same", "unclear"]


@dataclass(frozen=True)
class Ratio:
    """One cell of two profiles: B's median over A's.

    Attributes:
        rate: Pruning rate.
        precision: Precision of both models.
        batch: Batch size of both cells.
        threads: CPU threads of A.
        a_s: Median seconds of A.
        b_s: Median seconds of B.
        ratio: b_s / a_s.
        low: Lower end of the ratio's 95 % interval, simultaneous for all cells of the table (Bonferroni).
        high: Upper end.
        verdict: "slower" or "faster": the interval excludes 1 and the ratio differs from 1 by more than 5 %; "same":
            the whole interval lies within 5 % of 1; otherwise "unclear".
    """

    rate: float
    precision: Precision
    batch: int
    threads: int
    a_s: float
    b_s: float
    ratio: float
    low: float
    high: float
    verdict: Verdict


def _log_error(cell: Latency) -> float:
    """Standard error of the logarithm of a median, from its bootstrap interval."""
    return max(log(cell.p50_high_s / cell.p50_low_s) / (2 * Z95), 1e-4)


def ratio_of(rate: float, precision: Precision, a: Latency, b: Latency, cells: int) -> Ratio:
    """Compare one cell; `cells` is the number of cells whose intervals hold simultaneously."""
    value = log(b.p50_s / a.p50_s)
    half = float(norm.ppf(1 - 0.025 / max(1, cells))) * sqrt(_log_error(a) ** 2 + _log_error(b) ** 2)
    low, high = exp(value - half), exp(value + half)
    verdict: Verdict = "unclear"
    if low > 1 and exp(value) > 1 + SMALLEST:
        verdict = "slower"
    elif high < 1 and exp(value) < 1 / (1 + SMALLEST):
        verdict = "faster"
    elif low > 1 / (1 + SMALLEST) and high < 1 + SMALLEST:
        verdict = "same"
    return Ratio(rate, precision, a.batch, a.threads, a.p50_s, b.p50_s, exp(value), low, high, verdict)


def compare_profiles(a: Profile, b: Profile, allow: Sequence[str] = ()) -> list[Ratio]:
    """Compare all cells that two profiles share, matched by rate, precision, batch size and position of their threads.

    Args:
        a: Reference profile.
        b: Profile that is compared with the reference.
        allow: "bundle" to compare profiles of different bundles (other weights, other structures).

    Raises:
        ProfilingError: The profiles are of different bundles, one is a datasheet's, or they share no cell.
    """
    for profile in (a, b):
        if profile.measurement is None:
            raise ProfilingError(f"{profile.name}: a datasheet's figures were not measured.", "Compare measured ones.")
    if a.bundle != b.bundle and "bundle" not in allow:
        raise ProfilingError(
            "the profiles are of different bundles: "
            + " and ".join(f"{x.data} {x.size} px, SHA-256 {x.sha256[:12]}..." for p in (a, b) if (x := p.bundle)),
            "Profile the same bundle on both, or add --allow bundle to compare them all the same.",
        )
    assert a.measurement is not None
    assert b.measurement is not None
    pairs: list[tuple[float, Precision, Latency, Latency]] = []
    partner = dict(zip(a.measurement.threads, b.measurement.threads, strict=False))
    for one in a.models:
        for other in b.models:
            if (one.rate, one.precision) != (other.rate, other.precision):
                continue
            cells = {(x.batch, x.threads): x for x in other.latency}
            pairs += [
                (one.rate, one.precision, x, cells[x.batch, partner[x.threads]])
                for x in one.latency
                if x.threads in partner and (x.batch, partner[x.threads]) in cells
            ]
    if not pairs:
        raise ProfilingError("the profiles share no rate, precision and batch size.", "Profile with equal options.")
    return [ratio_of(rate, precision, x, y, len(pairs)) for rate, precision, x, y in pairs]


def differences(a: Profile, b: Profile) -> list[str]:
    """Other differences between two measured profiles, one line each: device, runtime, threads, versions."""
    found = []
    one, two = a.measurement, b.measurement
    if a.environment and b.environment:
        pairs = {
            "processor": (a.environment.processor.name, b.environment.processor.name),
            "accelerator": (a.environment.accelerator, b.environment.accelerator),
            **{n: (v, b.environment.libraries.get(n)) for n, v in a.environment.libraries.items()},
        }
        found += [f"{name}: {x} and {y}" for name, (x, y) in pairs.items() if x != y]
    if one and two:
        for name in ("runtime", "device", "threads"):
            x, y = getattr(one, name), getattr(two, name)
            if x != y:
                found.append(f"{name}: {x} and {y}")
        noisy = [p.name for p, m in ((a, one), (b, two)) if m.grade == "noisy"]
        if noisy:
            found.append(f"noisy run: {', '.join(noisy)}")
    return found


def verdict_line(ratios: Sequence[Ratio]) -> str:
    """The whole comparison in one sentence."""
    counts = {v: sum(r.verdict == v for r in ratios) for v in ("faster", "same", "slower", "unclear")}
    typical = exp(sum(log(r.ratio) for r in ratios) / len(ratios))
    near = sum(abs(r.ratio - 1) <= SMALLEST for r in ratios) / len(ratios)
    words = ", ".join(f"{n} {v}" for v, n in counts.items() if n)
    return (
        f"B takes {typical:.3f} times A's time (geometric mean of {len(ratios)} cells): {words}; "
        f"{near:.0%} of the medians agree within 5 %."
    )
