"""What is measured, and how it is called in the journal."""

from dataclasses import dataclass

from profiling.measuring.measure import Journal
from profiling.measuring.run_statistics import Visits
from profiling.profile.entries import Precision


@dataclass(frozen=True)
class Cell:
    """One thing to measure: a model at a precision, batch size and number of threads."""

    rate: float
    precision: Precision
    batch: int
    threads: int

    @property
    def key(self) -> str:
        """Its name between processes and in the journal."""
        return f"{self.rate:g}/{self.precision}/{self.batch}/{self.threads}"


def predictions_key(rate: float, precision: Precision) -> str:
    """The key of a model's predictions."""
    return f"{rate:g}/{precision}/predictions"


def visits_of(journal: Journal) -> dict[str, Visits]:
    """All visits of a journal by cell."""
    found: dict[str, Visits] = {}
    for event in journal.of("visit"):
        found.setdefault(event["key"], Visits()).add(event)
    return found
