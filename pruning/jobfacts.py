"""What job folders hold beside tensors, as validated models: facts of a job, state of a checkpoint, the history."""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from data.common.parse import read_lines
from data.common.schema import Count, Finite, Fraction, Hash, NonNegative, Rate, Strict, first_problem
from pruning.bundle import Width
from pruning.errors import PruningError


class LogEntry(Strict):
    """One epoch, `pruning.state.EpochLog`."""

    epoch: Count
    lr: NonNegative
    train_loss: Finite
    validation_loss: Finite | None
    validation_accuracy: Fraction | None


class HistoryLine(LogEntry):
    """One line of `history.jsonl`: an epoch of a job."""

    seed: Count
    rate: Rate
    phase: Literal["train", "control", "retrain"]
    step: Count


class JobFacts(Strict):
    """`job.json` of a finished job."""

    job: dict[str, Any]
    widths: list[Width] = Field(min_length=13, max_length=13)
    hidden: list[Width] = Field(min_length=2, max_length=2)
    channels_kept: list[Count]
    parameters_nonzero: Count
    validation_loss: Finite | None
    logs: list[LogEntry]
    sha256: dict[str, Hash]


class CheckpointState(Strict):
    """What stands beside the tensors of an unfinished training."""

    epoch: Count
    best_loss: Finite
    best_epoch: int
    logs: list[LogEntry]


def fits(model: type[Strict], content: Any) -> bool:
    """Whether parsed JSON is what a model describes."""
    try:
        model.model_validate(content)
    except ValidationError:
        return False
    return True


def read_history(path: Path) -> list[dict[str, Any]]:
    """The lines of a bundle's history.

    Raises:
        PruningError: It cannot be read, or a line has a wrong field, which is named.
    """
    found = []
    for number, line in enumerate(read_lines(path, PruningError, remedy="Restore it."), start=1):
        try:
            found.append(HistoryLine.model_validate(line).model_dump())
        except ValidationError as error:
            raise PruningError(f"{path}, line {number}: {first_problem(error)}.", "Restore it.") from None
    return found
