"""The settings of a trial, from which the command line is made."""

from dataclasses import dataclass
from pathlib import Path

from data.common.options import check_least
from optimizer.errors import OptimizerError


@dataclass(frozen=True)
class TrialConfig:
    """Carry out a policy's decisions with real inference, and compare what was predicted with what happened.

    Delays, accuracies and lost tasks are measured; `trial.json` holds every task as predicted and as measured.
    """

    policy: Path
    """Folder of a policy that was trained on measured profiles."""
    models: Path
    """Model bundle that the profiles were measured on."""
    slots: int = 60
    """Number of slots that the policy decides."""
    repeats: int = 1
    """Repetitions of each slot. Each draws a new order among equally critical tasks and measures everything again,
    because eq. (7) predicts the mean over all orders."""
    probes: int = 20
    """Number of further slots with random models and random numbers of offloaded tasks, so that every model is
    measured at many batch sizes."""
    gateway: Path | None = None
    """Profile of the gateway. Default: the profile that the policy was trained with."""
    edge: Path | None = None
    """Profile of the edge server. Default: the profile that the policy was trained with."""
    seed: int = 0
    """Random seed for drawing slots, windows and the order of equally critical tasks."""
    out: Path = Path("runs/trial.json")
    """File to write; it holds every task."""

    def __post_init__(self) -> None:
        if self.slots < 1 or self.repeats < 1 or self.probes < 0:
            raise OptimizerError(
                "--slots and --repeats must be at least 1, --probes at least 0; "
                f"got {self.slots}, {self.repeats} and {self.probes}."
            )
        check_least(OptimizerError, "seed", self.seed, 0)
