"""The bundle as pictures: accuracy and size against rate, confusion matrices, what the images look like."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np

mpl.use("Agg")
import matplotlib.pyplot as plt

from data import Dataset
from data.common.pictures import draw_papers_accuracy, save_png
from pruning.bundle import Manifest, ModelEntry
from pruning.entries import CrossEntry, LearningCurve, ScoresEntry
from pruning.jobfacts import read_history

NOISE_STYLES = {
    "clean": ("tab:blue", "o"),
    "10dB": ("tab:green", "s"),
    "5dB": ("tab:orange", "^"),
    "0dB": ("tab:red", "v"),
}


def _where(manifest: Manifest) -> str:
    if manifest.cross_validation is not None:
        words = f"{manifest.cross_validation.words} in {manifest.cross_validation.folds} folds"
        return f"{manifest.data.name}, cross-validated on {words}, {manifest.models[-1].method} pruning"
    held = "" if manifest.data.held_out is None else f", {manifest.data.held_out:g} held out"
    return f"{manifest.data.name}, split {manifest.data.split}{held}, {manifest.models[-1].method} pruning"


def _cross(manifest: Manifest, model: ModelEntry) -> CrossEntry | None:
    """What the cross-validation says of a model, if there was one."""
    kind = "dense" if model.method == "dense" else "pruned"
    return manifest.cross_validation.entry(kind, model.rate) if manifest.cross_validation else None


def _tested(manifest: Manifest, model: ModelEntry) -> dict[str, ScoresEntry]:
    """Scores to show for a model: cross-validated ones if there are any, otherwise those of the test part."""
    own = _cross(manifest, model)
    return own.scores if own else model.after


def cubic(rates: Sequence[float], accuracies: Sequence[float]) -> np.ndarray | None:
    """Least-squares cubic of accuracy against rate, eq. (1) with degree 3; None with fewer than five points."""
    return np.polyfit(rates, accuracies, 3) if len(rates) >= 5 else None


def draw_accuracy(manifest: Manifest, path: Path) -> None:
    """Accuracy against rate after and before retraining, 95 % intervals, the cubic, baselines, the paper's points."""
    models = manifest.models
    rates = [m.rate for m in models]
    tested = [_tested(manifest, m) for m in models]
    figure, axis = plt.subplots(figsize=(8, 6), layout="constrained")
    for noise, (colour, marker) in NOISE_STYLES.items():
        if noise not in models[0].after:
            continue
        values = [100 * own[noise].accuracy.value for own in tested]
        below = [v - 100 * own[noise].accuracy.low for v, own in zip(values, tested, strict=True)]
        above = [100 * own[noise].accuracy.high - v for v, own in zip(values, tested, strict=True)]
        label = "retrained" if noise == "clean" else f"retrained, tested at {noise[:-2]} dB SNR"
        axis.errorbar(
            rates,
            values,
            [np.maximum(below, 0), np.maximum(above, 0)],
            color=colour,
            marker=marker,
            capsize=3,
            linestyle="none" if noise == "clean" else ":",
            label=label,
            zorder=3 if noise == "clean" else 2,
        )
    before = [(m.rate, cross.before if (cross := _cross(manifest, m)) else m.accuracy_before) for m in models]
    raw = [(rate, 100 * value) for rate, value in before if value is not None]
    axis.plot(*zip(*raw, strict=True), color="0.5", marker="x", linestyle="--", label="pruned, not retrained")
    fit = cubic(rates, [100 * own["clean"].accuracy.value for own in tested])
    if fit is not None:
        fine = np.linspace(0, max(rates), 200)
        axis.plot(fine, np.clip(np.polyval(fit, fine), 0, 100), color="tab:blue", label="cubic fit, clipped to 100 %")
    draw_papers_accuracy(axis)
    if manifest.control is not None and manifest.cross_validation is None:
        value = 100 * manifest.control.accuracy
        axis.axhline(value, color="0.7", linewidth=0.8, label=f"control: dense, trained on ({value:.1f} %)")
    for own, style in zip(manifest.baselines, ("--", ":"), strict=False):
        validated = manifest.cross_validation.entry(own.kind) if manifest.cross_validation else None
        value = 100 * (validated or own).accuracy.value
        axis.axhline(value, color="tab:purple", linestyle=style, linewidth=1, label=f"{own.words} ({value:.1f} %)")
    axis.set(xlabel="pruning rate p", ylabel="test accuracy (%)", ylim=(0, 103), title=_where(manifest))
    axis.grid(alpha=0.3)
    figure.legend(fontsize=8, loc="outside lower center", ncols=2)
    save_png(figure, path)


