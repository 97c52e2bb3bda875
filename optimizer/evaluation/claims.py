"""The claims of section V of the paper, one object each, judged by an experiment's results.

To add a claim: write its judge (results -> Judgement) and name it in CLAIMS. Two numbers that differ by less than their
95 % interval are equal within it: no claim holds by such a difference, and none fails by it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from math import hypot, isnan
from typing import Literal

import numpy as np

from data.common.stats import half_interval, wilson
from optimizer.evaluation.fields import Curve
from optimizer.evaluation.results import ClaimResult, LevelResult, Mean, Results, SizeResult, Verdict

Relation = Literal["above", "below", "equal", "equal within the interval", "unknown"]
RIVALS = ("jopav1", "agdm")
NAMES = {"jopa": "JOPA", "optimum": "optimum", "jopav1": "JOPAV1", "agdm": "AGDM"}
EXACT = 1e-9  # relative difference below which two numbers are the same
NEAR = Mean(mean=0.05, interval=0)  # picked by hand: a policy is "near" the optimum up to this gap
DROPPED = Mean(mean=0.01, interval=0)  # the paper's 1 %
LOADED = 150  # sensors beyond which the paper's JOPAV1 exceeds 1 %
ACCURACY, DELAY, DROPS = "accuracy", "delay_s", "drop_ratio"


@dataclass(frozen=True)
class Judgement:
    """Whether a claim holds, and the numbers behind it."""

    verdict: Verdict
    evidence: str


@dataclass(frozen=True)
class Claim:
    """A claim of the paper.

    Attributes:
        name: Short name.
        figure: Figure of the paper.
        text: What the paper says.
        judge: Judges it by results.
    """

    name: str
    figure: str
    text: str
    judge: Callable[[Results], Judgement]

    def check(self, results: Results) -> ClaimResult:
        """The claim with its verdict."""
        found = self.judge(results)
        return ClaimResult(
            name=self.name, figure=self.figure, text=self.text, verdict=found.verdict, evidence=found.evidence
        )


def check_claims(results: Results) -> list[ClaimResult]:
    """Every claim of section V with its verdict."""
    return [claim.check(results) for claim in CLAIMS]


# How numbers are compared


def relate(a: Mean, b: Mean) -> Relation:
    """How a number stands to another; the interval of a difference is taken as that of independent numbers."""
    if a.mean is None or b.mean is None or isnan(a.mean) or isnan(b.mean):
        return "unknown"
    apart = a.mean - b.mean
    if abs(apart) <= EXACT * max(abs(a.mean), abs(b.mean), 1e-3):
        return "equal"
    if abs(apart) <= hypot(a.interval, b.interval):
        return "equal within the interval"
    return "above" if apart > 0 else "below"


def verdict_of(relations: Sequence[Relation], wanted: Relation) -> Verdict:
    """One verdict on several comparisons that must all come out as `wanted` ("above" or "below")."""
    opposite = {"above": "below", "below": "above"}[wanted]
    if "unknown" in relations or not relations:
        return "cannot be said"
    if opposite in relations:
        return "does not hold"
    if "equal" in relations:
        return "equal"
    return "equal within the interval" if "equal within the interval" in relations else "holds"


def everywhere(verdicts: dict[str, Verdict], evidence: str) -> Judgement:
    """One judgement on a claim that is judged at several places (numbers of sensors, policies)."""
    kinds = set(verdicts.values())
    if not kinds:
        return Judgement("cannot be said", evidence)
    if len(kinds) == 1:
        return Judgement(kinds.pop(), evidence)
    listed = "; ".join(
        f"{kind} at {', '.join(place for place, v in verdicts.items() if v == kind)}"
        for kind in dict.fromkeys(verdicts.values())
    )
    overall: Verdict = "does not hold"
    if "holds" in kinds:
        overall = "holds in part"
    elif kinds == {"equal", "equal within the interval"}:
        overall = "equal within the interval"
    elif "does not hold" not in kinds:
        overall = "cannot be said"
    return Judgement(overall, f"{listed}. {evidence}")


def _place(size: SizeResult) -> str:
    return f"N = {size.sensors}"


def _series(results: Results, metric: str, schemes: Sequence[str], scale: float, digits: int, unit: str = "") -> str:
    """A metric of some schemes at every size, in words."""
    parts = []
    for scheme in schemes:
        numbers = ", ".join(f"{scale * size.schemes[scheme].mean(metric):.{digits}f}" for size in results.sizes)
        parts.append(f"{NAMES[scheme]} {numbers}")
    return "; ".join(parts) + unit


# The judges


def beats_all(results: Results, metric: str, wanted: Relation, scale: float, digits: int, unit: str = "") -> Judgement:
    """JOPA is above (or below) every rival at every size."""
    us = results.ours
    verdicts = {
        _place(size): verdict_of(
            [relate(size.schemes[us].means[metric], size.schemes[rival].means[metric]) for rival in RIVALS], wanted
        )
        for size in results.sizes
    }
    return everywhere(verdicts, _series(results, metric, (us, *RIVALS), scale, digits, unit))


def with_load(results: Results, metric: str, wanted: Relation, scale: float, digits: int, unit: str = "") -> Judgement:
    """JOPA's metric rises ("above") or falls ("below") from the least load to the greatest, and never turns."""
    us = results.ours
    means = [size.schemes[us].means[metric] for size in results.sizes]
    ends = relate(means[-1], means[0]) if len(means) > 1 else "unknown"
    turns = any(verdict_of([relate(b, a)], wanted) == "does not hold" for a, b in pairwise(means))
    verdict = "does not hold" if turns and ends == wanted else verdict_of([ends], wanted)
    return Judgement(verdict, _series(results, metric, (us, *RIVALS), scale, digits, unit))


