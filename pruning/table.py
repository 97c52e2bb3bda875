"""A bundle as a table on the terminal."""

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from pruning.bundle import BaselineEntry, Manifest, ModelEntry
from pruning.verdict import notices


def _percent(value: float | None, digits: int = 2) -> str:
    return "-" if value is None else f"{100 * value:.{digits}f}"


def _row(name: str, model: ModelEntry, snrs: list[str]) -> list[str]:
    low, high = model.accuracy_interval
    missed = model.after["clean"].missed_faults
    return [
        name,
        f"{model.flops / 1e6:,.1f}" if model.flops < 1e9 else f"{model.flops / 1e9:,.2f}k",
        f"{model.parameters_nonzero / 1e6:.2f}",
        _percent(model.accuracy_before, 1),
        _percent(model.accuracy),
        f"{100 * low:.1f}-{100 * high:.1f}",
        _percent(missed.value if missed else None),
        _percent(min(r.value for r in model.after["clean"].recall), 0),
        f"{100 * model.difference.value:+.1f}",
        *(_percent(model.after[s].accuracy.value, 1) for s in snrs),
    ]


def _baseline_row(own: BaselineEntry, snrs: list[str]) -> list[str]:
    clean = own.scores["clean"]
    return [
        own.kind,
        f"{own.flops / 1e6:.3f}",
        "-",
        "-",
        _percent(clean.accuracy.value),
        f"{100 * clean.accuracy.low:.1f}-{100 * clean.accuracy.high:.1f}",
        _percent(clean.missed_faults.value if clean.missed_faults else None),
        _percent(min(r.value for r in clean.recall), 0),
        f"{100 * own.difference.value:+.1f}",
        *(_percent(own.scores[s].accuracy.value, 1) for s in snrs),
    ]


def results_table(manifest: Manifest) -> Table:
    """One row per model, at most 100 columns wide; accuracies are those of the test part in percent."""
    held = "" if manifest.data.held_out is None else f" {manifest.data.held_out:g} held out"
    caption = (
        f"{manifest.data.name}, split {manifest.data.split}{held}, {manifest.data.windows['test']} test windows "
        f"({manifest.data.test_windows_independent} independent), mean of {len(manifest.seeds)} seed(s). "
        "MFLOP: a multiply-accumulate is 2. Param.: millions that are not zero. Raw: before retraining. "
        "95 %: Wilson interval. Missed: faults classified as normal. Worst: lowest recall of a class. "
        "Diff.: to the dense model."
    )
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
        table.add_row(*_row("dense" if model.method == "dense" else f"{model.rate:g}", model, snrs))
    if manifest.control is not None:
        table.add_row(*_row("control", manifest.control, snrs))
    for own in manifest.baselines:
        table.add_row(*_baseline_row(own, snrs))
    return table


def print_results(manifest: Manifest, console: Console) -> None:
    """What must be known first, and the results table; at most 100 columns wide."""
    width = min(100, console.width) if console.is_terminal else 100
    for notice in notices(manifest):
        console.print(notice, width=width, style="yellow", markup=False, highlight=False)
    console.print(results_table(manifest), width=width)
