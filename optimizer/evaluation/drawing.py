"""The paper's figures from the results of the experiment.

Each is written as PNG, SVG and a CSV of its numbers, with a caption that says what the paper claims and whether it
holds here (`claims`).
"""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from data.common.files import write_json, write_whole
from optimizer.errors import OptimizerError
from optimizer.evaluation.claims import Claim, check_claims, ours
from profiling.profile.profile import Profile

LOOKS: dict[str, tuple[str, str, str]] = {  # label, colour, marker
    "jopa": ("JOPA (learned)", "#0b6bcb", "o"),
    "optimum": ("optimum", "#222222", ""),
    "jopav1": ("JOPAV1", "#d1730a", "s"),
    "jopav1 learned": ("JOPAV1 (learned)", "#d1a50a", "v"),
    "agdm": ("AGDM", "#3a8f3f", "^"),
}
RATE_COLOURS = ("#5b2a86", "#c2417c", "#e39b31", "#4b8f8c")
Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Drawn:
    """A figure: its name, caption, picture and numbers."""

    name: str
    caption: str
    figure: Figure
    rows: Rows

    def write(self, folder: Path) -> None:
        """As PNG, SVG and CSV."""
        for kind in ("png", "svg"):
            held = io.BytesIO()
            with mpl.rc_context({"svg.hashsalt": "jopa"}):
                metadata = {"Date": None} if kind == "svg" else None
                self.figure.savefig(held, format=kind, dpi=110, metadata=metadata)
            write_whole(folder / f"{self.name}.{kind}", held.getvalue())
        text = io.StringIO()
        if self.rows:
            writer = csv.DictWriter(text, list(dict.fromkeys(k for r in self.rows for k in r)))
            writer.writeheader()
            writer.writerows(self.rows)
        write_whole(folder / f"{self.name}.csv", text.getvalue().encode())


