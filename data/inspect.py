"""`python -m data.inspect FOLDER`: what recordings are there and what can be done, before an hour is spent."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from data.common.command import run_command
from data.common.console import make_console, say
from data.common.files import write_json
from data.common.options import one_of
from data.config import DataConfig
from data.sources import DATASETS
from data.survey import RecordingFacts, SplitFacts, Survey, survey

MOST_ROWS = 40  # of recordings in the table; --json has all


@dataclass(frozen=True, kw_only=True)
class InspectConfig(DataConfig):
    """Look at recordings: classes, lengths, rates, loads, flaws, windows, and which splits are possible and why.

    Nothing is trained and nothing in the folder is changed. The options mean what they mean in `python -m
    pruning.run`.
    """

    root: tyro.conf.Positional[Path] = field()  # required: without this, the base's default would hold
    """Folder of the recordings."""
    data: Annotated[str, one_of([name for name, source in DATASETS.items() if source.needs_root])] = "folder"
    """Kind of folder: one sub-folder per class, or the CWRU or MFPT recordings."""
    size: tyro.conf.Suppress[Literal[32, 64, 128]] = 32
    simulated_snr_db: tyro.conf.Suppress[float] = DataConfig.simulated_snr_db
    train_noise: tyro.conf.Suppress[float] = DataConfig.train_noise
    json: Path | None = None
    """Also write everything to this JSON file."""
    out: Path | None = None
    """Also draw pictures into this folder: a spectrogram of each class, and an overview of classes and lengths."""


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:g}"


def recordings_table(recordings: tuple[RecordingFacts, ...]) -> Table:
    """One row for each recording."""
    hidden = len(recordings) - MOST_ROWS
    caption = f"and {hidden} more (--json FILE lists all)" if hidden > 0 else None
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), caption=caption, caption_justify="left")
    for heading in ("recording", "class", "Hz", "s", "load", "mm", "rpm", "windows", "flaws"):
        left = heading in ("recording", "class", "flaws")
        table.add_column(heading, justify="left" if left else "right", overflow="fold")
    for own in recordings[:MOST_ROWS]:
        table.add_row(
            own.name, own.label, f"{own.sampling_rate_hz:g}", f"{own.duration_s:.2f}", _number(own.load),
            _number(own.size_mm), "-" if own.rpm is None else f"{own.rpm:.0f}", str(own.windows),
            "; ".join(own.flaws) or "-",
        )  # fmt: skip
    return table


def splits_table(splits: tuple[SplitFacts, ...]) -> Table:
    """One row for each split: windows of its parts, or why it cannot be made."""
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading in ("split", "train", "valid.", "test", "apart", "what it tests, or why it is impossible"):
        table.add_column(heading, justify="left" if heading[0] in "sw" else "right", overflow="fold")
    for own in splits:
        if own.possible:
            counts = [str(sum(own.windows[part].values())) for part in ("train", "validation", "test")]
            held = "" if own.held_out is None else f" ({own.held_out:g} held out)"
            words = "; ".join([own.why + held, *own.notes])
            table.add_row(own.name, *counts, str(own.independent), words)
        else:
            table.add_row(own.name, "-", "-", "-", "-", f"impossible: {own.why}")
    return table


def conclusion(found: Survey, config: InspectConfig) -> str:
    """What to type next, in a sentence."""
    if found.problems:
        return "Mend the above first."
    able = [own.name for own in found.splits if own.possible and own.name != "random"]
    if not able:
        return "No split is possible: see above."
    chosen = found.default if found.default in able else able[-1]
    option = "" if chosen == found.default else f" --split {chosen}"
    return f"Next: python -m pruning.run --data {config.data} --root {config.root}{option}"


def print_survey(found: Survey, config: InspectConfig, console: Console) -> None:
    """Tables and sentences, at most 100 columns wide."""
    width = min(100, console.width) if console.is_terminal else 100
    total = sum(own.duration_s for own in found.recordings)
    head = f"{len(found.recordings)} recordings, {total:.1f} s in all"
    counts = [(c, [r.duration_s for r in found.recordings if r.label == c]) for c in found.classes]
    lines = [f"{label}: {len(own)} recording{'s' * (len(own) != 1)}, {sum(own):.1f} s" for label, own in counts]
    console.print(f"{head}, {len(found.classes)} classes", width=width, markup=False, highlight=False)
    for line in lines:
        console.print(f"  {line}", width=width, markup=False, highlight=False)
    console.print(recordings_table(found.recordings), width=width, markup=False)
    each = f"windows of {config.window_s:g} s at {found.rate_hz:g} Hz every {config.hop_s:g} s"
    window = f"{each}; apart: test windows that share no sample"
    console.print(window, width=width, markup=False, highlight=False)
    console.print(splits_table(found.splits), width=width, markup=False)
    if found.cross_validation is not None:
        console.print(found.cross_validation.why, width=width, markup=False, highlight=False)
    for note in found.notes:
        console.print(f"note: {note}", width=width, style="yellow", markup=False, highlight=False)
    for own in found.problems:
        console.print(
            f"problem: {own.problem}\n  {own.remedy}", width=width, style="red", markup=False, highlight=False
        )
    say(console, conclusion(found, config))


def run(config: InspectConfig) -> None:
    """Look, print, and write what was asked for.

    Raises:
        DataError: The recordings cannot be read.
    """
    console = make_console()
    found = survey(config)
    print_survey(found, config, console)
    if config.json is not None:
        write_json(config.json, found.dump())
        say(console, f"json: {config.json}")
    if config.out is not None:
        from data.drawing import draw_overview, draw_spectrograms  # needs matplotlib, which a gateway may not have

        draw_spectrograms(config, config.out / "spectrograms.png")
        draw_overview(found, config.out / "overview.png")
        say(console, f"pictures: {config.out}")


def main() -> None:
    """Entry point of `python -m data.inspect`."""
    run_command(InspectConfig, run, "data.inspect", resume="Nothing is lost; run it again.")


if __name__ == "__main__":
    main()
