"""The models that gateways can run, from a measured profile: their accuracies, latencies and FLOPs.

The paper's network chooses among the pruned models of one precision. A factory's network chooses among all models that
were measured, the complete one included, at every precision; models that another one beats in everything are left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from optimizer.errors import OptimizerError
from optimizer.network.certainty import Certainty
from optimizer.network.parts import LocalModel
from profiling.profile.entries import Law, Model, Percentile, Precision
from profiling.profile.outcomes import drawn_ratios, unseen
from profiling.profile.profile import Profile

Latency = Literal["measured", "fit"]
Accuracy = Literal["measured", "cubic", "monotone"]
NOTHING = 1e-6  # an accuracy must be above 0; a model of which nothing is sure meets no level's requirement
Choice = tuple[tuple[LocalModel, ...], tuple[LocalModel, ...]]  # models that gateways can run, and those left out


@dataclass(frozen=True)
class Reading:
    """How latencies and accuracies are read from a profile; fields as the arguments of `measured_scenario`."""

    latency: Latency
    accuracy: Accuracy
    percentile: Percentile
    certainty: Certainty


def pruned_models(profile: Profile, reading: Reading, precision: Precision | None) -> Choice:
    """The pruned models of one precision, the paper's choices."""
    chosen = [profile.model(rate, precision) for rate in profile.rates if rate > 0]
    if not chosen:
        raise OptimizerError("--gateway: the profile holds no pruned model.", "Profile a bundle with rates above 0.")
    return _local_models(profile, chosen, reading), ()


def best_models(
    profile: Profile, reading: Reading, precision: Precision | None, keep: Sequence[LocalModel] | None = None
) -> Choice:
    """Every model that was measured and that no other beats.

    Args:
        profile: Profile of the gateway.
        reading: How latencies and accuracies are read from it.
        precision: Only models of this precision; None for all.
        keep: Models of another plan: exactly these are kept, whatever beats them here.
    """
    chosen = [m for m in profile.models if precision in (None, m.precision)]
    if not chosen:
        held = ", ".join(sorted({m.precision for m in profile.models}))
        raise OptimizerError(f"--precision: the profile holds no model in {precision}.", f"It holds {held}.")
    found = _local_models(profile, chosen, reading)
    kept: list[LocalModel] = []
    if keep is not None:
        wanted = {(m.rate, m.precision) for m in keep}
        return tuple(sorted((m for m in found if (m.rate, m.precision) in wanted), key=_place)), ()
    for i, model in enumerate(found):
        if not any(_beats(other, model) for other in (*kept, *found[i + 1 :])):
            kept.append(model)
    kept.sort(key=_place)
    return tuple(kept), tuple(m for m in found if m not in kept)


def _place(model: LocalModel) -> tuple[float, str]:
    return model.rate, model.precision or ""


def _local_models(profile: Profile, chosen: Sequence[Model], reading: Reading) -> tuple[LocalModel, ...]:
    """Models of a profile as a network has them; the precision is named unless all have the profile's first one."""
    named = {m.precision for m in chosen} != {profile.precision}
    values = relative_accuracies(profile, chosen, reading.accuracy, reading.certainty.confidence)
    tails = reading.certainty.tails
    return tuple(
        LocalModel(
            rate=model.rate,
            accuracy=value,
            flops=model.flops,
            latency_s=tails.points(profile, model)
            if tails is not None
            else _points(profile, model.rate, reading.latency, reading.percentile, model.precision),
            precision=model.precision if named else None,
        )
        for model, value in zip(chosen, values, strict=True)
    )


