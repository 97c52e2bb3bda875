"""One job: train, prune or retrain one model with one seed, and classify every test window."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from torch import nn
from torchvision.models.vgg import VGG

from data import Dataset
from pruning import spec as specs
from pruning.baseline import line_coefficients
from pruning.config import SweepConfig
from pruning.criteria import CRITERIA
from pruning.errors import PruningError
from pruning.filters import (
    Kept,
    Masks,
    compact_masks,
    keep_by_layer,
    keep_globally,
    linear_masks,
    remove_filters,
    restore_filters,
    zero_filters,
)
from pruning.jobfolder import JobFolder
from pruning.load import load_weights
from pruning.parallel import ALONE, Team
from pruning.spec import VGGSpec
from pruning.state import EpochLog
from pruning.train import TrainConfig, predict
from pruning.training import Training, carry_out
from pruning.vgg import CorrectingVGG, build_vgg, spec_of


@dataclass(frozen=True)
class Job:
    """A model to train.

    Attributes:
        kind: "dense", "control" (the dense model, trained on for as long as a pruned one is retrained) or "pruned".
        seed: Random seed of weights, batches and dropout.
        rate: Pruning rate after this job.
        final_rate: Pruning rate after the last step.
        step: Pruning step, 1 to `steps`; 0 for the dense model and its control.
        parent: Name of the job whose weights it starts from; "" for the dense model.
        fold: Fold of the cross-validation that it leaves out, from 1; 0 for the models of the bundle.
        groups: Groups of each class that it learns from, for the learning curve; 0 for all.
    """

    kind: Literal["dense", "control", "pruned"]
    seed: int
    rate: float = 0.0
    final_rate: float = 0.0
    step: int = 0
    parent: str = ""
    fold: int = 0
    groups: int = 0

    @property
    def name(self) -> str:
        """Name of the job's folder, unique in its run."""
        head = f"fold{self.fold}-" if self.fold else ""
        head += f"of{self.groups}-" if self.groups else ""
        if self.kind != "pruned":
            return f"{head}seed{self.seed}-{self.kind}"
        return f"{head}seed{self.seed}-p{self.final_rate:g}" + (
            "" if self.rate == self.final_rate else f"-step{self.step}"
        )

    @property
    def spent(self) -> bool:
        """Whether nobody needs its weights once it is finished: nothing starts from them and the bundle has others."""
        return self.fold > 0 and (self.groups > 0 or (self.kind == "pruned" and self.rate == self.final_rate))


def plan_jobs(config: SweepConfig) -> list[Job]:
    """All jobs of the bundle's models in working order: seed by seed, each beginning with the dense model."""
    jobs = []
    for seed in config.seeds:
        dense = Job("dense", seed)
        jobs += [dense, Job("control", seed, parent=dense.name), *pruned_jobs(config, dense)]
    return jobs


def pruned_jobs(config: SweepConfig, dense: Job) -> list[Job]:
    """The jobs that prune a dense model at every rate, in its own fold."""
    jobs = []
    for final in config.pruned_rates:
        parent = dense
        for step in range(1, config.steps + 1):
            # Equal shares of what is left go at each step.
            rate = final if step == config.steps else 1 - (1 - final) ** (step / config.steps)
            parent = Job("pruned", dense.seed, rate, final, step, parent.name, dense.fold)
            jobs.append(parent)
    return jobs


def pruned_spec(config: SweepConfig, dense: VGGSpec, rate: float) -> VGGSpec:
    """Structure of the model pruned at a rate, with ranking within each layer.

    Raises:
        PruningError: The rate cannot be reached.
    """
    return specs.TARGETS[config.resolved_target](dense, rate, config.round_to)


def _choose(config: SweepConfig, model: VGG, dense: VGGSpec, rate: float) -> Kept:
    criterion = CRITERIA[config.criterion]
    if config.ranking == "global":
        kept = keep_globally(model, dense, rate, config.resolved_target, config.round_to, criterion)
    else:
        wanted = pruned_spec(config, dense, rate)
        kept = keep_by_layer(model, wanted.widths + wanted.hidden, criterion)
    if config.method == "mask":  # neurons stay; single weights of the head go
        kept = (*kept[:13], *(torch.arange(w) for w in dense.hidden))
    return kept


@dataclass(eq=False)
class _Pruned:
    """A pruned model to retrain, and the function that makes the job's model of it."""

    trainee: VGG
    masks: Masks
    finish: Callable[[], VGG]
    kept: tuple[int, ...]


def prune(config: SweepConfig, model: VGG, dense: VGGSpec, rate: float) -> _Pruned:
    """Prune a model by the configured method.

    A masked model is retrained without its zeroed kernels (the same function of its input, since a kernel that stays
    zero passes nothing on and its readers get no gradient), at (1 - p)^2 of the cost, and put together again.

    Raises:
        PruningError: The rate cannot be reached.
    """
    kept = _choose(config, model, dense, rate)
    counts = tuple(len(k) for k in kept)
    if config.method == "structural":
        trainee = remove_filters(model, kept, dense.size)
        return _Pruned(trainee, {}, lambda: trainee, counts)
    masks = linear_masks(model, rate, CRITERIA[config.criterion])
    zero_filters(model, kept, masks)
    compact = remove_filters(model, kept, dense.size)

    def finish() -> VGG:
        restore_filters(compact.cpu(), model, kept)  # it may have been trained on a GPU
        return model

    return _Pruned(compact, compact_masks(model, masks, kept), finish, counts)


