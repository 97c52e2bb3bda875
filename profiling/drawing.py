"""Pictures of a profile: latency, capacity, accuracy and throughput. Only this module needs matplotlib."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.polynomial import polynomial
from scipy.interpolate import PchipInterpolator

from data.common.extras import needs_extra
from data.common.pictures import draw_papers_accuracy, save_png
from profiling.profile.entries import AccuracyCurve, Model
from profiling.profile.profile import Profile

with needs_extra(__name__):
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

PRECISION_MARKERS = {"fp32": "o", "bf16": "s", "int8": "^"}


def _label(model: Model) -> str:
    return "dense" if model.rate == 0 else f"p = {model.rate:g}"


def _subtitle(profile: Profile) -> str:
    if profile.measurement is None:
        return f"{profile.name}: from a datasheet, not measured"
    bundle = "" if profile.bundle is None else f"; {profile.bundle.data}, {profile.bundle.size} pixels"
    noisy = ", NOISY RUN" if profile.measurement.grade == "noisy" else ""
    return f"{profile.name}, {profile.measurement.runtime}{bundle}{noisy}"


def _of(profile: Profile, precision: str) -> list[Model]:
    return [m for m in profile.models if m.precision == precision]


def _precisions(profile: Profile) -> list[str]:
    return list(dict.fromkeys(m.precision for m in profile.models))


def draw_latency(profile: Profile, path: Path) -> None:
    """Latency against batch size: one line per model (median, with a band up to p99), one panel per precision."""
    names = _precisions(profile)
    figure, axes = plt.subplots(
        1, len(names), figsize=(7.5 * max(1, 0.7 * len(names)), 5.2), layout="constrained", sharey=True, squeeze=False
    )
    colours = plt.get_cmap("viridis")
    for axis, precision in zip(axes[0], names, strict=True):
        models = _of(profile, precision)
        for i, model in enumerate(models):
            cells = sorted((x for x in model.latency if x.threads == profile.threads), key=lambda x: x.batch)
            batches = [x.batch for x in cells]
            colour = colours(0.92 * i / max(1, len(models) - 1))
            axis.plot(batches, [1e3 * x.p50_s for x in cells], "o-", color=colour, markersize=4, label=_label(model))
            axis.fill_between(
                batches, [1e3 * x.p50_s for x in cells], [1e3 * x.p99_s for x in cells], color=colour, alpha=0.2
            )
        ticks = sorted({x.batch for m in models for x in m.latency})
        axis.set(xscale="log", yscale="log", xlabel="batch size", title=precision)
        axis.set_xticks(ticks, [str(t) for t in ticks])
        axis.minorticks_off()
        axis.grid(alpha=0.3)
    axes[0, 0].set_ylabel("latency of a batch (ms): median, band to p99")
    axes[0, -1].legend(fontsize=8)
    figure.suptitle(_subtitle(profile), fontsize=10)
    save_png(figure, path)


def draw_capacity(profile: Profile, path: Path) -> None:
    """Latency against FLOPs of the batch with the fitted laws, and the relative error of each law at each cell."""
    fit = profile.capacities[0]
    laws = {f.law: f for f in fit.laws}
    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 5.2), layout="constrained")
    colours = plt.get_cmap("viridis")
    models = _of(profile, profile.precision)
    flops = {m.rate: m.flops for m in models}
    for i, model in enumerate(models):
        cells = [x for x in model.latency if x.threads == profile.threads]
        left.plot(
            [x.batch * model.flops / 1e9 for x in cells],
            [1e3 * x.p50_s for x in cells],
            "o",
            color=colours(0.92 * i / max(1, len(models) - 1)),
            markersize=5,
            label=_label(model),
        )
    points = [r.batch * flops[r.rate] for r in fit.laws[0].residuals]
    line = np.geomspace(min(points), max(points), 200)
    for law, style in (("proportional", "k:"), ("affine", "k-")):
        if law not in laws or laws[law].capacity_flop_per_s is None:
            continue
        own = laws[law]
        seconds = (own.overhead_s or 0.0) + line / (own.capacity_flop_per_s or 1.0)
        left.plot(
            line / 1e9,
            1e3 * seconds,
            style,
            linewidth=1,
            label=f"{own.formula}\nC = {(own.capacity_flop_per_s or 0) / 1e9:,.0f} GFLOP/s",
        )
    if fit.peak_flop_per_s:
        left.plot(
            line / 1e9,
            1e3 * line / fit.peak_flop_per_s,
            "r--",
            linewidth=1,
            label=f"matrix product, {fit.peak_flop_per_s / 1e9:,.0f} GFLOP/s",
        )
    left.set(xscale="log", yscale="log", xlabel="GFLOP in the batch", ylabel="latency of the batch (ms)")
    left.grid(alpha=0.3)
    left.legend(fontsize=7)
    for law, marker in (("proportional", "v"), ("affine", "o"), ("affine_bytes", "s"), ("per_model", "^")):
        if law not in laws:
            continue
        own = laws[law]
        x = [r.batch * flops[r.rate] / 1e9 for r in own.residuals]
        label = f"{law}: mean {own.mean_error:.1%}, worst {own.worst_error:.1%}"
        right.plot(x, [100 * r.relative_error for r in own.residuals], marker, markersize=4, alpha=0.8, label=label)
    right.axhline(0, color="k", linewidth=0.8)
    right.set(xscale="log", xlabel="GFLOP in the batch", ylabel="fitted over measured, less 1 (%)")
    right.grid(alpha=0.3)
    right.legend(fontsize=8)
    figure.suptitle(f"{_subtitle(profile)}; {fit.chosen} predicts left-out batch sizes best", fontsize=10)
    save_png(figure, path)


def _draw_curves(axis: Any, curve: AccuracyCurve) -> None:
    fine = np.linspace(min(curve.rates), max(curve.rates), 300)
    for fit in curve.degrees:
        used = fit.degree == curve.degree
        values = 100 * np.clip(polynomial.polyval(fine, fit.coefficients), 0, 1)
        left_out = "-" if fit.left_out_error is None else f"{100 * fit.left_out_error:.2f}"
        axis.plot(
            fine,
            values,
            color="tab:blue" if used else "0.6",
            linewidth=2 if used else 0.8,
            linestyle="-" if used else (0, (1 + fit.degree, 2)),
            label=f"degree {fit.degree}: error {100 * fit.error:.2f}, left out {left_out} points",
            zorder=3 if used else 1,
        )
    if len(curve.rates) > 1:
        monotone = 100 * PchipInterpolator(curve.rates, curve.monotone)(fine)
        axis.plot(fine, monotone, color="tab:green", linestyle="--", label="monotone (isotonic, PCHIP)")


def draw_accuracy(profile: Profile, path: Path) -> None:
    """Accuracy against pruning rate with the polynomials and the monotone curve: the paper's Fig. 3."""
    figure, axis = plt.subplots(figsize=(8, 6.4), layout="constrained")
    _draw_curves(axis, profile.accuracy_curve)
    names = _precisions(profile)
    for k, precision in enumerate(names):
        models = _of(profile, precision)
        aside = 0.012 * (k - (len(names) - 1) / 2)  # so that equal accuracies do not hide each other
        values = np.array([100 * m.accuracy for m in models])
        low = values - [100 * m.accuracy_interval.low for m in models]
        high = np.array([100 * m.accuracy_interval.high for m in models]) - values
        axis.errorbar(
            [m.rate + aside for m in models],
            values,
            [np.maximum(low, 0), np.maximum(high, 0)],
            linestyle="none",
            marker=PRECISION_MARKERS[precision],
            capsize=3,
            markersize=6,
            alpha=0.85,
            label=f"measured, {precision} (95 %: independent windows)",
            zorder=4,
        )
    draw_papers_accuracy(axis)
    lowest = min(min(100 * m.accuracy_interval.low for m in profile.models), 92.0)
    axis.set(
        xlabel="pruning rate p",
        ylabel="test accuracy (%)",
        ylim=(max(0.0, lowest - 2), 100.6),
        title=_subtitle(profile),
    )
    axis.title.set_fontsize(10)
    axis.grid(alpha=0.3)
    figure.legend(fontsize=8, loc="outside lower center", ncols=2)
    save_png(figure, path)


