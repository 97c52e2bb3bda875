"""The factory's network, task by task: batches by level, a queue at the edge, refused tasks."""

import numpy as np
import pytest

from optimizer import Scenario, draw_states, evaluate
from optimizer.errors import OptimizerError
from optimizer.network.checks import check_action
from optimizer.network.rewards import REWARDS
from optimizer.network.slots import Action, concatenate

MODELS = (
    {"rate": 0.1, "accuracy": 0.99, "latency_s": [(1, 0.05), (9, 0.2)]},
    {"rate": 0.9, "accuracy": 0.9, "latency_s": [(1, 0.01), (9, 0.06)]},
)
BASE = Scenario.load("paper").change(groups=(6, 4, 1), models=MODELS)


def network(execution: str, queue: str, reward: str = "service") -> Scenario:
    edge = {"task_s": 0.02, "queue": queue}
    return BASE.change(gateway={"execution": execution}, edge=edge, reward=reward)


def drawn(scenario: Scenario, slots: int, seed: int, *, by_level: bool):
    """Random states with silent sensors, and random decisions."""
    rng = np.random.default_rng(seed)
    state = draw_states(scenario, slots, seed)
    state.level[rng.random(state.level.shape) < 0.2] = -1
    place = rng.integers(0, 3, state.level.shape)
    task = state.level >= 0
    shape = (*state.channel.shape, len(scenario.qos)) if by_level else state.channel.shape
    share = rng.dirichlet(np.ones(3), slots)
    return state, Action((place == 1) & task, rng.integers(0, 2, shape), share, (place == 2) & task)


def fates(scenario: Scenario, state, action, b: int, g: int):
    """(served, delay, busy seconds, accuracy) of each task of a gateway; None for one that was refused."""
    level, constants, deadline = state.level[b, g], scenario.constants, scenario.constants.max_delay_s
    tasks = [m for m in range(len(level)) if level[m] >= 0]
    kept = [m for m in tasks if not action.offload[b, g, m] and not action.refused[b, g, m]]
    found = dict.fromkeys(tasks)
    clock = 0.0
    for k in sorted({int(level[m]) for m in kept}, reverse=True) if action.by_level else [None]:
        batch = [m for m in kept if k is None or level[m] == k]
        model = int(action.model[b, g] if k is None else action.model[b, g, k])
        took = float(constants.local_s[g, model, len(batch)])
        clock += took
        for m in batch:
            accuracy = scenario.models[model].accuracy
            ok = clock <= deadline[level[m]] and accuracy >= constants.min_accuracy[level[m]]
            found[m] = ok, clock, took / len(batch), accuracy
    sent = sorted((m for m in tasks if action.offload[b, g, m]), key=lambda m: (-level[m], m))
    channel = int(state.channel[b, g])
    hold, sending = float(constants.hold_s[g, channel]), float(constants.transmission_s[g, channel])
    edge = constants.edge_task_s / (float(action.share[b, g]) + constants.epsilon)
    for j, m in enumerate(sent):
        equals = [i for i, other in enumerate(sent) if level[other] == level[m]]
        if scenario.fifo:
            delay, ok = edge + sending + j * max(hold, edge), True
        else:
            delay, ok = edge + sending + hold * sum(equals) / len(equals), edge <= sending
        found[m] = ok and delay <= deadline[level[m]], delay, sending + edge, 1.0
    return found


