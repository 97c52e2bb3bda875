"""A bundle as a table on the terminal."""

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from pruning.bundle import BaselineEntry, Manifest, ModelEntry
from pruning.entries import CrossEntry, DifferenceEntry, LearningCurve, ScoresEntry
from pruning.verdict import notices


def _percent(value: float | None, digits: int = 2) -> str:
    return "-" if value is None else f"{100 * value:.{digits}f}"


def _scored(scores: dict[str, ScoresEntry], difference: DifferenceEntry, snrs: list[str]) -> list[str]:
    """The columns of an accuracy: value, interval, missed faults, lowest recall, difference, with noise."""
    clean = scores["clean"]
    return [
        _percent(clean.accuracy.value),
        f"{100 * clean.accuracy.low:.1f}-{100 * clean.accuracy.high:.1f}",
        _percent(clean.missed_faults.value if clean.missed_faults else None),
        _percent(min(r.value for r in clean.recall), 0),
        f"{100 * difference.value:+.1f}",
        *(_percent(scores[s].accuracy.value, 1) for s in snrs),
    ]


def _row(name: str, model: ModelEntry, snrs: list[str], cross: CrossEntry | None) -> list[str]:
    return [
        name,
        f"{model.flops / 1e6:,.1f}" if model.flops < 1e9 else f"{model.flops / 1e9:,.2f}k",
        f"{model.parameters_nonzero / 1e6:.2f}",
        _percent(cross.before if cross else model.accuracy_before, 1),
        *_scored(cross.scores if cross else model.after, cross.difference if cross else model.difference, snrs),
    ]


def _baseline_row(own: BaselineEntry, snrs: list[str], cross: CrossEntry | None) -> list[str]:
    shown = cross or own
    return [own.kind, f"{own.flops / 1e6:.3f}", "-", "-", *_scored(shown.scores, shown.difference, snrs)]


def _caption(manifest: Manifest) -> str:
    """What the columns are, and what the accuracies were measured on."""
    data, cross = manifest.data, manifest.cross_validation
    held = "" if data.held_out is None else f" {data.held_out:g} held out"
    if cross is None:
        tested = (
            f"split {data.split}{held}, {data.windows['test']} test windows ({data.test_windows_independent} "
            f"independent), mean of {len(manifest.seeds)} seed(s)"
        )
        interval = "Wilson interval"
    else:
        own = manifest.models[0].accuracy
        tested = (
            f"cross-validated: {cross.windows} windows of {cross.words}, {cross.folds} folds, seed {cross.seed}. The "
            f"bundle's own models learned from a part of every group; on the {data.windows['test']} test windows "
            f"(split {data.split}{held}) its dense model is right for {100 * own:.1f} %"
        )
        interval = "Wilson interval, each group one trial"
    return (
        f"{data.name}, {tested}. MFLOP: a multiply-accumulate is 2. Param.: millions that are not zero. Raw: before "
        f"retraining. 95 %: {interval}. Missed: faults classified as normal. Worst: lowest recall of a class. Diff.: "
        "to the dense model."
    )


def curve_table(curve: LearningCurve) -> Table:
    """The learning curve: one row for each number of groups learned from."""
    caption = (
        f"Learning curve, cross-validated on {curve.words}: accuracy in % (95 % interval, each of them one trial) by "
        "how many were learned from, on the average of the folds."
    )
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), caption=caption, caption_justify="left")
    kinds = list(dict.fromkeys(point.kind for point in curve.points))
    for heading in (curve.unit, *kinds):
        table.add_column(heading, justify="right", no_wrap=True)
    for groups in sorted({point.groups for point in curve.points}):
        row = [f"{groups:.3g}"]
        for kind in kinds:
            own = next((p.accuracy for p in curve.points if p.kind == kind and p.groups == groups), None)
            row.append("-" if own is None else f"{100 * own.value:.1f} ({100 * own.low:.0f}-{100 * own.high:.0f})")
        table.add_row(*row)
    return table


def results_table(manifest: Manifest) -> Table:
    """One row per model, at most 100 columns wide; accuracies are those of the test part in percent."""
    cross = manifest.cross_validation
    caption = _caption(manifest)
    if manifest.baselines:
        caption += (
            f" Line, forest: logistic regression and random forest on {manifest.baselines[0].numbers} numbers of each "
            "image, the same windows."
        )
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), caption=caption, caption_justify="left")
    snrs = [name for name in manifest.models[0].after if name != "clean"]
    for heading in ("rate", "MFLOP", "param.", "raw %", "acc. %", "95 %", "missed", "worst", "diff.", *snrs):
        table.add_column(heading, justify="right", no_wrap=True)
    for model in manifest.models:
        kind = "dense" if model.method == "dense" else "pruned"
        own_cross = cross.entry(kind, model.rate) if cross else None
        table.add_row(*_row("dense" if kind == "dense" else f"{model.rate:g}", model, snrs, own_cross))
    if manifest.control is not None and cross is None:
        table.add_row(*_row("control", manifest.control, snrs, None))
    for own in manifest.baselines:
        table.add_row(*_baseline_row(own, snrs, cross.entry(own.kind) if cross else None))
    return table


def print_results(manifest: Manifest, console: Console) -> None:
    """What must be known first, and the results table; at most 100 columns wide."""
    width = min(100, console.width) if console.is_terminal else 100
    for notice in notices(manifest):
        console.print(notice, width=width, style="yellow", markup=False, highlight=False)
    console.print(results_table(manifest), width=width)
    if manifest.learning_curve is not None:
        console.print(curve_table(manifest.learning_curve), width=width)
