"""Settings of the default preset's training in a factory's network."""

from dataclasses import dataclass

from data.common.options import check_least
from optimizer.errors import OptimizerError


@dataclass(frozen=True)
class FactoryConfig:
    """Settings of the default preset in a factory's network."""

    updates: int = 60
    """Number of updates."""
    slots: int = 64
    """Number of slots in each update; they are decided together, in parallel networks."""
    block: int = 10
    """Number of updates between two checkpoints."""
    at_random: int = 6
    """Number of updates at the start in which all decisions are random."""
    explore: float = 0.1
    """Share of the slots that are decided at random afterwards."""

    def __post_init__(self) -> None:
        for name in ("updates", "slots", "block", "at_random"):
            check_least(OptimizerError, f"factory.{name.replace('_', '-')}", getattr(self, name), 1)
        if not 0 <= self.explore <= 1:
            raise OptimizerError(f"--factory.explore: expected a number from 0 to 1; got {self.explore:g}.")
