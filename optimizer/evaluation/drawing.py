"""The paper's figures from the results of the experiment.

Each is written as PNG, SVG and a CSV of its numbers, with a caption that says what the paper claims and whether it
holds here (`claims`).
"""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from rich.console import Console
from rich.table import Table

from optimizer.evaluation.canvas import Drawn, Rows, new_figure, write_csv
from optimizer.evaluation.claims import check_claims
from optimizer.evaluation.fields import Curve
from optimizer.evaluation.results import Captions, ClaimResult, Claims, Results, SizeResult
from optimizer.network.metrics import METRICS
from optimizer.network.scenario import Scenario
from profiling.profile.profile import Profile

LOOKS: dict[str, tuple[str, str, str]] = {  # label, colour, marker
    "jopa": ("JOPA (learned)", "#0b6bcb", "o"),
    "optimum": ("optimum", "#222222", ""),
    "jopav1": ("JOPAV1", "#d1730a", "s"),
    "jopav1 learned": ("JOPAV1 (learned)", "#d1a50a", "v"),
    "agdm": ("AGDM", "#3a8f3f", "^"),
}
RATE_COLOURS = ("#5b2a86", "#c2417c", "#e39b31", "#4b8f8c")
PAPERS_CUBIC = (1.01, -0.1313, 0.1953, -0.1729)  # eq. (29)


def said(claims: Sequence[ClaimResult], *figures: str) -> str:
    """What the paper claims about figures, and whether it holds here."""
    return " ".join(f"Paper: {c.text}. Here: {c.verdict} ({c.evidence})." for c in claims if c.figure in figures)


def verdicts(claims: Sequence[ClaimResult], figure: str, letters: str) -> str:
    """Whether what the paper claims about each panel of a figure holds; the table of claims says what that is."""
    found = [(letter, [c.verdict for c in claims if c.figure == f"{figure}({letter})"]) for letter in letters]
    told = "; ".join(f"({letter}) {', '.join(own)}" for letter, own in found if own)
    return f"The paper's claims about its panels: {told}. The table of claims says what they are." if told else ""


def _lines(axis: Axes, sizes: Sequence[SizeResult], metric: str, letter: str) -> Rows:
    """Draw a metric against the number of sensors for every scheme; the numbers."""
    scale = METRICS[metric].scale
    found: Rows = []
    for scheme, (name, colour, marker) in LOOKS.items():
        points = [(size.sensors, size.schemes[scheme].means[metric]) for size in sizes if scheme in size.schemes]
        numbers = [(n, p.mean, p.interval) for n, p in points if p.mean is not None]
        if not numbers:
            continue
        x, mean, half = (np.array(column) for column in zip(*numbers, strict=True))
        axis.errorbar(
            x, scale * mean, scale * half, color=colour, marker=marker, label=name, capsize=2, linewidth=1.4,
            markersize=5, linestyle="--" if scheme == "optimum" else "-",
        )  # fmt: skip
        found += [{"sensors": n, "scheme": name, "metric": metric, "mean": m, "interval_95": h} for n, m, h in numbers]
    axis.set_xlabel("sensors, N")
    axis.set_ylabel(f"({letter}) {METRICS[metric].label}")
    return found


def figure_3(scenario: Scenario, gateway: Profile | None) -> Drawn:
    """Accuracy against pruning rate with its fits."""
    figure, axes = new_figure()
    x = np.linspace(0, 0.95, 100)
    points = [(m.rate, m.accuracy) for m in scenario.models]
    label, what = "models (relative to the complete one)", "accuracy relative to the complete model's"
    curves: list[tuple[str, tuple[float, ...]]] = []
    if gateway is not None and gateway.accuracy_curve is not None:
        curve = gateway.accuracy_curve
        points = list(zip(curve.rates, curve.accuracies, strict=True))  # absolute, as the curve is
        label, what = "models", "accuracy"
        degree = "cubic" if curve.degree == 3 else f"polynomial of degree {curve.degree}"
        curves.append((f"least-squares {degree} of the profile", tuple(curve.coefficients)))
    elif len(points) >= 4:
        fitted = np.polynomial.Polynomial.fit([p for p, _ in points], [a for _, a in points], 3).convert().coef
        curves.append(("least-squares cubic", tuple(float(c) for c in fitted)))
        curves.append(("the paper's eq. (29)", PAPERS_CUBIC))
    axes[0].plot(*zip(*points, strict=True), "o", color="#222222", label=label)
    rows: Rows = [{"rate": p, "accuracy": a, "what": "model"} for p, a in points]
    for (name, coefficients), colour in zip(curves, RATE_COLOURS, strict=False):
        y = np.clip(np.polynomial.polynomial.polyval(x, coefficients), 0, 1)
        axes[0].plot(x, y, color=colour, label=name)
        rows += [{"rate": float(p), "accuracy": float(a), "what": name} for p, a in zip(x, y, strict=True)]
    axes[0].set_xlabel("pruning rate p")
    axes[0].set_ylabel(what)
    axes[0].legend(fontsize=7)
    text = "Fig. 3. Accuracy against pruning rate. Paper: a cubic fits, higher degrees add little. docs/profiling.md."
    return Drawn("fig3-accuracy", text, figure, rows)


