"""What is searched: for each preset, its settings with their bounds."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from optimizer.learning.factory.settings import FactoryConfig
from optimizer.learning.options import TrainConfig
from optimizer.learning.paper_sac import SacConfig
from optimizer.learning.schedule import LearnerConfig
from optimizer.network.scenario import Scenario

Values = Mapping[str, Any]
Settings = LearnerConfig | FactoryConfig | SacConfig


@dataclass(frozen=True)
class Range:
    """A number between two bounds; `log`: as likely in every decade."""

    low: float
    high: float
    log: bool = False


Choice = tuple[Any, ...]
Space = dict[str, Range | Choice]

# Bounds picked by hand: a decade or two to either side of the settings as they are, and Table III inside.
PAPER: Space = {
    "lr": Range(1e-5, 1e-2, log=True),
    "gamma": Range(0.0, 0.99),
    "alpha": Range(1e-6, 1e-1, log=True),
    "zeta": Range(1e-5, 1e-1, log=True),
    "entropy_in_target": (False, True),
    "batch": (64, 128, 256, 512),
    "buffer": (1000, 3000, 10_000),
    "width": (128, 256, 512, 1024),
    "depth": (1, 2, 3),
}
DEFAULT: Space = {
    "critic_lr": Range(1e-3, 1e-1, log=True),
    "network_lr": Range(3e-4, 3e-2, log=True),
    "explore": Range(0.1, 0.9),
    "explore_last": Range(0.001, 0.1, log=True),
    "temperature": Range(0.2, 20.0, log=True),
    "temperature_last": Range(4e-4, 4e-2, log=True),
    "spread": Range(0.02, 0.5, log=True),
    "spread_half": Range(0.01, 0.2, log=True),
    "spread_last": Range(2e-4, 1e-2, log=True),
    "search": Range(0.05, 0.9),
    "claim_lr": Range(0.01, 1.0, log=True),
}
FACTORY: Space = {
    "slots": (16, 32, 64, 128),
    "at_random": Range(1, 20),
    "explore": Range(0.0, 0.5),
}


def space_of(config: TrainConfig, scenario: Scenario) -> Space:
    """The settings that are searched for a training on this network."""
    if config.preset == "paper":
        return PAPER
    return FACTORY if scenario.can_refuse else DEFAULT


def settings_of(config: TrainConfig, scenario: Scenario) -> Settings:
    """The settings that a training on this network has."""
    if config.preset == "paper":
        return config.sac
    return config.factory if scenario.can_refuse else config.learner


def begun_with(settings: Settings, space: Space) -> dict[str, Any]:
    """The settings as they are, as values of the search; without those that lie outside its bounds."""
    if isinstance(settings, SacConfig):
        given = {**vars(settings), "width": settings.hidden[0], "depth": len(settings.hidden)}
    else:
        given = dict(vars(settings))
    return {name: given[name] for name, bounds in space.items() if _inside(given[name], bounds)}


def _inside(value: Any, bounds: Range | Choice) -> bool:
    return bounds.low <= value <= bounds.high if isinstance(bounds, Range) else value in bounds


def changed(settings: Settings, values: Values) -> Settings:
    """Settings with values of the search in their places."""
    given = dict(values)
    if isinstance(settings, SacConfig):
        width, depth = given.pop("width", settings.hidden[0]), given.pop("depth", len(settings.hidden))
        return replace(settings, hidden=(width,) * depth, **given)
    if isinstance(settings, FactoryConfig) and "at_random" in given:
        given["at_random"] = round(given["at_random"])
    return replace(settings, **given)


def with_settings(config: TrainConfig, settings: Settings) -> TrainConfig:
    """A training with these settings."""
    if isinstance(settings, SacConfig):
        return replace(config, sac=settings)
    if isinstance(settings, FactoryConfig):
        return replace(config, factory=settings)
    return replace(config, learner=settings)


def as_options(settings: Settings, values: Values) -> str:
    """Values of the search as options of `python -m optimizer.train`."""
    prefix = {SacConfig: "paper", FactoryConfig: "factory", LearnerConfig: "default"}[type(settings)]
    found = changed(settings, values)
    names = dict.fromkeys("hidden" if name in ("width", "depth") else name for name in values)
    return " ".join(_option(prefix, name, getattr(found, name)) for name in names)


def _option(prefix: str, name: str, value: Any) -> str:
    dashed = name.replace("_", "-")
    if isinstance(value, bool):
        return f"--{prefix}.{dashed}" if value else f"--{prefix}.no-{dashed}"
    if isinstance(value, tuple):
        return f"--{prefix}.{dashed} {' '.join(map(str, value))}"
    return f"--{prefix}.{dashed} {value:.4g}" if isinstance(value, float) else f"--{prefix}.{dashed} {value}"
