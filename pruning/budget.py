"""What a sweep will cost, before it starts: updates of every job, their FLOP, and the minutes they take here."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch

from data import Dataset
from pruning import spec as specs
from pruning.config import SweepConfig
from pruning.jobs import Job, pruned_spec
from pruning.parallel import ALONE, Team
from pruning.spec import VGGSpec
from pruning.train import TrainConfig, Trainer
from pruning.vgg import build_vgg

UPDATE = 3.0  # FLOP of an update over those of its forward pass: two more passes of the same size go backward


@dataclass(frozen=True)
class Cost:
    """What a job costs.

    Attributes:
        updates: Number of its updates, if no early stop spares some.
        unit: FLOP of one update.
    """

    updates: int
    unit: float

    @property
    def total(self) -> float:
        """FLOP of the whole job."""
        return self.updates * self.unit


def _forward(job: Job, config: SweepConfig, dense: VGGSpec) -> float:
    """FLOP of the job's model for one image."""
    if job.kind != "pruned":
        return float(specs.flops(dense))
    if config.ranking == "global":
        return (1 - job.rate) * specs.flops(dense)
    return float(specs.flops(_trained_spec(job, config, dense)))


def _trained_spec(job: Job, config: SweepConfig, dense: VGGSpec) -> VGGSpec:
    """Structure that a job trains, with ranking within each layer; a masked model is trained without its zeros."""
    if job.kind != "pruned":
        return dense
    return specs.channel_target(dense, job.rate) if config.method == "mask" else pruned_spec(config, dense, job.rate)


def cost(job: Job, config: SweepConfig, dense: VGGSpec, images: int) -> Cost:
    """What a job costs with this many training images."""
    train = config.train
    epochs = train.epochs if job.kind == "dense" else train.retrain_epochs
    if job.kind == "control":
        epochs *= config.steps
    unit = UPDATE * _forward(job, config, dense) * min(train.batch, images)
    return Cost(epochs * train.updates_an_epoch(images), unit)


def _timed(spec: VGGSpec, config: SweepConfig, dataset: Dataset, device: torch.device, team: Team) -> float:
    model = build_vgg(spec, config.train.dropout)
    return Trainer(
        model, dataset, config.train, seed=0, device=device, augmentation=config.augmentation, team=team
    ).timed()


def _follow(team: Team, spec: VGGSpec, config: SweepConfig, dataset: Dataset) -> None:
    """What a follower does of a timing."""
    assert team.device is not None
    _timed(spec, config, dataset, team.device, team)


def seconds_an_update(
    spec: VGGSpec, config: SweepConfig, dataset: Dataset, device: torch.device, team: Team = ALONE
) -> float:
    """Seconds of one update of an untrained model of this structure, from a few timed ones."""
    team.call(_follow, spec, config, dataset)
    return _timed(spec, config, dataset, device, team)


def estimate(
    jobs: Iterable[Job],
    config: SweepConfig,
    dense: VGGSpec,
    dataset: Dataset,
    device: torch.device,
    known: Mapping[str, Cost] | None = None,
    team: Team = ALONE,
) -> float:
    """Seconds that jobs take here: a straight line over FLOP through timed updates of the dense and the smallest model.

    Args:
        jobs: Jobs that are not finished.
        config: Settings of the sweep, with the data set's own number of epochs.
        dense: Structure of the dense model.
        dataset: What is trained on.
        device: Where.
        known: Costs by name of jobs; by default those of training on `dataset`.
        team: Who trains each model.
    """
    costs = {job: known[job.name] if known else cost(job, config, dense, len(dataset.train)) for job in jobs}
    if not costs:
        return 0.0
    slow = seconds_an_update(dense, config, dataset, device, team)
    most = UPDATE * specs.flops(dense) * min(config.train.batch, len(dataset.train))
    slope, overhead = slow / most, 0.0
    smallest = min(costs, key=lambda job: costs[job].unit)
    if smallest.kind == "pruned" and config.ranking == "layer":
        quick = seconds_an_update(_trained_spec(smallest, config, dense), config, dataset, device, team)
        if quick < slow:
            slope = (slow - quick) / (most - costs[smallest].unit)
            overhead = max(0.0, quick - slope * costs[smallest].unit)
    return sum(own.updates * (overhead + slope * own.unit) for own in costs.values())


def raised(given: TrainConfig, used: TrainConfig, windows: int) -> str | None:
    """Which numbers of epochs were raised for a small set, and why, in a sentence; None if none was."""
    pairs = [
        (f"--{name.replace('_', '-')}", getattr(given, name), getattr(used, name))
        for name in ("epochs", "retrain_epochs")
    ]
    told = [f"{option} from {before} to {after}" for option, before, after in pairs if after != before]
    if not told:
        return None
    each = used.updates_an_epoch(windows)
    return (
        f"{windows} training windows are {each} update{'s' * (each != 1)} an epoch: {' and '.join(told)}, for at least "
        f"{used.updates} updates of the dense model and {used.retrain_updates} of every other "
        "(--updates, --retrain-updates)"
    )


def budget_words(costs: Iterable[Cost], seconds: float) -> str:
    """The budget in a line."""
    updates = sum(own.updates for own in costs)
    time = f"{seconds / 60:.1f} minutes" if seconds >= 60 else f"{max(1, round(seconds)):.0f} s"
    return f"budget: {updates:,} updates, about {time} here"
