"""Settings of the default preset's training, and how exploration and learning rates change while it goes on."""

from dataclasses import dataclass

from data.common.options import check_least
from optimizer.errors import OptimizerError

# All picked by hand, on `paper` and `paper-heavy` with 100 to 200 sensors.
TRY_EVERYTHING = 10  # updates at the start in which every decision is random, because nothing is known yet
HALF = 0.5  # progress at which exploration reaches its last value, and the spread of claims its second
COOLED = 0.9  # progress at which the temperature reaches its last value
NARROWED = 0.9  # progress at which the spread of claims reaches its last value
DECAY_FROM = 0.5  # progress from which the critic's learning rates fall,
DECAY_TO = 0.02  # to this part of their first values
LEAST_CLAIM_LR = 1e-4  # however narrow the spread becomes
SEARCH_EVERY = 10  # updates from one search for claims to the next


@dataclass(frozen=True)
class LearnerConfig:
    """Settings of the default preset. Exploration, temperature and spread fall while the training goes on."""

    updates: int = 1500
    """Number of updates."""
    slots: int = 256
    """Number of slots in each update; they are decided together, in parallel networks."""
    block: int = 25
    """Number of updates between two checkpoints."""
    critic_lr: float = 1e-2
    """Adam learning rate of the critic's laws and corrections; falls to a fiftieth over the second half."""
    network_lr: float = 3e-3
    """Adam learning rate of the critic's networks; falls to a fiftieth over the second half."""
    explore: float = 0.5
    """Share of random decisions at the start; falls to `explore-last` over the first half."""
    explore_last: float = 0.02
    """Share of random decisions at the end of training."""
    temperature: float = 2.0
    """Temperature of the discrete decisions at the start, in tenths of what a gateway gains in a slot."""
    temperature_last: float = 0.004
    """Temperature of the discrete decisions at the end."""
    spread: float = 0.1
    """Standard deviation of the logarithms of claimed shares at the start."""
    spread_half: float = 0.04
    """Standard deviation of the logarithms of claimed shares after half of the updates."""
    spread_last: float = 0.0018
    """Standard deviation of the logarithms of claimed shares at the end."""
    search: float = 0.3
    """Share of the updates during which claims are set by a search on the critic; afterwards they follow their own
    gradient."""
    claim_lr: float = 0.1
    """Adam learning rate of the claims, relative to their standard deviation."""

    def __post_init__(self) -> None:
        for name in ("updates", "slots", "block"):
            check_least(OptimizerError, f"default.{name}", getattr(self, name), 1)


@dataclass(frozen=True)
class Phase:
    """What applies to one update.

    Attributes:
        explore: Share of gateways that decide at random.
        temperature: Temperature of the discrete decisions, in the critic's scale of gains.
        spread: Standard deviation of the logarithms of claimed shares.
        critic_lr: Learning rate of the critic's laws and corrections.
        network_lr: Learning rate of the critic's networks.
        claim_lr: Learning rate of the claims.
        searching: Whether claims are set by search, not by their gradient.
        search_now: Whether a search is due in this update.
    """

    explore: float
    temperature: float
    spread: float
    critic_lr: float
    network_lr: float
    claim_lr: float
    searching: bool
    search_now: bool


@dataclass(frozen=True)
class Schedule:
    """How a training changes from its first update to its last.

    Attributes:
        config: Settings of the training.
    """

    config: LearnerConfig

    def at(self, update: int) -> Phase:
        """What applies to an update, counted from 0."""
        c, progress = self.config, update / self.config.updates
        half = min(1.0, progress / HALF)
        late = min(1.0, max(0.0, (progress - HALF) / (NARROWED - HALF)))
        spread = c.spread * (c.spread_half / c.spread) ** half * (c.spread_last / c.spread_half) ** late
        decay = 1.0 if progress < DECAY_FROM else DECAY_TO ** ((progress - DECAY_FROM) / (1 - DECAY_FROM))
        searching = update < c.search * c.updates
        return Phase(
            explore=1.0 if update < TRY_EVERYTHING else max(c.explore_last, c.explore * (1 - half)),
            temperature=c.temperature * (c.temperature_last / c.temperature) ** min(1.0, progress / COOLED),
            spread=spread,
            critic_lr=c.critic_lr * decay,
            network_lr=c.network_lr * decay,
            claim_lr=max(c.claim_lr * spread, LEAST_CLAIM_LR),
            searching=searching,
            search_now=searching and update % SEARCH_EVERY == SEARCH_EVERY - 1,
        )
