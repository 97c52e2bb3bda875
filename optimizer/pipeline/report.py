"""One page for a person who decides: which models to deploy, what the network can carry, what the policy gains.

A single HTML file that opens offline: pictures are inside it, and there is no script. `write_report` takes what the
pipeline's stages left in a run folder.
"""

import base64
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from data.common.files import sha256, write_whole
from data.common.guard import is_file, read_limited
from optimizer.errors import OptimizerError
from optimizer.evaluation.capacity import CapacityFile
from optimizer.evaluation.capacity_figure import best_first, first_line
from optimizer.evaluation.pages import render
from optimizer.evaluation.price import price_line
from optimizer.evaluation.reading import read_capacity, read_captions, read_claims, read_evaluation, read_results
from optimizer.evaluation.results import CapacityRow, Captions, Claims, Evaluation, Results
from optimizer.evaluation.slower import serious, slower_line
from optimizer.network.scenario import MULTIPLIED, Scenario
from optimizer.trial.results import SchemeResult, TrialFile, read_trial
from optimizer.trial.sentences import (
    best_scheme,
    brink_lines,
    disturbance,
    repeats_lines,
    risk_lines,
    simplest,
    verdict,
    work_line,
)
from profiling.profile.profile import Profile
from pruning.bundle import Manifest, read_manifest
from pruning.verdict import notices

LOSSLESS = 0.001  # picked by hand: share of dropped tasks up to which a network is said to serve its sensors
LARGEST_PICTURE, PNG = 32 << 20, b"\x89PNG\r\n\x1a\n"
HASHED = (
    "bundle/models.json", "gateway.json", "edge.json", "capacity/capacity.json", "trial.json", "evaluation.json",
    "experiment/results.json",
)  # fmt: skip


@dataclass(frozen=True)
class ModelRow:
    """What a model costs and gives on the gateway.

    Attributes:
        rate: Pruning rate; 0 is the complete model.
        name: Name in the table.
        accuracy: Test accuracy in percent.
        interval: Its 95 % interval in percent.
        relative: Its accuracy over the complete model's, as profiled, in percent.
        relative_interval: Its 95 % interval, paired, in percent; None for older profiles.
        missed: Missed faults in percent; None if it is not known.
        flops: MFLOP of one window; a multiply-accumulate is 2 FLOP.
        megabytes: Size of its file.
        one_ms: Milliseconds for one window.
        batch: Size of the batch that is shown.
        batch_ms: Milliseconds for that batch.
        p99_ms: 99th percentile for that batch.
    """

    rate: float
    name: str
    accuracy: float
    interval: tuple[float, float]
    relative: float
    relative_interval: tuple[float, float] | None
    missed: float | None
    flops: float
    megabytes: float
    one_ms: float
    batch: int
    batch_ms: float
    p99_ms: float


@dataclass(frozen=True)
class Inputs:
    """Everything that the page shows, read and validated."""

    bundle: Manifest
    gateway: Profile
    edge: Profile
    results: Results
    evaluation: Evaluation
    captions: Captions
    claims: Claims
    trial: TrialFile
    capacity: CapacityFile
    price: CapacityFile | None


def read_inputs(run: Path) -> Inputs:
    """What the stages left in a run folder.

    Raises:
        OptimizerError, ProfilingError, PruningError: A file that is missing or damaged; the field is named.
    """
    figures = run / "experiment" / "figures"
    return Inputs(
        bundle=read_manifest(run / "bundle"),
        gateway=Profile.load(run / "gateway.json"),
        edge=Profile.load(run / "edge.json"),
        results=read_results(run / "experiment" / "results.json"),
        evaluation=read_evaluation(run / "evaluation.json"),
        captions=read_captions(figures / "captions.json"),
        claims=read_claims(figures / "claims.json"),
        trial=read_trial(run / "trial.json"),
        capacity=read_capacity(run / "capacity" / "capacity.json"),
        price=_with_risks(run / "capacity" / "price.json"),
    )


def _with_risks(path: Path) -> CapacityFile | None:
    """The price of certainty; None if it was not looked for. Raises OptimizerError."""
    if not is_file(path):
        return None
    found = read_capacity(path)
    if not found.risks:
        raise OptimizerError(f"{path}: risks: expected at least one.", "Run `python -m optimizer.capacity` again.")
    return found


