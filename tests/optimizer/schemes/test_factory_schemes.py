"""The schemes in networks of a factory: batches by level, a queue at the edge, refused tasks."""

import numpy as np
import pytest

from optimizer import OptimizerError, Scenario, draw_states, make_scheme
from optimizer.network.checks import check_action
from optimizer.network.outcome import evaluate
from optimizer.schemes.by_level import work_by_level
from optimizer.schemes.registry import schemes_of

MODELS = (
    {"rate": 0.0, "accuracy": 1.0, "latency_s": [(1, 0.004), (60, 0.2)]},
    {"rate": 0.7, "accuracy": 0.98, "latency_s": [(1, 0.002), (60, 0.1)]},
    {"rate": 0.9, "accuracy": 0.95, "latency_s": [(1, 0.001), (60, 0.03)]},
)
PAPER = Scenario.load("paper")
FACTORY = PAPER.change(
    groups=(12, 9, 1), models=MODELS, gateway={"execution": "by level"}, edge={"task_s": 0.004, "queue": "fifo"},
    reward="service",
)  # fmt: skip
WITHOUT_SEARCH = ("local", "local-batch", "edge", "greedy", "jopav1", "paper", "agdm", "random")


def silent(state, seed=0):
    state.level[np.random.default_rng(seed).random(state.level.shape) < 0.2] = -1
    return state


@pytest.mark.parametrize("name", WITHOUT_SEARCH)
@pytest.mark.parametrize(("execution", "queue"), [("by level", "fifo"), ("by level", "none"), ("one batch", "fifo")])
def test_every_scheme_decides_in_every_network(name, execution, queue):
    scenario = FACTORY.change(gateway={"execution": execution}, edge={"task_s": 0.004, "queue": queue})
    state = silent(draw_states(scenario, 20, seed=0))
    assert name in schemes_of(scenario)
    action = make_scheme(name, scenario).decide(state)
    check_action(action, state, scenario)
    assert 0 <= evaluate(scenario, state, action).drop_ratio.mean() <= 1


def test_all_local_serves_everything_by_level_where_one_batch_is_late():
    """60 tasks in one batch take 30 ms on the fastest model, which is not accurate enough for the critical ones."""
    scenario = FACTORY.change(groups=(60,))
    state = draw_states(scenario, 100, seed=0)
    lost = {}
    for name in ("local", "local-batch"):
        outcome = evaluate(scenario, state, make_scheme(name, scenario).decide(state))
        lost[name] = outcome.drop_ratio.mean()
    assert lost["local"] < 0.01
    assert lost["local-batch"] > 0.1


def test_what_is_kept_is_served_and_what_is_refused_could_not_be():
    """In overload: nobody who is kept is late, and one task more of the first level that is cut would be."""
    scenario = FACTORY.change(groups=(60, 60), models=tuple(m | {"latency_s": [(1, 0.02), (60, 1.2)]} for m in MODELS))
    state = silent(draw_states(scenario, 50, seed=1))
    action = make_scheme("local", scenario).decide(state)
    outcome = evaluate(scenario, state, action)
    assert outcome.refused.sum() > 0
    assert (outcome.local_served == outcome.local).all()
    counts = outcome.tasks_of_level
    for b, g in np.ndindex(counts.shape[:2]):
        cut = np.flatnonzero(outcome.refused[b, g])
        if len(cut):
            k = int(cut.max())
            above = outcome.local_s[b, g, k + 1] if k + 1 < counts.shape[2] else 0.0
            usable = scenario.constants.accuracy >= scenario.constants.min_accuracy[k]
            more = scenario.constants.local_s[g, usable, outcome.local[b, g, k] + 1].min()
            assert above + more > scenario.constants.max_delay_s[k] - 1e-9


def test_models_grow_as_far_as_no_level_becomes_late():
    counts = np.zeros((1, 1, len(FACTORY.qos)), np.int64)
    counts[0, 0, :3] = 4
    alone = FACTORY.change(groups=(12,))
    kept, model = work_by_level(alone, counts)
    assert (kept == counts).all()
    assert (model[0, 0, :3] == 0).all()  # there is time for the complete model


def test_exhaustive_says_that_it_knows_the_papers_decisions_only():
    with pytest.raises(OptimizerError, match="the paper's decisions only"):
        make_scheme("exhaustive", FACTORY, 20)


def test_the_papers_network_has_no_factory_schemes():
    assert not {"paper", "local-batch", "exhaustive"} & set(schemes_of(PAPER))
    assert {"optimum", "local", "greedy", "jopav1"} <= set(schemes_of(PAPER))