def call_windows(model: nn.Module, dataset: Dataset, prefix: str) -> dict[str, np.ndarray]:
    """Predicted class of each test window, clean and with noise, by "prefix.clean", "prefix.10dB" and so on.

    Before retraining, and with noise, only the first `Dataset.probed` test windows are named.
    """
    clean = dataset.test.images[: dataset.probed] if prefix == "before" else dataset.test.images
    versions = {"clean": clean} | {f"{snr}dB": images for snr, images in dataset.noisy.items()}
    return {f"{prefix}.{name}": predict(model, images).argmax(axis=1) for name, images in versions.items()}


@dataclass(eq=False)
class JobContext:
    """What all jobs of a run share; `tick` is called after each update, `say` after each epoch."""

    config: SweepConfig
    dataset: Dataset
    dense: VGGSpec
    device: torch.device
    folder: Callable[[str], JobFolder]
    tick: Callable[[], None]
    say: Callable[[Job, EpochLog], None]
    team: Team = ALONE


def _loss_seed(job: Job) -> int:
    """Different batches for every job of a seed, the same for every sweep that holds it."""
    place = {"dense": 0, "control": 1}.get(job.kind, 2 + round(1000 * job.final_rate) * 10 + job.step)
    return job.seed * 100_003 + place


def run_job(job: Job, context: JobContext) -> None:
    """Do a job, from its start or its last checkpoint, and write its results.

    Raises:
        PruningError: The rate cannot be reached, the loss is not finite, or memory ran out.
    """
    config, dataset, dense = context.config, context.dataset, context.dense
    own = context.folder(job.name)
    before: dict[str, np.ndarray] = {}
    train = config.train
    teacher = None
    if job.kind == "dense":
        torch.manual_seed(job.seed)
        model = build_vgg(dense, train.dropout)
        if isinstance(model, CorrectingVGG):
            model.line.give(*line_coefficients(dataset.train, config.line))
        pruned = _Pruned(model, {}, lambda: model, dense.widths + dense.hidden)
    else:
        start = _load_parent(job, context)
        if job.kind == "control":
            train = replace(train, retrain_epochs=train.retrain_epochs * config.steps)
            pruned = _Pruned(start, {}, lambda: start, dense.widths + dense.hidden)
        else:
            if job.rate == job.final_rate:
                before = _before(job, context)
            pruned = prune(config, start, dense, job.rate)
            teacher = _dense_model(job, context) if train.distill > 0 else None
    try:
        logs = _train(job, context, own, pruned, train, teacher)
    except PruningError as error:
        own.fail(error.problem, job.seed)
        raise
    model = pruned.finish().cpu().eval()
    got = spec_of(model, dense.size)
    facts: dict[str, Any] = {
        "job": asdict(job),
        "widths": list(got.widths),
        "hidden": list(got.hidden),
        "channels_kept": list(pruned.kept),
        "parameters_nonzero": sum(int(p.count_nonzero()) for p in model.parameters()),
        "validation_loss": logs[-1].validation_loss if not train.patience else _lowest(logs),
        "logs": [log._asdict() for log in logs],
    }
    own.finish(model.state_dict(), {**before, **call_windows(model, dataset, "after")}, facts)


def _lowest(logs: list[EpochLog]) -> float | None:
    losses = [log.validation_loss for log in logs if log.validation_loss is not None]
    return min(losses) if losses else None


def _model_of(name: str, context: JobContext) -> VGG:
    """The trained model of a finished job."""
    folder = context.folder(name)
    result = folder.result()
    assert result is not None, f"job {name} should be finished"
    facts = result.facts
    shape = replace(context.dense, widths=tuple(facts["widths"]), hidden=tuple(facts["hidden"]))
    model = load_weights(folder.weights, shape)
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = context.config.train.dropout
    return model.requires_grad_()


def _load_parent(job: Job, context: JobContext) -> VGG:
    return _model_of(job.parent, context)


def _dense_model(job: Job, context: JobContext) -> VGG:
    return _model_of(Job("dense", job.seed, fold=job.fold).name, context)


def _before(job: Job, context: JobContext) -> dict[str, np.ndarray]:
    """Predicted classes of the dense model pruned in one step and not retrained."""
    pruned = prune(context.config, _dense_model(job, context), context.dense, job.rate)
    return call_windows(pruned.trainee.eval(), context.dataset, "before")


def _train(
    job: Job, context: JobContext, own: JobFolder, pruned: _Pruned, train: TrainConfig, teacher: nn.Module | None
) -> list[EpochLog]:
    training = Training(
        job.name,
        pruned.trainee,
        context.dataset,
        train,
        _loss_seed(job),
        job.kind != "dense",
        pruned.masks,
        teacher,
        context.config.augmentation,
        own.load_checkpoint(),
    )
    return carry_out(training, own, context.device, context.team, context.tick, lambda log: context.say(job, log))
