"""What a trial found: shares of lost tasks, delays and accuracies with intervals, and errors of predictions."""

from collections.abc import Sequence

import numpy as np

from data.common.stats import wilson
from optimizer.network.outcome import evaluate
from optimizer.network.slots import PADDING
from optimizer.trial.carry_out import Ratios, Tally
from optimizer.trial.machines import Machines
from optimizer.trial.results import (
    QUANTILES,
    AccuracyRow,
    ErrorSummary,
    Factors,
    ModelUse,
    Point,
    SchemeResult,
)
from optimizer.trial.setting import Setting
from optimizer.trial.slots import INACCURATE, LATE, REFUSED, SERVED, predict
from profiling.profile.entries import Interval

RESAMPLES = 500  # of the slots, for intervals
NEAR = 0.02  # predictions are also made for inference that takes so much less and more
POINTS = 300  # most tasks of a scheme and place that are kept for the figure


def delay_errors(predicted: np.ndarray, measured: np.ndarray) -> ErrorSummary | None:
    """Quantiles of |predicted / measured - 1| over tasks; None without any."""
    if not len(measured):
        return None
    ratio = predicted / measured
    p50, p90, p99 = (float(q) for q in np.quantile(np.abs(ratio - 1), (0.5, 0.9, 0.99)))
    return ErrorSummary(tasks=len(ratio), p50=p50, p90=p90, p99=p99, median_ratio=float(np.median(ratio)))


def pooled_errors(tallies: Sequence[Tally], *, offloaded: bool | None = None) -> ErrorSummary | None:
    """Errors over the tasks of all contenders; of those on gateways or at the edge alone if that is asked for."""
    predicted, measured = [], []
    for tally in tallies:
        chosen = np.isfinite(tally.delay_s)
        if offloaded is not None:
            chosen &= tally.contender.action.offload == offloaded
        predicted.append(tally.predicted.delay_s[chosen])
        measured.append(tally.delay_s[chosen])
    return delay_errors(np.concatenate(predicted), np.concatenate(measured))


def factors(ratios: Ratios) -> Factors:
    """How inference times scatter about the predicted ones, as evenly spaced quantiles."""
    at = (np.arange(QUANTILES) + 0.5) / QUANTILES

    def quantiles(values: list[float]) -> list[float]:
        return [round(float(x), 5) for x in np.quantile(values, at)] if values else []

    return Factors(local=quantiles(ratios.local), edge=quantiles(ratios.edge))


def share_interval(count: np.ndarray, total: np.ndarray, draws: np.ndarray) -> Interval:
    """95 % interval of a share of tasks: slots are drawn again, and it is at least as wide as tasks by themselves give.

    Args:
        count: Number of tasks that count, in each slot.
        total: Number of tasks in each slot, at least one in all.
        draws: Indices of slots, one row per resample.
    """
    share = float(count.sum() / total.sum())
    low, high = wilson(share, int(total.sum()))
    tasks = total[draws].sum(axis=1)
    drawn = np.divide(count[draws].sum(axis=1), tasks, out=np.full(len(draws), share), where=tasks > 0)
    below, above = np.quantile(drawn, (0.025, 0.975))
    return Interval(low=min(low, float(below)), high=max(high, float(above)))


