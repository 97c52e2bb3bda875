"""The paper's evaluation, section V, as numbers: every scheme on the same slots at every size.

Results are plain dictionaries that `figures` draws and the report reads; they are saved as JSON.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from optimizer.errors import OptimizerError
from optimizer.learning.deployed import LearnedPolicy
from optimizer.learning.manifest import PolicyManifest, find_policies, read_manifest
from optimizer.network.outcome import Outcome, evaluate
from optimizer.network.scenario import Scenario
from optimizer.network.slots import Action, State, concatenate, draw_states
from optimizer.schemes.base import Policy
from optimizer.schemes.registry import make_scheme, mid_pruned
from optimizer.schemes.summary import summarise
from optimizer.solver.exact import optimum

SCHEMES = ("optimum", "jopav1", "agdm")
METRICS = (
    "reward",
    "overall_utilization",
    "local_utilization",
    "bandwidth_utilization",
    "edge_utilization",
    "offloading_ratio",
    "drop_ratio",
    "accuracy",
    "delay",
)
CHUNK = 1024
SMALL_GATEWAYS, SMALL_SENSORS = 3, 6  # of Fig. 8
Say = Callable[[str], None]


@dataclass(frozen=True)
class Learned:
    """Trained policies by number of sensors, the seeds together.

    Attributes:
        folders: Policy folders of each number of sensors.
        histories: (slots so far, mean training reward) of each, by number of sensors.
    """

    folders: dict[int, list[Path]]
    histories: dict[int, list[list[tuple[float, float]]]]


def learned_policies(folder: Path | None, scenario: Scenario) -> Learned:
    """The policies below a folder that were trained on this scenario, whatever their size.

    Raises:
        OptimizerError: A folder without any policy for this scenario.
    """
    if folder is None:
        return Learned({}, {})
    folders: dict[int, list[Path]] = {}
    histories: dict[int, list[list[tuple[float, float]]]] = {}
    for path in find_policies(folder):
        manifest = read_manifest(path)
        if not _same_network(manifest, scenario):
            continue
        for sensors in manifest.sensors:
            folders.setdefault(sensors, []).append(path)
        if len(manifest.sensors) == 1:
            histories.setdefault(manifest.sensors[0], []).append(training_curve(manifest))
    if not folders:
        raise OptimizerError(f"{folder}: no policy there was trained on {scenario.name}.", "Train one on this network.")
    return Learned(folders, histories)


def _same_network(manifest: PolicyManifest, scenario: Scenario) -> bool:
    trained = Scenario.parse(manifest.scenario, "policy.json").with_sensors(scenario.sensors).dump()
    own = scenario.dump()
    free = ("name", "notes", "extrapolate")
    return {k: v for k, v in trained.items() if k not in free} == {k: v for k, v in own.items() if k not in free}


def training_curve(manifest: PolicyManifest) -> list[tuple[float, float]]:
    """(slots so far, mean reward of a block) while it was trained."""
    slots = np.cumsum([row["slots"] or 0.0 for row in manifest.history])
    return [(float(n), float(row["reward"] or 0.0)) for n, row in zip(slots, manifest.history, strict=True)]


def run_slots(scenario: Scenario, state: State, policy: Policy) -> Outcome:
    """What a policy does in every slot."""
    action: Action = concatenate([policy.decide(state[i : i + CHUNK]) for i in range(0, len(state), CHUNK)])
    return evaluate(scenario, state, action)


def figures_of(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Means with 95 % intervals over slots (and seeds), and a level's own delay and accuracy (Fig. 10)."""
    found: dict[str, Any] = {}
    for name in METRICS:
        values = np.concatenate([getattr(o, name) for o in outcomes])
        values = values[np.isfinite(values)]
        error = float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else 0.0
        found[name] = {"mean": float(values.mean()) if len(values) else None, "interval": 1.96 * error}
    found["summary"] = summarise(outcomes[0]).dump()
    found["levels"] = levels_of(outcomes[0])
    return found


def levels_of(outcome: Outcome) -> list[dict[str, float | None]]:
    """For each criticality level: what is asked, what the served tasks got, and the share dropped."""
    scenario = outcome.scenario
    rows: list[dict[str, float | None]] = []
    accuracy = scenario.constants.accuracy[outcome.model]
    for k, level in enumerate(scenario.qos):
        local, edge = outcome.local_served[..., k], outcome.edge_served[..., k]
        served = float(local.sum() + edge.sum())
        total = float(outcome.local[..., k].sum() + outcome.offloaded[..., k].sum())
        delay = float((local * outcome.local_s).sum() + (edge * outcome.edge_path_s[..., k]).sum())
        right = float((local * accuracy).sum() + edge.sum())
        rows.append(
            {
                "criticality": level.criticality,
                "max_delay_s": level.max_delay_s,
                "min_accuracy": level.min_accuracy,
                "delay_s": delay / served if served else None,
                "accuracy": right / served if served else None,
                "drop_ratio": 1 - served / total if total else None,
            }
        )
    return rows


