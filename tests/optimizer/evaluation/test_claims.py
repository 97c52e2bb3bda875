"""Every claim of section V: results in which it holds, in which it does not, and in which two sides are equal."""

import numpy as np
import pytest

from optimizer import Scenario
from optimizer.evaluation.claims import CLAIMS, check_claims, everywhere, relate, verdict_of
from optimizer.evaluation.results import LevelResult, Mean, Results, SchemeResult, SizeResult, SmallResult, Training
from optimizer.network.metrics import METRICS
from optimizer.network.outcome import evaluate
from optimizer.network.slots import draw_states
from optimizer.schemes.registry import make_scheme
from optimizer.schemes.summary import summarise

PAPER = Scenario.load("paper")
SIZES = (100, 200)
STATE = draw_states(PAPER, 2, 0)
SUMMARY = summarise(evaluate(PAPER, STATE, make_scheme("local", PAPER, "exact", 0).decide(STATE)))


def level(drop=0.0, delay=0.5, accuracy=0.99):
    return LevelResult(
        criticality=1.0, max_delay_s=1.0, min_accuracy=0.95, tasks=1000, delay_s=delay, accuracy=accuracy,
        drop_ratio=drop,
    )  # fmt: skip


def scheme(place: int, values: dict, drop=0.0, **got) -> SchemeResult:
    """A scheme whose metrics are 1 unless given: one number, or one per size."""
    numbers = {name: values.get(name, 1.0) for name in METRICS}
    means = {n: Mean(mean=v[place] if isinstance(v, tuple) else v, interval=0.001) for n, v in numbers.items()}
    return SchemeResult(means=means, summary=SUMMARY, levels=[level(drop, **got)])


def results(ours=None, jopav1=None, agdm=None, rates=None, worst=(0.0, 0.5), training=None, small=None, level=None):
    """Made-up results with a learned policy; JOPA, JOPAV1 and AGDM are equal in everything unless it is said."""
    return Results(
        scenario=PAPER,
        slots=10,
        seed=0,
        mid_rate=0.7,
        sizes=[
            SizeResult(
                sensors=n,
                schemes={
                    "optimum": scheme(i, {}),
                    "jopa": scheme(i, ours or {}, worst[0], **(level or {})),
                    "jopav1": scheme(i, jopav1 or {}),
                    "agdm": scheme(i, agdm or {}, worst[1]),
                },
                rates={rate: scheme(i, found) for rate, found in (rates or {"0.1": {}, "0.7": {}, "0.9": {}}).items()},
            )
            for i, n in enumerate(SIZES)
        ],
        training=Training(all=dict(training or {}).get("all", {}), single=dict(training or {}).get("single", {})),
        small=SmallResult(grid=[1.0, 1.0], continuous=[1.0, 1.0], policies={"default seed 0": small} if small else {}),
    )


def ends(several: float, single: float):
    return {"training": {"all": {"100": [[(1, 0.0), (2, several)]]}, "single": {"100": [[(1, 0.0), (2, single)]]}}}


def of_ours(metric: str, *values):
    return tuple({"ours": {metric: value}} for value in values)


def of_rate(rate: str, metric: str, *values):
    return tuple(
        {"rates": {r: {metric: value if r == rate else 1.0} for r in ("0.1", "0.7", "0.9")}} for value in values
    )


CASES = {  # claim: results in which it holds, does not hold, is equal
    "training": (ends(2.0, 1.0), ends(1.0, 2.0), ends(1.0, 1.0)),
    "near-optimum": ({"small": [0.99, 0.99]}, {"small": [0.9, 0.9]}, {"small": [0.95, 0.95]}),
    "bandwidth": of_ours("bandwidth_utilization", 1.1, 0.9, 1.0),
    "edge": of_ours("edge_utilization", 1.1, 0.9, 1.0),
    "local": of_ours("local_utilization", (2.0, 1.0), (1.0, 2.0), (1.0, 1.0)),
    "utilization": of_ours("utilization", 1.1, 0.9, 1.0),
    "offloading-rises": of_ours("offloading_ratio", (0.5, 0.6), (0.6, 0.5), (0.5, 0.5)),
    "offloads-more": of_ours("offloading_ratio", 1.1, 0.9, 1.0),
    "drops-least": of_ours("drop_ratio", 0.9, 1.1, 1.0),
    "few-dropped": of_ours("drop_ratio", 0.001, 0.02, 0.01),
    "jopav1-drops": tuple({"jopav1": {"drop_ratio": x}} for x in (0.02, 0.001, 0.01)),
    "levels": ({"worst": (0.0, 0.5)}, {"worst": (0.5, 0.0)}, {"worst": (0.2, 0.2)}),
    "most-accurate": of_ours("accuracy", 1.1, 0.9, 1.0),
    "least-delay": tuple({"agdm": {"delay_s": x}} for x in (0.9, 1.1, 1.0)),
    "one-model-accuracy": of_rate("0.1", "accuracy", 1.1, 0.9, 1.0),
    "one-model-delay": of_rate("0.1", "delay_s", 1.1, 0.9, 1.0),
    "one-model-drops": of_rate("0.7", "drop_ratio", 0.9, 1.1, 1.0),
}


