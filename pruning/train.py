"""One training loop for the dense model, the pruned ones and the control."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own short name
from jaxtyping import Float, Float32, Int64
from torch import Tensor, nn

from data import Dataset, Examples
from data.common.device import has_fast_bfloat16
from pruning.augment import Augmentation, augment
from pruning.descent import class_weights, distance, learning_rate
from pruning.errors import PruningError
from pruning.filters import Masks, apply_masks
from pruning.parallel import ALONE, Team
from pruning.state import EpochLog, TrainState
from pruning.vgg import CorrectingVGG
from pruning.wholebatch import whole_batch

EVALUATION_BATCH = 256
TIMED_UPDATES = 3  # after a first one, which allocates memory
MOMENTUM = 0.9
EPOCHS, RETRAIN_EPOCHS = 8, 6
UPDATES, RETRAIN_UPDATES = 100, 75  # what these epochs are on 400 windows; the 14 recordings of MFPT need no more


@dataclass(frozen=True)
class TrainConfig:
    """How a model is trained."""

    epochs: int = EPOCHS
    """Passes over the training windows for the dense model."""
    retrain_epochs: int = RETRAIN_EPOCHS
    """Passes after pruning (after each step with --steps), and further passes of the control."""
    updates: int = UPDATES
    """Fewest updates of the dense model: on a small set, epochs are raised until they are reached. 0: no minimum."""
    retrain_updates: int = RETRAIN_UPDATES
    """Fewest updates of each retraining and, for each step, of the control; as above."""
    batch: int = 32
    """Images per update."""
    lr: float = 0.01
    """Highest learning rate (SGD with Nesterov momentum, linear warm-up, cosine to zero)."""
    retrain_lr: float = 0.01
    """Highest learning rate after pruning."""
    weight_decay: float = 1e-3
    """Weight decay of kernels and matrices (not of biases and batch norm)."""
    dropout: float = 0.0
    """Probability of dropping a hidden neuron of the fully connected layers while training."""
    balance: float = 0.0
    """Balance of the classes in the loss, 0 to 1. 0: every window counts the same; 1: every class counts the same; in
    general a class weighs its number of windows to the power of 1 minus this."""
    restraint: float = 0.1
    """Weight in the loss of the mean square of the network's own logits, where they correct a straight line: it
    departs from the line only where the training windows pay for it. Without a line inside it does nothing."""
    patience: int = 0
    """Number of epochs without a lower validation loss after which training stops; 0: never."""
    distill: float = 0.0
    """Share, 0 to 1, of the loss of a pruned model that compares it with the dense model (Hinton et al. 2015)."""
    temperature: float = 4.0
    """Temperature of that comparison: higher is softer."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Arithmetic of convolutions in training. auto: bfloat16 if the processor has instructions for it."""

    def __post_init__(self) -> None:
        for name in ("epochs", "retrain_epochs", "batch"):
            if getattr(self, name) < 1:
                raise PruningError(f"--{name.replace('_', '-')} must be at least 1; got {getattr(self, name)}.")
        for name in ("updates", "retrain_updates", "weight_decay", "restraint", "patience"):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) >= 0):
                raise PruningError(f"--{name.replace('_', '-')} must be at least 0; got {getattr(self, name)}.")
        for name in ("lr", "retrain_lr", "temperature"):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) > 0):
                raise PruningError(f"--{name.replace('_', '-')} must be above 0; got {getattr(self, name)}.")
        for name in ("dropout", "distill", "balance"):
            if not 0 <= getattr(self, name) <= 1:
                raise PruningError(f"--{name} must lie in [0, 1]; got {getattr(self, name)}.")

    def updates_an_epoch(self, windows: int) -> int:
        """Updates of one pass over so many training windows; a last batch that is not full is left out."""
        return max(1, windows // self.batch)

    def for_windows(self, windows: int) -> "TrainConfig":
        """The same with as many epochs as the fewest updates need.

        A set that is large enough for the default epochs to reach the default minimum trains exactly as `epochs` and
        `retrain_epochs` say, few as they may be; a minimum that the user changed always holds.
        """
        each = self.updates_an_epoch(windows)
        return replace(
            self,
            epochs=_enough(self.epochs, self.updates, (EPOCHS, UPDATES), each),
            retrain_epochs=_enough(self.retrain_epochs, self.retrain_updates, (RETRAIN_EPOCHS, RETRAIN_UPDATES), each),
        )


def _enough(epochs: int, updates: int, default: tuple[int, int], each: int) -> int:
    """Epochs, raised to reach a number of updates if `each` is that of an epoch; `default` has both defaults."""
    if updates == default[1] and default[0] * each >= updates:
        return epochs
    return max(epochs, -(-updates // each))


def choose_precision(precision: str, device: torch.device) -> torch.dtype:
    """bfloat16 where it is asked for, or where "auto" finds instructions for it.

    Measured here: on an AVX-512 BF16 processor, channels_last and bfloat16 train VGG-16 faster than plain float32 by
    the ratios of `benchmarks/results`; without such instructions bfloat16 is emulated and slower.
    """
    if precision != "auto":
        return torch.bfloat16 if precision == "bfloat16" else torch.float32
    return torch.bfloat16 if has_fast_bfloat16(device) else torch.float32


@torch.no_grad()
def predict(
    model: nn.Module, images: Float32[np.ndarray, "n 1 size size"], device: torch.device | None = None
) -> Float[np.ndarray, "n classes"]:
    """Logits in float32, in evaluation mode."""
    device = device or next(model.parameters()).device
    model.eval()
    batches = torch.split(torch.from_numpy(images), EVALUATION_BATCH)
    outputs = [model(b.to(device).contiguous(memory_format=torch.channels_last)).float().cpu() for b in batches]
    return np.asarray(torch.cat(outputs).numpy()) if outputs else np.zeros((0, 0), dtype=np.float32)


class Trainer:
    """Trains one model on one data set; `run` may be left at any epoch and taken up again from its `TrainState`.

    Args:
        model: Trained in place.
        dataset: Its training and validation parts are used.
        config: Settings; `retrain` chooses between those of the first training and those after pruning.
        seed: Random seed of batches, augmentation and dropout.
        device: Where to compute.
        retrain: Whether to use the settings for training after pruning.
        masks: Which weights may differ from zero.
        teacher: The dense model, for distillation.
        augmentation: How training images are varied.
        team: Who trains it; every process makes a trainer of the same model and has its share of each batch.

    Raises:
        PruningError: The team has more processes than a batch has windows.
    """

    def __init__(
        self,
        model: nn.Module,
        dataset: Dataset,
        config: TrainConfig,
        *,
        seed: int,
        device: torch.device,
        retrain: bool = False,
        masks: Masks | None = None,
        teacher: nn.Module | None = None,
        augmentation: Augmentation | None = None,
        team: Team = ALONE,
    ) -> None:
        self.batch = min(config.batch, len(dataset.train))
        if self.batch < team.size:
            raise PruningError(
                f"a batch of {self.batch} windows cannot be shared by {team.size} processes.",
                "Start fewer of them, or give a larger --batch if there are more windows.",
            )
        self.team = team
        self.model = model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.dataset = dataset
        self.config = config
        self.seed = seed
        self.device = device
        self.epochs = config.retrain_epochs if retrain else config.epochs
        self.highest_lr = config.retrain_lr if retrain else config.lr
        self.masks = {n: m.to(device) for n, m in (masks or {}).items()}
        self.teacher = teacher.to(device).eval() if teacher is not None and config.distill > 0 else None
        self.augmentation = augmentation or Augmentation()
        self.dtype = choose_precision(config.precision, device)
        self.optimizer = torch.optim.SGD(
            [
                {"params": [p for p in model.parameters() if p.ndim > 1], "weight_decay": config.weight_decay},
                {"params": [p for p in model.parameters() if p.ndim <= 1], "weight_decay": 0.0},
            ],
            lr=self.highest_lr,
            momentum=MOMENTUM,
            nesterov=True,
        )
        self.weights = class_weights(dataset.train.labels, len(dataset.classes), config.balance).to(device)
        self.images = torch.from_numpy(dataset.train.images).to(device)
        self.labels = torch.from_numpy(dataset.train.labels).to(device)
        if isinstance(model, CorrectingVGG):
            with torch.no_grad():
                self.line = model.line(self.images)  # of every training image, once: it does not change
        self.steps_an_epoch = config.updates_an_epoch(len(dataset.train))
        self.state = TrainState(0, [], math.inf, 0, {}, {})

    def run(self, on_epoch: Callable[["Trainer", EpochLog], None], on_batch: Callable[[], None]) -> list[EpochLog]:
        """Train to the end, from wherever `state` is, and leave the model in evaluation mode.

        Args:
            on_epoch: Called after every epoch; may save `snapshot()`.
            on_batch: Called after every update.

        Raises:
            PruningError: The loss is not finite.
        """
        while self.state.epoch < self.epochs and not self._patience_spent():
            with whole_batch(self.model, self.team, self.batch):
                log = self._epoch(self.state.epoch, on_batch)
            self.state.logs.append(log)
            self.state.epoch += 1
            if log.validation_loss is not None and log.validation_loss < self.state.best_loss:
                self.state.best_loss, self.state.best_epoch = log.validation_loss, self.state.epoch
                if self.config.patience:
                    self.state.best = {n: t.detach().clone() for n, t in self.model.state_dict().items()}
            on_epoch(self, log)
        if self.config.patience and self.state.best:
            self.model.load_state_dict(self.state.best)
        self.model.eval()
        return self.state.logs

    def timed(self) -> float:
        """Seconds of one update, the median of a few. It spoils the model: time a trainer that is not used further."""
        self.model.train()
        generator = torch.Generator().manual_seed(self.seed)
        chosen = torch.arange(self.batch)
        spent = []
        with whole_batch(self.model, self.team, self.batch):
            for _ in range(1 + TIMED_UPDATES):
                begun = time.perf_counter()
                float(self._update(chosen, self.highest_lr, generator))  # a GPU has finished when it is read
                spent.append(time.perf_counter() - begun)
        return float(np.median(spent[1:]))

    def _patience_spent(self) -> bool:
        waited = self.state.epoch - self.state.best_epoch
        return bool(self.config.patience and self.state.best and waited >= self.config.patience)

    def _epoch(self, epoch: int, on_batch: Callable[[], None]) -> EpochLog:
        self.model.train()
        if self.config.dropout:  # nothing else draws from this generator
            torch.manual_seed((self.seed * 1_000_003 + epoch) % (1 << 62))
        generator = torch.Generator().manual_seed((self.seed * 999_983 + epoch) % (1 << 62))
        order = torch.randperm(len(self.labels), generator=generator)
        total, lr = torch.zeros((), device=self.device), 0.0
        for step in range(self.steps_an_epoch):
            chosen = order[step * self.batch : (step + 1) * self.batch]
            lr = learning_rate(epoch * self.steps_an_epoch + step, self.epochs * self.steps_an_epoch, self.highest_lr)
            total += self._update(chosen, lr, generator)
            on_batch()
        # Read once an epoch: a GPU need not wait for each batch.
        train_loss = float(self.team.sum(total)) / self.steps_an_epoch
        if not math.isfinite(train_loss):
            raise PruningError(
                f"the loss became {train_loss} in epoch {epoch + 1} (seed {self.seed}).",
                "Give a lower --lr or --retrain-lr, or --precision float32. Finished models are kept.",
            )
        found = self._validate(self.dataset.validation) if self.team.leads else (None, None)
        validation_loss, accuracy = self.team.from_leader(found)
        return EpochLog(epoch + 1, lr, train_loss, validation_loss, accuracy)

    def _update(self, chosen: Int64[Tensor, " batch"], lr: float, generator: torch.Generator) -> Float[Tensor, ""]:
        """Make an update; this process's part of the batch's loss."""
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        at, rows = chosen.to(self.device), self.team.rows(len(chosen))
        images = augment(self.images[at], self.augmentation, generator, rows)
        images = images.contiguous(memory_format=torch.channels_last)
        weights, own = self.weights[self.labels[at]], at[rows]
        share, part = weights[rows].sum() / weights.sum(), len(own) / len(at)  # both exactly 1 for one process
        outputs = self._logits(self.model, images, own)
        loss = share * F.cross_entropy(outputs, self.labels[own], weight=self.weights)
        if self.teacher is not None:
            with torch.no_grad():
                wanted = self._logits(self.teacher, images, own)
            apart = part * distance(outputs, wanted, self.config.temperature)
            loss = (1 - self.config.distill) * loss + self.config.distill * apart
        if isinstance(self.model, CorrectingVGG):
            loss = loss + part * self.config.restraint * (outputs - self.line[own]).square().mean()
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call] # torch leaves it untyped
        self.team.sum_gradients(self.model.parameters())
        self.optimizer.step()
        apply_masks(self.model, self.masks)
        return loss.detach()

    def _logits(self, model: nn.Module, images: Tensor, at: Int64[Tensor, " batch"]) -> Float[Tensor, "batch classes"]:
        """Logits of varied images; a straight line inside answers for the images as they are.

        Noise on every pixel would change the deviations over time, which the line looks at, beyond all that is real.
        """
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.dtype == torch.bfloat16):
            own: Tensor = model.correction(images) if isinstance(model, CorrectingVGG) else model(images)
        return own.float() + (self.line[at] if isinstance(model, CorrectingVGG) else 0.0)

    def _validate(self, part: Examples) -> tuple[float | None, float | None]:
        if len(part) == 0:
            return None, None
        logits = torch.from_numpy(predict(self.model, part.images, self.device))
        labels = torch.from_numpy(part.labels)
        loss = F.cross_entropy(logits, labels, weight=self.weights.cpu())
        return float(loss), float((logits.argmax(1) == labels).float().mean())

    def snapshot(self) -> dict[str, Tensor]:
        """Model and optimizer as named tensors, for `resume`."""
        tensors = {f"model.{n}": t.detach() for n, t in self.model.state_dict().items()}
        tensors |= {f"best.{n}": t for n, t in self.state.best.items()}
        names = {id(p): n for n, p in self.model.named_parameters()}
        for parameter, values in self.optimizer.state.items():
            tensors |= {f"optimizer.{names[id(parameter)]}.{k}": torch.as_tensor(v) for k, v in values.items()}
        return {n: t.contiguous().cpu() for n, t in tensors.items()}

    def _check(self, tensors: dict[str, Tensor]) -> None:
        """Refuse a snapshot that does not fit. Raises PruningError; the tensor is named."""
        shapes = {name: tensor.shape for name, tensor in self.model.state_dict().items()}
        parameters = {name: tensor.shape for name, tensor in self.model.named_parameters()}
        missing = [name for name in shapes if f"model.{name}" not in tensors]
        for key, tensor in tensors.items():
            kind, _, name = key.partition(".")
            known = shapes.get(name) if kind in ("model", "best") else parameters.get(name.rpartition(".")[0])
            right = known is not None and (tensor.shape == known or (kind == "optimizer" and tensor.ndim == 0))
            if not right or (tensor.is_floating_point() and not torch.isfinite(tensor).all()):
                missing.append(key)
        if missing:
            raise PruningError(f"the checkpoint does not fit this training ({missing[0]}).", "Remove it to train anew.")

    def resume(self, tensors: dict[str, Tensor], state: TrainState) -> None:
        """Continue from a snapshot, as if the training had never been interrupted.

        Raises:
            PruningError: The snapshot is of another model, or holds numbers that are not finite.
        """
        self._check(tensors)
        self.model.load_state_dict({n[6:]: t for n, t in tensors.items() if n.startswith("model.")})
        state.best = {n[5:]: t for n, t in tensors.items() if n.startswith("best.")}
        for name, parameter in self.model.named_parameters():
            prefix = f"optimizer.{name}."
            own = {n[len(prefix) :]: t for n, t in tensors.items() if n.startswith(prefix)}
            if own:
                layout = torch.channels_last if parameter.ndim == 4 else torch.contiguous_format
                self.optimizer.state[parameter] = {
                    k: t.to(self.device, copy=True).contiguous(memory_format=layout) for k, t in own.items()
                }
        self.state = state
