"""What goes into the policy (slots, facts of the network, exploration) and what comes out (plans, claims, decisions).

All arrays are torch tensors; the first axes are a batch of slots and its gateways.
"""

from dataclasses import dataclass

from jaxtyping import Bool, Float, Int64
from torch import Tensor

Counts = Int64[Tensor, "batch gateways levels"]
Channels = Int64[Tensor, "batch gateways"]
PerGateway = Float[Tensor, "batch gateways"]


@dataclass(frozen=True, eq=False)
class NetworkFacts:
    """What the policy is told about a network: constants of eq. (18).

    Attributes:
        gateway_type: Index of each gateway's type.
        groups: Number of tasks of each gateway.
        penalty: Cost of one dropped task in the critic's scale of gains.
        width: Number of tasks up to which the critic's values go.
    """

    gateway_type: Int64[Tensor, " gateways"]
    groups: Int64[Tensor, " gateways"]
    penalty: Float[Tensor, ""]
    width: int


@dataclass(frozen=True, eq=False)
class Slots:
    """A batch of slots to decide.

    Attributes:
        facts: The network.
        counts: Number of tasks of each level.
        channel: Index of each gateway's channel state.
    """

    facts: NetworkFacts
    counts: Counts
    channel: Channels

    @property
    def types(self) -> Channels:
        """Index of each gateway's type, for every slot."""
        return self.facts.gateway_type.expand(self.channel.shape)

    def first(self, count: int) -> "Slots":
        """The first slots of the batch."""
        return Slots(self.facts, self.counts[:count], self.channel[:count])


@dataclass(frozen=True, eq=False)
class Exploration:
    """How far decisions depart from the best ones; by default not at all.

    Attributes:
        temperature: Temperature of the discrete decisions, in the critic's scale of gains; 0 takes the best.
        spread: Standard deviation of the logarithms of claimed shares; 0 takes the mean.
        at_random: Gateways that decide at random.
    """

    temperature: float = 0.0
    spread: float = 0.0
    at_random: Bool[Tensor, "batch gateways"] | None = None


BEST = Exploration()


@dataclass(frozen=True, eq=False)
class Plan:
    """Every decision that a gateway considers: how many tasks it sends in all (`totals`), and the model for the others.

    Attributes:
        sent: Tasks of each level that are sent for each total.
        possible: Whether a gateway can send so many.
        local: Value of the tasks that stay, by model.
        lost: Expected number of sent tasks that are late.
        places: Sum of the queue positions of the tasks that are expected in time.
    """

    sent: Int64[Tensor, "batch gateways totals levels"]
    possible: Bool[Tensor, "batch gateways totals"]
    local: Float[Tensor, "batch gateways totals models"]
    lost: Float[Tensor, "batch gateways totals"]
    places: Float[Tensor, "batch gateways totals"]


@dataclass(frozen=True, eq=False)
class Claims:
    """Shares of the edge in a batch of slots.

    Attributes:
        rest: Index of the gateway that takes what the others leave.
        takes: The same as a mask.
        share: Each gateway's share.
        log_share: Its logarithm.
        noise: Departure of each claim from its mean, in standard deviations.
        expected: The critic's value of each gateway's best decision at its mean claim.
    """

    rest: Int64[Tensor, " batch"]
    takes: Bool[Tensor, "batch gateways"]
    share: PerGateway
    log_share: PerGateway
    noise: PerGateway
    expected: PerGateway


@dataclass(frozen=True, eq=False)
class Decision:
    """What was decided.

    Attributes:
        sent: Number of tasks of each level that are sent.
        model: Index of each gateway's model.
        claims: Shares of the edge.
    """

    sent: Counts
    model: Channels
    claims: Claims
