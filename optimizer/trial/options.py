"""The settings of a trial, from which the command line is made."""

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Annotated

import tyro

from data.common.options import check_least, comma_separated
from optimizer.errors import OptimizerError
from optimizer.network.options import NetworkConfig
from optimizer.schemes.registry import SCHEMES, find_scheme


@dataclass(frozen=True)
class TrialConfig:
    """Carry out every scheme's decisions with real inference, on the same slots, and compare with what was predicted.

    Lost tasks, wrong answers, delays and accuracies are measured; predictions stand beside them.
    """

    models: Path
    """Model bundle that the profiles were measured on."""
    network: Annotated[NetworkConfig, tyro.conf.arg(name="")] = field(default_factory=NetworkConfig)
    """The network. With --policy it may be left out: it is then the one that the first policy was trained on."""
    policy: Annotated[tuple[str, ...], comma_separated(str, "policy", "DIR")] = ()
    """Folders of trained policies, or folders that hold several, separated by commas."""
    schemes: Annotated[
        tuple[str, ...],
        comma_separated(str, "schemes", "NAME"),
        tyro.conf.arg(
            help=f"Schemes to carry out: {', '.join(SCHEMES)}, separated by commas; all that the network allows; or "
            "none, for policies alone."
        ),
    ] = ("all",)
    sensors: int | None = None
    """Number of sensors; by default the network's own."""
    slots: int = 60
    """Number of slots. Each scheme carries out the same ones."""
    seed: int = 0
    """Random seed for drawing slots and windows, and for schemes that draw anything."""
    tasks: Path | None = None
    """Safetensors file to write with every task of every scheme."""
    out: Path = Path("runs/trial.json")
    """File to write. Its figure is put beside it, as a PNG of the same name."""

    def __post_init__(self) -> None:
        check_least(OptimizerError, "slots", self.slots, 1)
        check_least(OptimizerError, "seed", self.seed, 0)
        if self.sensors is not None:
            check_least(OptimizerError, "sensors", self.sensors, 1)
        if self.out.suffix != ".json":
            raise OptimizerError(f"--out must end in .json; got {self.out.name!r}.", "E.g. --out runs/trial.json")
        for name in self.schemes if self.schemes not in (("all",), ("none",)) else ():
            find_scheme(name)
        if self.network.gateway is None and not self.policy:
            raise OptimizerError(
                "a trial needs a measured network.",
                "Give --gateway PROFILE and --edge PROFILE, or --policy DIR, a policy that was trained on profiles.",
            )
        if self.schemes == ("none",) and not self.policy:
            raise OptimizerError("--schemes none leaves nothing to carry out.", "Give policies with --policy.")

    @property
    def figure(self) -> Path:
        """File of the figure."""
        return self.out.with_suffix(".png")

    @property
    def names_network(self) -> bool:
        """Whether the options describe a network, instead of only saying where a policy's profiles lie."""
        if not self.policy:
            return True
        given = {f.name for f in fields(NetworkConfig) if getattr(self.network, f.name) != f.default}
        return not given <= {"gateway", "edge", "allow_other_bundle", "extrapolate"}
