"""The stages of a pipeline, one function each: what it runs, what it reads and what it leaves.

    prune -> profile -> edge -> capacity -> train -> trial -> evaluate -> paper's policy -> experiment
    -> report

Capacity, training, trial and evaluation are of the network as a factory has it; the experiment repeats the paper's
figures on the paper's network, from the same profiles.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from data.common.device import has_gpu
from data.common.files import sha256, write_json
from data.common.parse import read_json
from data.config import WEAK
from optimizer.errors import OptimizerError
from optimizer.evaluation.reading import read_capacity
from optimizer.evaluation.section_v import small_network
from optimizer.learning.options import TrainConfig
from optimizer.network.options import NetworkConfig
from optimizer.pipeline.arguments import arguments
from optimizer.pipeline.given import copy_of, given_files, has_runs
from optimizer.pipeline.options import PipelineConfig
from optimizer.pipeline.report import write_report
from optimizer.pipeline.state import Fingerprint
from profiling.config import RunConfig as ProfileConfig
from pruning.config import SweepConfig

Command = tuple[str, ...]
CAPACITY_SLOTS = 50  # slots at each number of sensors
CAPACITY_S = 20.0  # seconds for each scheme
PRICE_RISKS = "0.1,0.01,0.001"  # with PRICE_SCHEMES and PRICE_SLOTS a rough search of half a minute
PRICE_SCHEMES = "greedy,local"
PRICE_SLOTS, PRICE_S = 10, 4.0
LOADED = 0.9  # --sensors auto: share of the best scheme's capacity
# The optimum of the paper's problem takes seconds for a slot of so many sensors; `capacity` shows where it ends.
PAPERS = ("one batch", "none")
PAPERS_SCHEMES = "optimum,jopav1,equal,greedy,local,edge,agdm"
SCHEMES = "optimum,equal,greedy,local,local-batch,edge,agdm"
QUARTERS = (2, 3, 4, 5, 6)  # the experiment's loads, in quarters of --sensors: half of it to one and a half times


@dataclass(frozen=True)
class Stage:
    """One step of the pipeline.

    Attributes:
        name: Name for progress and the state file.
        commands: Commands to run in order, each as module and arguments.
        reads: Files whose content it depends on.
        leaves: Files that must be there when it is done.
        resumes: Files and folders that its command would go on with; they are set aside when its input has changed.
        after: Called last, in this process.
        together: Whether the commands run side by side: each keeps one core busy.
    """

    name: str
    commands: tuple[Command, ...]
    reads: tuple[Path, ...]
    leaves: tuple[Path, ...]
    resumes: tuple[Path, ...] = ()
    after: Callable[[], None] | None = None
    together: bool = False

    def fingerprint(self) -> Fingerprint:
        """What the stage is made from: its commands and the content of what it reads. Raises OptimizerError."""
        missing = [p for p in self.reads if not p.is_file()]
        if missing:
            raise OptimizerError(
                f"stage {self.name}: {missing[0]} is missing.",
                "An earlier stage should have left it; remove pipeline.json and run the pipeline again.",
            )
        return Fingerprint(commands=[list(c) for c in self.commands], reads={str(p): sha256(p) for p in self.reads})


@dataclass(frozen=True)
class Run:
    """A run's settings and the paths in its folder."""

    config: PipelineConfig

    @property
    def out(self) -> Path:
        """The folder."""
        return self.config.out

    @property
    def bundle(self) -> Path:
        """The model bundle."""
        return self.out / "bundle"

    @property
    def manifest(self) -> Path:
        """The bundle's manifest."""
        return self.bundle / "models.json"

    @property
    def gateway(self) -> Path:
        """The gateway's profile."""
        return self.out / "gateway.json"

    @property
    def edge(self) -> Path:
        """The edge server's profile."""
        return self.out / "edge.json"

    @property
    def capacity(self) -> Path:
        """What was found about the number of sensors."""
        return self.out / "capacity" / "capacity.json"

    @property
    def sensors(self) -> int:
        """Number of sensors of the factory's network: as given, or from what was found about its capacity."""
        if self.config.sensors is not None:
            return self.config.sensors
        base = self.config.base
        if not self.capacity.is_file():  # an earlier stage will write it
            return base.sensors
        most = max(scheme.sensors for scheme in read_capacity(self.capacity).schemes.values())
        return max(base.gateways, int(LOADED * most))

    @property
    def policy(self) -> Path:
        """The policy of the factory's network (of the first seed)."""
        return self.out / "policies" / f"n{self.sensors}-seed{self.config.train.seeds[0]}"

    @property
    def papers_policy(self) -> Path:
        """The policy of the paper's network (of the first seed)."""
        return self.out / "paper" / f"n{self.config.paper_sensors}-seed{self.config.train.seeds[0]}"

    @property
    def small_scenario(self) -> Path:
        """Scenario file of Fig. 8's small network."""
        return self.out / "small.json"

    @property
    def small_policy(self) -> Path:
        """The small network's policy."""
        return self.out / "small" / f"n6-seed{self.config.train.seeds[0]}"

    @property
    def experiment(self) -> Path:
        """Folder of the experiment."""
        return self.out / "experiment"

    def network(self, scenario: str | None = None) -> Command:
        """Options that name the paper's network, by default with the pipeline's own scenario."""
        own = self.config.network
        reward = self.config.base.reward if own.reward in (None, "service") else own.reward
        papers = replace(own.expected(), execution="one batch", queue="none", reward=reward)
        return self._options(papers if scenario is None else replace(papers, scenario=scenario))

    def factory(self, *, certain: bool = True) -> Command:
        """Options that name the network as a factory has it: critical levels first, and a queue at the edge.

        Args:
            certain: With the risk and the confidence that were asked for.
        """
        own = self.config.network if certain else replace(self.config.network, risk=None, confidence=None)
        return self._options(replace(own, execution=own.execution or "by level", queue=own.queue or "fifo"))

    def _options(self, options: NetworkConfig) -> Command:
        options = replace(options, accept_weak=options.accept_weak or WEAK in self.config.data.accept)
        return (*arguments(options, NetworkConfig), "--gateway", str(self.gateway), "--edge", str(self.edge))

    def schemes(self) -> str:
        """The schemes that the factory's network is evaluated and tried with."""
        return SCHEMES if (self.config.network.execution, self.config.network.queue) != PAPERS else PAPERS_SCHEMES

    @property
    def network_files(self) -> tuple[Path, ...]:
        """Files that the network is built from; the small scenario stands for the scenario that it is made of."""
        return (self.gateway, self.edge, self.small_scenario, *given_files(self.config.network.link))

    def train(self, network: Command, updates: int, *options: str, out: Path) -> Command:
        """A training command."""
        settings = replace(self.config.train, learner=replace(self.config.train.learner, updates=updates), out=out)
        return ("optimizer.train", *network, *options, *arguments(settings, TrainConfig))