def figure_7(results: Results, claims: Sequence[ClaimResult]) -> Drawn | None:
    """Rewards during training, V = 6 and V = 1: means over seeds, with the span of the seeds as a band."""
    kinds = (("all", "all models", results.training.all), ("single", "one model", results.training.single))
    panels = [panel for panel in kinds if panel[2]]
    if not panels:
        return None
    figure, axes = new_figure(len(panels))
    rows: Rows = []
    for axis, (kind, title, curves) in zip(axes, panels, strict=True):
        rows += [{"models": kind, **row} for row in _training_curves(axis, curves)]
        axis.set_title(f"training reward, {title}", fontsize=10)
    return Drawn("fig7-training", f"Fig. 7. Training reward. {said(claims, '7')}", figure, rows)


def _training_curves(axis: Axes, curves: dict[str, list[Curve]]) -> Rows:
    """Draw the training rewards of every number of sensors; the numbers."""
    rows: Rows = []
    shades = mpl.colormaps["viridis"](np.linspace(0, 0.85, len(curves)))
    for colour, sensors in zip(shades, sorted(curves, key=int), strict=True):
        same = curves[sensors]
        length = min(len(c) for c in same)
        slots = np.array([x for x, _ in same[0][:length]])
        rewards = np.array([[y for _, y in c[:length]] for c in same])
        axis.plot(slots, rewards.mean(axis=0), color=colour, label=f"N = {sensors}", linewidth=1.3)
        axis.fill_between(slots, rewards.min(axis=0), rewards.max(axis=0), color=colour, alpha=0.2, linewidth=0)
        rows += [
            {"sensors": sensors, "slots": float(s), "mean": float(r.mean()), "seeds": len(r)}
            for s, r in zip(slots, rewards.T, strict=True)
        ]
    axis.set_xlabel("slots")
    axis.ticklabel_format(axis="x", style="sci", scilimits=(0, 0))
    axis.set_yscale("symlog", linthresh=1)
    axis.legend(fontsize=7)
    return rows


def figure_8(results: Results, claims: Sequence[ClaimResult]) -> Drawn:
    """Policies against the optimum: slot by slot at 3 x 6, and at the full sizes."""
    figure, axes = new_figure(2)
    rows = _small_rewards(axes[0], results)
    for place, size in enumerate(results.sizes):
        if size.ours == "optimum":
            continue
        gap = 100 * (1 - size.schemes[size.ours].mean("reward") / size.schemes["optimum"].mean("reward"))
        axes[1].bar(place, gap, color=LOOKS["jopa"][1])
        rows.append({"sensors": size.sensors, "who": size.ours, "gap_percent": gap})
    axes[1].set_xticks(range(len(results.sizes)), [str(size.sensors) for size in results.sizes])
    axes[1].set_title("beyond the paper: full size", fontsize=10)
    axes[1].set_xlabel("sensors, N")
    axes[1].set_ylabel("below the optimum, %")
    return Drawn("fig8-optimum", f"Fig. 8. Distance to the optimum. {said(claims, '8')}", figure, rows)


def _small_rewards(axis: Axes, results: Results) -> Rows:
    """Draw the rewards slot by slot on the small network; the numbers."""
    small = results.small
    optima = {"optimum, 20 shares": small.grid, "optimum": small.continuous}
    curves = {**optima, **{f"JOPA, {name}": rewards for name, rewards in small.policies.items()}}
    for label, rewards in curves.items():
        style, colour = "--" if label in optima else "-", "#222222" if label == "optimum" else None
        axis.plot(rewards, label=label, linewidth=1.2, color=colour, linestyle=style)
    low = min(map(min, optima.values()))
    high = max(map(max, curves.values()))
    axis.set_ylim(min(low - 0.6 * (high - low), low - 0.02), high * 1.05)
    axis.set_title("3 gateways, 6 sensors", fontsize=10)
    axis.set_xlabel("slot")
    axis.set_ylabel("reward")
    axis.legend(fontsize=7)
    return [{"slot": i, "who": label, "reward": r} for label, curve in curves.items() for i, r in enumerate(curve)]


