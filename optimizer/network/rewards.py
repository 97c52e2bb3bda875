"""What a slot is worth: the rewards that can be maximised, as small objects in one registry.

To add a reward, write it here and name it in `REWARDS`. The system model, the exact solver, the learner and every
command's options then know it: each works with the coefficients of a `Reward`, never with its name.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

Numbers = Float64[np.ndarray, " models"]


def nothing(accuracy: Numbers) -> Numbers:
    """An answer is worth nothing, however accurate its model is."""
    return np.zeros_like(accuracy)


def expected_correct(accuracy: Numbers) -> Numbers:
    """An answer is worth the probability that it is right, relative to the complete model."""
    return accuracy


@dataclass(frozen=True)
class Reward:
    """What a slot is worth, before the penalty for dropped tasks is subtracted, eq. (21).

    A served task adds `busy` times the time it keeps a processor, the link and the edge busy, as a share of the slot;
    and, divided by the number of tasks in the slot, the worth of its answer plus `delay` times its delay as a share of
    the slot. A dropped task costs the scenario's `penalty` divided by the number of tasks.

    Attributes:
        name: The name that users type.
        meaning: One line for help texts.
        busy: Worth of a whole slot of busy time, at least 0.
        answer: Worth of an answer for each accuracy of a model (relative to the complete model, which has accuracy 1),
            at least 0.
        delay: Worth of a whole slot of delay, at most 0.
        counts_dropped: Whether dropped tasks count as busy time too. Such a reward can be exploited by sending tasks
            only to drop them, so it has no exact optimum.

    Raises:
        ValueError: A coefficient of the wrong sign, for which the exact solver would not be exact.
    """

    name: str
    meaning: str
    busy: float = 0.0
    answer: Callable[[Numbers], Numbers] = nothing
    delay: float = 0.0
    counts_dropped: bool = False

    def __post_init__(self) -> None:
        if self.busy < 0 or self.delay > 0:
            raise ValueError(
                f"reward {self.name!r}: expected busy >= 0 and delay <= 0, or the exact solver is not exact; "
                f"got {self.busy:g} and {self.delay:g}"
            )

    @property
    def solvable(self) -> bool:
        """Whether an exact optimum exists."""
        return not self.counts_dropped

    @property
    def least_penalty(self) -> float:
        """Smallest penalty for which serving a task always pays: a delay is at most one slot."""
        return -self.delay

    def unit(self, sensors: int) -> float:
        """Size of one task's gain: 1 for busy time, 1 / N for a reward that is a mean over N tasks."""
        return 1.0 if self.busy else 1.0 / sensors

    def edge_sign(self, sensors: int) -> float:
        """Sign of what a longer time at the edge adds to a served task's gain: 1, 0 or -1."""
        return float(np.sign(self.busy + self.delay / sensors))


UTILIZATION = Reward("utilization", "time that served tasks keep processors, link and edge busy, eq. (21)", busy=1.0)
GOODPUT = Reward("goodput", "mean accuracy over all tasks, 0 for dropped ones", answer=expected_correct)
DELAY = Reward("delay", "minus the delay of the served tasks, as a share of the slot, per task", delay=-1.0)
LITERAL = Reward(
    "literal", "eq. (21) with dropped tasks counted as busy; it can be exploited", busy=1.0, counts_dropped=True
)

# Picked by hand: large enough to decide between equals, small enough never to be worth an answer.
DELAY_PRICE = 1e-3
SERVICE = Reward(
    "service",
    f"mean accuracy over all tasks, 0 for dropped ones, less {DELAY_PRICE:g} per slot of mean delay",
    answer=expected_correct,
    delay=-DELAY_PRICE,
)

REWARDS: dict[str, Reward] = {reward.name: reward for reward in (UTILIZATION, GOODPUT, DELAY, SERVICE, LITERAL)}