@pytest.mark.parametrize("reward", [n for n, r in REWARDS.items() if r.solvable])
@pytest.mark.parametrize(
    ("execution", "queue", "by_level"),
    [("by level", "fifo", True), ("by level", "none", True), ("one batch", "fifo", False), ("by level", "fifo", False)],
)
def test_counts_agree_with_single_tasks(execution, queue, by_level, reward):
    scenario = network(execution, queue, reward)
    state, action = drawn(scenario, 60, seed=1, by_level=by_level)
    check_action(action, state, scenario)
    outcome = evaluate(scenario, state, action)
    served, delays = outcome.served_tasks(state, action), outcome.delay_of_tasks(state, action)
    every = []
    for b in range(60):
        single = [fates(scenario, state, action, b, g) for g in range(3)]
        tasks = sum(len(found) for found in single)
        total = 0.0
        for g, found in enumerate(single):
            for m, fate in found.items():
                assert bool(served[b, g, m]) == bool(fate and fate[0])
                if fate is None:
                    assert np.isnan(delays[b, g, m])
                    total -= scenario.penalty / tasks
                    continue
                assert delays[b, g, m] == pytest.approx(fate[1])
                if not fate[0]:
                    total -= scenario.penalty / tasks
                    continue
                _, delay, busy, accuracy = fate
                every.append(delay)
                objective = scenario.objective
                total += objective.busy * busy / scenario.slot_s
                total += float(objective.answer(np.array([accuracy]))[0]) / tasks
                total += objective.delay * delay / scenario.slot_s / tasks
        assert outcome.reward[b] == pytest.approx(total, abs=1e-9)
    assert 0.1 < outcome.drop_ratio.mean() < 0.95
    assert outcome.dropped_by(outcome.refused).mean() > 0.1
    assert outcome.delay_quantile(0.9) == pytest.approx(np.quantile(every, 0.9, method="inverted_cdf"))
    assert outcome.total_delay.sum() == pytest.approx(sum(every))
    assert outcome.served.sum() == len(every)


def test_the_edge_server_is_a_queue_and_not_a_wall():
    """An edge slower than the link loses everything in the paper, and only what is late in a queue."""
    states = draw_states(BASE, 50, seed=0)
    share = np.full((50, 3), 1 / 3)
    lost = {}
    for queue in ("none", "fifo"):
        scenario = network("by level", queue)
        action = Action(states.level >= 0, np.zeros((50, 3, len(scenario.qos)), np.int64), share)
        outcome = evaluate(scenario, states, action)
        lost[queue] = outcome.drop_ratio.mean()
        assert (outcome.edge_slower.sum() > 0) == (queue == "none")
    assert lost["none"] == 1.0
    assert lost["fifo"] < 0.3


def test_the_papers_network_refuses_nothing_and_has_no_levels():
    state, action = drawn(network("by level", "fifo"), 3, seed=0, by_level=True)
    with pytest.raises(OptimizerError, match="model: expected shape"):
        check_action(action, state, BASE)
    plain = Action(action.offload, action.model[:, :, 0], action.share, action.refused)
    with pytest.raises(OptimizerError, match="refused: the paper's network has no such choice"):
        check_action(plain, state, BASE)
    wrong = Action(action.offload, action.model, action.share, action.offload)
    with pytest.raises(OptimizerError, match="refused: set for a task that is offloaded"):
        check_action(wrong, state, network("by level", "fifo"))


def test_batches_of_decisions_are_joined_and_cut():
    scenario = network("by level", "fifo")
    _, action = drawn(scenario, 5, seed=0, by_level=True)
    whole = concatenate([action[:2], Action(action.offload[2:3], action.model[2:3], action.share[2:3]), action[3:]])
    assert len(whole) == 5
    assert (whole.refused[[0, 1, 3, 4]] == action.refused[[0, 1, 3, 4]]).all()
    assert not whole.refused[2].any()


@pytest.mark.parametrize(("part", "field", "word"), [("gateway", "execution", "by chance"), ("edge", "queue", "lifo")])
def test_unknown_words_are_refused_with_their_field(part, field, word):
    content = {"base": "paper", part: {field: word}}
    with pytest.raises(OptimizerError, match=f"{part}.{field}"):
        Scenario.parse(content, "mine.toml")


def test_a_file_may_choose_the_queue_alone():
    found = Scenario.parse({"base": "paper", "edge": {"queue": "fifo"}}, "mine.toml")
    assert found.fifo
    assert found.edge.capacity_flop_per_s == Scenario.load("paper").edge.capacity_flop_per_s