def delay_intervals(delay: np.ndarray, slot: np.ndarray, draws: np.ndarray) -> dict[str, Interval]:
    """95 % intervals of the mean and the 99th percentile of delays, from slots that are drawn again.

    Args:
        delay: Delays of served tasks, at least one.
        slot: The slot of each.
        draws: Indices of slots, one row per resample.
    """
    order = np.argsort(delay)
    delay, slot = delay[order], slot[order]
    means, tails = [], []
    slots = draws.shape[1]
    for row in draws[:: max(1, len(draws) // 200)]:
        weight = np.bincount(row, minlength=slots)[slot].cumsum()
        if weight[-1]:
            means.append(float(np.average(delay, weights=np.diff(weight, prepend=0))))
            tails.append(float(delay[np.searchsorted(weight, 0.99 * weight[-1])]))
    found = {}
    for name, drawn, value in (("delay_s", means, delay.mean()), ("delay_p99_s", tails, np.quantile(delay, 0.99))):
        below, above = np.quantile(drawn, (0.025, 0.975)) if drawn else (value, value)
        found[name] = Interval(low=float(min(below, value)), high=float(max(above, value)))
    return found


def _draws(slots: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, slots, (RESAMPLES, slots))


def _measured(tally: Tally, there: np.ndarray, seed: int) -> dict[str, object]:
    """The measured figures of a contender, with their intervals."""
    draws = _draws(len(there), seed)
    total = there.sum(axis=(1, 2)).astype(float)
    served = tally.fate == SERVED
    kinds = {
        "lost": there & ~served,
        "late": tally.fate == LATE,
        "inaccurate": tally.fate == INACCURATE,
        "refused": tally.fate == REFUSED,
        "wrong": served & ~tally.correct,
        "edge_slower": tally.slower,
    }
    found: dict[str, object] = {name: float(which.sum() / total.sum()) for name, which in kinds.items()}
    intervals = {name: share_interval(which.sum(axis=(1, 2)), total, draws) for name, which in kinds.items()}
    promised = tally.contender.promised
    if promised.any():
        broken = promised & (tally.fate == LATE)
        found["broken"] = float(broken.sum() / promised.sum())
        intervals["broken"] = share_interval(broken.sum(axis=(1, 2)), promised.sum(axis=(1, 2)), draws)
    delay = tally.delay_s[served]
    if len(delay):
        intervals |= delay_intervals(delay, np.nonzero(served)[0], draws)
        right = (served & tally.correct).sum(axis=(1, 2))
        intervals["accuracy"] = share_interval(right, served.sum(axis=(1, 2)), draws)
    return found | {
        "offloaded": float(tally.contender.action.offload.sum() / total.sum()),
        "delay_s": float(delay.mean()) if len(delay) else None,
        "delay_p99_s": float(np.quantile(delay, 0.99)) if len(delay) else None,
        "accuracy": float(tally.correct[served].mean()) if len(delay) else None,
        "intervals": intervals,
    }


def _predicted(tally: Tally, there: np.ndarray, complete: float) -> dict[str, object]:
    """The same figures as the system model has them; `complete` is the complete model's accuracy."""
    predicted, total = tally.predicted, float(there.sum())
    served = predicted.fate == SERVED
    accuracy = np.minimum(1.0, complete * predicted.accuracy[served])
    delay = predicted.delay_s[served]
    return {
        "lost_predicted": float((there & ~served).sum() / total),
        "late_predicted": float((predicted.fate == LATE).sum() / total),
        "inaccurate_predicted": float((predicted.fate == INACCURATE).sum() / total),
        "wrong_predicted": float((1 - accuracy).sum() / total),
        "edge_slower_predicted": float(predicted.slower.sum() / total),
        "delay_s_predicted": float(delay.mean()) if len(delay) else None,
        "delay_p99_s_predicted": float(np.quantile(delay, 0.99)) if len(delay) else None,
        "accuracy_predicted": float(accuracy.mean()) if len(delay) else None,
    }


def _lost_near(tally: Tally, setting: Setting, there: np.ndarray) -> Interval:
    """Predicted share of lost tasks if all inference takes a little less and a little more than profiled."""
    state, action = setting.state, tally.contender.action
    lost = [float((there & (tally.predicted.fate != SERVED)).sum())]
    for factor in (1 - NEAR, 1 + NEAR):
        times = np.full(state.channel.shape, factor)
        outcome = evaluate(setting.scenario, state, action, local_factor=times, edge_factor=times)
        lost.append(float((there & (predict(state, action, outcome).fate != SERVED)).sum()))
    return Interval(low=min(lost) / float(there.sum()), high=max(lost) / float(there.sum()))


def scheme_result(tally: Tally, setting: Setting, seed: int) -> SchemeResult:
    """Everything about one contender."""
    there = setting.state.level != PADDING
    use: dict[int, list[int]] = {}
    for model, size in tally.batches:
        use.setdefault(model, []).append(size)
    return SchemeResult.model_validate(
        {
            "label": tally.contender.label,
            "learned": tally.contender.learned,
            **_measured(tally, there, seed),
            **_predicted(tally, there, float(setting.gateway.model(*setting.complete).accuracy)),
            "lost_again": float((there & (tally.fate_again != SERVED)).sum() / there.sum()),
            "lost_near": _lost_near(tally, setting, there),
            "same_fate": float((tally.fate == tally.predicted.fate)[there].mean()),
            "delay_error": pooled_errors([tally]),
            "models": [
                ModelUse(
                    rate=setting.models[m][0], precision=setting.models[m][1], batches=len(sizes), tasks=sum(sizes)
                )
                for m, sizes in sorted(use.items())
            ],
            "points": _points(tally, offloaded=False) + _points(tally, offloaded=True),
        }
    )


def _points(tally: Tally, *, offloaded: bool) -> list[Point]:
    chosen = np.flatnonzero(np.isfinite(tally.delay_s) & (tally.contender.action.offload == offloaded))
    chosen = chosen[np.linspace(0, len(chosen) - 1, min(len(chosen), POINTS)).astype(int)]
    predicted, measured = tally.predicted.delay_s.ravel(), tally.delay_s.ravel()
    return [
        Point(
            where="edge" if offloaded else "gateway",
            predicted_s=float(f"{predicted[i]:.5g}"),
            measured_s=float(f"{measured[i]:.5g}"),
        )
        for i in chosen
    ]


def accuracies(setting: Setting, machines: Machines) -> list[AccuracyRow]:
    """Accuracy of each model on the windows that it answered, beside what the profile states."""
    found = []
    for key, seen in machines.seen.items():
        if not seen.any():
            continue
        independent = int((seen & setting.bundle.independent).sum())
        measured = float(machines.right[key][seen].mean())
        low, high = wilson(measured, independent)
        found.append(
            AccuracyRow(
                rate=key[0], precision=key[1], measured=measured, low=low, high=high, windows=int(seen.sum()),
                independent=independent, predicted=float(setting.gateway.model(*key).accuracy),
            )
        )  # fmt: skip
    return found
