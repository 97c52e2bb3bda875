"""A factory's network one task at a time, in plain Python: an independent reference for `optimizer.solver.factory`.

Every task is at the edge ("E"), on the gateway ("L") or refused ("R"). Nothing here is shared with `optimizer`; the
rate of the link and the time of a batch come from the other reference, `paper_model`.
"""

import itertools
import math
from typing import Any

import numpy as np
from paper_model import local_seconds, rate_bit_per_s, tasks_in

from optimizer import Scenario

# busy time, an answer of some relative accuracy, and delay: what each is worth.
COEFFICIENTS = {
    "utilization": (1.0, lambda a: 0.0, 0.0),
    "goodput": (0.0, lambda a: a, 0.0),
    "delay": (0.0, lambda a: 0.0, -1.0),
    "service": (0.0, lambda a: a, -0.001),
    "toy busy": (0.4, lambda a: a * a, 0.0),
    "toy all": (0.5, lambda a: 0.3 * a, -0.7),
}
GROUPS = [(2, 2, 2), (3, 1, 2), (4, 3), (4, 2), (5,), (1, 1, 1, 2)]


def link_seconds(scenario: Scenario, g: int, state: int) -> tuple[float, float]:
    """Omega, and the time for which one transmission holds the queue."""
    link = scenario.link
    power = link.transmit_power_w
    powers = power if isinstance(power, tuple) else (power,) * len(scenario.groups)
    one = scenario.model_copy(update={"link": link.model_copy(update={"transmit_power_w": powers[g]})})
    rate = rate_bit_per_s(one, g, link.gains[state])
    best = link.bandwidth_hz * math.log2(1 + max(powers) * max(link.gains) / (link.noise_w_per_hz * link.bandwidth_hz))
    return link.task_bits / rate, math.ceil(best / rate - 1e-9) * link.task_bits / best


def batch_seconds(scenario: Scenario, g: int, model: int, tasks: int) -> float:
    capacity = scenario.gateway.capacity_flop_per_s
    if isinstance(capacity, tuple):
        part = scenario.gateway.model_copy(update={"capacity_flop_per_s": capacity[g]})
        scenario = scenario.model_copy(update={"gateway": part})
    return local_seconds(scenario, model, tasks)


def served_locally(scenario: Scenario, g: int, levels, fate, model) -> list[tuple[float, float, float]]:
    """Busy time, delay and accuracy of every local task that is served."""
    done, served = 0.0, []
    kept = [k for k, f in zip(levels, fate, strict=True) if f == "L"]
    if scenario.gateway.execution == "by level":
        batches = [[k] * kept.count(k) for k in sorted(set(kept), reverse=True)]
        chosen = [model[b[0]] for b in batches]
    else:
        batches, chosen = ([kept], [model]) if kept else ([], [])
    for batch, v in zip(batches, chosen, strict=True):
        seconds = batch_seconds(scenario, g, v, len(batch))
        done += seconds
        accuracy = scenario.models[v].accuracy
        served += [
            (seconds / len(batch), done, accuracy)
            for k in batch
            if done <= scenario.qos[k].max_delay_s and accuracy >= scenario.qos[k].min_accuracy
        ]
    return served


def served_at_edge(scenario: Scenario, g: int, state: int, levels, fate, share: float):
    """The same of the tasks sent to the edge."""
    sending, hold = link_seconds(scenario, g, state)
    task_s = scenario.edge.task_s
    edge = task_s / (share + task_s / scenario.slot_s)
    queue = sorted((k for k, f in zip(levels, fate, strict=True) if f == "E"), reverse=True)
    served = []
    for j, k in enumerate(queue):
        if scenario.edge.queue == "fifo":
            delay, ok = sending + edge + j * max(hold, edge), True
        else:
            place = queue.index(k) + (queue.count(k) - 1) / 2
            delay, ok = sending + edge + hold * place, edge <= sending
        if ok and delay <= scenario.qos[k].max_delay_s:
            served.append((sending + edge, delay, 1.0))
    return served


def worth(scenario: Scenario, served, tasks: int, all_tasks: int) -> float:
    """What a gateway adds to the reward: of `tasks` these were served; the slot has `all_tasks`."""
    busy, answer, delay = COEFFICIENTS[scenario.reward]
    total = sum(
        busy * use / scenario.slot_s + (answer(a) + delay * late / scenario.slot_s) / all_tasks
        for use, late, a in served
    )
    return total - (scenario.penalty * (tasks - len(served)) / all_tasks if all_tasks else 0.0)


