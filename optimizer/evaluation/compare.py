"""Policies, schemes and the optimum on the same held-out slots: the code of `python -m optimizer.evaluate`."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from rich.console import Console

from data.common.command import run_command
from data.common.console import make_console, say
from data.common.files import sha256
from data.common.options import check_least, comma_separated
from data.common.stats import half_interval
from optimizer.errors import OptimizerError
from optimizer.evaluation.results import Evaluation, PolicyResult, SeedMeans
from optimizer.evaluation.slower import is_fragile, print_slower, slower
from optimizer.evaluation.tables import comparison_table
from optimizer.learning.deployed import LearnedPolicy
from optimizer.learning.manifest import PolicyManifest, find_policies, read_manifest
from optimizer.network.scenario import Scenario
from optimizer.network.slots import State, draw_states
from optimizer.schemes.base import Policy
from optimizer.schemes.registry import find_scheme, make_scheme, schemes_of
from optimizer.schemes.rollout import carry_out
from optimizer.schemes.summary import summarise


@dataclass(frozen=True)
class EvaluateConfig:
    """Compare trained policies with the optimum and the schemes, all on the same held-out slots.

    Differences are paired: every scheme sees the same slots, so a gap's interval is far narrower than its reward's.
    """

    policy: Annotated[tuple[str, ...], comma_separated(str, "policy", "DIR")]
    """Folders of trained policies, or folders that hold several, separated by commas. All must be of one network."""
    slots: int = 1000
    """Number of held-out slots; training never sees them."""
    sensors: int | None = None
    """Number of sensors to compare on, if not the one of training; a policy of the default preset can serve many."""
    extrapolate: bool = False
    """Allow more sensors per gateway than the largest measured batch: larger ones run in portions of it."""
    schemes: Annotated[tuple[str, ...], comma_separated(str, "schemes", "NAME")] = ("all",)
    """Schemes to compare with, separated by commas; or all that the network allows."""
    seed: int = 0
    """Random seed for drawing slots, and of schemes that draw at random."""
    json: Path | None = None
    """File to write with every figure."""

    def __post_init__(self) -> None:
        check_least(OptimizerError, "slots", self.slots, 2)
        check_least(OptimizerError, "seed", self.seed, 0)
        for name in self.schemes if self.schemes != ("all",) else ():
            find_scheme(name)


def changed_sources(manifest: PolicyManifest) -> list[str]:
    """Profiles that have changed since the policy was trained with them, as the options that named them."""
    found = []
    for name, source in manifest.sources.items():
        path = Path(source.path)
        if path.is_file() and sha256(path) != source.sha256:
            found.append(f"--{name} {path}")
    return found


def compare(
    scenario: Scenario,
    state: State,
    policies: dict[str, Policy],
    schemes: Sequence[str],
    seed: int,
    warnings: Sequence[str] = (),
) -> Evaluation:
    """Run policies, schemes and the optimum on the same slots.

    Args:
        scenario: The network.
        state: The slots.
        policies: Trained policies by name.
        schemes: Names of schemes, or ("all",).
        seed: Random seed of schemes that draw at random; it is also noted as the slots' seed.
        warnings: What a reader of the figures should know.
    """
    # The literal reward has no exact optimum; schemes optimise the utilization of served tasks then.
    honest = scenario if scenario.objective.solvable else scenario.change(reward="utilization")
    planned, best = carry_out(honest, state, make_scheme("optimum", honest, "exact", seed))
    names = schemes_of(honest) if tuple(schemes) == ("all",) else schemes
    scale = abs(float(best.reward.mean())) or 1.0
    everyone = [(name, policy, True) for name, policy in policies.items()]
    everyone += [(name, make_scheme(name, honest, "exact", seed), False) for name in names if name != "optimum"]
    rows, longer = {}, {"optimum": slower(scenario, state, planned)}
    for name, policy, learned in everyone:
        action, outcome = carry_out(scenario, state, policy)
        longer[name] = slower(scenario, state, action)
        apart = best.reward - outcome.reward
        rows[name] = PolicyResult(
            summary=summarise(outcome),
            gap=float(apart.mean()) / scale,
            gap_interval=half_interval(apart) / scale,
            learned=learned,
        )
    return Evaluation(
        scenario=scenario,
        sensors=scenario.sensors,
        slots=len(state),
        seed=seed,
        optimum=summarise(best),
        policies=rows,
        means=mean_over_seeds(rows),
        warnings=list(warnings),
        slower=longer,
    )


def mean_over_seeds(rows: dict[str, PolicyResult]) -> dict[str, SeedMeans]:
    """Means over policies that differ in their seeds alone, with the worst gap of any seed."""
    groups: dict[str, list[PolicyResult]] = {}
    for name, row in rows.items():
        if row.learned:
            groups.setdefault(re.sub(r"-seed\d+$", "", name), []).append(row)
    return {
        name: SeedMeans(
            seeds=len(found),
            reward=float(np.mean([r.summary.reward for r in found])),
            gap=float(np.mean([r.gap for r in found])),
            worst_gap=float(np.max([r.gap for r in found])),
            drop_ratio=float(np.mean([r.summary.drop_ratio for r in found])),
        )
        for name, found in groups.items()
        if len(found) > 1
    }


def short_names(paths: Sequence[Path]) -> list[str]:
    """Names of policies: their folders' names, with as many of the folders above as tell them apart."""
    for parts in (1, 2):
        names = ["/".join(p.parts[-parts:]) for p in paths]
        if len(set(names)) == len(names):
            return names
    return [str(p) for p in paths]


