"""A training as a run folder: in blocks, with a checkpoint after each, ending in a policy folder.

Everything random in a block is drawn from (seed, block), so a training that was stopped at any moment and goes on from
its last checkpoint ends with the weights of one that never stopped (on the same number of threads).
"""

import json
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import gymnasium as gym
import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor, nn

import optimizer.environment.env  # noqa: F401 - registers the ids
from data.common.errors import UserError
from data.common.files import sha256, write_json, write_whole
from data.common.runfolder import claim, only_process
from optimizer.errors import BadSlotError, OptimizerError
from optimizer.learning.deployed import MANIFEST, ONNX, SCHEMA, WEIGHTS, PolicyManifest, Source, read_manifest
from optimizer.learning.learner import VALIDATION_SEED, VALIDATION_SLOTS, Learner, hash_seed
from optimizer.learning.onnx_export import actor_to_onnx, to_onnx
from optimizer.learning.options import TrainConfig
from optimizer.learning.paper_sac import Loop, SacConfig
from optimizer.network.codec import Codec
from optimizer.network.outcome import evaluate
from optimizer.network.scenario import Scenario
from optimizer.network.slots import draw_states
from optimizer.network.world import World
from optimizer.solver.exact import optimum

CHECKPOINT, FAILED = "checkpoint.safetensors", "failed.json"
REACH = 2  # the default policy serves gateways of so many times the tasks it was trained on
Row = dict[str, float | None]


@runtime_checkable
class Training(Protocol):
    """What the presets have in common."""

    total: int

    @property
    def done(self) -> int:
        """Updates (default) or slots (paper) so far."""
        ...

    def run_block(self) -> Row:
        """Go on to the next checkpoint."""
        ...

    def validate(self) -> Row:
        """How the policy's best decisions do on validation slots."""
        ...

    def modules(self) -> dict[str, nn.Module]:
        """Everything with weights."""
        ...

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Everything with moments."""
        ...

    def memory(self) -> dict[str, Tensor]:
        """Other tensors to keep."""
        ...

    def resume(self, done: int, memory: dict[str, Tensor], counters: dict[str, int]) -> None:
        """Go on from a checkpoint whose weights are loaded."""
        ...

    def counters(self) -> dict[str, int]:
        """Other numbers to keep."""
        ...

    def to_onnx(self) -> bytes:
        """The policy, deployable."""
        ...


def _figures(reward: float, drop: float, best: float | None) -> Row:
    return {"reward": reward, "drop_ratio": drop, "gap": None if best is None else 1 - reward / best}


class DefaultTraining:
    """The project's own policy."""

    def __init__(self, scenarios: list[Scenario], config: TrainConfig, seed: int) -> None:
        torch.set_num_threads(1)  # its operations are small; and the same weights on any number of cores
        world = None if config.world == World() else config.world
        self.learner = Learner(scenarios, config.learner, seed, world)
        self.total = config.learner.updates
        self.reach = REACH * self.learner.width

    @property
    def done(self) -> int:
        """Updates so far."""
        return self.learner.done

    def run_block(self) -> Row:
        """A block of updates."""
        report = self.learner.run_block()
        return {"slots": report.slots, "reward": report.reward, "drop_ratio": report.drop_ratio}

    def validate(self) -> Row:
        """Means over the networks it is trained on."""
        rewards, drops, best = [], [], []
        for course in self.learner.courses:
            outcome = course.validate(self.learner.policy)
            rewards.append(float(outcome.reward.mean()))
            drops.append(float(outcome.drop_ratio.mean()))
            best.append(course.best())
        known = [b for b in best if b is not None]
        return _figures(float(np.mean(rewards)), float(np.mean(drops)), float(np.mean(known)) if known else None)

    def modules(self) -> dict[str, nn.Module]:
        """Actor and critic."""
        return {"policy": self.learner.policy}

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Of the critic and of the claims."""
        return {"critic": self.learner.critic_adam, "actor": self.learner.actor_adam}

    def memory(self) -> dict[str, Tensor]:
        """Nothing: every update has its own slots."""
        return {}

    def counters(self) -> dict[str, int]:
        """None."""
        return {}

    def resume(self, done: int, memory: dict[str, Tensor], counters: dict[str, int]) -> None:  # noqa: ARG002 - protocol
        """Go on."""
        self.learner.done = done

    def to_onnx(self) -> bytes:
        """For gateways of up to `reach` tasks."""
        return to_onnx(self.learner.policy, self.reach, self.learner.scenario.gateways)


class PaperTraining:
    """The paper's agent on the flat environment."""

    def __init__(self, scenario: Scenario, config: SacConfig, seed: int, device: str, world: World | None) -> None:
        torch.set_num_threads(len(os.sched_getaffinity(0)))
        self._scenario, self._seed, self._config = scenario, seed, config
        environment = gym.make("jopa/OffloadingBox-v0", scenario=scenario, episode_length=config.block + 1, world=world)
        self.loop = Loop(environment, config, seed, choose_device(device))
        self.total = config.slots
        self.reach = scenario.width
        self._states = draw_states(scenario, VALIDATION_SLOTS, VALIDATION_SEED)
        self._codec = Codec(scenario, "box", "scaled")
        self._best = None if scenario.reward == "literal" else float(optimum(scenario, self._states).reward.mean())

    @property
    def done(self) -> int:
        """Slots so far."""
        return self.loop.done

    def run_block(self) -> Row:
        """A block of Algorithm 1's slots."""
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
        """The mean action on validation slots."""
        action = self.loop.agent.act(self._codec.observe(self._states), best=True)
        outcome = evaluate(self._scenario, self._states, self._codec.decode(action, len(self._states)))
        return _figures(float(outcome.reward.mean()), float(outcome.drop_ratio.mean()), self._best)

    def modules(self) -> dict[str, nn.Module]:
        """Actor, critics, targets."""
        agent = self.loop.agent
        return {"actor": agent.actor, "critics": agent.critics, "targets": agent.targets}

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Of actor and critics."""
        return {"actor": self.loop.agent.actor_adam, "critics": self.loop.agent.critic_adam}

    def memory(self) -> dict[str, Tensor]:
        """The replay buffer."""
        return self.loop.replay.tensors()

    def counters(self) -> dict[str, int]:
        """How many transitions were ever stored."""
        return {"stored": self.loop.replay.stored}

    def resume(self, done: int, memory: dict[str, Tensor], counters: dict[str, int]) -> None:
        """Go on."""
        self.loop.done = done
        self.loop.replay.load(memory, counters["stored"])

    def to_onnx(self) -> bytes:
        """The actor's mean."""
        return actor_to_onnx(self.loop.agent.actor, self._scenario.gateways + self._scenario.sensors)


