"""A scenario whose models, latencies and accuracies are those of measured profiles."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from data.common.parse import read_toml
from optimizer.errors import OptimizerError
from optimizer.network.certainty import Certainty, Tails
from optimizer.network.local_models import Accuracy, Latency, Reading, best_models, fitted_law, pruned_models
from optimizer.network.parts import Edge, Execution, Gateway, Link, LocalModel, Queue, Task
from optimizer.network.scenario import Scenario
from profiling.profile.entries import Percentile, Precision
from profiling.profile.profile import Profile


def measured_scenario(
    gateway: Profile,
    edge: Profile,
    base: Scenario,
    *,
    link: Link | None = None,
    execution: Execution | None = None,
    queue: Queue | None = None,
    latency: Latency = "measured",
    accuracy: Accuracy | None = None,
    percentile: Percentile = "p50",
    precision: Precision | None = None,
    extrapolate: bool = False,
    allow_other_bundle: bool = False,
    accept_weak: bool = False,
    certainty: Certainty | None = None,
    keep: Sequence[LocalModel] | None = None,
) -> Scenario:
    """`base` with the models, latencies and accuracies of two profiles.

    Args:
        gateway: Profile of the gateway. In the paper's network (one batch, no queue) gateways can run its pruned models
            of one precision; in a factory's network all of its models that no other one beats.
        edge: Profile of the edge server; the time of its dense model for one task is H I / C_e.
        base: Scenario that supplies what the profiles lack: sensors, levels, slot, penalty, link.
        link: An uplink instead of the base's.
        execution: "one batch" or "by level" instead of the base's.
        queue: Queue at the edge, "none" or "fifo", instead of the base's.
        latency: "measured" joins the measured batches by lines; "fit" takes overhead + batch * FLOP / C as fitted.
        accuracy: "measured", the fitted "cubic", or "monotone" (never higher at a higher rate), relative to the dense
            model and cut off at 1, (17b). By default "measured" in the paper's network and "monotone" elsewhere.
        percentile: Percentile of the measured latency to plan with.
        precision: Precision of the gateway's models; by default the profile's first, in a factory's network all.
        extrapolate: Allow more sensors per gateway than the largest measured batch: larger ones run in portions of it.
        allow_other_bundle: Accept profiles that were measured on two different bundles.
        accept_weak: Accept profiles of models that are no better than a constant answer.
        certainty: How sure the plan is to be: lower bounds of accuracies, and times for a risk.
        keep: In a factory's network: models of another plan, to be kept whatever beats them here.

    Raises:
        OptimizerError, ProfilingError: Two bundles, weak models, no pruned model, too small batches, no such precision.
    """
    _check_pair(gateway, edge, bundles=not allow_other_bundle, strength=not accept_weak)
    network = change_network(base, execution, queue)
    sure = certainty or Certainty()
    reading = Reading(latency, accuracy or ("monotone" if network.can_refuse else "measured"), percentile, sure)
    choose = partial(best_models, keep=keep) if network.can_refuse else pruned_models
    models, beaten = choose(gateway, reading, precision)
    task_s = sure.edge_task(gateway, edge, queue=network.fifo) or _one_task(edge, latency, percentile)
    return network.change(
        name="measured",
        models=models,
        task=Task(flops=edge.model(0.0).flops),
        gateway=_gateway(gateway, network),
        edge=Edge(task_s=task_s, queue=network.edge.queue),
        link=link or base.link,
        extrapolate=extrapolate,
        risk=sure.risk,
        notes=_notes(gateway, edge, sure.words(latency, percentile, reading.accuracy), beaten, sure.tails),
    )


def change_network(base: Scenario, execution: Execution | None, queue: Queue | None) -> Scenario:
    """The base with another execution or queue, where one is asked for."""
    changes: dict[str, Any] = {}
    if execution is not None:
        changes["gateway"] = base.gateway.model_copy(update={"execution": execution})
    if queue is not None:
        changes["edge"] = base.edge.model_copy(update={"queue": queue})
    return base.change(**changes)


def load_link(path: Path) -> Link:
    """An uplink from a TOML file: the `[link]` table of a scenario, or its keys alone.

    Raises:
        OptimizerError: No such file, or a wrong field.
    """
    content = read_toml(path, OptimizerError)
    content = content.get("link", content) if set(content) <= {"link"} else content
    # A whole scenario is validated so that messages name the field as in a scenario file.
    return Scenario.parse({"base": "paper", "link": _complete(content)}, str(path)).link


def _complete(content: dict[str, Any]) -> dict[str, Any]:
    missing = [name for name in Link.model_fields if name not in content]
    if missing:
        raise OptimizerError(f"--link: missing {', '.join(missing)}.", "docs/optimizer.md lists all fields of a link.")
    return content


def _gateway(profile: Profile, network: Scenario) -> Gateway:
    capacity = profile.capacity if profile.kind == "datasheet" else None
    return Gateway(capacity_flop_per_s=capacity, execution=network.gateway.execution)


def _check_pair(gateway: Profile, edge: Profile, *, bundles: bool, strength: bool) -> None:
    if bundles:
        _check_bundles(gateway, edge)
    if strength:
        _check_strength(gateway, edge)


def _check_bundles(gateway: Profile, edge: Profile) -> None:
    remedy = (
        "Profile one bundle on both devices (a datasheet lists its models with `python -m profiling.spec --models "
        "BUNDLE`), or go on with --allow-other-bundle."
    )
    if gateway.bundle and edge.bundle and gateway.bundle.sha256 != edge.bundle.sha256:
        raise OptimizerError(
            f"--gateway and --edge are profiles of two different bundles ({gateway.bundle.sha256[:12]} and "
            f"{edge.bundle.sha256[:12]}).",
            remedy,
        )
    there, here = edge.model(0.0).flops, gateway.model(0.0).flops
    if there != here:
        raise OptimizerError(
            f"--gateway and --edge are profiles of two different complete models ({here:,} and {there:,} FLOP).", remedy
        )


def _check_strength(gateway: Profile, edge: Profile) -> None:
    for option, profile in (("--gateway", gateway), ("--edge", edge)):
        if profile.weak is not None:
            raise OptimizerError(
                f"{option}: a profile of weak models. {profile.weak}",
                "A network of such models decides nothing. Train better ones, or go on with --accept-weak.",
            )


def _notes(
    gateway: Profile, edge: Profile, how: str, beaten: Sequence[LocalModel], tails: Tails | None
) -> tuple[str, ...]:
    """Where the numbers came from, what is wrong with them, and which models were left out."""
    notes = [f"gateway: {gateway.name} ({gateway.kind}), {how}", f"edge: {edge.name} ({edge.kind})"]
    weak = gateway.weak or edge.weak
    if weak:
        notes.append(f"weak models: {weak}")
    if tails is not None:
        notes += tails.notes(gateway)
    if beaten:
        labels = ", ".join(m.label for m in beaten)
        notes.append(f"left out, another model is as accurate and as fast: {labels}")
    return tuple(notes)


def _one_task(edge: Profile, how: Latency, percentile: Percentile) -> float:
    """Seconds of one task on the whole edge server."""
    if edge.kind == "datasheet" or how == "measured":
        return edge.latency(0.0, 1, percentile=percentile)
    return edge.latency(0.0, 1, percentile=percentile, law=fitted_law(edge, None))