def few_dropped(results: Results) -> Judgement:
    """JOPA drops less than 1 % at every size."""
    us = results.ours
    verdicts = {_place(s): verdict_of([relate(s.schemes[us].means[DROPS], DROPPED)], "below") for s in results.sizes}
    return everywhere(verdicts, _series(results, DROPS, (us,), 100, 3, " %"))


def jopav1_drops(results: Results) -> Judgement:
    """JOPAV1 drops more than 1 % beyond 150 sensors."""
    loaded = {
        _place(s): verdict_of([relate(s.schemes["jopav1"].means[DROPS], DROPPED)], "above")
        for s in results.sizes
        if s.sensors > LOADED
    }
    evidence = _series(results, DROPS, ("jopav1",), 100, 3, " % (solved exactly: the paper's drops are its learner's)")
    return everywhere(loaded, evidence)


def least_delay(results: Results) -> Judgement:
    """AGDM has a lower delay than JOPA and JOPAV1 at every size."""
    us = results.ours
    verdicts = {
        _place(size): verdict_of(
            [relate(size.schemes["agdm"].means[DELAY], size.schemes[s].means[DELAY]) for s in (us, "jopav1")], "below"
        )
        for size in results.sizes
    }
    return everywhere(verdicts, _series(results, DELAY, (us, *RIVALS), 1e3, 0, " ms"))


def training_ends_higher(results: Results) -> Judgement:
    """Policies with all models end their training with a higher reward than those with one."""
    several, single = results.training.all, results.training.single
    both = sorted(set(several) & set(single), key=int)
    if not both:
        return Judgement("cannot be said", "no policies of both kinds were given")
    ends = {n: (_last(several[n]), _last(single[n])) for n in both}
    verdicts = {f"N = {n}": verdict_of([relate(*ends[n])], "above") for n in both}
    numbers = "; ".join(f"N = {n}: {a.mean:.2f} and {b.mean:.2f}" for n, (a, b) in ends.items())
    return everywhere(verdicts, f"{numbers} at the end of training, with what exploration is left")


def _last(curves: Sequence[Curve]) -> Mean:
    """Mean reward at the end of training, with its interval over seeds."""
    rewards = np.array([curve[-1][1] for curve in curves])
    return Mean(mean=float(rewards.mean()), interval=half_interval(rewards))


def near_optimum(results: Results) -> Judgement:
    """Each policy for 3 gateways and 6 sensors is less than 5 % below the optimum on 20 shares."""
    small = results.small
    grid, continuous = np.array(small.grid), np.array(small.continuous)
    if not small.policies:
        return Judgement("cannot be said", "no policy for 3 gateways and 6 sensors was given")
    verdicts, numbers = {}, []
    for name, rewards in small.policies.items():
        apart = (grid - np.array(rewards)) / abs(grid.mean())
        gap = Mean(mean=float(apart.mean()), interval=half_interval(apart))
        verdicts[name] = verdict_of([relate(gap, NEAR)], "below")
        numbers.append(f"{name}: {np.mean(rewards):.4f}, {100 * apart.mean():.1f} % below")
    shares = f"optimum {grid.mean():.4f} on 20 shares and {continuous.mean():.4f} over continuous ones"
    return everywhere(verdicts, f"{'; '.join(numbers)}; {shares}")


