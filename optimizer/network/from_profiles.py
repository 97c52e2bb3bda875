"""A scenario whose models, latencies and accuracies are those of measured profiles."""

from pathlib import Path
from typing import Any, Literal

from optimizer.errors import OptimizerError
from optimizer.network.parts import Edge, Gateway, Link, LocalModel, Task
from optimizer.network.scenario import Scenario, read_toml
from profiling.profile.entries import Law, Percentile, Precision
from profiling.profile.profile import Profile

Latency = Literal["measured", "fit"]
Accuracy = Literal["measured", "cubic"]


def measured_scenario(
    gateway: Profile,
    edge: Profile,
    base: Scenario,
    *,
    link: Link | None = None,
    latency: Latency = "measured",
    accuracy: Accuracy = "measured",
    percentile: Percentile = "p50",
    precision: Precision | None = None,
    extrapolate: bool = False,
    allow_other_bundle: bool = False,
    accept_weak: bool = False,
) -> Scenario:
    """`base` with the models, latencies and accuracies of two profiles.

    Args:
        gateway: Profile of the gateway; its pruned models are those that gateways can run.
        edge: Profile of the edge server; the time of its dense model for one task is H I / C_e.
        base: Scenario that supplies what the profiles lack: sensors, levels, slot, penalty, and the link unless one is
            given.
        link: An uplink instead of the base's.
        latency: "measured" joins the measured batches by lines; "fit" takes overhead + batch * FLOP / C as fitted.
        accuracy: "measured" or the fitted "cubic", relative to the dense model and cut off at 1, (17b).
        percentile: Percentile of the measured latency to plan with.
        precision: Precision of the gateway's models; by default the first one in the profile.
        extrapolate: Allow gateways with more sensors than the largest measured batch.
        allow_other_bundle: Accept profiles that were measured on two different bundles.
        accept_weak: Accept profiles of models that are no better than a constant answer.

    Raises:
        OptimizerError: Two bundles, weak models, no pruned model, or fewer measured batches than a gateway has sensors.
        ProfilingError: A percentile or precision that the profile does not hold.
    """
    if not allow_other_bundle:
        _check_bundles(gateway, edge)
    if not accept_weak:
        _check_strength(gateway, edge)
    rates = [r for r in gateway.rates if r > 0]
    if not rates:
        raise OptimizerError("--gateway: the profile holds no pruned model.", "Profile a bundle with rates above 0.")
    models = tuple(
        LocalModel(
            rate=rate,
            accuracy=_relative_accuracy(gateway, rate, accuracy, precision),
            flops=gateway.model(rate, precision).flops,
            latency_s=_points(gateway, rate, latency, percentile, precision),
        )
        for rate in rates
    )
    return base.change(
        name="measured",
        models=models,
        task=Task(flops=edge.model(0.0).flops),
        gateway=Gateway(capacity_flop_per_s=gateway.capacity if gateway.kind == "datasheet" else None),
        edge=Edge(task_s=_one_task(edge, latency, percentile)),
        link=link or base.link,
        extrapolate=extrapolate,
        notes=_notes(gateway, edge, f"{latency} latency at {percentile}, {accuracy} accuracy"),
    )


def load_link(path: Path) -> Link:
    """An uplink from a TOML file: the `[link]` table of a scenario, or its keys alone.

    Raises:
        OptimizerError: No such file, or a wrong field.
    """
    content = read_toml(path)
    content = content.get("link", content) if set(content) <= {"link"} else content
    # A whole scenario is validated so that messages name the field as in a scenario file.
    return Scenario.parse({"base": "paper", "link": _complete(content)}, str(path)).link


def _complete(content: dict[str, Any]) -> dict[str, Any]:
    missing = [name for name in Link.model_fields if name not in content]
    if missing:
        raise OptimizerError(f"--link: missing {', '.join(missing)}.", "docs/optimizer.md lists all fields of a link.")
    return content


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


def _notes(gateway: Profile, edge: Profile, how: str) -> tuple[str, ...]:
    """Where the numbers came from, and what is wrong with them."""
    weak = gateway.weak or edge.weak
    sources = (f"gateway: {gateway.name} ({gateway.kind}), {how}", f"edge: {edge.name} ({edge.kind})")
    return (*sources, f"weak models: {weak}") if weak else sources


def _relative_accuracy(profile: Profile, rate: float, how: Accuracy, precision: Precision | None) -> float:
    if how == "measured":
        value = profile.model(rate, precision).relative_accuracy
    else:
        whole = profile.accuracy(0.0, "cubic")
        value = profile.accuracy(rate, "cubic", precision) / whole if whole > 0 else 0.0
    if value <= 0:
        raise OptimizerError(f"--gateway: the model of rate {rate:g} has an accuracy of 0.", "Leave that rate out.")
    return min(1.0, value)


def _law(profile: Profile, precision: Precision | None) -> Law:
    """Overhead and capacity, or the capacity alone where no overhead could be fitted."""
    fitted = [f.law for f in profile.capacity_of(precision).laws]
    return "affine" if "affine" in fitted else "proportional"


def _points(
    profile: Profile, rate: float, how: Latency, percentile: Percentile, precision: Precision | None
) -> tuple[tuple[int, float], ...] | None:
    """(batch, seconds) of a model at the measured batch sizes; None for a datasheet, which has a capacity only."""
    if profile.kind == "datasheet":
        return None
    cells = profile.cells(rate, precision)
    if cells[0].batch != 1:
        raise OptimizerError(
            f"--gateway: rate {rate:g} was not measured at batch 1 but from {cells[0].batch} on.",
            "Profile with --batches 1,...",
        )
    if how == "measured":
        return tuple((x.batch, float(getattr(x, f"{percentile}_s"))) for x in cells)
    law = _law(profile, precision)
    return tuple(
        (x.batch, profile.latency(rate, x.batch, precision=precision, percentile=percentile, law=law)) for x in cells
    )


def _one_task(edge: Profile, how: Latency, percentile: Percentile) -> float:
    """Seconds of one task on the whole edge server."""
    if edge.kind == "datasheet" or how == "measured":
        return edge.latency(0.0, 1, percentile=percentile)
    return edge.latency(0.0, 1, percentile=percentile, law=_law(edge, None))
