"""The training of one job, with checkpoints, by one process or by a team."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from data import Dataset
from pruning.augment import Augmentation
from pruning.errors import PruningError
from pruning.filters import Masks
from pruning.jobfolder import JobFolder
from pruning.parallel import Team
from pruning.state import EpochLog, TrainState
from pruning.train import TrainConfig, Trainer

CHECKPOINT_EVERY_S = 20.0  # a checkpoint of the full model is 180 MB; at 32 pixels an epoch takes seconds


@dataclass(eq=False)
class Training:
    """All that a training depends on; every process of a team makes its trainer of it.

    Attributes:
        name: Name of the job.
        model: The model to train.
        dataset: What it learns from.
        config: How it is trained.
        seed: Random seed of batches, augmentation and dropout.
        retrain: Whether to use the settings for training after pruning.
        masks: Which weights may differ from zero.
        teacher: The dense model, for distillation.
        augmentation: How training images are varied.
        checkpoint: Tensors and state that it goes on from, if any.
    """

    name: str
    model: nn.Module
    dataset: Dataset
    config: TrainConfig
    seed: int
    retrain: bool
    masks: Masks
    teacher: nn.Module | None
    augmentation: Augmentation
    checkpoint: tuple[dict[str, Tensor], dict[str, Any]] | None

    def trainer(self, device: torch.device, team: Team) -> Trainer:
        """The trainer of one process, at its start or where the checkpoint was written."""
        trainer = Trainer(
            self.model,
            self.dataset,
            self.config,
            seed=self.seed,
            device=device,
            retrain=self.retrain,
            masks=self.masks,
            teacher=self.teacher,
            augmentation=self.augmentation,
            team=team,
        )
        if self.checkpoint is not None:
            tensors, state = self.checkpoint
            logs = [EpochLog(**log) for log in state["logs"]]
            trainer.resume(tensors, TrainState(state["epoch"], logs, state["best_loss"], state["best_epoch"], {}, {}))
        return trainer


@contextmanager
def _enough_memory(name: str) -> Iterator[None]:
    """A GPU whose memory runs out, as an error that says what to do. Raises PruningError."""
    try:
        yield
    except torch.OutOfMemoryError:
        raise PruningError(
            f"{name}: the GPU's memory ran out.", "Give a smaller --batch, or --device cpu. Finished jobs are kept."
        ) from None


def _follow(team: Team, training: Training) -> None:
    """What a follower does of a training: its share of every batch."""
    assert team.device is not None
    with _enough_memory(training.name):
        training.trainer(team.device, team).run(lambda *_: None, lambda: None)


def carry_out(
    training: Training,
    folder: JobFolder,
    device: torch.device,
    team: Team,
    tick: Callable[[], None],
    say: Callable[[EpochLog], None],
) -> list[EpochLog]:
    """Train to the end; the log of every epoch. Called by the leader of a team, whose followers train with it.

    Args:
        training: What is trained; its model is trained in place.
        folder: Where checkpoints are written.
        device: Where this process computes.
        team: Who trains.
        tick: Called after every update, and once for every update of an earlier attempt.
        say: Called after every epoch.

    Raises:
        PruningError: The loss is not finite, memory ran out, or the checkpoint is another model's.
    """
    team.call(_follow, training)
    saved = time.monotonic()

    def on_epoch(now: Trainer, log: EpochLog) -> None:
        nonlocal saved
        say(log)
        if now.state.epoch < now.epochs and time.monotonic() - saved >= CHECKPOINT_EVERY_S:
            state = now.state
            best_loss = state.best_loss if np.isfinite(state.best_loss) else 1e30
            folder.save_checkpoint(
                now.snapshot(),
                {
                    "epoch": state.epoch,
                    "best_loss": best_loss,
                    "best_epoch": state.best_epoch,
                    "logs": [entry._asdict() for entry in state.logs],
                },
            )
            saved = time.monotonic()

    with _enough_memory(training.name):
        trainer = training.trainer(device, team)
        for _ in range(trainer.state.epoch * trainer.steps_an_epoch):
            tick()
        return trainer.run(on_epoch, tick)
