"""Which runtime executes the models: the one that the user names, or the fastest in a short race."""

import math
from collections.abc import Callable

import numpy as np

from profiling.config import AUTO, RunConfig
from profiling.errors import ProfilingError
from profiling.measuring.measure import Event, Journal, measure
from profiling.measuring.plan import Cell, Plan
from profiling.measuring.run_statistics import Visits
from profiling.profile.entries import RuntimeTrial
from profiling.runtimes.registry import RUNTIMES, Runtime, check, runtime_of

TRIAL_BATCH = 8


def check_settings(config: RunConfig) -> None:
    """Raise where no installed runtime can do what is asked, before anything is measured.

    Raises:
        ProfilingError: The named runtime, or with "auto" every runtime, lacks a precision, the device, or is absent.
    """
    if config.runtime != AUTO:
        for precision in config.precisions:
            check(config.runtime, config.device, precision)
        return
    problems = []
    for name in RUNTIMES:
        try:
            for precision in config.precisions:
                check(name, config.device, precision)
        except ProfilingError as error:
            problems.append(error.problem)
        else:
            return
    asked = ", ".join(config.precisions)
    able = [r.install for r in RUNTIMES.values() if set(config.precisions) <= set(r.precisions.get(config.device, ()))]
    raise ProfilingError(
        f"no installed runtime can do {asked} on {config.device}: {' '.join(problems)}",
        f"Install one that can: {'; '.join(able)}." if able else "Ask for other precisions, or for another device.",
    )


def choose_runtime(found: list[RuntimeTrial]) -> str:
    """The fastest in a race: the lowest geometric mean of its times on the dense and the most pruned model.

    Raises:
        ProfilingError: No runtime could run the models.
    """
    ran = [t for t in found if t.dense_s and t.pruned_s]
    if not ran:
        reasons = "; ".join(f"{t.runtime}: {t.error}" for t in found) or "none is installed"
        raise ProfilingError(f"no runtime can run these models ({reasons}).", f"Install {' or '.join(RUNTIMES)}.")
    return min(ran, key=lambda t: math.sqrt((t.dense_s or 0) * (t.pruned_s or 0))).runtime


def race(plan: Plan, journal: Journal, say: Callable[[str], None]) -> list[RuntimeTrial]:
    """Time every installed runtime on the dense and on the most pruned model.

    Args:
        plan: Settings and bundle.
        journal: Trials in it are not repeated; new ones are added.
        say: Gets a line for the user after each trial.

    Returns:
        One trial per installed runtime; none if the user named a runtime.
    """
    if plan.config.runtime != AUTO:
        return []
    known = {e["trial"]["runtime"]: RuntimeTrial(**e["trial"]) for e in journal.of("trial")}
    for runtime in RUNTIMES.values():
        version = runtime.version()
        if runtime.name in known or version is None:
            continue
        trial = _trial(plan, runtime, version)
        if trial.dense_s and trial.pruned_s:
            say(
                f"{runtime.name} {version}: batch {TRIAL_BATCH}: dense {1e3 * trial.dense_s:.2f} ms, "
                f"most pruned {1e3 * trial.pruned_s:.2f} ms"
            )
        known[runtime.name] = trial
        journal.add({"event": "trial", "trial": trial.model_dump()})
    return list(known.values())


def _trial(plan: Plan, runtime: Runtime, version: str) -> RuntimeTrial:
    try:
        dense, pruned = _times(plan, runtime)
    except ProfilingError as error:
        return RuntimeTrial(
            runtime=runtime.name, version=version, batch=TRIAL_BATCH, dense_s=None, pruned_s=None, error=error.problem
        )
    return RuntimeTrial(
        runtime=runtime.name, version=version, batch=TRIAL_BATCH, dense_s=dense, pruned_s=pruned, error=None
    )


def _times(plan: Plan, runtime: Runtime) -> tuple[float, float]:
    """Median seconds of the dense and of the most pruned model; raises ProfilingError if either cannot be run."""
    config = plan.config
    for wanted in config.precisions:
        check(runtime.name, config.device, wanted)
    subjects = (plan.bundle.subjects[0], plan.bundle.subjects[-1])
    if runtime.needs_onnx and any(s.onnx is None for s in subjects):
        raise ProfilingError("the bundle holds no ONNX models")
    precision, threads = config.precisions[0], config.resolved_threads[0]
    precision = "fp32" if precision == "int8" else precision
    cells = [Cell(s.entry.rate, precision, TRIAL_BATCH, threads) for s in subjects]
    wires = {c.key: plan.wire(runtime, s, c) for s, c in zip(subjects, cells, strict=True)}
    visits = [(key, number) for number in range(2) for key in wires]
    seconds: dict[str, Visits] = {}
    problems: list[str] = []

    def hear(event: Event) -> None:
        if event["event"] == "visit":
            seconds.setdefault(event["key"], Visits()).add(event)
        elif event["event"] == "failed":
            problems.append(event["reason"])

    measure(plan.job(runtime, threads, list(wires.values()), visits), hear)
    if problems:
        raise ProfilingError(problems[0])
    dense, pruned = (float(np.median(np.concatenate(seconds[c.key].samples))) for c in cells)
    return dense, pruned


def chosen_runtime(config: RunConfig, trials: list[RuntimeTrial]) -> Runtime:
    """The runtime that the user named, or the winner of the race.

    Raises:
        ProfilingError: The runtime cannot do what is asked, or none could run the models.
    """
    if config.runtime == AUTO:
        return runtime_of(choose_runtime(trials))
    for precision in config.precisions:
        check(config.runtime, config.device, precision)
    return runtime_of(config.runtime)