def figure_9(results: Results, claims: Sequence[ClaimResult]) -> Drawn:
    """Utilizations, offloading and drops."""
    figure, axes = new_figure(3, 2)
    panels = (
        "bandwidth_utilization", "edge_utilization", "local_utilization", "utilization", "offloading_ratio",
        "drop_ratio",
    )  # fmt: skip
    rows: Rows = []
    for letter, axis, metric in zip("abcdef", axes, panels, strict=True):
        rows += _lines(axis, results.sizes, metric, letter)
    axes[5].axhline(1.0, color="red", linewidth=0.8, linestyle=":")
    axes[5].set_yscale("symlog", linthresh=0.1)
    axes[5].set_ylim(bottom=0)
    axes[0].legend(fontsize=7)
    text = f"Fig. 9. Schemes against load. {verdicts(claims, '9', 'abcdef')}"
    return Drawn("fig9-comparison", text.strip(), figure, rows)


def figure_10(results: Results, claims: Sequence[ClaimResult]) -> Drawn:
    """What each criticality level asks for and gets: JOPA and AGDM."""
    figure, axes = new_figure(2, 2)
    size = results.sizes[-1]
    rows: Rows = []
    for column, scheme in enumerate((size.ours, "agdm")):
        levels, label = size.schemes[scheme].levels, LOOKS[scheme][0]
        delay, accuracy = axes[column], axes[2 + column]
        colour = LOOKS["agdm" if scheme == "agdm" else "jopa"][1]
        x, names = np.arange(len(levels)), [f"{v.criticality:g}" for v in levels]
        for axis, got, asked in (
            (delay, [v.delay_s for v in levels], [v.max_delay_s for v in levels]),
            (accuracy, [v.accuracy for v in levels], [v.min_accuracy for v in levels]),
        ):
            values = [np.nan if v is None else v for v in got]
            axis.bar(x, values, color=colour, label="served tasks, mean")
            axis.plot(x, asked, color="red", marker="_", markersize=14, linestyle="", label="asked")
            axis.set_xticks(x, names)
        delay.set_ylabel("delay, s")
        accuracy.set_ylabel("accuracy")
        accuracy.set_ylim(min(v.min_accuracy for v in levels) - 0.01, 1.002)
        accuracy.set_xlabel("criticality")
        for i, v in enumerate(levels):
            if (v.drop_ratio or 0) > 0.0005:
                delay.annotate(
                    f"{100 * (v.drop_ratio or 0):.1f} % lost", (i, max(v.max_delay_s, 0.2)), ha="center", fontsize=7,
                    xytext=(0, 5), textcoords="offset points",
                )  # fmt: skip
        delay.set_title(f"({'ab'[column]}) {label}", fontsize=10)
        accuracy.set_title(f"({'cd'[column]}) {label}", fontsize=10)
        rows += [{"scheme": label, **v.model_dump()} for v in levels]
    axes[0].legend(fontsize=7)
    text = f"Fig. 10. What each level asks for and gets, N = {size.sensors}. {said(claims, '10')}"
    return Drawn("fig10-levels", text, figure, rows)


def figure_11(results: Results, claims: Sequence[ClaimResult]) -> Drawn:
    """Accuracy and delay of served tasks."""
    figure, axes = new_figure(2)
    rows = _lines(axes[0], results.sizes, "accuracy", "a")
    rows += _lines(axes[1], results.sizes, "delay_s", "b")
    axes[0].legend(fontsize=7)
    return Drawn("fig11-service", f"Fig. 11. Accuracy and delay. {said(claims, '11(a)', '11(b)')}", figure, rows)


