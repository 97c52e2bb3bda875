"""A profile as tables on the terminal, at most 100 columns wide."""

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from data.common.console import WIDTH
from profiling.comparison import Ratio
from profiling.profile.entries import Capacity, Latency, Model, RuntimeTrial
from profiling.profile.profile import Profile

SHOWN = 6  # most batch sizes in one row of the table
MEASURED = (
    "Median ms per batch; * noisy cell. MFLOP: executed for one input, a multiply-accumulate is 2. acc.: on the "
    "bundle's test windows, measured here. eff.: FLOP/s at the largest batch, relative to a matrix product's."
)
DATASHEET = "From a datasheet, NOT measured: ms = batch * FLOP / C. MFLOP: for one input, a multiply-accumulate is 2."
RELATIVE = (
    "All models saw the same windows, so accuracies are compared in pairs, and windows that are hard for all cancel "
    "out: the second interval is of the ratio, by drawing whole test recordings again."
)
LAWS = (
    'Errors are relative: mean and worst over all cells; "left out" is the median error for cells whose batch size was '
    "left out of the fit. * This law predicts left-out batch sizes best."
)


def milliseconds(seconds: float) -> str:
    """Milliseconds with three significant digits."""
    value = 1e3 * seconds
    return (
        f"{value:.3f}"
        if value < 1
        else f"{value:.2f}"
        if value < 10
        else f"{value:.1f}"
        if value < 100
        else f"{value:,.0f}"
    )


def _cell(found: list[Latency], batch: int, threads: int) -> str:
    for entry in found:
        if (entry.batch, entry.threads) == (batch, threads):
            return milliseconds(entry.p50_s) + ("*" if entry.noisy else " ")
    return "- "


def shown_batches(profile: Profile) -> list[int]:
    """The batch sizes that fit in a table: all, or the smallest, the largest and some between."""
    batches = sorted({x.batch for m in profile.models for x in m.latency})
    if len(batches) <= SHOWN:
        return batches
    return sorted({batches[round(i * (len(batches) - 1) / (SHOWN - 1))] for i in range(SHOWN)})


def efficiency(profile: Profile, model: Model, threads: int) -> float | None:
    """FLOP/s at the largest batch relative to the matrix product's; None if that was not measured."""
    fits = [c for c in profile.capacities if (c.precision, c.threads) == (model.precision, threads)]
    cells = [x for x in model.latency if x.threads == threads]
    if not fits or fits[0].peak_flop_per_s is None or not cells:
        return None
    last = max(cells, key=lambda x: x.batch)
    return last.batch * model.flops / last.p50_s / fits[0].peak_flop_per_s


def latency_table(profile: Profile, threads: int) -> Table:
    """One row per model: FLOPs, accuracy, median milliseconds by batch size."""
    batches = shown_batches(profile)
    table = Table(
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        title=f"{profile.name}" + (f", {threads} threads" if threads and len(_threads(profile)) > 1 else ""),
        title_justify="left",
    )
    for heading in ("rate", "", "MFLOP", "acc. %", *(f"b={b} " for b in batches), "eff."):
        table.add_column(heading, justify="right", no_wrap=True)
    for model in profile.models:
        share = efficiency(profile, model, threads)
        table.add_row(
            "dense" if model.rate == 0 else f"{model.rate:g}",
            model.precision,
            f"{model.flops / 1e6:,.1f}" if model.flops < 1e9 else f"{model.flops / 1e6:,.0f}",
            f"{100 * model.accuracy:.2f}",
            *(_cell(model.latency, b, threads) for b in batches),
            "-" if share is None else f"{share:.0%}",
        )
    return table


def _threads(profile: Profile) -> list[int]:
    return profile.measurement.threads if profile.measurement else [0]


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f} %"


def law_table(capacity: Capacity, title: str) -> Table:
    """One row per law: its errors and terms."""
    table = Table(
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        title=title,
        title_justify="left",
    )
    for heading in ("law", "mean", "worst", "left out", "R^2", "C, GFLOP/s", "overhead, ms"):
        table.add_column(heading, justify="left" if heading == "law" else "right", no_wrap=True)
    for fit in capacity.laws:
        table.add_row(
            fit.law + (" *" if fit.law == capacity.chosen and fit.left_out_median_error is not None else ""),
            _percent(fit.mean_error),
            _percent(fit.worst_error),
            _percent(fit.left_out_median_error),
            f"{fit.r_squared:.4f}",
            "-" if fit.capacity_flop_per_s is None else f"{fit.capacity_flop_per_s / 1e9:,.1f}",
            "-" if fit.overhead_s is None else milliseconds(fit.overhead_s),
        )
    return table