def picture(path: Path) -> str:
    """A PNG as a data address. Raises OptimizerError: no such file, no regular file, or not a PNG."""
    remedy = "Remove pipeline.json and run the pipeline again."
    try:
        content = read_limited(path, OptimizerError, limit=LARGEST_PICTURE, option="(none)", remedy=remedy)
    except (FileNotFoundError, IsADirectoryError):
        raise OptimizerError(f"{path}: no such picture.", remedy) from None
    if not content.startswith(PNG):
        raise OptimizerError(f"{path}: not a PNG.", remedy)
    return "data:image/png;base64," + base64.b64encode(content).decode()


def models_table(bundle: Manifest, gateway: Profile, batch: int) -> list[ModelRow]:
    """What each model costs and gives on the gateway, by ascending pruning rate.

    Args:
        bundle: The bundle's manifest.
        gateway: The gateway's profile.
        batch: Sensors of the largest gateway: the batch whose latency is shown, or the largest one measured.
    """
    rows = []
    for entry in sorted(bundle.models, key=lambda m: m.rate):
        rate = entry.rate
        shown = min(batch, max(c.batch for c in gateway.cells(rate)))
        missed = entry.after["clean"].missed_faults
        low, high = entry.accuracy_interval
        profiled = gateway.model(rate)
        paired = profiled.relative_accuracy_interval
        rows.append(
            ModelRow(
                rate=rate,
                name="complete" if rate == 0 else f"p = {rate:g}",
                accuracy=100 * entry.accuracy,
                interval=(100 * low, 100 * high),
                relative=100 * profiled.relative_accuracy,
                relative_interval=None if paired is None else (100 * paired.low, 100 * paired.high),
                missed=None if missed is None else 100 * missed.value,
                flops=entry.flops / 1e6,
                megabytes=entry.file_bytes / 1e6,
                one_ms=1e3 * gateway.latency(rate, 1),
                batch=shown,
                batch_ms=1e3 * gateway.latency(rate, shown),
                p99_ms=1e3 * gateway.latency(rate, shown, percentile="p99"),
            )
        )
    return rows


def advice(models: Sequence[ModelRow], scenario: Scenario, trial: TrialFile) -> list[str]:
    """What to run where, after the verdict of the trial, in sentences.

    Args:
        models: What each model costs and gives.
        scenario: The network.
        trial: What every scheme did.
    """
    best, simple = best_scheme(trial.schemes, trial.slowed), simplest(trial)
    used = ", ".join(f"{name} in {100 * share:.0f} %" for name, share in models_used(best).items())
    found = [simple] if simple else []
    found.append(work_line(best) + (f" On the gateways it runs {used} of its batches." if used else ""))
    found += [
        f"All plans here are {note}, as a margin: without it they would carry more sensors and lose more tasks."
        for note in scenario.notes
        if note.startswith(MULTIPLIED)
    ]
    relative = {m.rate: m.accuracy for m in scenario.models}
    for level in dict.fromkeys((scenario.qos[0], scenario.qos[-1])):
        able = [m for m in models if m.rate in relative and relative[m.rate] >= level.min_accuracy]
        if able:
            fastest = min(able, key=lambda m: m.batch_ms)
            found.append(
                f"For criticality {level.criticality:g} (accuracy of at least {level.min_accuracy:.3f} of the "
                f"complete model's, within {level.max_delay_s:g} s) the fastest model that is accurate enough is "
                f"{fastest.name}: {fastest.batch_ms:.1f} ms for {fastest.batch} windows, {fastest.megabytes:.1f} MB."
            )
        else:
            found.append(
                f"No pruned model is accurate enough for criticality {level.criticality:g} "
                f"({level.min_accuracy:.3f}); such tasks must go to the edge."
            )
    return found


def models_used(scheme: SchemeResult) -> dict[str, float]:
    """Share of the gateways' batches that each model ran, by its name."""
    total = sum(m.batches for m in scheme.models)
    used = sorted(scheme.models, key=lambda m: (m.rate, m.precision))
    return {f"p = {m.rate:g} ({m.precision})": m.batches / total for m in used}