def prune(run: Run) -> Stage:
    """Recordings to a bundle of pruned models."""
    config = run.config
    settings = replace(config.prune, data=config.data, rates=config.rates, out=run.bundle)
    command = ("pruning.run", *arguments(settings, SweepConfig))
    return Stage("prune", (command,), reads=(), leaves=(run.manifest,), resumes=(run.bundle,))


def profile(run: Run) -> Stage:
    """The gateway's profile: measured here, or given."""
    given = run.config.gateway
    settings = replace(run.config.profile, models=run.bundle, out=run.gateway)
    command = ("profiling.run", *arguments(settings, ProfileConfig))
    return Stage(
        "profile",
        (command,) if given is None else (),
        reads=(run.manifest, *given_files(given)),
        leaves=(run.gateway,),
        resumes=(run.gateway.with_suffix(""), run.gateway),
        after=copy_of(given, run.gateway),
    )


def edge(run: Run) -> Stage:
    """The edge server's profile: measured on this machine's GPU, from a datasheet, or given."""
    given = run.config.edge
    files = ("--models", str(run.bundle), "--out", str(run.edge))
    measured = ("profiling.run", "--device", "cuda", "--runtime", "torch", *files)
    command = measured if has_gpu() else ("profiling.spec", "--device", "rtx-3070", *files)
    return Stage(
        "edge",
        (command,) if given is None else (),
        reads=(run.manifest, *given_files(given)),
        leaves=(run.edge,),
        resumes=(run.edge.with_suffix(""),),
        after=copy_of(given, run.edge),
    )


def capacity(run: Run) -> Stage:
    """How many sensors each scheme carries in the factory's network."""
    out = run.capacity.parent
    command = (
        "optimizer.capacity", *run.factory(), "--slots", str(CAPACITY_SLOTS), "--seconds", str(CAPACITY_S), "--seed",
        str(run.config.seed), "--json", str(run.capacity), "--out", str(out),
    )  # fmt: skip
    price = out / "price.json"
    prices = (
        "optimizer.capacity", *run.factory(certain=False), "--schemes", PRICE_SCHEMES, "--risks", PRICE_RISKS,
        "--slots", str(PRICE_SLOTS), "--seconds", str(PRICE_S), "--seed", str(run.config.seed), "--json", str(price),
        "--out", str(out / "price"),
    )  # fmt: skip
    leaves = (
        run.capacity,
        out / "capacity.png",
        *((price, out / "price" / "price.png") if has_runs(run.gateway) else ()),
    )
    commands = (command, prices) if has_runs(run.gateway) else (command,)
    return Stage("capacity", commands, reads=run.network_files, leaves=leaves)