def figure_12(results: Results, claims: Sequence[ClaimResult]) -> Drawn:
    """One model alone, each of several, solved exactly."""
    figure, axes = new_figure(3)
    rows: Rows = []
    rates = sorted(results.sizes[-1].rates, key=float)
    x = [size.sensors for size in results.sizes]
    for letter, axis, metric in zip("abc", axes, ("accuracy", "delay_s", "drop_ratio"), strict=True):
        scale = METRICS[metric].scale
        for rate, colour in zip(rates, RATE_COLOURS, strict=False):
            y = np.array([size.rates[rate].mean(metric) for size in results.sizes])
            axis.plot(x, scale * y, color=colour, marker="o", label=f"p = {rate}", markersize=4)
            rows += [
                {"sensors": n, "rate": rate, "metric": metric, "mean": float(v)} for n, v in zip(x, y, strict=True)
            ]
        axis.set_xlabel("sensors, N")
        axis.set_ylabel(f"({letter}) {METRICS[metric].label}")
    axes[2].set_ylim(bottom=0, top=max(axes[2].get_ylim()[1], 1.0))
    axes[0].legend(fontsize=7)
    text = said(claims, "12(a)", "12(b)", "12(c)")
    return Drawn("fig12-one-model", f"Fig. 12. One model alone, solved exactly. {text}", figure, rows)


def figure_capacity(results: Results) -> Drawn | None:
    """How many sensors a gateway can serve before tasks drop; nothing where none drops: a sentence says it better."""
    if not any(row.drop_ratio > 0 for row in results.capacity):
        return None
    figure, axes = new_figure()
    sizes = [row.sensors_per_gateway for row in results.capacity]
    axes[0].plot(sizes, [100 * row.drop_ratio for row in results.capacity], color=LOOKS["jopa"][1], marker="o")
    axes[0].axhline(0.1, color="red", linewidth=0.8, linestyle=":")  # what the page asks for
    axes[0].set_xlabel("sensors per gateway")
    axes[0].set_ylabel("dropped by the optimum, %")
    axes[0].set_yscale("symlog", linthresh=0.1)
    axes[0].set_ylim(bottom=0)
    rows = [row.model_dump() for row in results.capacity]
    return Drawn("capacity", "Share of tasks that no decision could save, by sensors per gateway.", figure, rows)


def tables_of(scenario: Scenario) -> dict[str, Rows]:
    """Tables II and III of this network, by file name."""
    link = scenario.link
    parameters = {
        "noise power spectrum density, W/Hz": link.noise_w_per_hz,
        "bandwidth, Hz": link.bandwidth_hz,
        "task on the link, bit": link.task_bits,
        "slot, s": scenario.slot_s,
        "penalty J": scenario.penalty,
        "task, FLOP": scenario.task.flops,
        "temperature, target rate, discount (paper preset)": "1e-5, 1e-5, 0.99",
        "batch, replay buffer (paper preset)": "512, 10000",
    }
    return {
        "table2a-models": [{"pruning rate": m.rate, "accuracy": m.accuracy} for m in scenario.models],
        "table2b-requirements": [
            {"criticality": q.criticality, "min_accuracy": q.min_accuracy, "max_delay_s": q.max_delay_s}
            for q in scenario.qos
        ],
        "table3-parameters": [{"parameter": name, "value": value} for name, value in parameters.items()],
    }


def draw_all(results: Results, gateway: Profile | None = None) -> tuple[list[Drawn], list[ClaimResult]]:
    """Every figure that the results allow, and the verdicts on all claims.

    Args:
        results: Results of the experiment.
        gateway: Profile whose fitted accuracy curve is drawn in Fig. 3.
    """
    claims = check_claims(results)
    drawn = [
        figure_3(results.scenario, gateway),
        *(draw(results, claims) for draw in (figure_7, figure_8, figure_9, figure_10, figure_11, figure_12)),
        figure_capacity(results),
    ]
    return [d for d in drawn if d is not None], claims


def write_figures(results: Results, folder: str | Path, gateway: Profile | None = None) -> list[ClaimResult]:
    """Draw all figures into a folder, with captions, tables and claims; the verdicts."""
    folder = Path(folder)
    drawn, claims = draw_all(results, gateway)
    for each in drawn:
        each.write(folder)
    for name, rows in tables_of(results.scenario).items():
        write_csv(folder / f"{name}.csv", rows)
    Captions(captions={d.name: d.caption for d in drawn}).save(folder / "captions.json")
    Claims(claims=claims).save(folder / "claims.json")
    return claims


def print_claims(claims: Sequence[ClaimResult], console: Console) -> None:
    """Print the claims with their verdicts as a table."""
    table = Table(title="Claims of section V", show_lines=False)
    for name in ("Fig.", "claim", "here", "numbers"):
        table.add_column(name, overflow="fold")
    for c in claims:
        table.add_row(c.figure, c.text, c.verdict, c.evidence)
    console.print(table)