def verdict(claim: str, **changes) -> str:
    return next(c.verdict for c in check_claims(results(**changes)) if c.name == claim)


def test_every_claim_has_its_cases():
    assert [c.name for c in CLAIMS] == list(CASES)
    assert len({c.name for c in CLAIMS}) == len(CLAIMS) == 17


@pytest.mark.parametrize("claim", CASES)
def test_a_claim_holds_where_the_numbers_say_so(claim):
    assert verdict(claim, **CASES[claim][0]) == "holds"


@pytest.mark.parametrize("claim", CASES)
def test_a_claim_does_not_hold_where_the_numbers_contradict_it(claim):
    assert verdict(claim, **CASES[claim][1]) == "does not hold"


@pytest.mark.parametrize("claim", CASES)
def test_equal_numbers_are_called_equal(claim):
    assert verdict(claim, **CASES[claim][2]) == "equal"


@pytest.mark.parametrize("claim", ["bandwidth", "drops-least", "most-accurate", "offloads-more"])
def test_a_difference_below_its_interval_is_equal_within_the_interval(claim):
    metric = {"bandwidth": "bandwidth_utilization", "drops-least": "drop_ratio", "most-accurate": "accuracy"}
    close = {metric.get(claim, "offloading_ratio"): 1.001}
    assert verdict(claim, ours=close) == "equal within the interval"


def test_a_claim_that_holds_at_one_load_alone_holds_in_part_and_says_where():
    found = next(c for c in check_claims(results(ours={"utilization": (1.1, 0.9)})) if c.name == "utilization")
    assert found.verdict == "holds in part"
    assert found.evidence.startswith("holds at N = 100; does not hold at N = 200")


@pytest.mark.parametrize("claim", ["training", "near-optimum"])
def test_without_policies_nothing_can_be_said(claim):
    assert verdict(claim) == "cannot be said"


def test_where_nothing_was_served_nothing_can_be_said():
    assert verdict("most-accurate", ours={"accuracy": None}) == "cannot be said"


def test_a_level_that_misses_its_requirement_fails_the_claim_whatever_is_dropped():
    assert verdict("levels", level={"delay": 1.5}) == "does not hold"
    assert verdict("levels", level={"accuracy": 0.9}) == "does not hold"


def test_the_rivals_are_both_to_be_beaten():
    assert verdict("utilization", ours={"utilization": 1.5}, agdm={"utilization": 1.6}) == ("does not hold")
    assert verdict("utilization", ours={"utilization": 1.6}, agdm={"utilization": 1.6}) == "equal"


def test_intervals_of_two_numbers_add_as_those_of_independent_ones():
    a, b = Mean(mean=1.0, interval=0.3), Mean(mean=1.5, interval=0.4)
    assert relate(a, b) == "equal within the interval"  # hypot(0.3, 0.4) = 0.5
    assert relate(a, Mean(mean=1.51, interval=0.4)) == "below"
    assert relate(Mean(mean=None, interval=0), a) == "unknown"


def test_one_verdict_on_several_places():
    assert verdict_of(["above", "equal"], "above") == "equal"
    assert verdict_of(["above", "below"], "above") == "does not hold"
    assert verdict_of([], "above") == "cannot be said"
    assert everywhere({}, "").verdict == "cannot be said"
    assert everywhere({"a": "equal", "b": "equal within the interval"}, "").verdict == "equal within the interval"
    assert everywhere({"a": "equal", "b": "does not hold"}, "").verdict == "does not hold"


def test_on_the_papers_network_the_optimum_stands_for_jopa():
    assert results().ours == "jopa"
    only = results().model_copy(
        update={"sizes": [s.model_copy(update={"schemes": {k: v for k, v in s.schemes.items() if k != "jopa"}})
                          for s in results().sizes]}
    )  # fmt: skip
    assert only.ours == "optimum"
    assert np.isfinite([s.schemes["optimum"].mean("reward") for s in only.sizes]).all()
