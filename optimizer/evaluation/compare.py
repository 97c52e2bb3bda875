"""`python -m optimizer.evaluate`: policies, schemes and the optimum on the same held-out slots."""

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from data.common.command import run_command
from data.common.files import sha256, write_json
from data.common.options import comma_separated
from optimizer.errors import OptimizerError
from optimizer.learning.deployed import LearnedPolicy
from optimizer.learning.manifest import PolicyManifest, find_policies, read_manifest
from optimizer.network.checks import check_action
from optimizer.network.outcome import evaluate
from optimizer.network.scenario import Scenario
from optimizer.network.slots import State, concatenate, draw_states
from optimizer.schemes.base import Policy
from optimizer.schemes.registry import SCHEMES, make_scheme
from optimizer.schemes.summary import Summary, summarise

CHUNK = 1024


@dataclass(frozen=True)
class EvaluateConfig:
    """Compare trained policies with the optimum and the schemes, all on the same held-out slots.

    Differences are paired: every scheme sees the same slots, so a gap's interval is far narrower than its reward's.
    """

    policy: Annotated[tuple[str, ...], comma_separated(str, "policy", "DIR")]
    """Folders of trained policies (or of several), separated by commas; they must be of one network."""
    slots: int = 1000
    """Held-out slots: training never sees them."""
    sensors: int | None = None
    """Another number of sensors than the policies were trained on; the default preset can serve many."""
    schemes: Annotated[tuple[str, ...], comma_separated(str, "schemes", "NAME")] = (
        "jopav1",
        "agdm",
        "equal",
        "greedy",
        "local",
        "edge",
        "random",
    )
    """Schemes to compare with: jopav1, agdm, equal, greedy, local, edge, random."""
    seed: int = 0
    """Of the slots."""
    json: Path | None = None
    """Write every figure."""

    def __post_init__(self) -> None:
        if self.slots < 2:
            raise OptimizerError(f"--slots: expected at least 2; got {self.slots}.")
        if self.seed < 0:
            raise OptimizerError(f"--seed: expected 0 or more; got {self.seed}.")
        for name in self.schemes:
            if name not in SCHEMES:
                raise OptimizerError(f"--schemes: no scheme {name!r}.", f"There are {', '.join(SCHEMES)}.")


@dataclass(frozen=True)
class Compared:
    """One policy on the slots.

    Attributes:
        summary: Its figures.
        gap: 1 - reward / optimum's.
        gap_interval: Half of its paired 95 % interval, 1.96 standard errors over slots.
        learned: Whether it was trained.
    """

    summary: Summary
    gap: float
    gap_interval: float
    learned: bool

    def dump(self) -> dict[str, Any]:
        """As JSON would hold it."""
        return {**self.summary.dump(), "gap": self.gap, "gap_interval": self.gap_interval, "learned": self.learned}


@dataclass(frozen=True)
class Comparison:
    """All of them: the optimum's figures, those of each policy, and means over seeds."""

    scenario: Scenario
    optimum: Summary
    policies: dict[str, Compared]
    means: dict[str, dict[str, float]]


def changed_sources(manifest: PolicyManifest) -> list[str]:
    """Profiles that are not any more what the policy was trained with."""
    found = []
    for name, source in manifest.sources.items():
        path = Path(source.path)
        if path.is_file() and sha256(path) != source.sha256:
            found.append(f"--{name} {path}")
    return found


def run_policy(scenario: Scenario, state: State, policy: Policy) -> tuple[Summary, np.ndarray]:
    """A policy's figures and each slot's reward."""
    action = concatenate([policy.decide(state[i : i + CHUNK]) for i in range(0, len(state), CHUNK)])
    check_action(action, state, scenario)
    outcome = evaluate(scenario, state, action)
    return summarise(outcome), outcome.reward


def compare(
    scenario: Scenario, state: State, policies: dict[str, Policy], schemes: Sequence[str], seed: int
) -> Comparison:
    """Everything on the same slots.

    Args:
        scenario: The network.
        state: The slots.
        policies: Trained ones by name.
        schemes: Names of schemes.
        seed: Of random schemes.
    """
    honest = scenario if scenario.objective.solvable else scenario.change(reward="utilization")
    best, best_reward = run_policy(honest, state, make_scheme("optimum", honest, "exact", seed))
    rows: dict[str, Compared] = {}
    named: list[tuple[str, Policy, bool]] = [(name, policy, True) for name, policy in policies.items()]
    named += [(name, make_scheme(name, honest, "exact", seed), False) for name in schemes if name != "optimum"]
    for name, policy, learned in named:
        summary, reward = run_policy(scenario, state, policy)
        apart = best_reward - reward
        scale = abs(float(best_reward.mean())) or 1.0
        interval = 1.96 * float(apart.std(ddof=1)) / np.sqrt(len(apart)) / scale
        rows[name] = Compared(summary, float(apart.mean()) / scale, interval, learned)
    return Comparison(scenario, best, rows, mean_over_seeds(rows))


def mean_over_seeds(rows: dict[str, Compared]) -> dict[str, dict[str, float]]:
    """Means of policies that differ in their seeds alone, with the spread of the gap over seeds."""
    groups: dict[str, list[Compared]] = {}
    for name, row in rows.items():
        if row.learned:
            groups.setdefault(re.sub(r"-seed\d+$", "", name), []).append(row)
    return {
        name: {
            "seeds": float(len(found)),
            "reward": float(np.mean([r.summary.reward for r in found])),
            "gap": float(np.mean([r.gap for r in found])),
            "worst_gap": float(np.max([r.gap for r in found])),
            "drop_ratio": float(np.mean([r.summary.drop_ratio for r in found])),
        }
        for name, found in groups.items()
        if len(found) > 1
    }


