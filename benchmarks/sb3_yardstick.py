"""Stable-Baselines3's SAC on the same environment, as a yardstick of time to quality.

`python -m benchmarks.sb3_yardstick [--slots 10000] [--sensors 100] [--seed 0]`

Networks and batch of the paper's size (3 x 1024, batch 512, buffer 10,000), everything else as SB3 ships it. Every 500
slots its mean action is tried on 200 validation slots, the same as `optimizer.train` uses; the times leave that out,
and on a busy machine the CPU time (of all threads) is the fairer one. Results are written after each, so a run that
was stopped says how far it came.
"""

import argparse
import time

import gymnasium as gym
from stable_baselines3 import SAC

import optimizer.environment.env  # noqa: F401 - registers the ids
from benchmarks.machine import write
from optimizer import Scenario, draw_states, optimum
from optimizer.learning.course import VALIDATION_SEED, VALIDATION_SLOTS
from optimizer.network.codec import Codec
from optimizer.network.outcome import evaluate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slots", type=int, default=10_000)
    parser.add_argument("--sensors", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    scenario = Scenario.load("paper").with_sensors(chosen.sensors)
    states = draw_states(scenario, VALIDATION_SLOTS, VALIDATION_SEED)
    best = float(optimum(scenario, states).reward.mean())
    codec = Codec(scenario, "box", "scaled")
    environment = gym.make("jopa/OffloadingBox-v0", scenario=scenario)
    agent = SAC(
        "MlpPolicy", environment, batch_size=512, buffer_size=10_000, learning_starts=512, seed=chosen.seed,
        policy_kwargs={"net_arch": [1024, 1024, 1024]}, device="cpu",
    )  # fmt: skip
    rows, spent, busy = [], 0.0, 0.0
    while agent.num_timesteps < chosen.slots:
        begun, working = time.perf_counter(), time.process_time()
        agent.learn(min(500, chosen.slots - agent.num_timesteps), reset_num_timesteps=False)
        spent += time.perf_counter() - begun
        busy += time.process_time() - working
        action, _ = agent.predict(codec.observe(states), deterministic=True)
        outcome = evaluate(scenario, states, codec.decode(action, states))
        reward = float(outcome.reward.mean())
        row = {
            "slots": agent.num_timesteps,
            "seconds": spent,
            "cpu_seconds": busy,
            "reward": reward,
            "gap": 1 - reward / best,
            "drop_ratio": float(outcome.drop_ratio.mean()),
        }
        rows.append(row)
        print({k: round(v, 4) for k, v in row.items()}, flush=True)
        write(
            f"sb3-yardstick-n{chosen.sensors}",
            f"python -m benchmarks.sb3_yardstick --slots {chosen.slots} --sensors {chosen.sensors} "
            f"--seed {chosen.seed}",
            {"optimum": best, "rows": rows},
        )


if __name__ == "__main__":
    main()
