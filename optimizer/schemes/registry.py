"""Schemes by name, as commands list them."""

from collections.abc import Callable

from optimizer.errors import OptimizerError
from optimizer.network.scenario import Scenario
from optimizer.schemes.agdm import Agdm
from optimizer.schemes.base import Policy
from optimizer.schemes.baselines import AllEdge, AllLocal, BestPossible, Exhaustive, Greedy, RandomChoice

MID_PRUNED = 0.7  # the one model of JOPAV1 and AGDM in the paper


def mid_pruned(scenario: Scenario) -> float:
    """The rate nearest to the paper's 0.7 among the scenario's models."""
    return min((m.rate for m in scenario.models), key=lambda r: abs(r - MID_PRUNED))


Make = Callable[[Scenario, "str | int", int], Policy]
SCHEMES: dict[str, tuple[str, Make]] = {
    "optimum": ("the exact optimum", lambda s, shares, _: BestPossible(s, shares)),
    "jopav1": (
        "the exact optimum with one model, p = 0.7",
        lambda s, shares, _: BestPossible(s, shares, (mid_pruned(s),), name="JOPAV1"),
    ),
    "agdm": ("least delay under an accuracy guarantee", lambda s, _, seed: Agdm(s, mid_pruned(s), seed=seed)),
    "equal": (
        "the exact optimum at equal shares",
        lambda s, shares, _: BestPossible(s, shares, equal=True, name="equal shares"),
    ),
    "greedy": ("the most critical first", lambda s, _shares, _seed: Greedy(s)),
    "local": ("everything on the gateways, best model", lambda s, _shares, _seed: AllLocal(s)),
    "edge": ("everything at the edge", lambda s, _shares, _seed: AllEdge(s)),
    "random": ("anything", lambda s, _shares, seed: RandomChoice(s, seed)),
    "exhaustive": (
        "all combinations on a grid, small networks only",
        lambda s, shares, _: Exhaustive(s, 20 if shares == "exact" else int(shares)),
    ),
}


def make_scheme(name: str, scenario: Scenario, shares: str | int, seed: int) -> Policy:
    """A scheme by name.

    Raises:
        OptimizerError: No such scheme, or one that cannot be used on this network.
    """
    if name not in SCHEMES:
        raise OptimizerError(f"--schemes: no scheme {name!r}.", f"There are {', '.join(SCHEMES)}.")
    return SCHEMES[name][1](scenario, shares, seed)