def carried(capacity: Sequence[CapacityRow], limit: float = LOSSLESS) -> str:
    """How many sensors a gateway can serve, in a sentence."""
    good = [r.sensors_per_gateway for r in capacity if r.drop_ratio <= limit]
    bad = [r.sensors_per_gateway for r in capacity if r.drop_ratio > limit]
    if not good:
        return (
            "Even one sensor per gateway loses tasks: the requirements cannot be met with these models and this link."
        )
    if not bad:
        return (
            f"At least {max(good)} sensors per gateway can be served with at most {100 * limit:g} % of the tasks "
            "dropped (the largest batch that was profiled)."
        )
    return (
        f"Up to {max(good)} sensors per gateway can be served with at most {100 * limit:g} % of the tasks lost; at "
        f"{min(bad)} even the optimum drops more."
    )


def _policy_rows(evaluation: Evaluation) -> list[dict[str, Any]]:
    """The optimum, the policies and the schemes as rows of a table."""
    rows = [{"name": "optimum", "gap": 0.0, "learned": False, **asdict(evaluation.optimum)}]
    return rows + [{"name": name, **row.model_dump()} for name, row in evaluation.policies.items()]


def fragile(evaluation: Evaluation) -> list[str]:
    """Which plans a little slower inference would spoil, in sentences."""
    planned = {"optimum": evaluation.optimum.drop_ratio}
    planned |= {name: row.summary.drop_ratio for name, row in evaluation.policies.items()}
    return [
        slower_line(name, planned[name], found)
        for name, found in evaluation.slower.items()
        if serious(planned[name], found)
    ]


def write_report(run: str | Path, out: str | Path) -> None:
    """Write the page from what the stages left in a run folder.

    Args:
        run: Folder of the pipeline (`bundle`, `gateway.json`, `edge.json`, `experiment`, `evaluation.json`,
            `trial.json`, `capacity`).
        out: The HTML file.

    Raises:
        OptimizerError, ProfilingError, PruningError: A stage's file is missing or damaged.
    """
    run = Path(run)
    found, figures = read_inputs(run), run / "experiment" / "figures"
    scenario, captions = found.evaluation.scenario, found.captions.captions
    models = models_table(found.bundle, found.gateway, scenario.width)
    schemes = found.trial.schemes
    best = best_scheme(schemes, found.trial.slowed)
    page = render(
        "optimizer.pipeline",
        "report.html",
        made=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        bundle=found.bundle,
        notices=[*([disturbance(found.trial.speed)] if found.trial.disturbed else []), *notices(found.bundle)],
        gateway=found.gateway,
        edge=found.edge,
        scenario=scenario,
        models=models,
        advice=advice(models, scenario, found.trial),
        carried_line=first_line(found.capacity),
        carriers=[scheme for _, scheme in best_first(found.capacity.schemes)],
        carried_picture=picture(run / "capacity" / "capacity.png"),
        capacity_limit=found.capacity.limit,
        price=found.price,
        price_line=None if found.price is None else price_line(found.price.risks),
        price_picture=None if found.price is None else picture(run / "capacity" / "price" / "price.png"),
        risk_lines=risk_lines(found.trial),
        brink_lines=brink_lines(found.trial.schemes),
        repeats_lines=repeats_lines(found.trial),
        fragile=fragile(found.evaluation),
        carried=carried(found.results.capacity),
        policies=_policy_rows(found.evaluation),
        slots=found.evaluation.slots,
        trial=found.trial,
        disturbance=disturbance(found.trial.speed),
        best=best,
        simple=schemes.get("local"),
        verdict=verdict(found.trial),
        claims=found.claims.claims,
        figures=[(name, captions[name], picture(figures / f"{name}.png")) for name in captions if name != "capacity"],
        capacity=picture(figures / "capacity.png") if "capacity" in captions else None,
        trial_picture=picture(run / "trial.png"),
        hashes=[(name, sha256(run / name)) for name in HASHED],
        configuration=json.dumps(scenario.dump(), indent=1),
    )
    write_whole(Path(out), page)
