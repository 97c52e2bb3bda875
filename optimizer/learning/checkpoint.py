"""Checkpoints of a training: one safetensors file with weights, optimizer moments, memory and history. No pickle."""

import json
from pathlib import Path

import torch
from pydantic import Field, ValidationError
from safetensors.torch import load_file, save
from torch import Tensor

from data.common.files import write_whole
from data.common.schema import Count, Finite, Strict, first_problem
from data.common.tensors import load_guarded, read_metadata
from optimizer.errors import OptimizerError
from optimizer.learning.job import Row, Training

CHECKPOINT = "checkpoint.safetensors"


class State(Strict):
    """What stands beside a checkpoint's tensors: updates done, numbers of the training, and its history."""

    done: Count
    counters: dict[str, Count]
    history: list[dict[str, Finite | None]] = Field(default_factory=list)


def pack_weights(training: Training) -> dict[str, Tensor]:
    """The weights of every module as named tensors on the CPU."""
    packed = {f"module.{m}.{n}": t for m, x in training.modules().items() for n, t in x.state_dict().items()}
    return {name: tensor.detach().cpu().contiguous() for name, tensor in packed.items()}


def pack(training: Training) -> dict[str, Tensor]:
    """Weights, moments and memory as named tensors on the CPU."""
    packed: dict[str, Tensor] = {}
    for name, adam in training.optimizers().items():
        for index, state in adam.state_dict()["state"].items():
            packed |= {f"adam.{name}.{index}.{key}": torch.as_tensor(value) for key, value in state.items()}
    packed |= {f"memory.{name}": tensor for name, tensor in training.memory().items()}
    return pack_weights(training) | {name: tensor.detach().cpu().contiguous() for name, tensor in packed.items()}


def unpack(training: Training, packed: dict[str, Tensor], done: int, counters: dict[str, int]) -> None:
    """Put what `pack` returned, and the numbers kept beside it, back into a training."""
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


def save_checkpoint(folder: Path, training: Training, history: list[Row]) -> None:
    """Write the folder's checkpoint, whole or not at all."""
    state = {"done": training.done, "counters": training.counters(), "history": history}
    write_whole(folder / CHECKPOINT, save(pack(training), {"state": json.dumps(state)}))


def load_checkpoint(folder: Path, training: Training) -> list[Row]:
    """Go on from the folder's checkpoint if there is one; the history up to there.

    Raises:
        OptimizerError: The checkpoint is damaged, or another version wrote it.
    """
    path = folder / CHECKPOINT
    try:
        state = State.model_validate(read_metadata(path, "state"))
        packed = load_guarded(path, load_file, OptimizerError)
        broken = [n for n, t in packed.items() if t.is_floating_point() and not torch.isfinite(t).all()]
        if broken or state.done > training.total:
            raise ValueError(f"{broken[0]} is not finite" if broken else f"it has {state.done} updates")
        unpack(training, packed, state.done, state.counters)
        return list(state.history)
    except FileNotFoundError:
        return []
    except ValidationError as error:
        problem = first_problem(error)
    except (OptimizerError, OSError, ValueError, KeyError, IndexError, TypeError, RuntimeError) as error:
        problem = (str(error).splitlines() or [type(error).__name__])[0]
    raise OptimizerError(
        f"{path}: damaged, or written by another version ({problem}).", "Remove it to begin this training again."
    )