def choose_device(name: str) -> torch.device:
    """The device of the networks. Raises OptimizerError where a GPU is required and there is none."""
    if name == "cuda" and not torch.cuda.is_available():
        raise OptimizerError("--device cuda: no usable GPU here.", "Use --device auto or cpu, or install its driver.")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


def pack(training: Training) -> dict[str, Tensor]:
    """Weights, moments and memory as named tensors."""
    packed = {f"module.{m}.{n}": t for m, x in training.modules().items() for n, t in x.state_dict().items()}
    for name, adam in training.optimizers().items():
        for index, state in adam.state_dict()["state"].items():
            packed |= {f"adam.{name}.{index}.{key}": torch.as_tensor(value) for key, value in state.items()}
    packed |= {f"memory.{name}": tensor for name, tensor in training.memory().items()}
    return {name: tensor.detach().cpu().contiguous() for name, tensor in packed.items()}


def unpack(training: Training, packed: dict[str, Tensor], done: int, counters: dict[str, int]) -> None:
    """Put a checkpoint back."""
    for name, module in training.modules().items():
        prefix = f"module.{name}."
        module.load_state_dict({k.removeprefix(prefix): v for k, v in packed.items() if k.startswith(prefix)})
    for name, adam in training.optimizers().items():
        whole: dict[int, dict[str, Tensor]] = {}
        for key, value in packed.items():
            if key.startswith(f"adam.{name}."):
                _, _, index, part = key.split(".", 3)
                whole.setdefault(int(index), {})[part] = value
        adam.load_state_dict({"state": whole, "param_groups": adam.state_dict()["param_groups"]})
    memory = {k.removeprefix("memory."): v for k, v in packed.items() if k.startswith("memory.")}
    training.resume(done, memory, counters)


@dataclass(frozen=True)
class Job:
    """One policy to train.

    Attributes:
        name: Of its folder below --out.
        scenarios: The networks it is trained on.
        seed: Of its training.
    """

    name: str
    scenarios: tuple[Scenario, ...]
    seed: int


Progress = Callable[[Job, int, int, Row], None]


def build(job: Job, config: TrainConfig) -> DefaultTraining | PaperTraining:
    """A training that has not begun."""
    if config.preset == "default":
        return DefaultTraining(list(job.scenarios), config, job.seed)
    world = None if config.world == World() else config.world
    return PaperTraining(job.scenarios[0], config.sac, job.seed, config.device, world)