def capacity(scenario: Scenario, most: int, slots: int, seed: int) -> list[dict[str, float]]:
    """Share of tasks that even the optimum drops, by sensors a gateway: what the network can carry."""
    rows = []
    size = 1
    while size <= most:
        network = scenario.change(groups=(size,) * scenario.gateways)
        best = optimum(network, draw_states(network, slots, seed))
        outcome = evaluate(network, draw_states(network, slots, seed), best.action)
        rows.append({"sensors_a_gateway": float(size), "drop_ratio": float(outcome.drop_ratio.mean())})
        size += max(1, size // 6)
    return rows


def small_network(scenario: Scenario) -> Scenario:
    """Fig. 8's: 3 gateways and 6 sensors."""
    return scenario.change(groups=(SMALL_SENSORS // SMALL_GATEWAYS,) * SMALL_GATEWAYS)


def evaluation(
    scenario: Scenario,
    sizes: Sequence[int],
    slots: int,
    seed: int,
    policies: Path | None = None,
    single: Path | None = None,
    small: Path | None = None,
    say: Say = print,
) -> dict[str, Any]:
    """Everything that the figures of section V need.

    Args:
        scenario: The network.
        sizes: Numbers of sensors.
        slots: Of each size; training never saw them.
        seed: Of the slots.
        policies: Folder of policies trained on it (all models).
        single: Folder of policies trained with the one mid-pruned model.
        small: Folder of a policy trained on 3 gateways and 6 sensors.
        say: Told what is being done.
    """
    rate = mid_pruned(scenario)
    learned = learned_policies(policies, scenario)
    one = learned_policies(single, scenario.with_models((rate,)))
    rows = []
    for sensors in sizes:
        network = scenario.with_sensors(sensors)
        state = draw_states(network, slots, seed)
        row: dict[str, Any] = {"sensors": sensors, "schemes": {}, "rates": {}}
        for name in SCHEMES:
            say(f"{scenario.name}, {sensors} sensors: {name}")
            policy = make_scheme(name, network, "exact", seed)
            row["schemes"][name] = figures_of([run_slots(network, state, policy)])
        if sensors in learned.folders:
            say(f"{scenario.name}, {sensors} sensors: learned")
            outcomes = [run_slots(network, state, LearnedPolicy(p, network)) for p in learned.folders[sensors]]
            row["schemes"]["jopa"] = {**figures_of(outcomes), "seeds": len(outcomes)}
        if sensors in one.folders:
            mid = network.with_models((rate,))
            outcomes = [run_slots(mid, state, LearnedPolicy(p, mid)) for p in one.folders[sensors]]
            row["schemes"]["jopav1 learned"] = {**figures_of(outcomes), "seeds": len(outcomes)}
        for chosen in _spread([m.rate for m in scenario.models]):
            say(f"{scenario.name}, {sensors} sensors: p = {chosen:g} alone")
            lone = network.with_models((chosen,))
            found = optimum(lone, state)
            row["rates"][f"{chosen:g}"] = figures_of([evaluate(lone, state, found.action)])
        rows.append(row)
    return {
        "scenario": scenario.dump(),
        "slots": slots,
        "seed": seed,
        "mid_rate": rate,
        "sizes": rows,
        "training": {
            "all": {str(n): h for n, h in learned.histories.items()},
            "single": {str(n): h for n, h in one.histories.items()},
        },
        "small": _small(scenario, small, seed),
    }


def _spread(rates: Sequence[float]) -> list[float]:
    """The least, a middle and the most pruned model, as in Fig. 12."""
    ordered = sorted(rates)
    middle = min(ordered, key=lambda r: abs(r - 0.7))
    return sorted({ordered[0], middle, ordered[-1]})


def _small(scenario: Scenario, folder: Path | None, seed: int) -> dict[str, Any]:
    """Rewards slot by slot at 3 x 6: a trained policy, the optimum on 20 shares and over continuous ones."""
    network = small_network(scenario)
    state = draw_states(network, 60, seed)
    found: dict[str, Any] = {
        "grid": optimum(network, state, 20).reward.tolist(),
        "continuous": optimum(network, state).reward.tolist(),
    }
    if folder is not None:
        for path in find_policies(folder):
            manifest = read_manifest(path)
            if not _same_network(manifest, network):
                continue
            reward = run_slots(network, state, LearnedPolicy(path, network)).reward
            found[f"{manifest.preset} seed {manifest.seed}"] = reward.tolist()
    return found