def relative_accuracies(
    profile: Profile, models: Sequence[Model], how: Accuracy, confidence: float | None = None
) -> list[float]:
    """Accuracy of each model relative to the complete one, cut off at 1.

    Args:
        profile: The profile that holds the models.
        models: Models of it.
        how: "measured", the fitted "cubic" of eq. (1), or "monotone": measured, but never higher at a higher rate of
            the same precision (isotonic regression), so that noise makes no pruned model look better than a larger one.
        confidence: The lower bounds at this confidence instead, each by itself; see `lower_bounds`.

    Raises:
        OptimizerError: A model whose accuracy is 0; a confidence for the cubic, or for a profile that does not keep
            which windows are right.
    """
    if confidence is not None:
        return lower_bounds(profile, models, how, confidence)
    whole = profile.accuracy(0.0, "cubic") if how == "cubic" else 1.0
    values = []
    for model in models:
        if how == "cubic":
            value = profile.accuracy(model.rate, "cubic", model.precision) / whole if whole > 0 else 0.0
        else:
            value = model.relative_accuracy
        if value <= 0:
            raise OptimizerError(
                f"--gateway: the model of rate {model.rate:g} has an accuracy of 0.", "Leave that rate out."
            )
        values.append(value)
    if how == "monotone":
        values = _monotone(models, values)
    return [min(1.0, value) for value in values]


def lower_bounds(profile: Profile, models: Sequence[Model], how: Accuracy, confidence: float) -> list[float]:
    """What each model's accuracy, relative to the complete one, is at least with this confidence; at most 1.

    Both accuracies are of the same test windows, and test recordings are drawn again. With "monotone" each draw is made
    monotone as the measured accuracies are. Where no recording shows a loss, the rule of three bounds what was not
    seen.

    Args:
        profile: The profile that holds the models.
        models: Models of it.
        how: "measured" or "monotone".
        confidence: Probability, from 0.5 to below 1, with which each model's own bound holds.

    Raises:
        OptimizerError: The cubic, or a profile that does not keep which windows are right.
    """
    if how == "cubic":
        raise OptimizerError(
            "--confidence bounds measured accuracies; got --accuracy cubic.", "Leave --accuracy out, or give monotone."
        )
    first: Precision = "fp32" if any(m.precision == "fp32" for m in profile.models) else profile.precision
    whole = profile.model(0.0, first)
    right = profile.right([*models, whole])
    if right is None:
        raise OptimizerError(
            f"--confidence: the profile {profile.name!r} does not keep which test windows each model classifies "
            f"correctly (schema {profile.schema_version}).",
            "Measure again with this version's `python -m profiling.run`, or leave --confidence out.",
        )
    draws = drawn_ratios(right[:-1], right[-1])
    if how == "monotone":
        draws = np.array([_monotone(models, row) for row in draws.tolist()])
    bounds = np.quantile(draws, 1 - confidence, axis=0)
    no_loss = (right[:-1] >= right[-1]).all(axis=1)
    bounds[no_loss] = np.minimum(bounds[no_loss], 1 - unseen(confidence, right.shape[1]))
    bounds = np.array([1.0 if m is whole else b for m, b in zip(models, bounds, strict=True)])
    if how == "monotone":  # a bound of what was not seen may lie below that of the next model
        for i, model in enumerate(models):
            larger = [j for j, m in enumerate(models) if m.precision == model.precision and m.rate <= model.rate]
            bounds[i] = bounds[larger].min()
    return [float(np.clip(b, NOTHING, 1.0)) for b in bounds]


def _monotone(models: Sequence[Model], values: Sequence[float]) -> list[float]:
    """The nearest values that never rise with the rate, precision by precision."""
    from scipy.optimize import isotonic_regression  # slow to import, and only this way of planning needs it

    fitted = np.array(values)
    for precision in {m.precision for m in models}:
        own = [i for i, m in enumerate(models) if m.precision == precision]
        own.sort(key=lambda i: models[i].rate)
        fitted[own] = isotonic_regression(fitted[own], increasing=False).x
    return [float(x) for x in fitted]


def _beats(one: LocalModel, other: LocalModel) -> bool:
    """Whether a model is at least as accurate as another one, and at least as fast at every measured batch."""
    if one.accuracy < other.accuracy or one.latency_s is None or other.latency_s is None:
        return False
    times, theirs = dict(one.latency_s), dict(other.latency_s)
    return times.keys() == theirs.keys() and all(times[n] <= theirs[n] for n in theirs)


def fitted_law(profile: Profile, precision: Precision | None) -> Law:
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
    law = fitted_law(profile, precision)
    return tuple(
        (x.batch, profile.latency(rate, x.batch, precision=precision, percentile=percentile, law=law)) for x in cells
    )
