"""The paper's evaluation, section V, as numbers: every scheme on the same slots at every size.

The results are typed (`results.Results`); `drawing` draws them, `claims` judges them, and the report shows them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from optimizer.errors import OptimizerError
from optimizer.evaluation.fields import Curve
from optimizer.evaluation.results import (
    CapacityRow,
    LevelResult,
    Mean,
    SchemeResult,
    SizeResult,
    SmallResult,
)
from optimizer.learning.deployed import LearnedPolicy
from optimizer.learning.manifest import PolicyManifest, find_policies, read_manifest
from optimizer.network.metrics import METRICS
from optimizer.network.outcome import Outcome, evaluate
from optimizer.network.scenario import Scenario
from optimizer.network.slots import draw_states
from optimizer.schemes.registry import make_scheme, mid_pruned
from optimizer.schemes.rollout import run_policy
from optimizer.schemes.summary import summarise
from optimizer.solver.exact import optimum

SCHEMES = ("optimum", "jopav1", "agdm")
SMALL_GATEWAYS, SMALL_SENSORS, SMALL_SLOTS = 3, 6, 60  # of Fig. 8
GRID = 20  # shares of the paper's grid
Say = Callable[[str], None]


@dataclass(frozen=True)
class Learned:
    """Trained policies by number of sensors, the seeds together.

    Attributes:
        folders: Policy folders of each number of sensors.
        histories: Training curve of each policy, by number of sensors.
    """

    folders: dict[int, list[Path]]
    histories: dict[int, list[Curve]]


def learned_policies(folder: Path | None, scenario: Scenario) -> Learned:
    """The policies at or below a folder that were trained on this network, at any number of sensors.

    Raises:
        OptimizerError: A folder without any policy for this network.
    """
    if folder is None:
        return Learned({}, {})
    folders: dict[int, list[Path]] = {}
    histories: dict[int, list[Curve]] = {}
    others = set()
    for path in find_policies(folder):
        manifest = read_manifest(path)
        if not _same_network(manifest, scenario):
            others.add(Scenario.parse(manifest.scenario, str(path)).name)
            continue
        for sensors in manifest.sensors:
            folders.setdefault(sensors, []).append(path)
        if len(manifest.sensors) == 1:
            histories.setdefault(manifest.sensors[0], []).append(training_curve(manifest))
    if not folders:
        rates = ", ".join(f"{m.rate:g}" for m in scenario.models)
        raise OptimizerError(
            f"{folder}: no policy there was trained on {scenario.name} with the models {rates}; they were trained on "
            f"{', '.join(sorted(others))}.",
            "Name the network that they were trained on (--scenario, or --gateway and --edge), or train on this one.",
        )
    return Learned(folders, histories)


def _same_network(manifest: PolicyManifest, scenario: Scenario) -> bool:
    """Whether a policy was trained on this network, but for its number of sensors."""
    trained = Scenario.parse(manifest.scenario, "policy.json")
    free = ("name", "notes", "extrapolate", "groups")
    own, other = scenario.dump(), trained.dump()
    same = len(trained.groups) == len(scenario.groups)
    return same and {k: v for k, v in own.items() if k not in free} == {k: v for k, v in other.items() if k not in free}


def network_of_policies(folder: Path) -> Scenario:
    """The network that the first policy at or below a folder was trained on. Raises OptimizerError."""
    path = find_policies(folder)[0]
    return Scenario.parse(read_manifest(path).scenario, str(path))


def training_curve(manifest: PolicyManifest) -> Curve:
    """(slots so far, mean reward of a block) while a policy was trained."""
    slots = np.cumsum([row["slots"] or 0.0 for row in manifest.history])
    return [(float(n), float(row["reward"] or 0.0)) for n, row in zip(slots, manifest.history, strict=True)]


def metric_means(outcomes: Sequence[Outcome]) -> dict[str, Mean]:
    """Mean of every metric with its 95 % interval over slots, over all outcomes (one per seed)."""
    found = {name: metric.mean(outcomes) for name, metric in METRICS.items()}
    return {name: Mean(mean=mean, interval=interval) for name, (mean, interval) in found.items()}


def scheme_result(outcomes: Sequence[Outcome]) -> SchemeResult:
    """The figures of one scheme: means over all outcomes (one per seed), details of the first."""
    return SchemeResult(
        means=metric_means(outcomes),
        summary=summarise(outcomes[0]),
        levels=level_results(outcomes[0]),
        seeds=len(outcomes),
    )


def level_results(outcome: Outcome) -> list[LevelResult]:
    """For each criticality level: what it asks for, what its served tasks got, and the share dropped."""
    scenario = outcome.scenario
    rows = []
    accuracy = scenario.constants.accuracy[outcome.model]
    for k, level in enumerate(scenario.qos):
        local, edge = outcome.local_served[..., k], outcome.edge_served[..., k]
        served = float(local.sum() + edge.sum())
        total = int(outcome.tasks_of_level[..., k].sum())
        delay = float((local * outcome.local_s[..., k]).sum() + outcome.edge_delays_s[..., k].sum())
        right = float((local * accuracy[..., k]).sum() + edge.sum())
        rows.append(
            LevelResult(
                criticality=level.criticality,
                max_delay_s=level.max_delay_s,
                min_accuracy=level.min_accuracy,
                tasks=total,
                delay_s=delay / served if served else None,
                accuracy=right / served if served else None,
                drop_ratio=1 - served / total if total else None,
            )
        )
    return rows


def capacity_sizes(most: int) -> list[int]:
    """The numbers of sensors per gateway that are tried, in steps of about a sixth."""
    sizes, size = [], 1
    while size <= most:
        sizes.append(size)
        size += max(1, size // 6)
    return sizes


def capacity_at(scenario: Scenario, size: int, slots: int, seed: int) -> CapacityRow:
    """The share of tasks that even the optimum drops at one number of sensors per gateway."""
    network = scenario.change(groups=(size,) * scenario.gateways)
    state = draw_states(network, slots, seed)
    outcome = evaluate(network, state, optimum(network, state).action)
    return CapacityRow(sensors_per_gateway=size, drop_ratio=float(outcome.drop_ratio.mean()))


def small_network(scenario: Scenario) -> Scenario:
    """The network of Fig. 8: the same with 3 gateways and 6 sensors."""
    return scenario.change(groups=(SMALL_SENSORS // SMALL_GATEWAYS,) * SMALL_GATEWAYS)


def both_policies(scenario: Scenario, policies: Path | None, single: Path | None) -> tuple[Learned, Learned]:
    """The policies with all models, and those with the one mid-pruned model. Raises OptimizerError."""
    middle = scenario.with_models((mid_pruned(scenario),))
    return learned_policies(policies, scenario), learned_policies(single, middle)


def at_size(network: Scenario, slots: int, seed: int, learned: Learned, one: Learned, say: Say) -> SizeResult:
    """All schemes on the same slots of one network."""
    state = draw_states(network, slots, seed)
    where = f"{network.name}, {network.sensors} sensors"
    schemes, rates = {}, {}
    for name in SCHEMES:
        say(f"{where}: {name}")
        schemes[name] = scheme_result([run_policy(network, state, make_scheme(name, network, "exact", seed))])
    middle = network.with_models((mid_pruned(network),))
    for name, trained, own in (("jopa", learned, network), ("jopav1 learned", one, middle)):
        if network.sensors in trained.folders:
            say(f"{where}: {name}")
            folders = trained.folders[network.sensors]
            schemes[name] = scheme_result([run_policy(own, state, LearnedPolicy(p, own)) for p in folders])
    for chosen in _spread([m.rate for m in network.models]):
        say(f"{where}: p = {chosen:g} alone")
        lone = network.with_models((chosen,))
        rates[f"{chosen:g}"] = scheme_result([evaluate(lone, state, optimum(lone, state).action)])
    return SizeResult(sensors=network.sensors, schemes=schemes, rates=rates)


def _spread(rates: Sequence[float]) -> list[float]:
    """The least, a middle and the most pruned model, as in Fig. 12."""
    ordered = sorted(rates)
    middle = min(ordered, key=lambda r: abs(r - 0.7))
    return sorted({ordered[0], middle, ordered[-1]})


def on_small_network(scenario: Scenario, folder: Path | None, seed: int) -> SmallResult:
    """Rewards slot by slot at 3 x 6: trained policies, the optimum on 20 shares and over continuous ones."""
    network = small_network(scenario)
    state = draw_states(network, SMALL_SLOTS, seed)
    policies = {}
    for path in find_policies(folder) if folder is not None else []:
        manifest = read_manifest(path)
        if _same_network(manifest, network):
            reward = run_policy(network, state, LearnedPolicy(path, network)).reward
            policies[f"{manifest.preset} seed {manifest.seed}"] = reward.tolist()
    return SmallResult(
        grid=optimum(network, state, GRID).reward.tolist(),
        continuous=optimum(network, state).reward.tolist(),
        policies=policies,
    )
