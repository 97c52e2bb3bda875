"""What is tried: the network, its profiles and bundle, and the decisions of every scheme and policy for the slots."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool

from data.common.files import sha256
from data.common.guard import is_file
from optimizer.errors import OptimizerError
from optimizer.evaluation.compare import load_policies, short_names
from optimizer.learning.deployed import LearnedPolicy
from optimizer.learning.manifest import find_policies, read_manifest
from optimizer.network.checks import check_action
from optimizer.network.options import build_scenario
from optimizer.network.outcome import Outcome, evaluate
from optimizer.network.scenario import Scenario
from optimizer.network.slots import Action, State, draw_states
from optimizer.schemes.base import Policy
from optimizer.schemes.registry import find_scheme, make_scheme, schemes_of
from optimizer.schemes.rollout import decide
from optimizer.trial.options import TrialConfig
from optimizer.trial.slots import SERVED, predict
from profiling.bundle.subjects import Bundle, read_bundle
from profiling.profile.entries import Precision
from profiling.profile.profile import Profile

ModelKey = tuple[float, Precision]  # pruning rate and precision
Say = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class Contender:
    """A scheme or policy, and what it decided.

    Attributes:
        name: Its key in the file: a scheme's name, or that of a policy's folder.
        label: Its name in tables.
        learned: Whether it is a learned policy.
        action: Its decisions for all slots.
        outcome: What the system model predicts of them.
        promised: Which tasks are served in the plan, with all that it adds to be sure, at [slot, gateway, task].
    """

    name: str
    label: str
    learned: bool
    action: Action
    outcome: Outcome
    promised: Bool[np.ndarray, "slots gateways tasks"]


@dataclass(frozen=True, eq=False)
class Setting:
    """Everything that a trial needs.

    Attributes:
        scenario: The network as it is expected to be: without the margin that may have been planned with.
        bundle: The models and the test windows.
        gateway: Profile of the gateways.
        edge: Profile of the edge server.
        files: ONNX file of each model that gateways or the edge can run.
        models: Rate and precision of each of the scenario's models.
        complete: The complete model, which the edge runs.
        state: The slots.
        contenders: What is carried out.
        risk: Share of late tasks that was planned for; None if no risk was chosen.
        notes: What a reader should know, one line each.
    """

    scenario: Scenario
    bundle: Bundle
    gateway: Profile
    edge: Profile
    files: dict[ModelKey, Path]
    models: tuple[ModelKey, ...]
    complete: ModelKey
    state: State
    contenders: tuple[Contender, ...]
    risk: float | None
    notes: tuple[str, ...]


def prepare(config: TrialConfig, say: Say) -> Setting:
    """Load everything, and let every scheme decide.

    Args:
        config: The settings.
        say: Gets a line for the user.

    Raises:
        OptimizerError, ProfilingError, PruningError: A policy, bundle, profile or network that cannot be used.
    """
    planned, expected, policies, notes = _network(config)
    gateway_path, edge_path = (_profile_path(config, name) for name in ("gateway", "edge"))
    gateway, edge = Profile.load(gateway_path), Profile.load(edge_path)
    bundle = read_bundle(config.models, need_onnx=True)
    _check_profiles(bundle, gateway, edge)
    models = tuple((m.rate, m.precision or gateway.precision) for m in expected.models)
    complete: ModelKey = (0.0, "fp32" if gateway.precision == "int8" else gateway.precision)
    state = draw_states(expected, config.slots, config.seed)
    contenders, left_out = _contenders(config, planned, expected, policies, state)
    for line in (*notes, *left_out):
        say(line)
    return Setting(
        scenario=expected,
        bundle=bundle,
        gateway=gateway,
        edge=edge,
        files={key: _file(key, bundle, gateway, gateway_path) for key in dict.fromkeys((*models, complete))},
        models=models,
        complete=complete,
        state=state,
        contenders=contenders,
        risk=planned.risk,
        notes=(*notes, *left_out),
    )


def _network(config: TrialConfig) -> tuple[Scenario, Scenario, dict[str, Policy], list[str]]:
    """The network as planned with and as expected, the policies by name, and warnings."""
    if not config.names_network:
        scenario, policies, warnings = load_policies(
            config.policy, config.sensors, extrapolate=config.network.extrapolate
        )
        return scenario, scenario, policies, [f"warning: {w}" for w in warnings]
    planned = build_scenario(config.network, config.sensors)
    expected = build_scenario(config.network.expected(), config.sensors, keep=planned)
    paths = [path for folder in config.policy for path in find_policies(folder)]
    found: dict[str, Policy] = {n: LearnedPolicy(p, planned) for n, p in zip(short_names(paths), paths, strict=True)}
    return planned, expected, found, []


def _profile_path(config: TrialConfig, name: str) -> Path:
    given: Path | None = getattr(config.network, name)
    if given is not None:
        return given
    folder = find_policies(config.policy[0])[0]
    source = read_manifest(folder).sources.get(name)
    if source is None:
        raise OptimizerError(
            f"{folder} was trained without profiles.",
            f"Give --{name}, or train with --gateway and --edge: a trial needs a measured network.",
        )
    return Path(source.path)


def _check_profiles(bundle: Bundle, gateway: Profile, edge: Profile) -> None:
    if gateway.measurement is None or gateway.kind == "datasheet":
        raise OptimizerError(
            f"the gateway's profile ({gateway.name}) is from a datasheet; a trial needs one that was measured.",
            "Measure one with `python -m profiling.run`, and give it with --gateway.",
        )
    for name, profile in (("gateway", gateway), ("edge server", edge)):
        if profile.bundle and profile.bundle.sha256 != bundle.reference.sha256:
            raise OptimizerError(
                f"the {name}'s profile ({profile.name}) is of another bundle than {bundle.folder}.",
                "Give the bundle that was profiled with --models.",
            )


def _file(key: ModelKey, bundle: Bundle, gateway: Profile, profile: Path) -> Path:
    """The ONNX file of a model; int8 files lie beside the profile."""
    rate, precision = key
    if precision == "int8":
        model = gateway.model(rate, precision)
        path = profile.parent / str(model.file)
        if is_file(path):
            inside = path.resolve().is_relative_to(profile.parent.resolve())
            if not inside or (model.file_sha256 is not None and sha256(path) != model.file_sha256):
                raise OptimizerError(
                    f"{path}: not the int8 model of rate {rate:g} that was profiled.",
                    "Restore the folder beside the profile, or measure again with `python -m profiling.run`.",
                )
            return path
        raise OptimizerError(
            f"{path}: no such file; it is the int8 model of rate {rate:g} that was profiled.",
            f"Keep the folder {profile.stem} beside {profile.name}, or measure again with `python -m profiling.run`.",
        )
    for subject in bundle.subjects:
        if subject.entry.rate == rate and subject.onnx is not None:
            return subject.onnx
    raise OptimizerError(
        f"{bundle.folder}: it holds no ONNX model of rate {rate:g}.", "Give the bundle that was profiled with --models."
    )


def _contenders(
    config: TrialConfig, planned: Scenario, expected: Scenario, policies: dict[str, Policy], state: State
) -> tuple[tuple[Contender, ...], list[str]]:
    """Everyone with their decisions, and who was left out and why."""
    everyone, left_out = [], []

    def add(name: str, label: str, policy: Policy, *, learned: bool) -> None:
        action = decide(policy, state)
        check_action(action, state, expected)
        plan = predict(state, action, evaluate(planned, state, action)).fate == SERVED
        everyone.append(Contender(name, label, learned, action, evaluate(expected, state, action), plan))

    for name in () if config.schemes == ("none",) else _names(config, expected):
        try:
            add(name, find_scheme(name).label, make_scheme(name, planned, "exact", config.seed), learned=False)
        except OptimizerError as error:
            if config.schemes != ("all",):
                raise
            left_out.append(f"left out: {name}: {error.problem}")
    for name, policy in policies.items():
        add(name, "learned policy" if len(policies) == 1 else f"learned {name}", policy, learned=True)
    if not everyone:
        raise OptimizerError("no scheme can be carried out in this network.", " ".join(left_out))
    return tuple(everyone), left_out


def _names(config: TrialConfig, scenario: Scenario) -> tuple[str, ...]:
    return schemes_of(scenario) if config.schemes == ("all",) else config.schemes
