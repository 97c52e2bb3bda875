"""The settings of a training, from which the command line is made."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from data.common.options import check_least, comma_separated, parse_list
from data.common.sweep.options import Execution
from optimizer.errors import OptimizerError
from optimizer.learning.factory.settings import FactoryConfig
from optimizer.learning.manifest import Preset
from optimizer.learning.paper_sac import SacConfig
from optimizer.learning.schedule import LearnerConfig
from optimizer.network.options import NetworkConfig
from optimizer.network.rewards import REWARDS
from optimizer.network.scenario import Scenario
from optimizer.network.world import World


@dataclass(frozen=True)
class TrainConfig:
    """Train the offloading policy by interaction with the environment alone.

    The default preset is the project's own policy, made for this problem; --preset paper is the paper's agent with the
    settings of Table III. You may stop the command at any moment (Ctrl-C): the same command then goes on from the last
    checkpoint and ends with the same weights. Each number of sensors and each seed gets a folder below --out.
    """

    network: Annotated[NetworkConfig, tyro.conf.arg(name="")] = field(default_factory=NetworkConfig)
    """The network to train on."""
    sensors: Annotated[tuple[int, ...], comma_separated(int, "sensors", "N")] = ()
    """Numbers of sensors, separated by commas. Each gets its own policy, or all share one with --mixed. By default the
    scenario's number."""
    mixed: bool = False
    """Train one policy on all the numbers of sensors."""
    preset: Preset = "default"
    """`default` is the project's own policy; `paper` is the paper's agent (Table III, 10,000 slots)."""
    models: str = "all"
    """Models that gateways may run: `all`, or pruning rates separated by commas, e.g. 0.7 for JOPAV1."""
    seeds: Annotated[tuple[int, ...], comma_separated(int, "seeds", "S")] = (0,)
    """Random seeds of the trainings, separated by commas. Each gets its own policy."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Device for the networks of the paper preset; `auto` takes a GPU if there is one. The default preset is too small
    to gain from a GPU and always runs on the CPU."""
    threads: int = 0
    """Number of CPU cores to train on; 0 uses all. Policies share them: each of the default preset has one, the paper's
    agents have equal parts. Weights of the paper preset depend on this number."""
    execution: Annotated[Execution, tyro.conf.arg(name="")] = field(default_factory=Execution)
    """Who trains the policies, if there are several."""
    out: Path = Path("runs/policies")
    """Folder to write the policies to."""
    learner: Annotated[LearnerConfig, tyro.conf.arg(name="default")] = field(default_factory=LearnerConfig)
    """Settings of the default preset in the paper's networks."""
    factory: Annotated[FactoryConfig, tyro.conf.arg(name="factory")] = field(default_factory=FactoryConfig)
    """Settings of the default preset in a factory's networks: gateways that work by level, or an edge with a queue."""
    sac: Annotated[SacConfig, tyro.conf.arg(name="paper")] = field(default_factory=SacConfig)
    """Settings of the paper preset."""
    world: Annotated[World, tyro.conf.arg(name="world")] = field(default_factory=World)
    """How reality differs from the network's model while training; by default it does not."""
    trial: Path | None = None
    """Result file of `optimizer.trial`. Inference times are drawn from its ratios of measured to predicted times. It
    cannot be combined with the --world options."""

    def __post_init__(self) -> None:
        check_least(OptimizerError, "threads", self.threads, 0)
        for name, values, least in (("seeds", self.seeds, 0), ("sensors", self.sensors, 1)):
            if values:
                check_least(OptimizerError, name, min(values), least)
        if self.mixed and (len(self.sensors) < 2 or self.preset == "paper"):
            raise OptimizerError(
                "--mixed needs at least two numbers of --sensors and the default preset.",
                "The paper's network has one input and one output per sensor, so it serves one size.",
            )
        reward = REWARDS[self.network.reward] if self.network.reward is not None else None
        if self.preset == "default" and reward is not None and not reward.solvable:
            raise OptimizerError(
                f"--reward {reward.name}: the default preset credits served tasks only.",
                "This reward pays for dropped tasks, too, and exists to show that; use --preset paper.",
            )
        if self.trial is not None and self.world != World():
            raise OptimizerError("--trial cannot be combined with --world options: both say what really happens.")
        _ = self.rates

    @property
    def rates(self) -> tuple[float, ...] | None:
        """Pruning rates of the models to use; None for all."""
        return None if self.models == "all" else parse_list(self.models, float, "models")

    def settings_for(self, scenario: Scenario) -> dict[str, Any]:
        """Settings that a training on this network has, as JSON holds them."""
        if self.preset == "paper":
            return asdict(self.sac)
        return asdict(self.factory if scenario.can_refuse else self.learner)
