"""The settings of a pipeline, from which the command line is made.

The options of a step are the step's own: its settings are nested here, without those that the pipeline decides itself
(folders, and what stands at the top level).
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from data.common.options import check_least, comma_separated, number_or_auto
from data.config import DataConfig
from optimizer.errors import OptimizerError
from optimizer.learning.options import TrainConfig
from optimizer.learning.schedule import LearnerConfig
from optimizer.network.options import NetworkConfig
from optimizer.network.scenario import Scenario
from optimizer.network.world import World
from profiling.config import RunConfig as ProfileConfig
from profiling.profile.entries import Order
from pruning.config import SweepConfig

RATES = (0.1, 0.3, 0.5, 0.7, 0.8, 0.9)  # Table II(a)
BATCHES = (1, 2, 4, 16, 32, 128)  # each larger one takes longer than all before it; a straight line continues them
ROUND_TO = 16  # widths that vector instructions fill


@dataclass(frozen=True)
class PruneOptions(SweepConfig):
    """How models are pruned and retrained, as in `python -m pruning.run`."""

    rates: tyro.conf.Suppress[tuple[float, ...]] = RATES
    data: tyro.conf.Suppress[DataConfig] = field(default_factory=DataConfig)
    round_to: int = ROUND_TO
    """Widths are multiples of this (structural)."""
    onnx: tyro.conf.Suppress[bool] = True
    out: tyro.conf.Suppress[Path] = Path("bundle")

    def __post_init__(self) -> None:
        if self.method == "mask" and self.round_to == ROUND_TO:  # masks leave widths as they are
            object.__setattr__(self, "round_to", 1)
        super().__post_init__()


@dataclass(frozen=True)
class ProfileOptions(ProfileConfig):
    """How the gateway is profiled, as in `python -m profiling.run`."""

    models: tyro.conf.Suppress[Path] = Path("bundle")
    batches: Annotated[tuple[int, ...], comma_separated(int, "batches", "B")] = BATCHES
    """Batch sizes to measure, separated by commas. A loaded gateway of many sensors needs large ones."""
    order: Order = "random"
    """Order of the measurements: `random` visits models and batch sizes as in service; `hot` repeats each of them."""
    device: tyro.conf.Suppress[str] = "cpu"  # type: ignore[assignment]  # wider than the base's Literal: never parsed
    out: tyro.conf.Suppress[Path] = Path("gateway.json")


@dataclass(frozen=True)
class NetworkOptions(NetworkConfig):
    """The network, as in `python -m optimizer.train`."""

    scenario: str = "paper"
    """Scenario that supplies what the profiles lack (link, QoS, slot length): `paper`, `paper-heavy`, `paper-printed`
    or a TOML file."""
    gateway: tyro.conf.Suppress[Path | None] = None
    edge: tyro.conf.Suppress[Path | None] = None
    extrapolate: bool = True
    """Allow more sensors per gateway than the largest measured batch: larger ones run in portions of it."""
    margin: float = 0.2
    """Plan the factory's network with inference times that are longer by this share, so that a plan does not sit on
    its deadlines."""

    @property
    def needs_profiles(self) -> bool:
        """The profiles are measured by an earlier stage."""
        return False


@dataclass(frozen=True)
class LearnerOptions(LearnerConfig):
    """Settings of the default preset; its updates are the pipeline's --updates."""

    updates: tyro.conf.Suppress[int] = LearnerConfig.updates


@dataclass(frozen=True)
class TrainOptions(TrainConfig):
    """How the policy is trained, as in `python -m optimizer.train`."""

    network: tyro.conf.Suppress[NetworkConfig] = field(default_factory=NetworkConfig)
    sensors: tyro.conf.Suppress[tuple[int, ...]] = ()
    mixed: tyro.conf.Suppress[bool] = False
    models: tyro.conf.Suppress[str] = "all"
    out: tyro.conf.Suppress[Path] = Path("policies")
    learner: Annotated[LearnerOptions, tyro.conf.arg(name="default")] = field(default_factory=LearnerOptions)
    """Settings of the default preset."""
    world: tyro.conf.Suppress[World] = field(default_factory=World)
    trial: tyro.conf.Suppress[Path | None] = None


@dataclass(frozen=True)
class PipelineConfig:
    """Prune, profile, find the capacity, train, try every scheme with real inference, and write report.html.

    Stop it at any moment: the same command goes on where it was. A stage whose input has changed is done again, and so
    are those after it.
    """

    data: Annotated[DataConfig, tyro.conf.arg(name="")] = field(default_factory=DataConfig)
    """The recordings, as in `python -m pruning.run`."""
    rates: Annotated[tuple[float, ...], comma_separated(float, "rates", "P")] = RATES
    """Pruning rates as fractions in [0, 1), separated by commas."""
    sensors: Annotated[int | None, number_or_auto("sensors")] = None
    """Number of sensors of the factory's network, over all its gateways; or auto: nine tenths of what the best scheme
    carries."""
    paper_sensors: int = 100
    """Number of sensors of the paper's network, whose figures are repeated from half of it to one and a half times."""
    gateway: Path | None = None
    """Profile of another gateway; this machine is then not profiled."""
    edge: Path | None = None
    """Profile of the edge server. Default: a GPU of this machine if there is one, else the paper's RTX 3070 by its
    datasheet."""
    slots: int = 200
    """Number of held-out slots to evaluate the factory's network on."""
    paper_slots: int = 1000
    """Number of held-out slots of the paper's experiment."""
    trial_slots: int = 3
    """Number of slots of the trial. At nine tenths of the capacity every slot keeps each gateway busy for most of a
    second with each scheme; more slots give narrower intervals."""
    seed: int = 0
    """Random seed for drawing the slots of evaluations and the trial."""
    network: Annotated[NetworkOptions, tyro.conf.arg(name="")] = field(default_factory=NetworkOptions)
    """The network."""
    prune: PruneOptions = field(default_factory=PruneOptions)
    """How models are pruned and retrained."""
    profile: ProfileOptions = field(default_factory=ProfileOptions)
    """How the gateway is profiled."""
    train: TrainOptions = field(default_factory=TrainOptions)
    """How the policy is trained."""
    updates: int = 1500
    """Updates of the training of the paper's policy."""
    small_updates: int = 4000
    """Updates of the policy for 3 gateways and 6 sensors (Fig. 8)."""
    out: Path = Path("runs/demo")
    """Folder of everything."""

    def __post_init__(self) -> None:
        for name, least in (
            ("slots", 2), ("paper_slots", 2), ("trial_slots", 1), ("updates", 1), ("small_updates", 1), ("seed", 0),
        ):  # fmt: skip
            check_least(OptimizerError, name.replace("_", "-"), getattr(self, name), least)
        for sensors in (self.sensors, self.paper_sensors):
            _ = self.base.with_sensors(self.base.sensors if sensors is None else sensors)
        for name, path in (("gateway", self.gateway), ("edge", self.edge), ("link", self.network.link)):
            if path is not None and not path.is_file():  # told now, not after the minutes of the first stage
                raise OptimizerError(f"--{name} {path}: no such file.", "Give a file that exists.")

    @property
    def base(self) -> Scenario:
        """The scenario that supplies what the profiles lack. Raises OptimizerError."""
        return Scenario.load("paper" if self.network.scenario == "measured" else self.network.scenario)
