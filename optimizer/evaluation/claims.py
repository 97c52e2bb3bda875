"""The claims of section V of the paper, each checked against results of `experiments.evaluation`."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

Verdict = Literal["holds", "holds in part", "does not hold", "not tried"]
Sizes = list[dict[str, Any]]


@dataclass(frozen=True)
class Claim:
    """A claim, whether it holds here, and the numbers.

    Attributes:
        figure: Of the paper.
        text: What it says.
        verdict: Whether it holds.
        evidence: In numbers.
    """

    figure: str
    text: str
    verdict: Verdict
    evidence: str


def ours(row: dict[str, Any]) -> str:
    """The scheme that stands for JOPA: the learned policy where there is one, else the optimum."""
    return "jopa" if "jopa" in row["schemes"] else "optimum"


def value(row: dict[str, Any], scheme: str, metric: str) -> float:
    """A scheme's mean; NaN where nothing was served."""
    mean = row["schemes"][scheme][metric]["mean"]
    return float("nan") if mean is None else float(mean)


def _everywhere(sizes: Sizes, holds: Callable[[dict[str, Any]], bool], evidence: str) -> tuple[Verdict, str]:
    good = [row["sensors"] for row in sizes if holds(row)]
    if len(good) == len(sizes):
        return "holds", evidence
    listed = ", ".join(map(str, good))
    return ("holds in part", f"at N = {listed}; {evidence}") if good else ("does not hold", evidence)


def _series(sizes: Sizes, metric: str, scale: float, digits: int, *schemes: str) -> str:
    parts = []
    for scheme in schemes:
        name = {"jopa": "JOPA", "optimum": "optimum", "jopav1": "JOPAV1", "agdm": "AGDM"}[scheme]
        numbers = ", ".join(f"{scale * value(row, scheme, metric):.{digits}f}" for row in sizes)
        parts.append(f"{name} {numbers}")
    return "; ".join(parts)


def check_claims(results: dict[str, Any]) -> list[Claim]:
    """Every claim of section V with its verdict."""
    sizes: Sizes = results["sizes"]
    us = ours(sizes[0]) if all(ours(r) == ours(sizes[0]) for r in sizes) else "optimum"
    found: list[Claim] = []

    def add(figure: str, text: str, verdict: Verdict, evidence: str) -> None:
        found.append(Claim(figure, text, verdict, evidence))

    def compare(figure: str, text: str, metric: str, scale: float, digits: int, sign: int = 1) -> None:
        evidence = _series(sizes, metric, scale, digits, us, "jopav1", "agdm")
        verdict, said = _everywhere(
            sizes,
            lambda r: all(sign * (value(r, us, metric) - value(r, s, metric)) >= -1e-12 for s in ("jopav1", "agdm")),
            evidence,
        )
        add(figure, text, verdict, said)

    _training(results, add)
    _small(results, add)
    compare("9(a)", "JOPA has the highest bandwidth utilization", "bandwidth_utilization", 1, 3)
    compare("9(b)", "JOPA has the highest edge utilization", "edge_utilization", 1, 3)
    first, last = value(sizes[0], us, "local_utilization"), value(sizes[-1], us, "local_utilization")
    add(
        "9(c)", "JOPA's local utilization falls as the load grows", "holds" if last < first else "does not hold",
        _series(sizes, "local_utilization", 1, 3, us),
    )  # fmt: skip
    compare("9(d)", "JOPA has the highest overall utilization", "overall_utilization", 1, 3)
    share = [value(r, us, "offloading_ratio") for r in sizes]
    rises = all(b >= a - 0.005 for a, b in pairwise(share))
    add(
        "9(e)", "The share offloaded rises with the load",
        "holds" if rises and share[-1] > share[0] else "does not hold",
        _series(sizes, "offloading_ratio", 100, 1, us, "jopav1", "agdm") + " %",
    )  # fmt: skip
    compare("9(e)", "JOPA offloads more than JOPAV1 and AGDM", "offloading_ratio", 100, 1)
    compare("9(f)", "JOPA drops no more than JOPAV1 and AGDM", "drop_ratio", 100, 3, sign=-1)
    verdict, said = _everywhere(
        sizes, lambda r: value(r, us, "drop_ratio") < 0.01, _series(sizes, "drop_ratio", 100, 3, us) + " %"
    )
    add("9(f)", "JOPA stays below 1 % dropped", verdict, said)
    over = any(value(r, "jopav1", "drop_ratio") > 0.01 for r in sizes if r["sensors"] > 150)
    add(
        "9(f)", "JOPAV1 exceeds 1 % dropped beyond N = 150", "holds" if over else "does not hold",
        _series(sizes, "drop_ratio", 100, 3, "jopav1") + " % (solved exactly: the paper's drops are its learner's)",
    )  # fmt: skip
    _levels(sizes, us, add)
    compare("11(a)", "JOPA is the most accurate", "accuracy", 1, 4)
    slower = all(value(r, us, "delay") >= value(r, "agdm", "delay") for r in sizes)
    add(
        "11(b)", "AGDM has the least delay, JOPA pays some", "holds" if slower else "does not hold",
        _series(sizes, "delay", 1e3, 0, us, "jopav1", "agdm") + " ms",
    )  # fmt: skip
    _rates(sizes, add)
    return found