def draw_throughput(profile: Profile, path: Path) -> None:
    """Inputs per second, and FLOP/s relative to a matrix product's, at the largest batch: one bar per model."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.6), layout="constrained")
    names = _precisions(profile)
    peaks: dict[str, float | None] = {
        c.precision: c.peak_flop_per_s for c in profile.capacities if c.threads == profile.threads
    }
    width = 0.8 / len(names)
    ticks = [m.rate for m in _of(profile, names[0])]
    batch = 0
    for k, precision in enumerate(names):
        for model in _of(profile, precision):
            cells = [x for x in model.latency if x.threads == profile.threads]
            if not cells:
                continue
            last = max(cells, key=lambda x: x.batch)
            batch = last.batch
            place = ticks.index(model.rate) + (k - (len(names) - 1) / 2) * width
            label = precision if model.rate == ticks[0] else None
            left.bar(place, last.batch / last.p50_s, width, color=f"C{k}", label=label)
            reference = peaks.get(precision)
            if reference:
                right.bar(place, 100 * last.batch * model.flops / last.p50_s / reference, width, color=f"C{k}")
    for axis in (left, right):
        axis.set_xticks(range(len(ticks)), ["dense" if r == 0 else f"{r:g}" for r in ticks])
        axis.set_xlabel("pruning rate p")
        axis.grid(alpha=0.3, axis="y")
    left.set(ylabel="inputs per second", title=f"throughput, batch {batch}")
    right.set(ylabel="%", title="FLOP/s over a matrix product's at the same precision")
    right.axhline(100, color="k", linewidth=0.8)
    left.legend(fontsize=8)
    figure.suptitle(_subtitle(profile), fontsize=10)
    save_png(figure, path)


def draw_all(profile: Profile, folder: Path) -> None:
    """Draw all figures of a profile: accuracy.png, and for a measured one latency.png, capacity.png, throughput.png."""
    draw_accuracy(profile, folder / "accuracy.png")
    if profile.kind == "measured":
        draw_latency(profile, folder / "latency.png")
        draw_capacity(profile, folder / "capacity.png")
        draw_throughput(profile, folder / "throughput.png")