def accuracy_table(profile: Profile) -> Table:
    """One row per degree of the accuracy curve."""
    curve = profile.accuracy_curve
    table = Table(
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        title="polynomials of accuracy; errors in points",
        title_justify="left",
    )
    for heading in ("degree", "error", "left out", "AIC", "AICc", "rises"):
        table.add_column(heading, justify="right", no_wrap=True)
    for fit in curve.degrees:
        table.add_row(
            f"{fit.degree}" + (" <- used" if fit.degree == curve.degree else ""),
            f"{100 * fit.error:.2f}",
            "-" if fit.left_out_error is None else f"{100 * fit.left_out_error:.2f}",
            "-" if fit.aic is None else f"{fit.aic:.1f}",
            "-" if fit.aicc is None else f"{fit.aicc:.1f}",
            "yes" if fit.rises else "no",
        )
    return table


def relative_table(profile: Profile) -> Table:
    """One row per model: its accuracy beside the complete model's, on the same test windows."""
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), title="accuracy on the test windows", title_justify="left")
    for heading in ("rate", "", "acc. %", "95 % interval", "of the complete model's, %", "95 % interval "):
        table.add_column(heading, justify="right", no_wrap=True)
    for model in profile.models:
        own, relative = model.accuracy_interval, model.relative_accuracy_interval
        table.add_row(
            "dense" if model.rate == 0 else f"{model.rate:g}",
            model.precision,
            f"{100 * model.accuracy:.2f}",
            f"{100 * own.low:.2f} to {100 * own.high:.2f}",
            f"{100 * model.relative_accuracy:.2f}",
            "-" if relative is None else f"{100 * relative.low:.2f} to {100 * relative.high:.2f}",
        )
    return table


def _trial_line(trials: list[RuntimeTrial]) -> str:
    parts = [
        f"{t.runtime} {milliseconds(t.dense_s)}/{milliseconds(t.pruned_s)} ms"
        if t.dense_s and t.pruned_s
        else f"{t.runtime}: {t.error}"
        for t in trials
    ]
    return f"runtimes raced at batch {trials[0].batch} (dense/most pruned): {'; '.join(parts)}"


def print_profile(profile: Profile, console: Console) -> None:
    """Print the tables, notes and grade of a profile."""
    width = min(WIDTH, console.width) if console.is_terminal else WIDTH

    def say(text: str) -> None:
        console.print(text, width=width, highlight=False, markup=False)

    for threads in _threads(profile):
        console.print(latency_table(profile, threads), width=width)
    say(MEASURED if profile.kind == "measured" else DATASHEET)
    say("")
    for fit in profile.capacities:
        peak = "" if fit.peak_flop_per_s is None else f"; matrix product: {fit.peak_flop_per_s / 1e9:,.1f} GFLOP/s"
        console.print(law_table(fit, f"latency laws, {fit.precision}, {fit.threads} threads{peak}"), width=width)
    if profile.capacities:
        say(LAWS)
        say("")
    if profile.test_recordings is not None:
        console.print(relative_table(profile), width=width)
        say(RELATIVE)
        say("")
    console.print(accuracy_table(profile), width=width)
    say(profile.accuracy_curve.verdict)
    say("")
    if profile.measurement and profile.measurement.chosen_from:
        say(_trial_line(profile.measurement.chosen_from))
    for note in profile.notes:
        say(f"* {note}")
    for cell in profile.failed:
        say(f"! failed: rate {cell.rate:g} {cell.precision} batch {cell.batch} threads {cell.threads}: {cell.reason}")
    if profile.measurement:
        measured = profile.measurement
        say(
            f"capacity: {profile.capacity / 1e9:,.1f} GFLOP/s; grade: {measured.grade} "
            f"({measured.noisy_cells} of {measured.cells} cells noisy; speed drifted by {measured.drift:.0%})"
        )


def ratio_table(ratios: Sequence[Ratio]) -> Table:
    """One row per cell of a comparison."""
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading in ("rate", "", "batch", "threads", "A, ms", "B, ms", "B / A", "95 % together", "B is"):
        table.add_column(heading, justify="right", no_wrap=True)
    for r in ratios:
        table.add_row(
            "dense" if r.rate == 0 else f"{r.rate:g}",
            r.precision,
            str(r.batch),
            str(r.threads),
            milliseconds(r.a_s),
            milliseconds(r.b_s),
            f"{r.ratio:.3f}",
            f"{r.low:.3f}-{r.high:.3f}",
            r.verdict,
        )
    return table