Add = Callable[[str, str, Verdict, str], None]


def _training(results: dict[str, Any], add: Add) -> None:
    both = sorted(set(results["training"]["all"]) & set(results["training"]["single"]), key=int)
    text = "Training converges, and V = 6 ends above V = 1"
    if not both:
        add("7", text, "not tried", "no policies of both kinds were given")
        return

    def last(kind: str, n: str) -> float:
        curves = results["training"][kind][n]
        return sum(c[-1][1] for c in curves) / len(curves)

    good = [n for n in both if last("all", n) > last("single", n)]
    numbers = "; ".join(f"N = {n}: {last('all', n):.2f} and {last('single', n):.2f}" for n in both)
    verdict: Verdict = "holds" if len(good) == len(both) else "holds in part" if good else "does not hold"
    add("7", text, verdict, f"{numbers} at the end of training, with what exploration is left")


def _small(results: dict[str, Any], add: Add) -> None:
    small = results["small"]
    mean = {name: sum(r) / len(r) for name, r in small.items()}
    learned = [name for name in mean if name not in ("grid", "continuous")]
    text = "At 3 gateways and 6 sensors JOPA is near the optimum on 20 shares"
    if not learned:
        add("8", text, "not tried", "no policy for 3 x 6 was given")
    for name in learned:
        gap = 1 - mean[name] / mean["grid"]
        add(
            "8", f"{text} ({name})", "holds" if gap < 0.05 else "does not hold",
            f"{mean[name]:.4f}, optimum {mean['grid']:.4f} on 20 shares and {mean['continuous']:.4f} over continuous "
            f"ones: {100 * gap:.1f} % below the former",
        )  # fmt: skip


def _levels(sizes: Sizes, us: str, add: Add) -> None:
    row = sizes[-1]
    worst = {s: max(x["drop_ratio"] or 0 for x in row["schemes"][s]["levels"]) for s in (us, "agdm")}
    meets = all(
        (x["delay_s"] or 0) <= x["max_delay_s"] and (x["accuracy"] or 1) >= x["min_accuracy"]
        for x in row["schemes"][us]["levels"]
    )
    add(
        "10", "JOPA adapts to each criticality level's delay and accuracy; AGDM does not",
        "holds" if meets and worst[us] < worst["agdm"] else "does not hold",
        f"N = {row['sensors']}: the worst level loses {100 * worst[us]:.2f} % of its tasks, AGDM's "
        f"{100 * worst['agdm']:.1f} %",
    )  # fmt: skip


def _rates(sizes: Sizes, add: Add) -> None:
    rates = sorted(sizes[-1]["rates"], key=float)

    def of(row: dict[str, Any], rate: str, metric: str) -> float:
        return float(row["rates"][rate][metric]["mean"] or 0.0)

    low, middle, high = rates[0], rates[len(rates) // 2], rates[-1]
    row = sizes[-1]
    accurate = of(row, low, "accuracy") >= max(of(row, r, "accuracy") for r in rates)
    slow = of(row, low, "delay") >= max(of(row, r, "delay") for r in rates)
    edges = min(of(row, low, "drop_ratio"), of(row, high, "drop_ratio"))
    least = of(row, middle, "drop_ratio") <= edges + 1e-12
    for figure, text, metric, scale, good in (
        ("12(a)", "The least pruned model alone is the most accurate", "accuracy", 1.0, accurate),
        ("12(b)", "The least pruned model alone has the longest delay", "delay", 1e3, slow),
        ("12(c)", "A middle rate drops the least", "drop_ratio", 100.0, least),
    ):
        numbers = ", ".join(f"p = {r}: {scale * of(row, r, metric):.4g}" for r in rates)
        unit = {"accuracy": "", "delay": " ms", "drop_ratio": " %"}[metric]
        add(figure, text, "holds" if good else "does not hold", f"N = {row['sensors']}: {numbers}{unit}")