def new_figure(columns: int = 1, rows: int = 1) -> tuple[Figure, list[Axes]]:
    """An empty page and its axes, in reading order."""
    figure = Figure(figsize=(4.6 * columns, 3.3 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False).ravel().tolist()
    for axis in axes:
        axis.grid(alpha=0.25)
        axis.spines[["top", "right"]].set_visible(False)
        axis.ticklabel_format(useOffset=False, axis="y")
    return figure, axes


def said(claims: Sequence[Claim], *figures: str) -> str:
    """What the paper claims of a figure and whether it holds here."""
    return " ".join(f"Paper: {c.text}. Here: {c.verdict} ({c.evidence})." for c in claims if c.figure in figures)


def _lines(axis: Axes, sizes: Rows, metric: str, label: str, scale: float = 1.0) -> Rows:
    """A metric against the number of sensors for every scheme; the numbers."""
    found: Rows = []
    for scheme, (name, colour, marker) in LOOKS.items():
        points = [(r["sensors"], r["schemes"][scheme][metric]) for r in sizes if scheme in r["schemes"]]
        points = [(n, p) for n, p in points if p["mean"] is not None]
        if not points:
            continue
        x = [n for n, _ in points]
        y = np.array([scale * p["mean"] for _, p in points])
        half = np.array([scale * p["interval"] for _, p in points])
        axis.errorbar(
            x, y, half, color=colour, marker=marker, label=name, capsize=2, linewidth=1.4, markersize=5,
            linestyle="--" if scheme == "optimum" else "-",
        )  # fmt: skip
        found += [
            {"sensors": n, "scheme": name, "metric": metric, "mean": float(v) / scale, "interval_95": float(h) / scale}
            for n, v, h in zip(x, y, half, strict=True)
        ]
    axis.set_xlabel("sensors, N")
    axis.set_ylabel(label)
    return found


def figure_7(results: dict[str, Any], claims: Sequence[Claim]) -> Drawn | None:
    """Training rewards, V = 6 and V = 1: means over seeds, the span of seeds as a band."""
    training = results["training"]
    if not training["all"] and not training["single"]:
        return None
    panels = [(k, t) for k, t in (("all", "all models"), ("single", "one model")) if training[k]]
    figure, axes = new_figure(len(panels))
    rows: Rows = []
    for axis, (kind, title) in zip(axes, panels, strict=True):
        shades = mpl.colormaps["viridis"](np.linspace(0, 0.85, max(len(training[kind]), 1)))
        ordered = sorted(training[kind].items(), key=lambda x: int(x[0]))
        for colour, (sensors, curves) in zip(shades, ordered, strict=False):
            length = min(len(c) for c in curves)
            slots = np.array([x for x, _ in curves[0][:length]])
            rewards = np.array([[y for _, y in c[:length]] for c in curves])
            axis.plot(slots, rewards.mean(axis=0), color=colour, label=f"N = {sensors}", linewidth=1.3)
            axis.fill_between(slots, rewards.min(axis=0), rewards.max(axis=0), color=colour, alpha=0.2, linewidth=0)
            rows += [
                {"models": kind, "sensors": sensors, "slots": float(s), "mean": float(r.mean()), "seeds": len(r)}
                for s, r in zip(slots, rewards.T, strict=True)
            ]
        axis.set_title(f"training reward, {title}", fontsize=10)
        axis.set_xlabel("slots")
        axis.ticklabel_format(axis="x", style="sci", scilimits=(0, 0))
        axis.set_yscale("symlog", linthresh=1)
        axis.legend(fontsize=7)
    return Drawn("fig7-training", f"Fig. 7. Training reward. {said(claims, '7')}", figure, rows)


def figure_8(results: dict[str, Any], claims: Sequence[Claim]) -> Drawn:
    """Policy against the optimum: slot by slot at 3 x 6, and at the full sizes."""
    figure, axes = new_figure(2)
    rows: Rows = []
    for name, rewards in results["small"].items():
        label = {"grid": "optimum, 20 shares", "continuous": "optimum"}.get(name, f"JOPA, {name}")
        dark = name in ("grid", "continuous")
        axes[0].plot(
            rewards, label=label, linewidth=1.2, color="#222222" if name == "continuous" else None,
            linestyle="--" if dark else "-",
        )  # fmt: skip
        rows += [{"slot": i, "who": label, "reward": r} for i, r in enumerate(rewards)]
    low = min(min(v) for k, v in results["small"].items() if k in ("grid", "continuous"))
    high = max(max(v) for v in results["small"].values())
    axes[0].set_ylim(min(low - 0.6 * (high - low), low - 0.02), high * 1.05)
    axes[0].set_title("3 gateways, 6 sensors", fontsize=10)
    axes[0].set_xlabel("slot")
    axes[0].set_ylabel("reward")
    axes[0].legend(fontsize=7)
    for place, row in enumerate(results["sizes"]):
        us = ours(row)
        if us == "optimum":
            continue
        gap = 100 * (1 - row["schemes"][us]["reward"]["mean"] / row["schemes"]["optimum"]["reward"]["mean"])
        axes[1].bar(place, gap, color=LOOKS["jopa"][1])
        rows.append({"sensors": row["sensors"], "who": us, "gap_percent": gap})
    axes[1].set_xticks(range(len(results["sizes"])), [str(r["sensors"]) for r in results["sizes"]])
    axes[1].set_title("beyond the paper: full size", fontsize=10)
    axes[1].set_xlabel("sensors, N")
    axes[1].set_ylabel("below the optimum, %")
    return Drawn("fig8-optimum", f"Fig. 8. Distance to the optimum. {said(claims, '8')}", figure, rows)


def figure_9(results: dict[str, Any], claims: Sequence[Claim]) -> Drawn:
    """Utilizations, offloading and drops."""
    figure, axes = new_figure(3, 2)
    panels = (
        ("bandwidth_utilization", "(a) bandwidth utilization", 1.0),
        ("edge_utilization", "(b) edge utilization", 1.0),
        ("local_utilization", "(c) local utilization", 1.0),
        ("overall_utilization", "(d) overall utilization", 1.0),
        ("offloading_ratio", "(e) offloaded, %", 100.0),
        ("drop_ratio", "(f) dropped, %", 100.0),
    )
    rows: Rows = []
    for axis, (metric, label, scale) in zip(axes, panels, strict=True):
        rows += _lines(axis, results["sizes"], metric, label, scale)
    axes[5].axhline(1.0, color="red", linewidth=0.8, linestyle=":")
    axes[5].set_yscale("symlog", linthresh=0.1)
    axes[5].set_ylim(bottom=0)
    axes[0].legend(fontsize=7)
    text = said(claims, "9(a)", "9(b)", "9(c)", "9(d)", "9(e)", "9(f)")
    return Drawn("fig9-comparison", f"Fig. 9. Schemes against load. {text}", figure, rows)


def figure_10(results: dict[str, Any], claims: Sequence[Claim]) -> Drawn:
    """What each criticality level asks for and gets: JOPA and AGDM."""
    figure, axes = new_figure(2, 2)
    row = results["sizes"][-1]
    rows: Rows = []
    for column, scheme in enumerate((ours(row), "agdm")):
        levels = row["schemes"][scheme]["levels"]
        x = np.arange(len(levels))
        names = [f"{v['criticality']:g}" for v in levels]
        for line, (got, asked, label) in enumerate(
            (("delay_s", "max_delay_s", "delay, s"), ("accuracy", "min_accuracy", "accuracy"))
        ):
            axis = axes[2 * line + column]
            values = [np.nan if v[got] is None else v[got] for v in levels]
            colour = LOOKS[scheme][1] if scheme == "agdm" else LOOKS["jopa"][1]
            axis.bar(x, values, color=colour, label="served tasks, mean")
            wanted = [v[asked] for v in levels]
            axis.plot(x, wanted, color="red", marker="_", markersize=14, linestyle="", label="asked")
            axis.set_xticks(x, names)
            axis.set_ylabel(label)
            if got == "accuracy":
                axis.set_ylim(min(v["min_accuracy"] for v in levels) - 0.01, 1.002)
                axis.set_xlabel("criticality")
            for i, v in enumerate(levels):
                if line == 0 and (v["drop_ratio"] or 0) > 0.0005:
                    axis.annotate(
                        f"{100 * v['drop_ratio']:.1f} % lost", (i, max(v["max_delay_s"], 0.2)), ha="center",
                        fontsize=7, xytext=(0, 5), textcoords="offset points",
                    )  # fmt: skip
            axis.set_title(f"({'abcd'[2 * line + column]}) {LOOKS[scheme][0]}", fontsize=10)
        rows += [{"scheme": LOOKS[scheme][0], **v} for v in levels]
    axes[0].legend(fontsize=7)
    text = f"Fig. 10. What each level asks for and gets, N = {row['sensors']}. {said(claims, '10')}"
    return Drawn("fig10-levels", text, figure, rows)


def figure_11(results: dict[str, Any], claims: Sequence[Claim]) -> Drawn:
    """Accuracy and delay."""
    figure, axes = new_figure(2)
    rows = _lines(axes[0], results["sizes"], "accuracy", "(a) accuracy of served tasks")
    rows += _lines(axes[1], results["sizes"], "delay", "(b) delay of served tasks, ms", 1e3)
    axes[0].legend(fontsize=7)
    return Drawn("fig11-service", f"Fig. 11. Accuracy and delay. {said(claims, '11(a)', '11(b)')}", figure, rows)


def figure_12(results: dict[str, Any], claims: Sequence[Claim]) -> Drawn:
    """JOPAV1 with each of several models, solved exactly."""
    figure, axes = new_figure(3)
    rows: Rows = []
    panels = (
        ("accuracy", "(a) accuracy", 1.0),
        ("delay", "(b) delay, ms", 1e3),
        ("drop_ratio", "(c) dropped, %", 100.0),
    )
    rates = sorted(results["sizes"][-1]["rates"], key=float)
    for axis, (metric, label, scale) in zip(axes, panels, strict=True):
        for rate, colour in zip(rates, RATE_COLOURS, strict=False):
            x = [r["sensors"] for r in results["sizes"]]
            means = [r["rates"][rate][metric]["mean"] for r in results["sizes"]]
            y = [np.nan if m is None else scale * m for m in means]
            axis.plot(x, y, color=colour, marker="o", label=f"p = {rate}", markersize=4)
            rows += [
                {"sensors": n, "rate": rate, "metric": metric, "mean": v / scale} for n, v in zip(x, y, strict=True)
            ]
        axis.set_xlabel("sensors, N")
        axis.set_ylabel(label)
    axes[2].set_ylim(bottom=0, top=max(axes[2].get_ylim()[1], 1.0))
    axes[0].legend(fontsize=7)
    text = said(claims, "12(a)", "12(b)", "12(c)")
    return Drawn("fig12-one-model", f"Fig. 12. One model alone, solved exactly. {text}", figure, rows)


def figure_capacity(results: dict[str, Any]) -> Drawn | None:
    """How many sensors a gateway can serve before tasks drop."""
    rows = results.get("capacity")
    if not rows:
        return None
    figure, axes = new_figure()
    sizes, dropped = [r["sensors_a_gateway"] for r in rows], [100 * r["drop_ratio"] for r in rows]
    axes[0].plot(sizes, dropped, color=LOOKS["jopa"][1], marker="o")
    axes[0].axhline(1.0, color="red", linewidth=0.8, linestyle=":")
    axes[0].set_xlabel("sensors a gateway")
    axes[0].set_ylabel("dropped by the optimum, %")
    axes[0].set_yscale("symlog", linthresh=0.1)
    axes[0].set_ylim(bottom=0)
    return Drawn("capacity", "Share of tasks that no decision could save, by sensors a gateway.", figure, rows)


def figure_3(scenario: dict[str, Any], gateway: Profile | None) -> Drawn:
    """Accuracy against pruning rate with its fits."""
    figure, axes = new_figure()
    x = np.linspace(0, 0.95, 100)
    points = [(m["rate"], m["accuracy"]) for m in scenario["models"]]
    axes[0].plot(*zip(*points, strict=True), "o", color="#222222", label="models (relative to the complete one)")
    rows: Rows = [{"rate": p, "accuracy": a, "what": "model"} for p, a in points]
    curves: list[tuple[str, list[float]]] = []
    if gateway is not None and gateway.accuracy_curve is not None:
        curves.append(("least-squares cubic of the profile (absolute)", list(gateway.accuracy_curve.coefficients)))
    elif len(points) >= 4:
        fitted = np.polynomial.Polynomial.fit([p for p, _ in points], [a for _, a in points], 3).convert().coef
        curves.append(("least-squares cubic", [float(c) for c in fitted]))
        curves.append(("the paper's eq. (29)", [1.01, -0.1313, 0.1953, -0.1729]))
    for (name, coefficients), colour in zip(curves, RATE_COLOURS, strict=False):
        y = np.clip(np.polynomial.polynomial.polyval(x, coefficients), 0, 1)
        axes[0].plot(x, y, color=colour, label=name)
        rows += [{"rate": float(p), "accuracy": float(a), "what": name} for p, a in zip(x, y, strict=True)]
    axes[0].set_xlabel("pruning rate p")
    axes[0].set_ylabel("accuracy")
    axes[0].legend(fontsize=7)
    text = "Fig. 3. Accuracy against pruning rate. Paper: a cubic fits, higher degrees add little. docs/profiling.md."
    return Drawn("fig3-accuracy", text, figure, rows)


def tables_of(scenario: dict[str, Any]) -> dict[str, Rows]:
    """Tables II and III of this network."""
    link = scenario["link"]
    return {
        "table2a-models": [{"pruning rate": m["rate"], "accuracy": m["accuracy"]} for m in scenario["models"]],
        "table2b-requirements": [
            {k: q[k] for k in ("criticality", "min_accuracy", "max_delay_s")} for q in scenario["qos"]
        ],
        "table3-parameters": [
            {"parameter": k, "value": v}
            for k, v in (
                ("noise power spectrum density, W/Hz", link["noise_w_per_hz"]),
                ("bandwidth, Hz", link["bandwidth_hz"]),
                ("task on the link, bit", link["task_bits"]),
                ("slot, s", scenario["slot_s"]),
                ("penalty J", scenario["penalty"]),
                ("task, FLOP", scenario["task"]["flops"]),
                ("temperature, target rate, discount (paper preset)", "1e-5, 1e-5, 0.99"),
                ("batch, replay buffer (paper preset)", "512, 10000"),
            )
        ],
    }


def draw_all(results: dict[str, Any], gateway: Profile | None = None) -> tuple[list[Drawn], list[Claim]]:
    """Every figure that the results allow, and the claims."""
    claims = check_claims(results)
    drawn = [
        figure_3(results["scenario"], gateway),
        figure_7(results, claims),
        figure_8(results, claims),
        figure_9(results, claims),
        figure_10(results, claims),
        figure_11(results, claims),
        figure_12(results, claims),
        figure_capacity(results),
    ]
    return [d for d in drawn if d is not None], claims


def write_figures(results: dict[str, Any], folder: Path, gateway: Profile | None = None) -> list[Claim]:
    """Draw all into a folder, with captions, tables and claims; the claims."""
    drawn, claims = draw_all(results, gateway)
    for each in drawn:
        each.write(folder)
    for name, rows in tables_of(results["scenario"]).items():
        text = io.StringIO()
        writer = csv.DictWriter(text, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
        write_whole(folder / f"{name}.csv", text.getvalue().encode())
    write_json(folder / "captions.json", {d.name: d.caption for d in drawn})
    write_json(folder / "claims.json", [c.__dict__ for c in claims])
    return claims


def print_claims(claims: Sequence[Claim], console: Console) -> None:
    """The table of claims."""
    table = Table(title="Claims of section V", show_lines=False)
    for name in ("Fig.", "claim", "here", "numbers"):
        table.add_column(name, overflow="fold")
    for c in claims:
        table.add_row(c.figure, c.text, c.verdict, c.evidence)
    console.print(table)


def read_results(path: Path) -> dict[str, Any]:
    """Saved results. Raises OptimizerError."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        _ = content["sizes"], content["training"], content["small"], content["scenario"]
    except FileNotFoundError:
        raise OptimizerError(f"{path}: no such file.", "python -m optimizer.experiment writes it.") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise OptimizerError(f"{path}: not a file of results ({error!r}).", "Run the experiment again.") from None
    return dict(content)
