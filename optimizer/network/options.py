"""Options that say which network a command works on; all commands of `optimizer` share them."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from optimizer.errors import OptimizerError
from optimizer.network.certainty import Certainty, Tails, check_confidence, check_risk
from optimizer.network.from_profiles import change_network, load_link, measured_scenario
from optimizer.network.local_models import Accuracy, Latency
from optimizer.network.parts import Execution, Queue
from optimizer.network.rewards import REWARDS
from optimizer.network.scenario import SHIPPED, Scenario
from profiling.profile.entries import Percentile, Precision
from profiling.profile.profile import Profile
from profiling.profile.samples import read_samples

if TYPE_CHECKING:
    RewardName = str
else:  # the choices of the option are the registry's names
    RewardName = Literal[tuple(REWARDS)]

REWARD_HELP = (
    "; ".join(f"{reward.name}: {reward.meaning}" for reward in REWARDS.values())
    + ". The penalty for dropped tasks is subtracted from each. By default service with profiles in a network whose "
    "gateways work by level or whose edge has a queue, else the scenario's own."
)


MOST_MARGIN = 10.0


@dataclass(frozen=True)
class NetworkConfig:
    """The network."""

    scenario: Annotated[
        str,
        tyro.conf.arg(
            help=f"{', '.join(SHIPPED)}, or a TOML file. With --gateway and --edge, it supplies "
            "what the profiles lack (sensors, levels, link, slot, penalty); `measured` stands for `paper` there."
        ),
    ] = "paper"
    gateway: Path | None = None
    """Profile of the gateway, from `python -m profiling.run`. Its pruned models are those that gateways can run."""
    edge: Path | None = None
    """Profile of the edge server, from `python -m profiling.run` or `python -m profiling.spec`."""
    link: Path | None = None
    """TOML file that describes another uplink."""
    latency: Latency = "measured"
    """With profiles: `measured` joins the measured batches by straight lines; `fit` takes the fitted law, overhead +
    batch * FLOP / C."""
    accuracy: Accuracy | None = None
    """With profiles: `measured` takes each model's measured accuracy, `cubic` the fitted curve, `monotone` the measured
    accuracies made to never rise with the rate. By default `measured` in the paper's network, `monotone` elsewhere."""
    percentile: Percentile = "p50"
    """With profiles: percentile of the measured latency to plan with."""
    precision: Precision | None = None
    """With profiles: precision of the gateway's models. By default the first one in the profile; by level, all."""
    execution: Execution | None = None
    """How gateways work: `one batch`, as in the paper, or `by level`, the most critical level first, each level as one
    batch on a model of its own. By default `by level` with profiles, else the scenario's own."""
    queue: Queue | None = None
    """What happens where the edge is slower than a gateway's link: with `none` tasks are lost, (17f) of the paper; with
    `fifo` they wait for each other, and only late ones are lost. By default `fifo` with profiles, else the scenario's
    own."""
    margin: float = 0.0
    """Plan with inference times that are longer by this share, on the gateways and at the edge; 0.1 is 10 %."""
    risk: float | None = None
    """With profiles: share of the tasks that may be late because inference times scatter as in the profile, above 0
    and at most 0.5, e.g. 0.001. It takes the place of --percentile; a --margin is added to it."""
    confidence: float | None = None
    """With profiles: plan with the lower bounds of the models' relative accuracies at this confidence, e.g. 0.95."""
    reward: Annotated[RewardName | None, tyro.conf.arg(help=REWARD_HELP)] = None
    extrapolate: bool = False
    """Allow gateways with more sensors than the largest measured batch: larger batches run in portions of it."""
    allow_other_bundle: bool = False
    """Accept two profiles that were measured on different bundles."""
    accept_weak: bool = False
    """Accept profiles whose dense model is no better than always naming the most frequent class."""

    def __post_init__(self) -> None:
        if (self.gateway is None) != (self.edge is None):
            raise OptimizerError(
                "--gateway and --edge go together.", "For a device without a profile: python -m profiling.spec"
            )
        if not 0 <= self.margin <= MOST_MARGIN:
            raise OptimizerError(f"--margin: expected a share from 0 to {MOST_MARGIN:g}; got {self.margin:g}.")
        self._check_certainty()
        if self.scenario == "measured" and self.gateway is None:
            raise OptimizerError("--scenario measured needs --gateway PROFILE and --edge PROFILE.")

    @property
    def needs_profiles(self) -> bool:
        """Whether options that need profiles are an error without them; the pipeline's are given later."""
        return True

    def _check_certainty(self) -> None:
        for option, value in (("--risk", self.risk), ("--confidence", self.confidence)):
            if value is not None and self.gateway is None and self.needs_profiles:
                raise OptimizerError(
                    f"{option} needs a measured network.", "Give --gateway PROFILE and --edge PROFILE."
                )
        if self.confidence is not None:
            check_confidence(self.confidence)
        if self.risk is None:
            return
        check_risk(self.risk)
        if self.percentile != "p50":
            raise OptimizerError(
                f"--risk and --percentile {self.percentile} both say which times to plan with.", "Give one of them."
            )
        if self.latency == "fit":
            raise OptimizerError("--risk plans with measured times; got --latency fit.", "Leave --latency out.")

    def expected(self) -> "NetworkConfig":
        """The same network as it is expected to be, without what a plan adds to be sure."""
        return replace(self, margin=0.0, risk=None, confidence=None)