def adapts_to_levels(results: Results) -> Judgement:
    """At the greatest load JOPA meets every level's requirements, and its worst level loses less than AGDM's."""
    size, us = results.sizes[-1], results.ours
    ours, theirs = (_worst(size.schemes[s].levels) for s in (us, "agdm"))
    meets = all(
        (x.delay_s or 0) <= x.max_delay_s and (x.accuracy is None or x.accuracy >= x.min_accuracy)
        for x in size.schemes[us].levels
    )
    verdict = verdict_of([relate(ours, theirs)], "below") if meets else "does not hold"
    failed = "" if meets else "; JOPA misses a level's requirement on average"
    return Judgement(
        verdict,
        f"{_place(size)}: the worst level loses {100 * (ours.mean or 0):.2f} % of its tasks, AGDM's "
        f"{100 * (theirs.mean or 0):.1f} %{failed}",
    )


def _worst(levels: Sequence[LevelResult]) -> Mean:
    """Largest share lost of any level, with its interval."""
    worst = max(levels, key=lambda x: x.drop_ratio or 0)
    share = worst.drop_ratio or 0.0
    low, high = wilson(share, worst.tasks) if worst.tasks else (share, share)
    return Mean(mean=share, interval=(high - low) / 2)


def one_model(
    results: Results, metric: str, chosen: Literal["least", "middle"], wanted: Relation, scale: float, unit: str
) -> Judgement:
    """Solved with one model alone at the greatest load, the least pruned (or a middle) one stands out."""
    size = results.sizes[-1]
    rates = sorted(size.rates, key=float)
    own = rates[0] if chosen == "least" else rates[len(rates) // 2]
    others = [r for r in rates if r != own]
    relations = [relate(size.rates[own].means[metric], size.rates[r].means[metric]) for r in others]
    numbers = ", ".join(f"p = {r}: {scale * size.rates[r].mean(metric):.4g}" for r in rates)
    return Judgement(verdict_of(relations, wanted), f"{_place(size)}: {numbers}{unit}")


def _beats(
    metric: str, wanted: Relation = "above", scale: float = 1, digits: int = 3, unit: str = ""
) -> Callable[[Results], Judgement]:
    return partial(beats_all, metric=metric, wanted=wanted, scale=scale, digits=digits, unit=unit)


CLAIMS = (
    Claim("training", "7", "Training converges, and V = 6 ends above V = 1", training_ends_higher),
    Claim("near-optimum", "8", "At 3 gateways and 6 sensors JOPA is near the optimum on 20 shares", near_optimum),
    Claim("bandwidth", "9(a)", "JOPA has the highest bandwidth utilization", _beats("bandwidth_utilization")),
    Claim("edge", "9(b)", "JOPA has the highest edge utilization", _beats("edge_utilization")),
    Claim(
        "local", "9(c)", "JOPA's local utilization falls as the load grows",
        partial(with_load, metric="local_utilization", wanted="below", scale=1, digits=3),
    ),
    Claim("utilization", "9(d)", "JOPA has the highest overall utilization", _beats("utilization")),
    Claim(
        "offloading-rises", "9(e)", "The share offloaded rises with the load",
        partial(with_load, metric="offloading_ratio", wanted="above", scale=100, digits=1, unit=" %"),
    ),
    Claim(
        "offloads-more", "9(e)", "JOPA offloads more than JOPAV1 and AGDM",
        _beats("offloading_ratio", scale=100, digits=1, unit=" %"),
    ),
    Claim(
        "drops-least", "9(f)", "JOPA drops less than JOPAV1 and AGDM", _beats(DROPS, "below", 100, 3, " %"),
    ),
    Claim("few-dropped", "9(f)", "JOPA stays below 1 % dropped", few_dropped),
    Claim("jopav1-drops", "9(f)", "JOPAV1 exceeds 1 % dropped beyond N = 150", jopav1_drops),
    Claim(
        "levels", "10", "JOPA adapts to each criticality level's delay and accuracy; AGDM does not", adapts_to_levels
    ),
    Claim("most-accurate", "11(a)", "JOPA is the most accurate", _beats(ACCURACY, digits=4)),
    Claim("least-delay", "11(b)", "AGDM has the least delay, JOPA pays some", least_delay),
    Claim(
        "one-model-accuracy", "12(a)", "The least pruned model alone is the most accurate",
        partial(one_model, metric=ACCURACY, chosen="least", wanted="above", scale=1, unit=""),
    ),
    Claim(
        "one-model-delay", "12(b)", "The least pruned model alone has the longest delay",
        partial(one_model, metric=DELAY, chosen="least", wanted="above", scale=1e3, unit=" ms"),
    ),
    Claim(
        "one-model-drops", "12(c)", "A middle rate drops the least",
        partial(one_model, metric=DROPS, chosen="middle", wanted="below", scale=100, unit=" %"),
    ),
)  # fmt: skip
