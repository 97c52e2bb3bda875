"""The paper's equations for one task at a time, in plain Python: an independent reference for `optimizer.network`."""

import itertools
import math
from typing import Any

import numpy as np

from optimizer import Scenario

# What a served task adds: (seconds busy, delay in seconds, accuracy, tasks in the slot, slot in seconds) -> worth.
GAINS = {
    "utilization": lambda busy, delay, accuracy, tasks, slot: busy / slot,
    "goodput": lambda busy, delay, accuracy, tasks, slot: accuracy / tasks,
    "delay": lambda busy, delay, accuracy, tasks, slot: -delay / tasks / slot,
    "service": lambda busy, delay, accuracy, tasks, slot: (accuracy - 1e-3 * delay / slot) / tasks,
}


def tasks_in(level) -> int:
    """Tasks of a slot; a silent sensor's level is -1."""
    return sum(1 for row in level for k in row if k >= 0)


def slot_reward(scenario: Scenario, channel, level, offload, model, share) -> float:
    """Eq. (21) of one slot; arguments are lists over gateways (and sensors)."""
    tasks = tasks_in(level)
    return sum(
        gateway_worth(scenario, g, channel[g], level[g], offload[g], model[g], share[g], tasks)
        for g in range(len(channel))
    )


def rate_bit_per_s(scenario: Scenario, g: int, gain: float) -> float:
    """Eq. (5)."""
    share = scenario.groups[g] / sum(scenario.groups)
    width = share * scenario.link.bandwidth_hz
    return width * math.log2(1 + scenario.link.transmit_power_w * gain / (scenario.link.noise_w_per_hz * width))


def local_seconds(scenario: Scenario, model: int, tasks: int) -> float:
    """Eq. (2), or lines between measured points; beyond the last, portions of it."""
    chosen = scenario.models[model]
    if chosen.latency_s is None:
        flops = chosen.flops or (1 - chosen.rate) * scenario.task.flops
        return tasks * flops / scenario.gateway.capacity_flop_per_s
    points = chosen.latency_s
    if tasks == 0:
        return 0.0
    if tasks > points[-1][0]:
        return points[-1][1] + local_seconds(scenario, model, tasks - points[-1][0])
    for (n, a), (m, b) in itertools.pairwise(points):
        if n <= tasks <= m:
            return a + (b - a) * (tasks - n) / (m - n)
    return points[0][1]


def gateway_worth(
    scenario: Scenario, g: int, state: int, levels, offload, model: int, share: float, tasks: int
) -> float:
    """What one gateway adds to eq. (21), task by task: served tasks alone count (errata row 10).

    `tasks` is the number of tasks in the whole slot; silent sensors (level -1) have none.
    """
    offload = [o for o, k in zip(offload, levels, strict=True) if k >= 0]
    levels = [k for k in levels if k >= 0]
    link, slot = scenario.link, scenario.slot_s
    rate = rate_bit_per_s(scenario, g, link.gains[state])
    best = link.bandwidth_hz * math.log2(
        1 + link.transmit_power_w * max(link.gains) / (link.noise_w_per_hz * link.bandwidth_hz)
    )
    tau = link.task_bits / best
    hold = math.ceil(best / rate - 1e-9) * tau
    sending = link.task_bits / rate
    task_s = scenario.edge.task_s or scenario.task.flops / scenario.edge.capacity_flop_per_s
    edge = task_s / (share + task_s / slot)
    local = sum(1 for o in offload if not o)
    batch = local_seconds(scenario, model, local)
    total, served = 0.0, 0
    for m, level in enumerate(levels):
        wanted = scenario.qos[level]
        if offload[m]:
            ahead = sum(1 for j, k in enumerate(levels) if offload[j] and k > level)
            equal = sum(1 for j, k in enumerate(levels) if offload[j] and k == level)
            delay = edge + sending + hold * (ahead + (equal - 1) / 2)
            ok, use, accuracy = delay <= wanted.max_delay_s and edge <= sending, sending + edge, 1.0
        else:
            delay, accuracy = batch, scenario.models[model].accuracy
            ok = delay <= wanted.max_delay_s and accuracy >= wanted.min_accuracy
            use = batch / local
        if ok:
            served += 1
            total += GAINS[scenario.reward](use, delay, accuracy, tasks, slot)
    return total - (scenario.penalty * (len(levels) - served) / tasks if tasks else 0.0)


def best_by_brute_force(scenario: Scenario, channel, level, steps: int) -> float:
    """The best reward on a grid of shares, trying everything at each gateway and every way to share the edge."""
    tables = []
    tasks = tasks_in(level)
    for g, sensors in enumerate(scenario.groups):
        best = [-math.inf] * (steps + 1)
        for offload in itertools.product((False, True), repeat=sensors):
            if any(o and k < 0 for o, k in zip(offload, level[g], strict=True)):
                continue
            for model in range(len(scenario.models)):
                for z in range(steps + 1):
                    found = gateway_worth(scenario, g, channel[g], level[g], offload, model, z / steps, tasks)
                    best[z] = max(best[z], found)
                    if not any(offload):  # shares do not matter then
                        best = [max(x, found) for x in best]
                        break
        tables.append(best)
    total = tables[0]
    for table in tables[1:]:
        total = [max(total[u - z] + table[z] for z in range(u + 1)) for u in range(steps + 1)]
    return total[steps]


def random_scenario(rng: np.random.Generator, reward: str, groups: tuple[int, ...]) -> Scenario:
    """Any network: levels, models, measured or linear latency, slow or fast link and edge, any penalty."""
    levels, models = int(rng.integers(1, 5)), int(rng.integers(1, 5))
    made: list[dict[str, Any]] = []
    for i in range(models):
        made.append({"rate": i / 10, "accuracy": float(rng.uniform(0.9, 1))})
        if rng.random() < 0.5:
            seconds = np.cumsum(rng.uniform(0.005, 0.15, max(groups))) + rng.uniform(0, 0.05)
            made[-1]["latency_s"] = [[n + 1, float(x)] for n, x in enumerate(seconds)]
    accuracies = np.sort(rng.uniform(0.9, 1, levels))
    deadlines = np.sort(rng.uniform(0.05, 1, levels))[::-1]
    return Scenario.parse(
        {
            "base": "paper",
            "name": "random",
            "groups": list(groups),
            "penalty": float(rng.choice([1, 2, 99] if reward not in ("utilization", "goodput") else [0, 0.5, 2, 99])),
            "reward": reward,
            "link": {"task_bits": float(16384 * rng.choice([1, 4, 16, 30]))},
            "qos": [
                {"criticality": i / levels, "min_accuracy": float(a), "max_delay_s": float(t)}
                for i, (a, t) in enumerate(zip(accuracies, deadlines, strict=True))
            ],
            "models": made,
            "gateway": {"capacity_flop_per_s": float(rng.choice([50e9, 200e9]))},
            "edge": {"task_s": float(rng.choice([5e-4, 5e-3, 0.03]))},
        },
        "random",
    )
