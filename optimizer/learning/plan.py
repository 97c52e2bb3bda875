"""Which policies a configuration asks for: one per number of sensors (or one for all) and seed."""

from collections.abc import Sequence

from optimizer.learning.job import Job
from optimizer.learning.options import TrainConfig
from optimizer.network.options import build_scenario
from optimizer.network.scenario import Scenario


def plan(config: TrainConfig) -> list[Job]:
    """The policies to train, named after their network and seed.

    Raises:
        OptimizerError, ProfilingError: A scenario or profile cannot be used.
    """
    scenarios = [_network(config, n) for n in config.sensors or (None,)]
    each = [(f"n{s.sensors}", (s,)) for s in scenarios]
    courses: Sequence[tuple[str, tuple[Scenario, ...]]] = [("mixed", tuple(scenarios))] if config.mixed else each
    return [Job(f"{name}-seed{seed}", networks, seed) for name, networks in courses for seed in config.seeds]


def _network(config: TrainConfig, sensors: int | None) -> Scenario:
    scenario = build_scenario(config.network, sensors)
    return scenario if config.rates is None else scenario.with_models(config.rates)
