"""The claims of `optimizer` about learning.

`python -m benchmarks.learning [--parts speed,decide,ablation,world] [--policies DIR]`

* speed: an update of the paper's size (205 inputs, 210 actions, 3 x 1024, batch 512) in float32 and bfloat16, beside
  Stable-Baselines3's SAC and the time of the update's matrix products alone; medians, in turns in one run.
* decide: a deployed policy's time for one slot at N = 200, batch of one, on one core.
* ablation: the default policy at N = 200 in `paper`, with one part left out at a time, one seed.
* world: learning where the planner's model is wrong: slow, noisy, stale; beside solving with that model.
* table (with --policies): every trained policy below a folder on 1,000 held-out slots of its network.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from stable_baselines3 import SAC

import optimizer.environment.env  # noqa: F401 - registers the ids
from benchmarks.machine import write
from data.common.device import has_fast_bfloat16
from optimizer import Scenario, draw_states, optimum
from optimizer.learning.deployed import LearnedPolicy
from optimizer.learning.learner import Design, Learner
from optimizer.learning.manifest import find_policies
from optimizer.learning.options import TrainConfig
from optimizer.learning.paper_sac import SacConfig, SoftActorCritic
from optimizer.learning.plan import plan
from optimizer.learning.run import train
from optimizer.learning.schedule import LearnerConfig
from optimizer.network.outcome import evaluate
from optimizer.network.slots import Action, State
from optimizer.network.world import World, play

CPU = torch.device("cpu")


def in_turns(work: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """Median milliseconds of each, measured in turns after two rounds of warming up."""
    times: dict[str, list[float]] = {name: [] for name in work}
    for turn in range(rounds + 2):
        for name, function in work.items():
            begun = time.perf_counter()
            function()
            if turn >= 2:
                times[name].append(1e3 * (time.perf_counter() - begun))
    return {name: statistics.median(t) for name, t in times.items()}


def products(states: int, actions: int, batch: int, width: int) -> Callable[[], None]:
    """The matrix products of one update and nothing else, at their shapes.

    A network's forward pass, then (weights) or (weights and inputs) of its backward pass: actor forward twice and
    backward once; critics forward on three batches (targets, data, policy), backward to weights once, to inputs once.
    """
    g = torch.Generator().manual_seed(0)

    def shapes(inputs: int, outputs: int) -> list[tuple[int, int]]:
        return [(inputs, width), (width, width), (width, width), (width, outputs)]

    def pieces(layers: list[tuple[int, int]], forward: int, weights: int, inputs: int) -> list[tuple[Any, Any]]:
        found = []
        for a, b in layers:
            x, w, y = (torch.rand(*s, generator=g) for s in ((batch, a), (a, b), (batch, b)))
            found += [(x, w)] * forward + [(x.T, y)] * weights + [(y, w.T)] * inputs
        return found

    actor, critic = shapes(states, 2 * actions), shapes(states + actions, 1)
    work = pieces(actor, 2, 1, 0) + pieces(actor[1:], 0, 0, 1)
    work += 2 * (pieces(critic, 3, 1, 1) + pieces(critic[1:], 0, 0, 1))

    def run() -> None:
        for a, b in work:
            torch.mm(a, b)

    return run


def speed(console: Console, _: argparse.Namespace) -> dict[str, Any]:
    states, actions, batch = 205, 210, 512
    data = (
        torch.rand(batch, states),
        torch.rand(batch, actions) * 2 - 1,
        torch.randn(batch),
        torch.rand(batch, states),
    )
    work: dict[str, Callable[[], Any]] = {"matrix products, float32": products(states, actions, batch, 1024)}
    for precision in ("float32", "bfloat16") if has_fast_bfloat16(CPU) else ("float32",):
        agent = SoftActorCritic(states, actions, SacConfig(precision=precision), CPU)
        work[f"ours, {precision}"] = lambda agent=agent: agent.update(*data)
    sb3 = SAC(
        "MlpPolicy", gym.make("jopa/OffloadingBox-v0", sensors=200), batch_size=batch, buffer_size=10_000,
        ent_coef=1e-5, tau=1e-5, policy_kwargs={"net_arch": [1024] * 3}, learning_starts=600, device="cpu",
    )  # fmt: skip
    sb3.learn(601)
    work["Stable-Baselines3, float32"] = lambda: sb3.train(1, batch)
    found = in_turns(work, 25)
    table = Table(title=f"ms per update, median of 25, {torch.get_num_threads()} threads")
    table.add_column("what")
    table.add_column("ms", justify="right")
    for name, ms in found.items():
        table.add_row(name, f"{ms:.1f}")
    console.print(table)
    return found


def decide(console: Console, _: argparse.Namespace) -> dict[str, Any]:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        config = TrainConfig(sensors=(200,), learner=LearnerConfig(updates=25), out=Path(folder))
        job = plan(config)[0]
        train(job, config, lambda *_: None)
        policy = LearnedPolicy(Path(folder) / job.name)
        state = draw_states(policy.scenario, 2000, 0)
        times = []
        for i in range(len(state)):
            begun = time.perf_counter()
            policy.decide(state[i : i + 1])
            times.append(1e3 * (time.perf_counter() - begun))
    quantiles = np.quantile(times[50:], [0.5, 0.9, 0.99])
    found = {name: float(q) for name, q in zip(("p50_ms", "p90_ms", "p99_ms"), quantiles, strict=True)}
    console.print({k: round(v, 3) for k, v in found.items()})
    return found


def fit(scenario: Scenario, config: LearnerConfig, world: World | None = None, design: Design | None = None) -> Learner:
    torch.set_num_threads(1)
    learner = Learner([scenario], config, 0, world, design)
    while not learner.finished:
        learner.run_block()
    return learner


def ablation(console: Console, _: argparse.Namespace) -> dict[str, Any]:
    scenario = Scenario.load("paper").with_sensors(200)
    base = LearnerConfig()
    variants: dict[str, tuple[LearnerConfig, Design]] = {
        "default": (base, Design()),
        "a third of the updates": (replace(base, updates=500), Design()),
        "even shares": (base, Design(even_shares=True)),
        "no search for claims": (replace(base, search=0.0), Design()),
        "search alone, no gradient": (replace(base, search=1.0), Design()),
        "claims' credit not cut off": (base, Design(credit_limit=1e6)),
        "no laws of time (free entries and networks alone)": (base, Design(frozen=("laws",))),
        "no free entries": (base, Design(frozen=("corrections",))),
        "no networks": (base, Design(frozen=("networks",))),
        "deadlines stay as soft as at first": (base, Design(frozen=("steepness",))),
        "second moments over 1,000 updates instead of 100": (base, Design(moments=(0.9, 0.999))),
        "no random decisions": (replace(base, explore=0.0, explore_last=0.0), Design()),
    }
    found = {}
    for name, (config, design) in variants.items():
        begun = time.perf_counter()
        learner = fit(scenario, config, None, design)
        outcome, best = learner.courses[0].validate(learner.policy), learner.courses[0].best()
        assert best is not None
        row = {
            "gap": 1 - float(outcome.reward.mean()) / best,
            "drop_ratio": float(outcome.drop_ratio.mean()),
            "seconds": time.perf_counter() - begun,
        }
        found[name] = row
        console.print(f"{name}: {100 * row['gap']:.2f} % from the optimum, {100 * row['drop_ratio']:.3f} % dropped")
    return found


def in_world(scenario: Scenario, state: State, action: Action, world: World) -> dict[str, float]:
    outcome = play(scenario, state, action, world, np.random.default_rng(1))
    return {"reward": float(outcome.reward.mean()), "drop_ratio": float(outcome.drop_ratio.mean())}


def shown_states(scenario: Scenario, world: World, slots: int) -> tuple[State, State]:
    """True states and what is shown of them."""
    true = draw_states(scenario, slots, 5)
    if not world.stale:
        return true, true
    before = np.concatenate([true.channel[:1], true.channel[:-1]])
    return true, State(before, true.level)


def slowed(scenario: Scenario, factor: float) -> Scenario:
    """A planner that believes gateways to be slower by a factor: a safety margin."""
    capacity = scenario.gateway.capacity_flop_per_s
    assert isinstance(capacity, float)
    return scenario.change(gateway=scenario.gateway.model_copy(update={"capacity_flop_per_s": capacity / factor}))


def world(console: Console, _: argparse.Namespace) -> dict[str, Any]:
    scenario = Scenario.load("paper-heavy").with_sensors(100)
    worlds = {
        "as modelled": World(),
        "10 % slower": World(bias=1.1),
        "noisy (10 %)": World(spread=0.1),
        "tails (2 % take 3 times as long)": World(tail=0.02),
        "stale channel": World(stale=True),
    }
    found: dict[str, Any] = {}
    for name, there in worlds.items():
        true, shown = shown_states(scenario, there, 1000)
        rows = {"solved with the model": in_world(scenario, true, optimum(scenario, shown).action, there)}
        for margin in (1.1, 1.3):
            action = optimum(slowed(scenario, margin), shown).action
            rows[f"solved, gateways taken for {margin} times as slow"] = in_world(scenario, true, action, there)
        learner = fit(scenario, LearnerConfig(), None if there == World() else there)
        rows["learned here"] = in_world(scenario, true, learner.courses[0].decide(learner.policy, shown), there)
        found[name] = rows
        for who, row in rows.items():
            console.print(f"{name}: {who}: reward {row['reward']:.3f}, {100 * row['drop_ratio']:.2f} % dropped")
    return found


def table(console: Console, chosen: argparse.Namespace) -> dict[str, Any]:
    """Every policy on its own network, and mixed ones on every size."""
    rows = []
    for path in find_policies(chosen.policies):
        known = LearnedPolicy(path)
        sizes = known.manifest.sensors if len(known.manifest.sensors) == 1 else (*known.manifest.sensors, 400)
        for sensors in sizes:
            scenario = known.scenario.with_sensors(sensors)
            state = draw_states(scenario, 1000, 0)
            policy = LearnedPolicy(path, scenario)
            outcome = evaluate(scenario, state, policy.decide(state))
            found = optimum(scenario, state)
            best = evaluate(scenario, state, found.action)
            row = {
                "policy": str(path.relative_to(chosen.policies)),
                "scenario": scenario.name,
                "models": len(scenario.models),
                "sensors": sensors,
                "trained_on": list(known.manifest.sensors),
                "reward": float(outcome.reward.mean()),
                "optimum": float(found.reward.mean()),
                "gap": 1 - float(outcome.reward.mean() / found.reward.mean()),
                "drop_ratio": float(outcome.drop_ratio.mean()),
                "optimum_drop_ratio": float(best.drop_ratio.mean()),
                "seconds": known.manifest.training["seconds"],
            }
            rows.append(row)
            console.print(
                f"{row['policy']} N={sensors}: {100 * row['gap']:.2f} %, dropped {100 * row['drop_ratio']:.3f} %, "
                f"{row['seconds']:.0f} s"
            )
    return {"rows": rows}


PARTS: dict[str, Callable[[Console, argparse.Namespace], dict[str, Any]]] = {
    "speed": speed,
    "decide": decide,
    "ablation": ablation,
    "world": world,
    "table": table,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", default="speed,decide,ablation,world")
    parser.add_argument("--policies", type=Path)
    chosen = parser.parse_args()
    console = Console(width=110, highlight=False)
    for part in chosen.parts.split(","):
        results = PARTS[part](console, chosen)
        write(f"learning-{part}", f"python -m benchmarks.learning --parts {part}", results)


if __name__ == "__main__":
    main()
