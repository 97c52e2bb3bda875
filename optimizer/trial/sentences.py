"""What a trial found, in sentences: who lost least, what is simpler and does as well, what must not be believed."""

from optimizer.trial.carry_out import OUTLIER
from optimizer.trial.findings import NEAR
from optimizer.trial.results import SchemeResult, TrialFile

SAME = 1e-4  # picked by hand: predicted shares of lost tasks that differ by less are called equal
BRINK = 0.02  # a plan whose predicted loss is so much wider apart at NEAR is told to be on the brink
HARDLY = 1e-3  # a simple scheme that loses at most so much more than the best one is good enough
SIMPLE = {  # schemes without any search, the simplest first, and what they do
    "local": "everything on the gateways, level by level",
    "edge": "everything at the edge",
    "local-batch": "everything on the gateways, in one batch",
    "greedy": "the most critical tasks are sent first",
}


def least_lost(schemes: dict[str, SchemeResult]) -> str:
    """Which scheme lost least, in a sentence; those whose intervals overlap with its own are named as equal."""
    best = best_scheme(schemes, by_profile=False)
    limit = best.intervals["lost"].high
    equal = [s for s in schemes.values() if s is not best and s.intervals["lost"].low <= limit]
    told = f"{best.label} lost least: {_interval(best)} of the tasks ({_percent(best.lost_predicted)} were predicted)"
    if equal:
        told += f"; equal within the interval: {', '.join(s.label for s in equal)}"
    rest = [s for s in schemes.values() if s is not best and s not in equal]
    if rest:
        following = min(rest, key=lambda s: s.lost)
        told += f"; then {following.label} with {_interval(following)}"
    return told + "."


def simplest(trial: TrialFile) -> str | None:
    """The simplest scheme that loses hardly more than the best, and what it does; None if the best is that simple."""
    lost = {name: s.lost_predicted if trial.slowed else s.lost for name, s in trial.schemes.items()}
    good = [name for name in SIMPLE if name in lost and lost[name] <= min(lost.values()) + HARDLY]
    best = best_scheme(trial.schemes, trial.slowed)
    if not good or trial.schemes[good[0]] is best:
        return None
    told = "loses" if trial.slowed else "lost"
    return (
        f"The simplest scheme that {told} at most {100 * HARDLY:g} % more: {trial.schemes[good[0]].label} "
        f"({SIMPLE[good[0]]}), {_percent(lost[good[0]])}."
    )


def work_line(scheme: SchemeResult) -> str:
    """Where a scheme's tasks went, in a sentence."""
    kept = max(0.0, 1 - scheme.offloaded - scheme.refused)
    told = f"{scheme.label} keeps {100 * kept:.0f} % of the tasks on the gateways"
    told += f" and sends {100 * scheme.offloaded:.0f} % to the edge"
    return told + (f"; it refuses {100 * scheme.refused:.1f} %." if scheme.refused else ".")


def risk_lines(trial: TrialFile) -> list[str]:
    """How many tasks that were planned in time were late, beside the risk that was chosen; nothing without a risk."""
    if trial.risk is None:
        return []
    asked = trial.risk
    lines = [f"Risk: at most {100 * asked:g} % of the tasks that a plan serves may be late. Measured:"]
    for scheme in trial.schemes.values():
        if scheme.broken is None:
            lines.append(f"  {scheme.label}: its plan serves no task")
            continue
        own = scheme.intervals["broken"]
        verdict = "kept" if own.high <= asked else "BROKEN" if own.low > asked else "kept within the interval"
        if verdict.startswith("kept within") and scheme.broken > asked:
            verdict = "exceeded, but not beyond the interval"
        lines.append(
            f"  {scheme.label}: {100 * scheme.broken:.3f} % ({100 * own.low:.3f} to {100 * own.high:.3f}), {verdict}"
        )
    return lines


def brink_lines(schemes: dict[str, SchemeResult]) -> list[str]:
    """Schemes whose tasks end so close to their deadlines that no prediction of the loss can be exact."""
    return [
        f"{s.label} ends many tasks close to their deadlines: {_percent(s.lost_predicted)} predicted lost; "
        f"{100 * s.lost_near.low:.1f} to {100 * s.lost_near.high:.1f} if inference takes {100 * NEAR:g} % less or more."
        for s in schemes.values()
        if s.lost_near is not None and s.lost_near.high - s.lost_near.low > BRINK
    ]


def repeats_lines(trial: TrialFile) -> list[str]:
    """What was run again because the machine was busy; what stood out, and what would be lost without that."""
    own, lines = trial.repeated, []
    if own is not None and own.reason is not None:
        told = f"{own.repeated} of {own.runs} runs were disturbed and run again ({own.reason})"
        if own.disturbed:
            told += f"; {own.disturbed} were disturbed at the last try too, and count all the same"
        lines.append(f"{told}.")
    if own is not None and own.outliers:
        told = f"{own.outliers} runs of a gateway took over {OUTLIER:g} times as long as the others, and they count"
        changed = [
            f"{s.label} {_percent(s.lost_again)}"
            for s in trial.schemes.values()
            if s.lost_again is not None and abs(s.lost_again - s.lost) > SAME
        ]
        lines.append(f"{told}.")
        if changed:
            lines.append(f"With the median of these runs and two repeats, there would be lost: {', '.join(changed)}.")
    return lines


def disturbance(speed: tuple[float, float]) -> str:
    """What to say of a machine that was not as fast as in the profile (`TrialFile.speed`)."""
    times = " and ".join(f"{s:.2f}" for s in speed)
    told = f"the complete model took {times} times as long as in the profile, before and after the slots."
    if max(speed) <= 1:
        return (
            f"The machine was faster than when it was profiled: {told} Was other work running then? Plans of this "
            "profile are more careful than they need be: profile again on a quiet machine."
        )
    return (
        f"The trial was disturbed: {told} Is other work running here? Is this the machine of the profile? Until a "
        "quiet trial, believe what was predicted from the profile, and nothing that was measured here."
    )


def verdict(trial: TrialFile) -> str:
    """Which scheme lost least, in a sentence; where the trial was slowed down, which one loses least by the profile."""
    return least_lost_by_profile(trial.schemes) if trial.slowed else least_lost(trial.schemes)


def least_lost_by_profile(schemes: dict[str, SchemeResult]) -> str:
    """Which scheme loses least as the profile predicts it."""
    best = best_scheme(schemes, by_profile=True)
    equal = [s for s in schemes.values() if s is not best and s.lost_predicted - best.lost_predicted < SAME]
    told = f"By the profile, {best.label} loses least: {_percent(best.lost_predicted)} of the tasks"
    return told + (f"; equal: {', '.join(s.label for s in equal)}." if equal else ".")


def best_scheme(schemes: dict[str, SchemeResult], by_profile: bool) -> SchemeResult:
    """The scheme that lost least, as measured or as predicted from the profile."""
    if by_profile:
        return min(schemes.values(), key=lambda s: (s.lost_predicted, -(s.accuracy_predicted or 0)))
    return min(schemes.values(), key=lambda s: (s.lost, -(s.accuracy or 0)))


def _percent(value: float) -> str:
    return f"{100 * value:.2f} %"


def _interval(scheme: SchemeResult) -> str:
    own = scheme.intervals["lost"]
    return f"{_percent(scheme.lost)} ({100 * own.low:.2f} to {100 * own.high:.2f})"