def load_policies(
    folders: Sequence[str], sensors: int | None, *, extrapolate: bool = False
) -> tuple[Scenario, dict[str, Policy], list[str]]:
    """The policies, the network to compare them on, and warnings.

    Args:
        folders: Policy folders, or folders that hold several.
        sensors: Number of sensors; by default the one that all were trained on.
        extrapolate: Allow more sensors per gateway than the largest measured batch.

    Raises:
        OptimizerError: No policy, policies of different networks, or one that cannot serve this network.
    """
    paths = [path for folder in folders for path in find_policies(Path(folder))]
    manifests = {path: read_manifest(path) for path in paths}
    scenario = _common_network(manifests, sensors, extrapolate)
    policies: dict[str, Policy] = {}
    warnings = []
    for path, name in zip(paths, short_names(paths), strict=True):
        manifest = manifests[path]
        policies[name] = LearnedPolicy(path, scenario)
        warnings += [f"{name}: {x} has changed since it was trained" for x in changed_sources(manifest)]
        if manifest.preset == "default" and scenario.sensors not in manifest.sensors:
            seen = ", ".join(map(str, manifest.sensors))
            warnings.append(f"{name} was trained on {seen} sensors, never on {scenario.sensors}")
    return scenario, policies, warnings


def _common_network(manifests: dict[Path, PolicyManifest], sensors: int | None, extrapolate: bool) -> Scenario:
    """The network that all policies are compared on."""
    first, manifest = next(iter(manifests.items()))
    scenario = Scenario.parse(manifest.scenario, str(first))
    rates = [m.rate for m in scenario.models]
    for path, other in manifests.items():
        if [m.rate for m in Scenario.parse(other.scenario, str(path)).models] != rates:
            raise OptimizerError(f"--policy: {path} has other models than {first}.", "Compare them one by one.")
    if extrapolate:
        scenario = scenario.change(extrapolate=True)
    if sensors is not None:
        return scenario.with_sensors(sensors)
    sizes = {m.sensors for m in manifests.values()}
    if len(sizes) > 1:
        listed = "; ".join(",".join(map(str, s)) for s in sorted(sizes))
        raise OptimizerError(
            f"--policy: trained on different numbers of sensors ({listed}).",
            "Give policies of one size, or say with --sensors N on which network to compare them.",
        )
    return scenario


def print_comparison(found: Evaluation, console: Console) -> None:
    """Print a table at most 100 columns wide, the means over seeds, and the warnings.

    What a little slower inference would do comes first where it matters.
    """
    planned = {"optimum": found.optimum.drop_ratio, **{n: row.summary.drop_ratio for n, row in found.policies.items()}}
    losses = [(str(found.sensors), name, planned[name], longer) for name, longer in found.slower.items()]
    if is_fragile(losses):
        print_slower(losses, console)
    console.print(comparison_table(found))
    for name, mean in found.means.items():
        say(
            console,
            f"{name}, mean of {mean.seeds:.0f} seeds: gap {100 * mean.gap:.2f} % (worst {100 * mean.worst_gap:.2f} %), "
            f"dropped {100 * mean.drop_ratio:.3f} %",
        )
    if losses and not is_fragile(losses):
        print_slower(losses, console)
    for line in found.warnings:
        say(console, f"warning: {line}", style="yellow")


def run(config: EvaluateConfig) -> None:
    """Load the policies, compare, print, and write the file."""
    console = make_console()
    scenario, policies, warnings = load_policies(config.policy, config.sensors, extrapolate=config.extrapolate)
    state = draw_states(scenario, config.slots, config.seed)
    with console.status(f"{scenario.sensors} sensors, {config.slots} slots"):
        found = compare(scenario, state, policies, config.schemes, config.seed, warnings)
    print_comparison(found, console)
    if config.json is not None:
        found.save(config.json)
        say(console, f"figures: {config.json}")


def main() -> None:
    """Entry point of `python -m optimizer.evaluate`."""
    run_command(EvaluateConfig, run, "optimizer.evaluate", resume="Nothing is lost; run it again.")