def train(run: Run) -> Stage:
    """A policy for the factory's network."""
    command = run.train(run.factory(), run.config.updates, "--sensors", str(run.sensors), out=run.policy.parent)
    return Stage(
        "train", (command,), reads=(*run.network_files, run.capacity), leaves=(run.policy / "policy.json",),
        resumes=(run.policy.parent,),
    )  # fmt: skip


def trial(run: Run) -> Stage:
    """Decisions of the policy and of every scheme, carried out with real inference."""
    out = run.out / "trial.json"
    command = (
        "optimizer.trial", *run.factory(), "--sensors", str(run.sensors), "--policy", str(run.policy), "--schemes",
        run.schemes(), "--models", str(run.bundle), "--slots", str(run.config.trial_slots), "--seed",
        str(run.config.seed), "--out", str(out),
    )  # fmt: skip
    reads = (run.manifest, *run.network_files, run.policy / "policy.json")
    return Stage("trial", (command,), reads=reads, leaves=(out, out.with_suffix(".png")))


def evaluate(run: Run) -> Stage:
    """The policy beside the optimum and the schemes."""
    out = run.out / "evaluation.json"
    command = (
        "optimizer.evaluate", "--policy", str(run.policy.parent), "--schemes", run.schemes(), "--slots",
        str(run.config.slots), "--seed", str(run.config.seed), "--json", str(out),
    )  # fmt: skip
    return Stage("evaluate", (command,), reads=(run.policy / "policy.json",), leaves=(out,))


def papers_policies(run: Run) -> Stage:
    """Policies for the paper's network and for Fig. 8's of 3 gateways and 6 sensors, from the same profiles."""
    sensors = ("--sensors", str(run.config.paper_sensors))
    own = run.train(run.network(), run.config.updates, *sensors, out=run.papers_policy.parent)
    small = run.train(run.network(str(run.small_scenario)), run.config.small_updates, out=run.small_policy.parent)
    return Stage(
        "paper's policy",
        (own, small),
        reads=run.network_files,
        leaves=(run.papers_policy / "policy.json", run.small_policy / "policy.json"),
        resumes=(run.papers_policy.parent, run.small_policy.parent),
        together=True,
    )


def experiment(run: Run) -> Stage:
    """Section V's evaluation from half of the load to one and a half times."""
    least = run.config.base.gateways  # a gateway has at least one sensor
    sizes = dict.fromkeys(max(least, run.config.paper_sensors * k // 4) for k in QUARTERS)
    command = (
        "optimizer.experiment", *run.network(), "--sensors", ",".join(map(str, sizes)), "--slots",
        str(run.config.paper_slots), "--seed", str(run.config.seed), "--policies", str(run.papers_policy.parent),
        "--small", str(run.small_policy.parent), "--out", str(run.experiment),
    )  # fmt: skip
    return Stage(
        "experiment",
        (command,),
        reads=(*run.network_files, run.papers_policy / "policy.json", run.small_policy / "policy.json"),
        leaves=(run.experiment / "results.json", run.experiment / "figures" / "captions.json"),
    )


def report(run: Run) -> Stage:
    """The page."""
    out, page = run.out, run.out / "report.html"
    reads = (
        run.manifest, run.gateway, run.edge, run.capacity, out / "evaluation.json", out / "trial.json",
        run.experiment / "results.json",
    )  # fmt: skip
    return Stage("report", (), reads=reads, leaves=(page,), after=lambda: write_report(out, page))


STAGES = (prune, profile, edge, capacity, train, trial, evaluate, papers_policies, experiment, report)


def stages(config: PipelineConfig) -> Iterator[Stage]:
    """All stages of a run, in order. Each is made when it is asked for: some follow from what earlier ones wrote."""
    return (make(Run(config)) for make in STAGES)


def write_small_scenario(config: PipelineConfig) -> None:
    """Write the scenario of Fig. 8's network (3 gateways, 6 sensors), unless it stands there already."""
    path, content = Run(config).small_scenario, small_network(config.base).dump()
    if not path.is_file() or read_json(path, OptimizerError, remedy="Remove it.") != content:
        write_json(path, content)
