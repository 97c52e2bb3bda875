"""The settings of a tuning study, from which the command line is made."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from data.common.options import check_least
from data.common.sweep.options import Execution
from optimizer.errors import OptimizerError
from optimizer.learning.factory.settings import FactoryConfig
from optimizer.learning.manifest import Preset
from optimizer.learning.options import TrainConfig
from optimizer.learning.paper_sac import SacConfig
from optimizer.learning.plan import plan
from optimizer.learning.schedule import LearnerConfig
from optimizer.network.options import NetworkConfig
from optimizer.network.rewards import REWARDS


@dataclass(frozen=True)
class TuneConfig:
    """Look for better settings of a preset: many short trainings, of which hopeless ones are stopped early.

    The first trial has the settings as they are. Each trial is judged by its reward on validation slots, after every
    block of its training. You may stop the command at any moment, and start it on several machines with one --storage:
    they share the trials. A trial whose process died is repeated.
    """

    network: Annotated[NetworkConfig, tyro.conf.arg(name="")] = field(default_factory=NetworkConfig)
    """The network to train on."""
    sensors: int | None = None
    """Number of sensors; by default the scenario's."""
    preset: Preset = "default"
    """Preset to tune: `default`, the project's own policy, or `paper`, the paper's agent."""
    trials: int = 100
    """Number of trials of the study, from all calls together."""
    workers: int = 0
    """Number of trials at the same time; 0: one per core. With 1, a study depends on nothing but its seed."""
    storage: str | None = None
    """Where the study is kept: sqlite:///FILE or postgresql://USER:PASSWORD@HOST/DATABASE. By default study.db in
    --out. `optuna-dashboard` shows it live."""
    study: str | None = None
    """Name of the study in the storage; by default preset and number of sensors."""
    seed: int = 0
    """Random seed of the search and of every training."""
    startup: int = 10
    """Number of trials drawn at random before the search learns from earlier ones."""
    warmup: int = 2
    """Blocks of a training before it may be stopped for being worse than the median of the others."""
    heartbeat_s: int = 10
    """Seconds between two signs of life of a trial; after six without one it counts as dead, and is repeated."""
    execution: Annotated[Execution, tyro.conf.arg(name="")] = field(default_factory=Execution)
    """Who does the trials."""
    out: Path = Path("runs/tuning")
    """Folder for the table, the pictures and the page."""
    learner: Annotated[LearnerConfig, tyro.conf.arg(name="default")] = field(default_factory=LearnerConfig)
    """Settings of the default preset to begin with; the number of updates stays as it is."""
    factory: Annotated[FactoryConfig, tyro.conf.arg(name="factory")] = field(default_factory=FactoryConfig)
    """The same in a factory's networks."""
    sac: Annotated[SacConfig, tyro.conf.arg(name="paper")] = field(default_factory=SacConfig)
    """Settings of the paper preset to begin with; the number of slots stays as it is."""

    def __post_init__(self) -> None:
        for name, least in (("trials", 1), ("workers", 0), ("seed", 0), ("startup", 1), ("warmup", 0)):
            check_least(OptimizerError, name, getattr(self, name), least)
        check_least(OptimizerError, "heartbeat-s", self.heartbeat_s, 1)
        if self.sensors is not None:
            check_least(OptimizerError, "sensors", self.sensors, 1)
        reward = REWARDS[self.network.reward] if self.network.reward is not None else None
        if self.preset == "default" and reward is not None and not reward.solvable:
            raise OptimizerError(f"--reward {reward.name}: the default preset credits served tasks only.")

    def training(self) -> TrainConfig:
        """The training that is tuned."""
        return TrainConfig(
            network=self.network,
            sensors=() if self.sensors is None else (self.sensors,),
            preset=self.preset,
            seeds=(self.seed,),
            device="cpu",
            learner=self.learner,
            factory=self.factory,
            sac=self.sac,
        )

    @property
    def name(self) -> str:
        """Name of the study."""
        return self.study or f"{self.preset}-{plan(self.training())[0].name}"