def _load(folder: Path, training: Training) -> list[Row]:
    """Go on from a checkpoint, if there is a sound one; the history so far."""
    path = folder / CHECKPOINT
    try:
        with safe_open(path, "pt") as file:
            state = json.loads((file.metadata() or {})["state"])
        unpack(training, load_file(path), state["done"], state["counters"])
        return list(state["history"])
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise OptimizerError(
            f"{path}: damaged, or of another version ({str(error).splitlines()[0]}).",
            "Remove it to begin this training again.",
        ) from None


def train(job: Job, config: TrainConfig, progress: Progress) -> PolicyManifest:
    """Train one policy in its folder, from wherever it was left.

    Args:
        job: What.
        config: How.
        progress: Called after every block with the job, updates done, all updates, and the latest row of history.

    Raises:
        OptimizerError: A folder of another configuration, a damaged checkpoint, a reward or loss that is not finite.
    """
    folder = config.out / job.name
    sources = {
        name: Source(path=str(path), sha256=sha256(path))
        for name, path in (("gateway", config.network.gateway), ("edge", config.network.edge))
        if path is not None
    }
    with only_process(folder):
        identity = {
            "preset": config.preset,
            "scenarios": [s.dump() for s in job.scenarios],
            "seed": job.seed,
            "world": str(config.world),
            "settings": config.settings,
        }
        claim(folder, identity)
        with suppress(OptimizerError):
            manifest = read_manifest(folder)
            if all((folder / n).is_file() for n in (ONNX, WEIGHTS)):
                return manifest
        training = build(job, config)
        history = _load(folder, training)
        logs = _logs(folder, training.done)
        try:
            while training.done < training.total:
                begun = time.monotonic()
                row = training.run_block()
                seconds = time.monotonic() - begun
                shown = {f"validation_{k}": v for k, v in training.validate().items()}
                history.append({"done": training.done, **row, "seconds": seconds, **shown})
                state = {"done": training.done, "counters": training.counters(), "history": history}
                write_whole(folder / CHECKPOINT, save(pack(training), {"state": json.dumps(state)}))
                for key, value in history[-1].items():
                    if value is not None:
                        logs(key, value, training.done)
                progress(job, training.done, training.total, history[-1])
        except UserError as error:
            failed: dict[str, Any] = {"reason": str(error), "seed": job.seed, "done": training.done}
            if isinstance(error, BadSlotError):
                failed["slots"] = [error.slot]
            write_json(folder / FAILED, failed)
            raise
        return _finish(folder, job, config, training, history, sources)


def _logs(folder: Path, done: int) -> Callable[[str, float, int], None]:
    """TensorBoard's writer; what an earlier process logged after its last checkpoint is purged."""
    from torch.utils.tensorboard import SummaryWriter

    writer = SummaryWriter(str(folder / "tensorboard"), purge_step=done)

    def log(name: str, value: float, step: int) -> None:
        writer.add_scalar(name, value, step)
        writer.flush()

    return log


def _finish(
    folder: Path,
    job: Job,
    config: TrainConfig,
    training: DefaultTraining | PaperTraining,
    history: list[Row],
    sources: dict[str, Source],
) -> PolicyManifest:
    """Write the policy; `policy.json`, written last, is what makes it finished."""
    weights = {n: t for n, t in pack(training).items() if n.startswith("module.")}
    write_whole(folder / WEIGHTS, save(weights))
    write_whole(folder / ONNX, training.to_onnx())
    kinds = training.learner.kinds if isinstance(training, DefaultTraining) else np.zeros((0, 3))
    manifest = PolicyManifest(
        schema=SCHEMA,
        preset=config.preset,
        scenario=job.scenarios[0].dump(),
        sensors=tuple(s.sensors for s in job.scenarios),
        reach=training.reach,
        kinds=tuple((float(a), float(b), float(c)) for a, b, c in kinds),
        seed=job.seed,
        config=json.loads(json.dumps(config.settings)),
        training={
            "slots": float(sum(r["slots"] or 0 for r in history)),
            "updates": float(training.done),
            "seconds": float(sum(r["seconds"] or 0 for r in history)),
        },
        sources=sources,
        onnx_sha256=sha256(folder / ONNX),
        weights_sha256=sha256(folder / WEIGHTS),
        history=tuple(history),
    )
    write_json(folder / MANIFEST, manifest.model_dump(mode="json", by_alias=True))
    for name in (CHECKPOINT, FAILED):
        (folder / name).unlink(missing_ok=True)
    return manifest
