"""Which network a command works on: options shared by all commands of `optimizer`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from optimizer.errors import OptimizerError
from optimizer.network.from_profiles import load_link, measured_scenario
from optimizer.network.scenario import Scenario
from profiling.profile.profile import Profile


@dataclass(frozen=True)
class NetworkConfig:
    """The network."""

    scenario: str = "paper"
    """paper, paper-heavy, paper-printed, or a TOML file. With --gateway and --edge: what the profiles do not say
    (`measured` stands for `paper` there)."""
    gateway: Path | None = None
    """Profile of the gateway, from `python -m profiling.run`; its pruned models are those that gateways run."""
    edge: Path | None = None
    """Profile of the edge server (measured, or from `python -m profiling.spec`)."""
    link: Path | None = None
    """TOML file of another uplink."""
    latency: Literal["measured", "fit"] = "measured"
    """With profiles: lines between measured batches, or the fitted overhead + batch * FLOP / C."""
    accuracy: Literal["measured", "cubic"] = "measured"
    """With profiles: each model's measured accuracy, or the fitted cubic."""
    percentile: Literal["p50", "p90", "p99"] = "p50"
    """With profiles: the percentile of the measured latency to plan with."""
    precision: Literal["fp32", "bf16", "int8"] | None = None
    """With profiles: of the gateway's models. By default the profile's first."""
    reward: Literal["utilization", "goodput", "delay", "literal"] | None = None
    """utilization, eq. (21); goodput: accuracy a task; delay: minus the mean delay; each less the penalty for drops.
    By default the scenario's."""
    extrapolate: bool = False
    """Allow more sensors a gateway than the largest measured batch."""
    allow_other_bundle: bool = False
    """Go on though the two profiles are of different bundles."""

    def __post_init__(self) -> None:
        if (self.gateway is None) != (self.edge is None):
            raise OptimizerError(
                "--gateway and --edge go together.", "For a device without a profile: python -m profiling.spec"
            )
        if self.scenario == "measured" and self.gateway is None:
            raise OptimizerError("--scenario measured needs --gateway PROFILE and --edge PROFILE.")


def build_scenario(config: NetworkConfig, sensors: int | None = None) -> Scenario:
    """The scenario that the options describe.

    Args:
        config: The options.
        sensors: N; by default the scenario's own.

    Raises:
        OptimizerError, ProfilingError: A file or value that cannot be used.
    """
    scenario = Scenario.load("paper" if config.scenario == "measured" else config.scenario)
    if config.reward is not None:
        scenario = scenario.change(reward=config.reward)
    if config.extrapolate:
        scenario = scenario.change(extrapolate=True)
    if sensors is not None:
        scenario = scenario.with_sensors(sensors)
    link = load_link(config.link) if config.link is not None else None
    if config.gateway is None or config.edge is None:
        return scenario if link is None else scenario.change(link=link)
    return measured_scenario(
        Profile.load(config.gateway),
        Profile.load(config.edge),
        scenario,
        link=link,
        latency=config.latency,
        accuracy=config.accuracy,
        percentile=config.percentile,
        precision=config.precision,
        extrapolate=config.extrapolate,
        allow_other_bundle=config.allow_other_bundle,
    )
