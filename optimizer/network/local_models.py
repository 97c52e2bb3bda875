"""The models that gateways can run, from a measured profile: their accuracies, latencies and FLOPs.

The paper's network chooses among the pruned models of one precision. A factory's network chooses among all models that
were measured, the complete one included, at every precision; models that another one beats in everything are left out.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from optimizer.errors import OptimizerError
from optimizer.network.parts import LocalModel
from profiling.profile.entries import Law, Model, Percentile, Precision
from profiling.profile.profile import Profile

Latency = Literal["measured", "fit"]
Accuracy = Literal["measured", "cubic", "monotone"]
Choice = tuple[tuple[LocalModel, ...], tuple[LocalModel, ...]]  # models that gateways can run, and those left out


def pruned_models(
    profile: Profile, latency: Latency, accuracy: Accuracy, percentile: Percentile, precision: Precision | None
) -> Choice:
    """The pruned models of one precision, the paper's choices; arguments as in `measured_scenario`."""
    chosen = [profile.model(rate, precision) for rate in profile.rates if rate > 0]
    if not chosen:
        raise OptimizerError("--gateway: the profile holds no pruned model.", "Profile a bundle with rates above 0.")
    return _local_models(profile, chosen, latency, accuracy, percentile), ()


def best_models(
    profile: Profile, latency: Latency, accuracy: Accuracy, percentile: Percentile, precision: Precision | None
) -> Choice:
    """Every model that was measured and that no other beats.

    Args:
        profile: Profile of the gateway.
        latency: How latencies are taken from it, as in `measured_scenario`.
        accuracy: How accuracies are taken from it.
        percentile: Percentile of the measured latency.
        precision: Only models of this precision; None for all.
    """
    chosen = [m for m in profile.models if precision in (None, m.precision)]
    if not chosen:
        held = ", ".join(sorted({m.precision for m in profile.models}))
        raise OptimizerError(f"--precision: the profile holds no model in {precision}.", f"It holds {held}.")
    found = _local_models(profile, chosen, latency, accuracy, percentile)
    kept: list[LocalModel] = []
    for i, model in enumerate(found):
        if not any(_beats(other, model) for other in (*kept, *found[i + 1 :])):
            kept.append(model)
    kept.sort(key=lambda m: (m.rate, m.precision or ""))
    return tuple(kept), tuple(m for m in found if m not in kept)


def _local_models(
    profile: Profile, chosen: Sequence[Model], latency: Latency, accuracy: Accuracy, percentile: Percentile
) -> tuple[LocalModel, ...]:
    """Models of a profile as a network has them; the precision is named unless all have the profile's first one."""
    named = {m.precision for m in chosen} != {profile.precision}
    return tuple(
        LocalModel(
            rate=model.rate,
            accuracy=value,
            flops=model.flops,
            latency_s=_points(profile, model.rate, latency, percentile, model.precision),
            precision=model.precision if named else None,
        )
        for model, value in zip(chosen, relative_accuracies(profile, chosen, accuracy), strict=True)
    )


def relative_accuracies(profile: Profile, models: Sequence[Model], how: Accuracy) -> list[float]:
    """Accuracy of each model relative to the complete one, cut off at 1.

    Args:
        profile: The profile that holds the models.
        models: Models of it.
        how: "measured", the fitted "cubic" of eq. (1), or "monotone": measured, but never higher at a higher rate of
            the same precision (isotonic regression), so that noise makes no pruned model look better than a larger one.

    Raises:
        OptimizerError: A model whose accuracy is 0.
    """
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
