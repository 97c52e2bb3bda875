"""One interface for everything that decides: the optimum, the schemes it is compared with, the learned policies."""

from typing import Protocol, runtime_checkable

from optimizer.network.slots import Action, State


@runtime_checkable
class Policy(Protocol):
    """Decides for the slots of one network.

    The batch axis is time: a scheme with a memory decides the slots of a batch in order and goes on at the next call.

    Attributes:
        name: Name in tables.
    """

    name: str

    def decide(self, state: State) -> Action:
        """Offloading, models and shares for each slot."""
        ...
