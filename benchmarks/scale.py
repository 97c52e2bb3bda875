"""What 1,000 gateways and 100,000 sensors need at each stage, from measured constants, and what breaks first.

`python -m benchmarks.scale [--gateways 1000] [--sensors 100000] [--slots 3]`

Every sensor has a window of 1 s to be named in every slot of 1 s, as in the paper. What gateways do is theirs alone and
does not grow with their number: images and inference are measured for one gateway's windows (inference from the kept
reference profile). Link and edge are shared: their needs are the paper's constants times the tasks. Deciding and
simulating a slot is measured at the full size, on one core (medians of slots). A need above 1 s per slot breaks.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.machine import RESULTS, write
from benchmarks.many_gateways import in_a_process
from data.images import log_spectrogram
from optimizer import Scenario, draw_states
from optimizer.environment.env import OffloadingEnv
from profiling.profile.profile import Profile

PROFILE = RESULTS / "profile-cwru-amd-epyc-2-threads.json"
RATE_HZ, SIZE = 4000, 32
RATES = (0.0, 0.5, 0.9)  # pruning rates whose inference is told
BYTES = 4  # of a sample, as float32


@dataclass(frozen=True)
class Need:
    """What one stage needs for a slot of 1 s.

    Attributes:
        stage: What is done.
        grows: What it grows with.
        seconds: Seconds per slot, where it is a time.
        told: In words: the amount, or what the seconds are of.
    """

    stage: str
    grows: str
    seconds: float | None
    told: str


def median(do: Callable[[], object], times: int) -> float:
    """Median seconds of a call on one core, after one that is not counted."""
    do()
    taken = []
    for _ in range(times):
        begun = time.thread_time()
        do()
        taken.append(time.thread_time() - begun)
    return statistics.median(taken)


def gateway_needs(windows: int, slots: int) -> list[Need]:
    """What one gateway does with its sensors' windows."""
    signal = np.random.default_rng(0).standard_normal((windows, RATE_HZ))
    image = median(lambda: log_spectrogram(signal, SIZE, RATE_HZ), slots)
    rate = windows * RATE_HZ * BYTES
    profile = Profile.load(PROFILE)
    found = [
        Need("samples arrive", "a gateway's sensors", None, f"{rate / 1e6:.1f} MB/s at each gateway"),
        Need("images", "a gateway's sensors", image, f"{1e3 * image / windows:.2f} ms a window, one core"),
    ]
    sizes = [entry.batch for entry in profile.model(0.0).latency]
    for pruned in RATES:
        largest = profile.latency(pruned, max(sizes))
        seconds = largest + (windows - max(sizes)) * (largest - profile.latency(pruned, 1)) / (max(sizes) - 1)
        found.append(Need(f"inference, p = {pruned:g}", "a gateway's sensors", seconds, profile.name))
    return found


def shared_needs(scenario: Scenario) -> list[Need]:
    """What link and edge need if every task is sent, by the paper's constants."""
    constants, link = scenario.constants, scenario.link
    carried = float((1.0 / (constants.hold_s @ constants.stationary)).sum())
    times = scenario.sensors / carried
    edge = constants.edge_task_s * scenario.sensors
    return [
        Need(
            "link, all tasks sent", "sensors", times,
            f"{link.bandwidth_hz / 1e6:g} MHz carry {carried:,.0f} tasks in 1 s: {times:.0f} times the band",
        ),
        Need("edge, all tasks sent", "sensors", edge, f"{edge:.0f} of the paper's RTX 3070"),
    ]  # fmt: skip


def slot_needs(gateways: int, per_gateway: int, slots: int) -> list[Need]:
    """Drawing, simulating and deciding a slot at the full size."""
    scenario = Scenario.parse({"base": "paper", "sensors": gateways * per_gateway, "gateways": gateways}, "paper")
    env = OffloadingEnv(scenario)
    env.reset(seed=0)
    action = env.action_space.sample()
    found = [
        Need("draw a slot", "sensors", median(lambda: draw_states(scenario, 1, 0), slots), "one core"),
        Need("one step of the environment", "sensors", median(lambda: env.step(action), slots), "one core"),
    ]
    for name in ("paper", "factory"):
        row = in_a_process(name, gateways, per_gateway, slots)
        memory = f"one core; {row['memory_mb'] / 1e3:.2f} GB"
        lost = f"loses {row['greedy_lost']:.1%}"
        found.append(Need(f"decide, greedy, `{name}`", "sensors", row["greedy_ms"] / 1e3, f"{memory}; {lost}"))
        told = f"{memory}; gap {100 * row['largest_gap']:.2g} %; loses {row['lost']:.1%}"
        found.append(Need(f"decide, optimum, `{name}`", "gateways and sensors", row["median_ms"] / 1e3, told))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gateways", type=int, default=1000)
    parser.add_argument("--sensors", type=int, default=100_000)
    parser.add_argument("--slots", type=int, default=3)
    arguments = parser.parse_args()
    gateways, sensors = arguments.gateways, arguments.sensors
    console = Console(width=140)
    scenario = Scenario.parse({"base": "paper", "sensors": sensors, "gateways": gateways}, "paper")
    with console.status("measuring"):
        needs = [
            *gateway_needs(sensors // gateways, arguments.slots),
            *shared_needs(scenario),
            *slot_needs(gateways, sensors // gateways, arguments.slots),
        ]
    table = Table("stage", "grows with", "s per slot of 1 s", "", title=f"{gateways:,} gateways, {sensors:,} sensors")
    for need in needs:
        seconds = "" if need.seconds is None else f"{need.seconds:.3g}"
        style = "bold red" if need.seconds is not None and need.seconds > 1 else ""
        table.add_row(need.stage, need.grows, seconds, need.told, style=style)
    console.print(table)
    command = f"python -m benchmarks.scale --gateways {gateways} --sensors {sensors} --slots {arguments.slots}"
    write("scale", command, [asdict(need) for need in needs])


if __name__ == "__main__":
    main()
