"""What gateways report of a batch of slots, and random decisions to learn from."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64

from optimizer.learning.factory.policy import Counts, Decision

MOST_SHARE_APART = 1000.0  # random shares differ by up to this factor, so that the edge's law is seen over its range
SOME = 0.5  # probability that a random decision sends, or refuses, any task of a level


@dataclass(frozen=True, eq=False)
class Report:
    """Decisions that were carried out, and what the gateways say of them.

    Attributes:
        decision: What was decided.
        channel: Channel states as they were shown.
        local_s: Delay of each level's local tasks; 0 where there are none.
        edge_first_s: Delay of the first task of each level that was sent; 0 where there is none.
        edge_last_s: Delay of the last one.
        local_served: Number of local tasks served.
        edge_served: Number of sent tasks served.
        reward: What each gateway added to the reward.
        dropped: Number of tasks that each gateway lost.
    """

    decision: Decision
    channel: Int64[np.ndarray, "batch gateways"]
    local_s: Float64[np.ndarray, "batch gateways levels"]
    edge_first_s: Float64[np.ndarray, "batch gateways levels"]
    edge_last_s: Float64[np.ndarray, "batch gateways levels"]
    local_served: Counts
    edge_served: Counts
    reward: Float64[np.ndarray, "batch gateways"]
    dropped: Int64[np.ndarray, "batch gateways"]

    @classmethod
    def of(cls, decision: Decision, channel: np.ndarray, info: dict[str, Any]) -> "Report":
        """The report that is in the `info` of a step."""
        return cls(
            decision, channel.astype(np.int64), info["level_local_s"], info["level_edge_first_s"],
            info["level_edge_last_s"], info["level_local_served"], info["level_edge_served"], info["gateway_reward"],
            info["gateway_dropped"],
        )  # fmt: skip

    @property
    def batches(self) -> tuple[Counts, Float64[np.ndarray, "batch gateways levels"]]:
        """Number of tasks and seconds of each batch that ran, by the level of its tasks; 0 where none ran.

        Levels run one after the other, so a batch took from the answers of the levels above it to its own.
        """
        took, clock = np.zeros_like(self.local_s), np.zeros(self.local_s.shape[:2])
        for k in range(took.shape[2] - 1, -1, -1):
            ran = self.decision.kept[..., k] > 0
            took[..., k] = np.where(ran, self.local_s[..., k] - clock, 0.0)
            clock = np.where(ran, self.local_s[..., k], clock)
        return self.decision.kept, took

    @property
    def one_batch(self) -> tuple[Counts, Float64[np.ndarray, "batch gateways levels"]]:
        """The same where a gateway runs one batch: it stands at the first level."""
        size, took = np.zeros_like(self.decision.kept), np.zeros_like(self.local_s)
        size[..., 0], took[..., 0] = self.decision.kept.sum(axis=2), self.local_s.max(axis=2)
        return size, took


def random_decision(counts: Counts, models: int, *, by_level: bool, rng: np.random.Generator) -> Decision:
    """Send and refuse some of every level, with random models and shares."""

    def some(of: Counts) -> Counts:
        part = np.floor((of + 1) * rng.random(of.shape)).astype(np.int64)
        return np.where(rng.random(of.shape) < SOME, np.minimum(part, of), 0)

    sent = some(counts)
    kept = counts - sent - some(counts - sent)
    shape = counts.shape if by_level else (*counts.shape[:2], 1)
    model = np.broadcast_to(rng.integers(0, models, shape), counts.shape).astype(np.int64)
    share = MOST_SHARE_APART ** -rng.random(counts.shape[:2])
    return Decision(sent, kept, model, share / share.sum(axis=1, keepdims=True), np.zeros(len(counts)))