def draw_size(manifest: Manifest, path: Path) -> None:
    """FLOPs and parameters against rate, relative to the dense model, with the paper's 1 - p."""
    models = manifest.models
    rates = np.array([m.rate for m in models])
    figure, axis = plt.subplots(figsize=(8, 4.5), layout="constrained")
    axis.plot(rates, [m.flops / models[0].flops for m in models], "o-", label="FLOPs that the hardware executes")
    axis.plot(
        rates, [m.parameters_nonzero / models[0].parameters for m in models], "s-", label="parameters that are not zero"
    )
    axis.plot(rates, [m.file_bytes / models[0].file_bytes for m in models], "^:", label="size of the weights file")
    axis.plot(rates, 1 - rates, "k--", linewidth=1, label="1 - p (the paper's model of FLOPs)")
    dense = models[0]
    axis.set(
        xlabel="pruning rate p",
        ylabel="relative to the dense model",
        ylim=(0, 1.05),
        title=f"dense: {dense.flops / 1e6:,.0f} MFLOP, {dense.parameters / 1e6:.2f} M parameters, "
        f"{dense.file_bytes / 1e6:.0f} MB ({_where(manifest)})",
    )
    axis.title.set_fontsize(10)
    axis.grid(alpha=0.3)
    axis.legend(fontsize=8)
    save_png(figure, path)


def draw_confusion(manifest: Manifest, path: Path) -> None:
    """One confusion matrix per model: rows are true classes, values are percent of the row."""
    models: list[tuple[str, ModelEntry]] = [
        ("dense" if m.method == "dense" else f"p = {m.rate:g}", m) for m in manifest.models
    ]
    if manifest.control is not None and manifest.cross_validation is None:
        models.append(("control", manifest.control))
    columns = min(4, len(models))
    rows = -(-len(models) // columns)
    side = 2.3 + 0.16 * len(manifest.classes)
    figure, axes = plt.subplots(
        rows, columns, figsize=(side * columns, side * rows), layout="constrained", squeeze=False
    )
    names = manifest.classes
    for axis, (title, model) in zip(axes.flat, models, strict=False):
        shown = _tested(manifest, model)["clean"]
        matrix = np.array(shown.confusion)
        share = 100 * matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1e-9)
        axis.imshow(share, vmin=0, vmax=100, cmap="Blues")
        for i, j in np.argwhere(share >= 0.5):
            axis.text(
                j,
                i,
                f"{share[i, j]:.0f}",
                ha="center",
                va="center",
                fontsize=6,
                color="white" if share[i, j] > 60 else "black",
            )
        axis.set_title(f"{title}: {100 * shown.accuracy.value:.1f} %", fontsize=9)
        axis.set_xticks(range(len(names)), names, rotation=90, fontsize=6)
        axis.set_yticks(range(len(names)), names, fontsize=6)
    for axis in axes.flat[len(models) :]:
        axis.axis("off")
    figure.supxlabel("called", fontsize=9)
    figure.supylabel("true", fontsize=9)
    save_png(figure, path)