def slot_reward(scenario: Scenario, channel, level, fates, model, share) -> float:
    """The reward of one slot; `fates` has a letter for every task that is not silent, in sensor order."""
    everyone = tasks_in(level)
    total = 0.0
    for g in range(len(channel)):
        levels = [k for k in level[g] if k >= 0]
        served = served_locally(scenario, g, levels, fates[g], model[g])
        served += served_at_edge(scenario, g, channel[g], levels, fates[g], share[g])
        total += worth(scenario, served, len(levels), everyone)
    return total


def gateway_table(scenario: Scenario, g: int, state: int, levels, everyone: int, shares) -> list[float]:
    """The most that a gateway can add at each share, over all fates of its tasks and all models."""
    best = [-math.inf] * len(shares)
    # Two tasks of a level are alike wherever no delay of its own is counted twice: try each multiset of fates once.
    tried = set()
    for fate in itertools.product("LER", repeat=len(levels)):
        key = tuple(sorted(zip(levels, fate, strict=True)))
        if key in tried:
            continue
        tried.add(key)
        used = sorted({k for k, f in zip(levels, fate, strict=True) if f == "L"})
        every = range(len(scenario.models))
        if scenario.gateway.execution == "by level":
            models: Any = [dict(zip(used, m, strict=True)) for m in itertools.product(every, repeat=len(used))]
        else:
            models = every if used else [0]
        local = max(
            (served_locally(scenario, g, levels, fate, m) for m in models),
            key=lambda s: worth(scenario, s, 0, everyone),
        )
        for z, share in enumerate(shares):
            edge = served_at_edge(scenario, g, state, levels, fate, share)
            best[z] = max(best[z], worth(scenario, local + edge, len(levels), everyone))
    return best


def best_by_brute_force(scenario: Scenario, channel, level, steps: int) -> float:
    """The best reward on a grid of shares: every decision of every gateway, and every way to share the edge."""
    everyone = tasks_in(level)
    shares = [z / steps for z in range(steps + 1)]
    tables = [
        gateway_table(scenario, g, channel[g], [k for k in level[g] if k >= 0], everyone, shares)
        for g in range(len(channel))
    ]
    total = tables[0]
    for table in tables[1:]:
        total = [max(total[u - z] + table[z] for z in range(u + 1)) for u in range(steps + 1)]
    return total[steps]


def random_factory(rng: np.random.Generator, reward: str, execution: str, queue: str, groups) -> Scenario:
    """Any small factory: unequal gateways, any penalty, latencies that may fall with the batch, or end before it."""
    levels, models = int(rng.integers(1, 5)), int(rng.integers(1, 4))
    made: list[dict[str, Any]] = []
    for i in range(models):
        made.append({"rate": i / 10, "accuracy": float(rng.uniform(0.9, 1))})
        if rng.random() < 0.6:
            seconds = np.cumsum(rng.uniform(0.005, 0.15, max(groups))) + rng.uniform(0, 0.05)
            if rng.random() < 0.3:
                seconds = rng.permutation(seconds)
            measured = int(rng.integers(1, max(groups) + 1)) if rng.random() < 0.4 else max(groups)
            made[-1]["latency_s"] = [[n + 1, float(x)] for n, x in enumerate(seconds[:measured])]
    accuracies = np.sort(rng.uniform(0.88, 1, levels))
    deadlines = np.sort(rng.uniform(0.05, 1, levels))[::-1]
    scenario = Scenario.parse(
        {
            "base": "paper",
            "name": "random",
            "groups": list(groups),
            "penalty": 100.0,
            "extrapolate": True,
            "link": {
                "task_bits": float(16384 * rng.choice([0.1, 1, 4, 16, 30])),
                "transmit_power_w": [float(x) for x in rng.uniform(0.3, 2, len(groups))],
            },
            "qos": [
                {"criticality": i / levels, "min_accuracy": float(a), "max_delay_s": float(t)}
                for i, (a, t) in enumerate(zip(accuracies, deadlines, strict=True))
            ],
            "models": made,
            "gateway": {
                "capacity_flop_per_s": [float(x) for x in rng.choice([50e9, 100e9, 200e9, 800e9], len(groups))],
                "execution": execution,
            },
            "edge": {"task_s": float(rng.choice([5e-4, 5e-3, 0.03, 0.1])), "queue": queue},
        },
        "random",
    )
    # Without a check of the penalty: below the price of delay it pays to refuse, and that too must be exact.
    penalty = float(rng.choice([0, 0.01, 0.5, 1, 2, 10, 100]))
    return scenario.model_copy(update={"penalty": penalty, "reward": reward})