def factory_defaults(config: NetworkConfig) -> NetworkConfig:
    """The options with what a measured network is by default: it works by level, queues at the edge, counts answers."""
    if config.gateway is None:
        return config
    config = replace(config, execution=config.execution or "by level", queue=config.queue or "fifo")
    papers = (config.execution, config.queue) == ("one batch", "none")
    return config if papers else replace(config, reward=config.reward or "service")


def _certainty(config: NetworkConfig, scenario: Scenario) -> Certainty:
    """How sure the plan is to be, with the runs that this needs. Raises ProfilingError: there are none."""
    if config.risk is None or config.gateway is None or config.edge is None:
        return Certainty(config.confidence)
    gateway, edge = Profile.load(config.gateway), Profile.load(config.edge)
    samples = read_samples(config.gateway, gateway)
    edges = None if edge.kind == "datasheet" else read_samples(config.edge, edge)
    batches = len(scenario.qos) if scenario.by_level else 1
    return Certainty(config.confidence, Tails.of(config.risk, batches, samples, edges))


def build_scenario(
    config: NetworkConfig, sensors: int | None = None, *, papers: bool = False, keep: Scenario | None = None
) -> Scenario:
    """The scenario that the options describe.

    Args:
        config: The options.
        sensors: Number of sensors, N; by default the scenario's own.
        papers: Whether a measured network is the paper's by default; otherwise it is a factory's.
        keep: Another plan of the same network, whose models are kept, so that its decisions can be looked at here.

    Raises:
        OptimizerError, ProfilingError: A file or value that cannot be used.
    """
    config = config if papers else factory_defaults(config)
    scenario = Scenario.load("paper" if config.scenario == "measured" else config.scenario)
    if config.reward is not None:
        scenario = scenario.change(reward=config.reward)
    scenario = change_network(scenario, config.execution, config.queue)
    if config.extrapolate:
        scenario = scenario.change(extrapolate=True)
    if sensors is not None:
        scenario = scenario.with_sensors(sensors)
    link = load_link(config.link) if config.link is not None else None
    if config.gateway is None or config.edge is None:
        network = scenario if link is None else scenario.change(link=link)
    else:
        network = measured_scenario(
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
            accept_weak=config.accept_weak,
            certainty=_certainty(config, scenario),
            keep=None if keep is None else keep.models,
        )
    return network.slower(1 + config.margin) if config.margin else network
