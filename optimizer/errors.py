"""The exceptions of `optimizer`."""

from typing import Any

from data.common.errors import UserError


class OptimizerError(UserError):
    """A scenario, state or action that cannot be used, told to the person who can mend it."""


class BadSlotError(OptimizerError):
    """A slot whose outcome is not a number; `slot` is it, as `optimizer.solve --states` reads slots."""

    def __init__(self, problem: str, slot: dict[str, Any]) -> None:
        super().__init__(problem, "The slot is kept in failed.json, for optimizer.solve --states.")
        self.slot = slot