def draw_examples(manifest: Manifest, dataset: Dataset, path: Path) -> None:
    """Two test windows of each class as the model sees them, clean, and one at 0 dB SNR."""
    names = dataset.classes
    figure, axes = plt.subplots(
        3, len(names), figsize=(1.35 * len(names) + 0.9, 4.4), layout="constrained", squeeze=False
    )
    nyquist = manifest.preprocessing.rate_hz / 2
    shown = {"vmin": -2.5, "vmax": 2.5, "cmap": "viridis", "origin": "lower", "aspect": "auto"}
    extent = (0, manifest.preprocessing.window_s, 0, nyquist)
    noisiest = min(dataset.noisy)
    picture = None
    for column, name in enumerate(names):
        where = np.flatnonzero(dataset.test.labels == column)
        for row, image in enumerate(
            (dataset.test.images[where[0], 0], dataset.test.images[where[-1], 0], dataset.noisy[noisiest][where[0], 0])
        ):
            axis = axes[row, column]
            picture = axis.imshow(image, extent=extent, **shown)
            axis.tick_params(labelsize=6)
            if column:
                axis.set_yticklabels([])
            if row < 2:
                axis.set_xticklabels([])
        axes[0, column].set_title(name, fontsize=7)
    for row, text in enumerate(("first window", "last window", f"first, {noisiest} dB SNR")):
        axes[row, 0].set_ylabel(f"{text}\nHz", fontsize=7)
    figure.supxlabel("s", fontsize=8)
    if picture is not None:
        figure.colorbar(picture, ax=axes, label="log-power, standard deviations", shrink=0.7)
    save_png(figure, path)


def draw_history(out: Path, manifest: Manifest, path: Path) -> None:
    """Training loss by epoch of every model, first seed."""
    lines = read_history(out / manifest.history)
    figure, axis = plt.subplots(figsize=(8, 4.5), layout="constrained")
    colours = plt.get_cmap("viridis")
    for rate in sorted({line["rate"] for line in lines}):
        for phase, style in (("train", "k-"), ("control", "k--"), ("retrain", "-")):
            own = [x for x in lines if x["rate"] == rate and x["phase"] == phase and x["seed"] == manifest.seeds[0]]
            if not own:
                continue
            label = {"train": "dense", "control": "control"}.get(phase, f"p = {rate:g}")
            epochs = np.arange(1, len(own) + 1)
            if phase == "retrain":
                axis.semilogy(epochs, [x["train_loss"] for x in own], style, color=colours(rate), label=label)
            else:
                axis.semilogy(epochs, [x["train_loss"] for x in own], style, label=label)
    axis.set(xlabel="epoch", ylabel="training loss", title=f"{_where(manifest)}, seed {manifest.seeds[0]}")
    axis.grid(alpha=0.3)
    axis.legend(fontsize=8)
    save_png(figure, path)


def draw_curve(curve: LearningCurve, path: Path) -> None:
    """Accuracy over the number of groups learned from, with intervals that count each group as one trial."""
    figure, axis = plt.subplots(figsize=(8, 4.5), layout="constrained")
    names = {"dense": "dense VGG-16", "line": "straight line", "forest": "random forest"}
    for place, (kind, name) in enumerate(names.items()):
        own = sorted((p for p in curve.points if p.kind == kind), key=lambda p: p.groups)
        if not own:
            continue
        values = [100 * p.accuracy.value for p in own]
        spread = [
            [v - 100 * p.accuracy.low for v, p in zip(values, own, strict=True)],
            [100 * p.accuracy.high - v for v, p in zip(values, own, strict=True)],
        ]
        shift = 0.08 * (place - 1)  # intervals of the three would hide each other
        axis.errorbar([p.groups + shift for p in own], values, spread, marker="o", capsize=3, label=name)
    axis.set(
        xlabel=f"{curve.unit} learned from, mean over folds",
        ylabel=f"accuracy on other {curve.unit} (%)",
        ylim=(max(0, 100 * min(p.accuracy.low for p in curve.points) - 5), 103),
        title=f"cross-validated on {curve.words}",
    )
    axis.grid(alpha=0.3)
    axis.legend(fontsize=8, loc="lower right")
    save_png(figure, path)


def draw_all(out: Path, manifest: Manifest, dataset: Dataset) -> None:
    """All pictures of a bundle into its folder `figures`."""
    draw_accuracy(manifest, out / "figures" / "accuracy.png")
    draw_size(manifest, out / "figures" / "size.png")
    draw_confusion(manifest, out / "figures" / "confusion.png")
    draw_examples(manifest, dataset, out / "figures" / "examples.png")
    draw_history(out, manifest, out / "figures" / "history.png")
    if manifest.learning_curve is not None:
        draw_curve(manifest.learning_curve, out / "figures" / "learning_curve.png")
