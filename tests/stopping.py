"""A training that is stopped a number of times, and goes on from its last checkpoint each time."""

from optimizer.learning.job import Job
from optimizer.learning.options import TrainConfig
from optimizer.learning.run import train


class Stop(BaseException):
    """Stops a training where it tells how far it is."""


def train_with_stops(job: Job, config: TrainConfig, stops: int) -> None:
    """Train a policy, stopped at its first `stops` reports."""
    left = stops

    def report(*_) -> None:
        nonlocal left
        if left:
            left -= 1
            raise Stop

    while True:
        try:
            train(job, config, report)
            return
        except Stop:
            continue