def short_names(paths: Sequence[Path]) -> list[str]:
    """What policies are called: their folders' names, with as many of the folders above as tell them apart."""
    for parts in (1, 2):
        names = ["/".join(p.parts[-parts:]) for p in paths]
        if len(set(names)) == len(names):
            return names
    return [str(p) for p in paths]


def load_policies(folders: Sequence[str], sensors: int | None) -> tuple[Scenario, dict[str, Policy], list[str]]:
    """The policies, the network they are compared on, and warnings.

    Raises:
        OptimizerError: No policy, policies of different networks, or one that cannot serve this network.
    """
    paths = [path for folder in folders for path in find_policies(Path(folder))]
    manifests = {path: read_manifest(path) for path in paths}
    first = manifests[paths[0]]
    scenario = Scenario.parse(first.scenario, str(paths[0]))
    if sensors is not None:
        scenario = scenario.with_sensors(sensors)
    else:
        sizes = {m.sensors for m in manifests.values()}
        if len(sizes) > 1:
            listed = "; ".join(",".join(map(str, s)) for s in sorted(sizes))
            raise OptimizerError(
                f"--policy: trained on different numbers of sensors ({listed}).",
                "Give one size, or say with --sensors N on which network to compare them.",
            )
    policies: dict[str, Policy] = {}
    warnings = []
    for path, name in zip(paths, short_names(paths), strict=True):
        manifest = manifests[path]
        own = scenario
        if [m["rate"] for m in manifest.scenario["models"]] != [m.rate for m in scenario.models]:
            raise OptimizerError(f"--policy: {path} has other models than {paths[0]}.", "Compare them one by one.")
        policies[name] = LearnedPolicy(path, own)
        warnings += [f"{name}: {x} has changed since it was trained" for x in changed_sources(manifest)]
        if manifest.preset == "default" and scenario.sensors not in manifest.sensors:
            seen = ", ".join(map(str, manifest.sensors))
            warnings.append(f"{name} was trained on {seen} sensors, never on {scenario.sensors}")
    return scenario, policies, warnings


def print_comparison(found: Comparison, console: Console) -> None:
    """A table at most 100 columns wide."""
    table = Table(
        box=SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1),
        title=f"{found.scenario.name}, {found.scenario.sensors} sensors, {found.optimum.slots} held-out slots",
        caption="Gap: 1 - reward / optimum's, +- its paired 95 % interval. Utilization: slots a slot, of served tasks."
        " Accuracy relative to the complete model.",
    )
    table.add_column("policy", overflow="fold")
    for name in ("reward", "gap %", "dropped %", "offl. %", "util.", "accuracy", "delay ms", "p99"):
        table.add_column(name, justify="right", no_wrap=True)

    def add(name: str, s: Summary, gap: str, style: str | None = None) -> None:
        table.add_row(
            name,
            f"{s.reward:.3f}",
            gap,
            f"{100 * s.drop_ratio:.2f}",
            f"{100 * s.offloading_ratio:.1f}",
            f"{s.utilization:.3f}",
            "-" if s.accuracy is None else f"{s.accuracy:.4f}",
            "-" if s.delay_s is None else f"{1e3 * s.delay_s:.0f}",
            "-" if s.delay_p99_s is None else f"{1e3 * s.delay_p99_s:.0f}",
            style=style,
        )

    add("optimum", found.optimum, "0", "bold")
    for name, row in found.policies.items():
        gap = f"{100 * row.gap:.2f} +- {100 * row.gap_interval:.2f}" if abs(row.gap) < 1 else f"{100 * row.gap:.0f}"
        add(name, row.summary, gap)
    console.print(table)
    for name, mean in found.means.items():
        console.print(
            f"{name}, mean of {mean['seeds']:.0f} seeds: gap {100 * mean['gap']:.2f} % (worst "
            f"{100 * mean['worst_gap']:.2f} %), dropped {100 * mean['drop_ratio']:.3f} %",
            highlight=False, markup=False,
        )  # fmt: skip


def run(config: EvaluateConfig) -> None:
    """Load, compare, print, write."""
    console = Console() if sys.stdout.isatty() else Console(width=100)
    scenario, policies, warnings = load_policies(config.policy, config.sensors)
    state = draw_states(scenario, config.slots, config.seed)
    with console.status(f"{scenario.sensors} sensors, {config.slots} slots"):
        found = compare(scenario, state, policies, config.schemes, config.seed)
    print_comparison(found, console)
    for line in warnings:
        console.print(f"warning: {line}", style="yellow", highlight=False, markup=False)
    if config.json is not None:
        content = {
            "scenario": scenario.dump(),
            "sensors": scenario.sensors,
            "slots": config.slots,
            "seed": config.seed,
            "optimum": found.optimum.dump(),
            "policies": {name: row.dump() for name, row in found.policies.items()},
            "means": found.means,
            "warnings": warnings,
        }
        write_json(config.json, content)
        console.print(f"figures: {config.json}", highlight=False, markup=False)


def main() -> None:
    """Entry point of `python -m optimizer.evaluate`."""
    run_command(EvaluateConfig, run, "optimizer.evaluate", resume="Nothing is lost; run it again.")
