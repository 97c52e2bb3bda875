"""The settings of a training, from which the command line is made."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from data.common.options import comma_separated, parse_list
from optimizer.errors import OptimizerError
from optimizer.learning.manifest import Preset
from optimizer.learning.paper_sac import SacConfig
from optimizer.learning.schedule import LearnerConfig
from optimizer.network.options import NetworkConfig
from optimizer.network.rewards import REWARDS
from optimizer.network.world import World


@dataclass(frozen=True)
class TrainConfig:
    """Train the offloading policy, by interaction with the environment alone.

    The default preset is the project's own policy (`optimizer/jopa.py`), made for this problem; --preset paper is the
    paper's agent with Table III (`optimizer/sac.py`). Stop it at any moment (Ctrl-C): the same command goes on where it
    was and ends with the same weights. Each number of sensors and seed gets a folder below --out.
    """

    network: Annotated[NetworkConfig, tyro.conf.arg(name="")] = field(default_factory=NetworkConfig)
    """The network."""
    sensors: Annotated[tuple[int, ...], comma_separated(int, "sensors", "N")] = ()
    """Numbers of sensors, separated by commas: a policy each, or one for all with --mixed. By default the
    scenario's."""
    mixed: bool = False
    """One policy, trained on all the numbers of sensors."""
    preset: Preset = "default"
    """default: the project's own policy. paper: Table III, 10,000 slots."""
    models: str = "all"
    """all, or pruning rates separated by commas, e.g. 0.7 for JOPAV1."""
    seeds: Annotated[tuple[int, ...], comma_separated(int, "seeds", "S")] = (0,)
    """Seeds, separated by commas: a policy each."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where the paper preset's networks are trained; auto takes a GPU if there is one. The default preset is too small
    to gain from one and runs on the CPU."""
    out: Path = Path("runs/policies")
    """Folder of the policies."""
    learner: Annotated[LearnerConfig, tyro.conf.arg(name="default")] = field(default_factory=LearnerConfig)
    """Settings of the default preset."""
    sac: Annotated[SacConfig, tyro.conf.arg(name="paper")] = field(default_factory=SacConfig)
    """Settings of the paper preset."""
    world: Annotated[World, tyro.conf.arg(name="world")] = field(default_factory=World)
    """What really happens where it differs from the network's model; by default nothing."""
    trial: Path | None = None
    """A file of `optimizer.trial`: inference takes as long as it took there, beside what the profiles say. Instead of
    --world options."""

    def __post_init__(self) -> None:
        if any(s < 0 for s in self.seeds):
            raise OptimizerError(f"--seeds: expected 0 or more; got {min(self.seeds)}.")
        if self.sensors and min(self.sensors) < 1:
            raise OptimizerError(f"--sensors: expected at least 1; got {min(self.sensors)}.")
        if self.mixed and (len(self.sensors) < 2 or self.preset == "paper"):
            raise OptimizerError(
                "--mixed: give several numbers of --sensors, and the default preset.",
                "The paper's network has an input and an output a sensor and serves one size.",
            )
        reward = REWARDS[self.network.reward] if self.network.reward is not None else None
        if self.preset == "default" and reward is not None and not reward.solvable:
            raise OptimizerError(
                f"--reward {reward.name}: the default preset credits served tasks only.",
                "It pays for dropped tasks and is there to show that; use --preset paper.",
            )
        if self.trial is not None and self.world != World():
            raise OptimizerError("--trial: it says what happens; leave out the --world options.")
        _ = self.rates

    @property
    def rates(self) -> tuple[float, ...] | None:
        """`models`, checked; None for all."""
        return None if self.models == "all" else parse_list(self.models, float, "models")

    @property
    def settings(self) -> dict[str, Any]:
        """The preset's settings, as JSON would hold them."""
        return asdict(self.learner if self.preset == "default" else self.sac)
