"""Schemes by name. To add one, write its policy in a module of this package and name it in `SCHEMES`."""

from collections.abc import Callable
from dataclasses import dataclass

from optimizer.errors import OptimizerError
from optimizer.network.parts import LocalModel
from optimizer.network.scenario import Scenario
from optimizer.schemes.agdm import Agdm
from optimizer.schemes.base import Policy
from optimizer.schemes.baselines import AllEdge, AllLocal, BestPossible, Greedy, PaperOptimum, RandomChoice
from optimizer.schemes.exhaustive import Exhaustive

MID_PRUNED = 0.7  # rate of the one model that JOPAV1 and AGDM use in the paper


@dataclass(frozen=True)
class Search:
    """How far exact schemes search.

    Attributes:
        shares: "exact" for continuous shares of the edge, or the number of steps of a grid.
        gap: Share of the reward that may be left, as in `optimum`; None for its default.
    """

    shares: str | int = "exact"
    gap: float | None = None


@dataclass(frozen=True)
class Scheme:
    """A way to decide that policies are compared with.

    Attributes:
        name: The name that users type.
        label: The name in tables and figures; `name` of the policies that it makes.
        help: One line for help texts.
        make: Makes its policy from a scenario, what is searched, and a random seed.
        small: Whether it can be used on networks of a few sensors only.
        factory: Whether it is for networks beyond the paper's only: in the paper's it is the same as another scheme.
    """

    name: str
    label: str
    help: str
    make: Callable[[Scenario, Search, int], Policy]
    small: bool = False
    factory: bool = False

    def fits(self, scenario: Scenario) -> bool:
        """Whether `all` schemes of a network include this one."""
        return not self.small and (scenario.can_refuse or not self.factory)


def mid_model(scenario: Scenario) -> LocalModel:
    """The model whose rate is nearest to the paper's 0.7; the first of its precisions."""
    return min(scenario.models, key=lambda m: abs(m.rate - MID_PRUNED))


def mid_pruned(scenario: Scenario) -> float:
    """The rate nearest to the paper's 0.7 among the scenario's models."""
    return mid_model(scenario).rate


def schemes_of(scenario: Scenario) -> tuple[str, ...]:
    """The schemes that `all` stands for in a network."""
    return tuple(name for name, scheme in SCHEMES.items() if scheme.fits(scenario))


def _jopav1(scenario: Scenario, search: Search) -> Policy:
    if scenario.can_refuse:
        return PaperOptimum(scenario, search.shares, mid_model(scenario), gap=search.gap, name="JOPAV1")
    return BestPossible(scenario, search.shares, (mid_pruned(scenario),), gap=search.gap, name="JOPAV1")


SCHEMES: dict[str, Scheme] = {
    scheme.name: scheme
    for scheme in (
        Scheme(
            "optimum",
            "optimum",
            "the exact optimum",
            lambda s, search, _: BestPossible(s, search.shares, gap=search.gap),
        ),
        Scheme(
            "jopav1",
            "JOPAV1",
            "the exact optimum of the paper's problem with one model, p = 0.7",
            lambda s, search, _: _jopav1(s, search),
        ),
        Scheme(
            "paper",
            "paper's optimum",
            "the exact optimum of the paper's problem (one batch, no queue at the edge), carried out here",
            lambda s, search, _: PaperOptimum(s, search.shares, gap=search.gap, name="paper's optimum"),
            factory=True,
        ),
        Scheme(
            "agdm",
            "AGDM",
            "least delay under an accuracy guarantee",
            lambda s, _, seed: Agdm(s, mid_pruned(s), seed=seed),
        ),
        Scheme(
            "equal",
            "equal shares",
            "the exact optimum at equal shares",
            lambda s, search, _: BestPossible(s, search.shares, equal=True, name="equal shares"),
        ),
        Scheme("greedy", "greedy", "the most critical tasks are offloaded first", lambda s, _search, _seed: Greedy(s)),
        Scheme("local", "all local", "everything on the gateways, best model", lambda s, _search, _seed: AllLocal(s)),
        Scheme(
            "local-batch",
            "local, one batch",
            "everything on the gateways, in one batch on the best model",
            lambda s, _search, _seed: AllLocal(s, by_level=False, name="local, one batch"),
            factory=True,
        ),
        Scheme("edge", "all edge", "everything at the edge", lambda s, _search, _seed: AllEdge(s)),
        Scheme("random", "random", "uniform random decisions", lambda s, _search, seed: RandomChoice(s, seed)),
        Scheme(
            "exhaustive",
            "exhaustive",
            "all combinations on a grid of shares, small networks only",
            lambda s, search, _: Exhaustive(s, 20 if search.shares == "exact" else int(search.shares)),
            small=True,
        ),
    )
}


def find_scheme(name: str) -> Scheme:
    """A scheme by name.

    Raises:
        OptimizerError: No such scheme; all names are told.
    """
    if name not in SCHEMES:
        raise OptimizerError(f"--schemes: no scheme {name!r}.", f"There are {', '.join(SCHEMES)}.")
    return SCHEMES[name]


def make_scheme(
    name: str, scenario: Scenario, shares: str | int = "exact", seed: int = 0, gap: float | None = None
) -> Policy:
    """The policy of a scheme.

    Args:
        name: A name in `SCHEMES`.
        scenario: The network.
        shares: "exact" for continuous shares of the edge, or the number of steps of a grid.
        seed: Random seed, for schemes that draw anything.
        gap: Share of the reward that exact schemes may leave, as in `optimum`; None for its default.

    Raises:
        OptimizerError: No such scheme, or one that cannot be used on this network.
    """
    return find_scheme(name).make(scenario, Search(shares, gap), seed)
