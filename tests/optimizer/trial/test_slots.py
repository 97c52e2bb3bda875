"""What becomes of a slot's tasks when their times are known: order, queues, fates, and the model's word beside them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizer import Scenario, draw_states
from optimizer.network.outcome import evaluate
from optimizer.network.slots import Action, State
from optimizer.schemes.registry import make_scheme, schemes_of
from optimizer.schemes.rollout import decide
from optimizer.trial.slots import (
    INACCURATE,
    LATE,
    NO_TASK,
    REFUSED,
    SERVED,
    batches_of,
    fates,
    predict,
    queue_of,
    through_queue,
)


def network(execution="one batch", queue="none", sensors=30):
    paper = Scenario.load("paper").with_sensors(sensors)
    return paper.change(
        gateway=paper.gateway.model_copy(update={"execution": execution}),
        edge=paper.edge.model_copy(update={"queue": queue}),
    )


def one(level, offload, model, refused=None):
    state = State(np.zeros((1, 1), np.int8), np.array([[level]], np.int8))
    off = np.array([[offload]], bool)
    return state, Action(off, np.array([[model]]), np.ones((1, 1)), None if refused is None else np.array([[refused]]))


def test_levels_run_one_after_another_the_most_critical_first():
    state, action = one([0, 2, 0, 2, 1], [False] * 5, [4, 5, 6], [False, False, True, False, False])
    found = [(b.model, b.tasks.tolist()) for b in batches_of(action, state, 0, 0, 3)]
    assert found == [(6, [1, 3]), (5, [4]), (4, [0])]


def test_one_batch_takes_all_that_stays_and_nothing_that_is_silent():
    state, action = one([0, -1, 2, 1], [False, False, True, False], 3)
    assert [(b.model, b.tasks.tolist()) for b in batches_of(action, state, 0, 0, 3)] == [(3, [0, 3])]
    state, action = one([0, -1], [True, False], 3)
    assert batches_of(action, state, 0, 0, 3) == []


def test_the_queue_is_by_level_and_equals_are_in_sensor_order():
    state, action = one([0, 2, 0, 2, 1], [True, True, True, True, False], 0)
    assert queue_of(action, state, 0, 0).tolist() == [1, 3, 0, 2]


@given(st.lists(st.tuples(st.floats(0, 3), st.floats(0.001, 2)), min_size=1, max_size=30))
def test_the_edge_s_queue_is_that_of_a_simulation_event_by_event(steps):
    arrival = np.cumsum([a for a, _ in steps])
    service = np.array([s for _, s in steps])
    free, done = 0.0, []
    for a, s in zip(arrival, service, strict=True):
        free = max(a, free) + s
        done.append(free)
    np.testing.assert_allclose(through_queue(arrival, service), done)


@pytest.mark.parametrize(("hold", "edge"), [(0.002, 0.005), (0.005, 0.002)])
def test_equal_times_give_the_law_of_the_queue(hold, edge):
    """Omega + E + j max(hold, E), the law that networks are planned with."""
    place = np.arange(20)
    found = through_queue(0.01 + place * hold, np.full(20, edge))
    np.testing.assert_allclose(found, 0.01 + edge + place * max(hold, edge))


def test_fates_name_the_delay_before_the_accuracy():
    level, limit = np.array([0, 0, 0, 0, -1]), np.ones(5)
    delay = np.array([0.5, 2.0, 0.5, np.nan, np.nan])
    accurate = np.array([True, False, False, True, True])
    found = fates(delay, accurate, limit, level, np.array([False, False, False, True, False]))
    assert found.tolist() == [SERVED, LATE, INACCURATE, REFUSED, NO_TASK]


@pytest.mark.parametrize(("execution", "queue"), [("one batch", "fifo"), ("by level", "fifo")])
def test_predicted_fates_are_those_of_evaluate_task_by_task(execution, queue):
    scenario = network(execution, queue)
    state = draw_states(scenario, 20, 0)
    for name in schemes_of(scenario):
        if name in ("optimum", "jopav1", "paper", "equal"):
            continue
        action = decide(make_scheme(name, scenario), state)
        outcome = evaluate(scenario, state, action)
        found = predict(state, action, outcome)
        np.testing.assert_array_equal(found.fate == SERVED, outcome.served_tasks(state, action))
        lost = ((state.level >= 0) & (found.fate != SERVED)).sum() / (state.level >= 0).sum()
        assert lost == pytest.approx(outcome.drop_ratio.mean())


def test_equals_of_the_paper_s_queue_have_places_whose_mean_is_eq_7():
    scenario = network()
    state = draw_states(scenario, 30, 1)
    action = decide(make_scheme("edge", scenario), state)
    outcome = evaluate(scenario, state, action)
    single, mean = predict(state, action, outcome).delay_s, outcome.delay_of_tasks(state, action)
    assert np.nansum(single) == pytest.approx(np.nansum(mean))
    assert len(np.unique(single[0, 0].round(12))) == scenario.width  # each task has a delay of its own


def test_what_only_17f_would_lose_is_in_its_own_column():
    scenario = network()
    slow = scenario.change(edge=scenario.edge.model_copy(update={"capacity_flop_per_s": None, "task_s": 0.02}))
    state = draw_states(slow, 10, 0)
    action = decide(make_scheme("edge", slow), state)
    outcome = evaluate(slow, state, action)
    assert outcome.edge_slower.sum() > 0
    found = predict(state, action, outcome)
    assert found.slower.sum() == outcome.edge_slower.sum()
    assert (found.fate != SERVED).sum() == outcome.late_at_edge.sum()
