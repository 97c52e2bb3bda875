"""The presets of `python -m optimizer.train` as a `Training`: the project's own policy, and the paper's agent.

In a factory's network the project's own policy is that of `factory`.
"""

from collections.abc import Sequence

import gymnasium as gym
import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor, nn

import optimizer.environment.env  # noqa: F401 - registers the ids of the environments
from data.common.device import choose_device
from optimizer.errors import OptimizerError
from optimizer.learning.course import VALIDATION_SEED, VALIDATION_SLOTS
from optimizer.learning.factory.training import FactoryTraining
from optimizer.learning.job import Job, Row, Training
from optimizer.learning.learner import Learner, hash_seed
from optimizer.learning.onnx_export import actor_to_onnx, to_onnx
from optimizer.learning.options import TrainConfig
from optimizer.learning.paper_sac import Loop, SacConfig
from optimizer.learning.schedule import LearnerConfig
from optimizer.network.codec import Codec
from optimizer.network.outcome import evaluate
from optimizer.network.scenario import Scenario
from optimizer.network.slots import draw_states
from optimizer.network.world import World
from optimizer.solver.exact import optimum

REACH = 2  # the default preset's policy serves gateways with up to this many times the tasks it was trained on


def build_training(job: Job, config: TrainConfig) -> Training:
    """The training of a job, before its first update."""
    world = None if config.world == World() else config.world
    if config.preset == "default" and job.scenarios[0].can_refuse:
        return FactoryTraining(job.scenarios, config.factory, job.seed, world)
    if config.preset == "default":
        return DefaultTraining(job.scenarios, config.learner, job.seed, world)
    return PaperTraining(job.scenarios[0], config.sac, job.seed, config.device, world)


def _figures(reward: float, drop: float, best: float | None) -> Row:
    return {"reward": reward, "drop_ratio": drop, "gap": None if best is None else 1 - reward / best}


class DefaultTraining:
    """Training of the project's own policy (`learner`)."""

    def __init__(
        self, scenarios: Sequence[Scenario], config: LearnerConfig, seed: int, world: World | None = None
    ) -> None:
        torch.set_num_threads(1)  # operations are small, and the weights do not depend on the number of cores
        self.learner = Learner(scenarios, config, seed, world)
        self.total = config.updates
        self.reach = REACH * self.learner.width

    @property
    def done(self) -> int:
        """Number of updates so far."""
        return self.learner.done

    @property
    def gateway_types(self) -> Float64[np.ndarray, "types 3"]:
        """Types of gateways in the networks of the training."""
        return self.learner.gateway_types

    def run_block(self) -> Row:
        """Make a block of updates."""
        report = self.learner.run_block()
        return {"slots": report.slots, "reward": report.reward, "drop_ratio": report.drop_ratio}

    def validate(self) -> Row:
        """Figures on validation slots, averaged over the networks of the training."""
        rewards, drops, best = [], [], []
        for course in self.learner.courses:
            outcome = course.validate(self.learner.policy)
            rewards.append(float(outcome.reward.mean()))
            drops.append(float(outcome.drop_ratio.mean()))
            best.append(course.best())
        known = [b for b in best if b is not None]
        return _figures(float(np.mean(rewards)), float(np.mean(drops)), float(np.mean(known)) if known else None)

    def modules(self) -> dict[str, nn.Module]:
        """Actor and critic, which are one module."""
        return {"policy": self.learner.policy}

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """One optimizer for the critic, one for the claims."""
        return {"critic": self.learner.critic_adam, "actor": self.learner.actor_adam}

    def memory(self) -> dict[str, Tensor]:
        """Nothing, because each update draws its own slots."""
        return {}

    def counters(self) -> dict[str, int]:
        """Nothing."""
        return {}

    def resume(self, done: int, memory: dict[str, Tensor], counters: dict[str, int]) -> None:  # noqa: ARG002 - protocol
        """Go on after `done` updates."""
        self.learner.done = done

    def to_onnx(self) -> bytes:
        """The policy for gateways of up to `reach` tasks."""
        return to_onnx(self.learner.policy, self.reach, self.learner.scenario.gateways)


class PaperTraining:
    """Training of the paper's agent (`paper_sac`) on the environment with flat actions."""

    def __init__(self, scenario: Scenario, config: SacConfig, seed: int, device: str, world: World | None) -> None:
        self._scenario, self._seed, self._config = scenario, seed, config
        environment = gym.make("jopa/OffloadingBox-v0", scenario=scenario, episode_length=config.block + 1, world=world)
        self.loop = Loop(environment, config, seed, choose_device(device, OptimizerError))
        self.total = config.slots
        self.reach = scenario.width
        self._states = draw_states(scenario, VALIDATION_SLOTS, VALIDATION_SEED)
        self._codec = Codec(scenario, "box", "scaled")
        self._best = float(optimum(scenario, self._states).reward.mean()) if scenario.objective.solvable else None

    @property
    def done(self) -> int:
        """Number of slots so far."""
        return self.loop.done

    @property
    def gateway_types(self) -> Float64[np.ndarray, "types 3"]:
        """None: each gateway has its own outputs in the paper's network."""
        return np.zeros((0, 3))

    def run_block(self) -> Row:
        """Play a block of slots of Algorithm 1."""
        block = self.loop.done // self._config.block
        torch.manual_seed(hash_seed(self._seed, block))
        self.loop.start(hash_seed(self._seed, block, 1) % 2**31)
        rewards, drops = [], []
        while self.loop.done < min(self._config.slots, (block + 1) * self._config.block):
            reward, info = self.loop.step()
            rewards.append(reward)
            drops.append(info["drop_ratio"])
        return {"slots": len(rewards), "reward": float(np.mean(rewards)), "drop_ratio": float(np.mean(drops))}

    def validate(self) -> Row:
        """Figures of the mean action on validation slots."""
        action = self.loop.agent.act(self._codec.observe(self._states), best=True)
        outcome = evaluate(self._scenario, self._states, self._codec.decode(action, self._states))
        return _figures(float(outcome.reward.mean()), float(outcome.drop_ratio.mean()), self._best)

    def modules(self) -> dict[str, nn.Module]:
        """Actor, critics, and the critics' slowly moving targets."""
        agent = self.loop.agent
        return {"actor": agent.actor, "critics": agent.critics, "targets": agent.targets}

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """One optimizer for the actor, one for both critics."""
        return {"actor": self.loop.agent.actor_adam, "critics": self.loop.agent.critic_adam}

    def memory(self) -> dict[str, Tensor]:
        """The replay buffer."""
        return self.loop.replay.tensors()

    def counters(self) -> dict[str, int]:
        """Number of transitions that were ever stored."""
        return {"stored": self.loop.replay.stored}

    def resume(self, done: int, memory: dict[str, Tensor], counters: dict[str, int]) -> None:
        """Go on after `done` slots with the replay buffer as it was."""
        self.loop.done = done
        self.loop.replay.load(memory, counters["stored"])

    def to_onnx(self) -> bytes:
        """The actor's mean action."""
        return actor_to_onnx(self.loop.agent.actor, self._scenario.gateways + self._scenario.sensors)
