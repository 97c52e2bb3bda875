"""A whole trial: the policy, the bundle and the profiles are loaded, every slot is carried out, the file is made."""

from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import Progress

from data.common.console import make_console, say
from data.common.files import write_json
from optimizer.errors import OptimizerError
from optimizer.learning.deployed import LearnedPolicy
from optimizer.learning.manifest import find_policies
from optimizer.network.slots import draw_states
from optimizer.trial.findings import factors, print_trial, summarise_trial
from optimizer.trial.options import TrialConfig
from optimizer.trial.results import SCHEMA, TaskRow, TrialFile
from optimizer.trial.slots import Trial, random_actions
from profiling.bundle.subjects import read_bundle
from profiling.profile.profile import Profile

DISTURBED = 0.2  # picked by hand: |ln(time now / profiled time)| above which the machine counts as disturbed
CLOCK = "virtual: real inference times, one process at a time; the link takes the scenario's mini-slots"


def _profile(given: Path | None, policy: LearnedPolicy, name: str) -> Profile:
    source = policy.manifest.sources.get(name)
    path = given or (Path(source.path) if source else None)
    if path is None:
        raise OptimizerError(
            f"{policy.folder} was trained without profiles.",
            f"Give --{name}, or train with --gateway and --edge: a trial needs a measured network.",
        )
    return Profile.load(path)


def run_trial(config: TrialConfig, console: Console) -> TrialFile:
    """Carry out all slots.

    Args:
        config: What to try.
        console: Where progress is shown.

    Returns:
        The content of the file that the command writes.

    Raises:
        OptimizerError, ProfilingError, PruningError: A policy, bundle or profile that cannot be used, or a process that
            died.
    """
    policy = LearnedPolicy(find_policies(config.policy)[0])
    gateway, edge = (_profile(p, policy, n) for p, n in ((config.gateway, "gateway"), (config.edge, "edge")))
    bundle = read_bundle(config.models, need_onnx=True)
    state = draw_states(policy.scenario, config.slots + config.probes, config.seed)
    action = policy.decide(state)
    probes = random_actions(policy.scenario, state, np.random.default_rng(config.seed))
    rows: list[TaskRow] = []
    slots = [(i, k) for i in range(config.slots) for k in range(config.repeats)]
    slots += [(config.slots + i, 0) for i in range(config.probes)]
    with (
        Trial(policy.scenario, bundle, gateway, edge, config.seed) as trial,
        Progress(console=console, disable=not console.is_terminal) as progress,
    ):
        before = trial.speed()
        task = progress.add_task("slots", total=len(slots))
        for i, repeat in slots:
            probe = i >= config.slots
            one = (probes if probe else action)[i : i + 1]
            rows += trial.slot(i, repeat, state[i : i + 1], one, probe=probe)
            progress.advance(task)
        progress.update(task, description="accuracies")
        accuracies = trial.accuracies()
        speed = (before, trial.speed())
    return TrialFile(
        schema=SCHEMA,
        clock=CLOCK,
        slots=config.slots,
        repeats=config.repeats,
        probes=config.probes,
        seed=config.seed,
        speed=speed,
        disturbed=any(abs(np.log(s)) > DISTURBED for s in speed),
        factors=factors(rows),
        summary=summarise_trial(rows, accuracies),
        tasks=rows,
        policy=policy.name,
        edge_factor=trial.edge_factor,
    )


def run(config: TrialConfig) -> None:
    """Carry out the trial, print its figures and write its file."""
    console = make_console()
    found = run_trial(config, console)
    print_trial(found, console)
    write_json(config.out, found.model_dump(mode="json", by_alias=True))
    say(console, f"every task: {config.out}")
