"""The settings of one sweep, from which the command line is made."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from data import DataConfig
from data.common.options import comma_separated, number_or_auto, one_of
from data.common.sweep.options import Execution
from data.config import WEAK
from pruning.augment import Augmentation
from pruning.criteria import CRITERIA
from pruning.errors import PruningError
from pruning.spec import VGGSpec, check_rate, dense_spec
from pruning.train import TrainConfig


@dataclass(frozen=True)
class SweepConfig:
    """Prune VGG-16 at several rates, retrain, test, and write a model bundle.

    You may stop it at any moment (Ctrl-C); the same command continues where it stopped and writes the same bundle.
    Without options it uses the built-in simulated recordings and takes a few minutes. To train each
    model on several GPUs, start the command with torchrun: `torchrun --nproc-per-node 4 -m pruning.run`.
    """

    rates: Annotated[tuple[float, ...], comma_separated(float, "rates", "P")] = (0.1, 0.3, 0.5, 0.7, 0.8, 0.9)
    """Pruning rates as fractions in [0, 1), separated by commas. The dense model (0.0) is always there."""
    method: Literal["structural", "mask"] = "structural"
    """structural: remove filters. mask: set them to zero, as the paper does, which saves no computation."""
    target: Literal["flops", "channels"] | None = None
    """What the rate is a fraction of: FLOPs (the default of structural) or the filters of each layer (of mask)."""
    criterion: Annotated[str, one_of(CRITERIA)] = "l1"
    """What a filter is worth: l1, the paper's sum of absolute weights, or l2, their Euclidean norm."""
    ranking: Literal["layer", "global"] = "layer"
    """Compare the filters' scores within each layer, or, relative to the mean of their layer, across all layers."""
    round_to: int = 1
    """Keep the number of filters of each layer a multiple of this, e.g. 8 (structural only)."""
    steps: int = 1
    """Number of steps to prune in, with retraining after each."""
    seeds: Annotated[tuple[int, ...], comma_separated(int, "seeds", "S")] = (0,)
    """Random seeds, separated by commas. Each model is trained once per seed; results are means over seeds."""
    data: Annotated[DataConfig, tyro.conf.arg(name="")] = field(default_factory=DataConfig)
    """Recordings, windows, images and split."""
    folds: Annotated[int | None, number_or_auto("folds")] = None
    """Folds of a grouped cross-validation: whole recordings (or machines, loads, fault sizes) are tested by models that
    did not learn from them. auto: up to 5 if the test part has fewer than 30 windows that share no sample, otherwise
    none; 1: none."""
    learning_curve: bool = False
    """Also train the dense model on fewer recordings, to see whether more of them would help. The simple detectors'
    curve comes with every cross-validation."""
    head: Literal["small", "paper"] = "small"
    """Fully connected layers. paper: 7 x 7 pooling and 4096 neurons; small: global pooling and 512 neurons."""
    batch_norm: bool = True
    """Use batch normalisation after each convolution."""
    width: float = 1.0
    """Every layer's width relative to VGG-16's."""
    line: float = 0.5
    """Weight of the straight line inside: its logits, times this, are added to the network's, which is trained to
    correct them. 0: the network alone, as in the paper."""
    train: Annotated[TrainConfig, tyro.conf.arg(name="")] = field(default_factory=TrainConfig)
    """How models are trained."""
    augmentation: Annotated[Augmentation, tyro.conf.arg(name="")] = field(default_factory=Augmentation)
    """How training images are varied."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to train. auto: on a GPU if there is one."""
    threads: int = 0
    """Number of CPU threads; 0 uses all cores. Models that do not need each other share them. The same seed and number
    of threads give the same results on a CPU, whoever does the jobs."""
    execution: Annotated[Execution, tyro.conf.arg(name="")] = field(default_factory=Execution)
    """Who trains the models."""
    onnx: bool = True
    """Also export each model as ONNX."""
    out: Path = Path("runs/bundle")
    """Folder of the bundle."""

    def __post_init__(self) -> None:
        for rate in self.rates:
            check_rate(rate)
        if not [r for r in self.rates if r > 0]:
            raise PruningError("--rates: no rate is above 0.", "Give e.g. --rates 0.1,0.3,0.5,0.7,0.8,0.9.")
        if self.criterion not in CRITERIA:
            raise PruningError(
                f"--criterion: unknown criterion {self.criterion!r}.", f"Choose {' or '.join(CRITERIA)}."
            )
        for name in ("rates", "seeds"):
            values = getattr(self, name)
            if len(set(values)) < len(values):
                raise PruningError(f"--{name} holds a number twice.", "Give each number once.")
        if min(self.seeds) < 0:
            raise PruningError(f"seeds must be 0 or more; got {min(self.seeds)}.")
        if self.folds is not None and self.folds < 1:
            raise PruningError(f"--folds must be at least 1; got {self.folds}.", "1 is no cross-validation.")
        if self.round_to < 1 or self.steps < 1 or self.threads < 0:
            raise PruningError("--round-to and --steps must be at least 1, --threads at least 0.")
        if not 0 < self.width <= 4:
            raise PruningError(f"--width must lie in (0, 4]; got {self.width:g}.")
        if not 0 <= self.line <= 10:
            raise PruningError(f"--line must lie in [0, 10]; got {self.line:g}.")
        if self.method == "mask" and (self.target == "flops" or self.round_to > 1):
            raise PruningError(
                "mask pruning removes no FLOPs and no channels, so it takes neither --target flops nor --round-to.",
                "Use --method structural, or leave them out: the rate is the fraction of each layer's kernels.",
            )

    @property
    def resolved_target(self) -> Literal["flops", "channels"]:
        """What the rate is a fraction of."""
        return self.target or ("flops" if self.method == "structural" else "channels")

    def dense(self, classes: int) -> VGGSpec:
        """Structure of the dense model for so many classes."""
        return dense_spec(classes, self.data.size, self.head, self.batch_norm, self.width, self.line > 0)

    @property
    def pruned_rates(self) -> tuple[float, ...]:
        """Rates above 0, ascending."""
        return tuple(sorted(r for r in self.rates if r > 0))

    def identity(self) -> dict[str, Any]:
        """Every setting that the results depend on, as plain JSON values."""
        settings = asdict(self)
        for name in ("out", "device", "execution", "folds", "learning_curve"):  # of the last two, see `Cross.identity`
            del settings[name]
        for name in ("updates", "retrain_updates"):
            del settings["train"][name]  # the epochs of `TrainConfig.for_windows` say it; older folders go on
        if not self.line:
            del settings["line"]  # as above
        if not (self.line and self.train.restraint):
            del settings["train"]["restraint"]  # as above
        if self.criterion == "l1":
            del settings["criterion"]  # folders begun before there was a choice go on
        settings["target"] = self.resolved_target
        settings["rates"] = list(self.pruned_rates)
        settings["seeds"] = list(self.seeds)
        settings["data"]["root"] = None
        settings["data"]["rate_hz"] = self.data.wanted_rate_hz
        settings["data"]["accept"] = [kind for kind in self.data.accept if kind != WEAK]  # a stopped sweep goes on
        return settings
