"""The policy of a factory's network: told nothing, it learns the laws from reports, and then decides nearly as well as
the optimum; it is stopped, exported and deployed like every policy."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from factory_networks import KINDS, factory_network
from safetensors.numpy import load_file
from stopping import train_with_stops

from optimizer import OptimizerError, Scenario, draw_states, evaluate, optimum, train_policy
from optimizer.learning.deployed import LearnedPolicy
from optimizer.learning.factory.edge_law import EdgeDelays, fit_edge
from optimizer.learning.factory.laws import batch_knots
from optimizer.learning.factory.margins import MARGINS, MarginStatistics
from optimizer.learning.factory.policy import count_levels, decide, to_action
from optimizer.learning.factory.reports import random_decision
from optimizer.learning.factory.settings import FactoryConfig
from optimizer.learning.factory.training import FactoryTraining
from optimizer.learning.job import Job
from optimizer.learning.options import TrainConfig
from optimizer.learning.run import train
from optimizer.network.checks import check_action
from optimizer.network.slots import PADDING, State
from optimizer.network.world import World

QUICK = FactoryConfig(updates=16, slots=32, block=8)
TINY = FactoryConfig(updates=8, slots=16, block=4, at_random=2)


def trained(scenario, config=QUICK, world=None, seed=0):
    training = FactoryTraining([scenario], config, seed, world)
    while training.done < training.total:
        training.run_block()
    return training


@pytest.fixture(scope="module", params=KINDS, ids=" ".join)
def learned(request):
    scenario = factory_network(*request.param)
    return scenario, trained(scenario)


def test_the_policy_is_told_nothing_of_times_and_accuracies():
    """Two networks that differ in all times and accuracies give the same untrained policy, down to the last number."""
    ours = factory_network()
    models = [m.model_copy(update={"accuracy": 0.93, "latency_s": ((1, 0.2), (64, 3.0))}) for m in ours.models]
    link = ours.link.model_copy(update={"bandwidth_hz": 1e6})
    theirs = factory_network(task_s=0.3, link=link).change(models=tuple(models))
    assert (theirs.constants.local_s > ours.constants.local_s)[..., 1:].all()
    a, b = (FactoryTraining([s], QUICK, 0) for s in (ours, theirs))
    for name, array in a.laws.arrays().items():
        assert np.array_equal(array, b.laws.arrays()[name]), name
    state = draw_states(ours, 20, 0)
    one, two = (decide(a.laws, s, state) for s in (ours, theirs))
    assert all(np.array_equal(getattr(one, name), getattr(two, name)) for name in ("sent", "kept", "model", "share"))
    assert not a.laws.usable.any()


def test_it_learns_the_laws_from_reports(learned):
    scenario, training = learned
    laws, constants = training.laws, scenario.constants
    batches = slice(1, 5) if scenario.by_level else slice(2, 9)  # those that are often seen
    times = laws.batch_seconds(scenario.width)[..., batches] / constants.local_s[..., batches]
    assert times == pytest.approx(np.ones(times.shape), rel=0.01)
    assert laws.sending_s == pytest.approx(constants.transmission_s, rel=1e-3)
    assert laws.hold_s == pytest.approx(constants.hold_s, rel=1e-3)
    assert laws.edge == pytest.approx([constants.edge_task_s, constants.epsilon], rel=1e-3)
    assert np.array_equal(laws.usable, constants.accuracy[:, None] >= constants.min_accuracy)
    assert laws.answer == pytest.approx(constants.accuracy, abs=1e-6)
    assert laws.edge_answer == pytest.approx(1, abs=1e-6)


def test_it_decides_nearly_as_well_as_the_optimum_and_never_better(learned):
    scenario, training = learned
    state = draw_states(scenario, 30, 11)
    action = to_action(decide(training.laws, scenario, state), scenario, state)
    check_action(action, state, scenario)
    outcome, best = evaluate(scenario, state, action), optimum(scenario, state)
    assert (outcome.reward <= best.bound + 1e-9).all()
    assert outcome.drop_ratio.mean() <= evaluate(scenario, state, best.action).drop_ratio.mean() + 0.003
    assert outcome.reward.mean() >= best.reward.mean() - 0.02 * abs(best.reward.mean())


def test_an_overloaded_network_refuses_what_does_not_fit():
    scenario = factory_network(groups=(160, 130), task_s=5e-4, extrapolate=True)
    training = trained(scenario)
    state = draw_states(scenario, 10, 3)
    outcome = evaluate(scenario, state, to_action(decide(training.laws, scenario, state), scenario, state))
    refused = outcome.refused.sum() / outcome.tasks.sum()
    assert refused > 0.02
    assert outcome.drop_ratio.mean() == pytest.approx(refused, abs=0.003)


def test_it_leaves_a_margin_where_times_scatter_and_learns_what_is_slower():
    scenario = factory_network(groups=(90, 90), task_s=5e-4, extrapolate=True)
    world = World(bias=1.3, spread=0.1, edge_bias=1.2)
    training = trained(scenario, FactoryConfig(updates=24, slots=48, block=12), world)
    batches = training.laws.batch_seconds(90)[..., 8] / (1.3 * scenario.constants.local_s[..., 8])
    assert batches == pytest.approx(np.ones(batches.shape), rel=0.1)
    assert training.laws.edge[0] == pytest.approx(1.2 * scenario.constants.edge_task_s, rel=0.05)
    assert training.laws.margins[0] > 0.01
    assert trained(scenario).laws.margins[0] < 0.01


@pytest.mark.parametrize("reward", ["goodput", "delay", "utilization"])
def test_other_rewards_are_learned_too(reward):
    scenario = factory_network().change(reward=reward)
    state = draw_states(scenario, 20, 4)
    laws = trained(scenario).laws
    found = evaluate(scenario, state, to_action(decide(laws, scenario, state), scenario, state))
    best = optimum(scenario, state)
    assert (found.reward <= best.bound + 1e-9).all()
    assert found.reward.mean() >= best.reward.mean() - 0.1 * abs(best.reward.mean())


def test_a_reward_that_can_be_exploited_is_refused():
    with pytest.raises(OptimizerError, match="credits served tasks only"):
        FactoryTraining([factory_network().change(reward="literal")], QUICK, 0)


@pytest.mark.parametrize(("execution", "queue"), KINDS)
def test_a_training_stopped_after_any_block_ends_with_the_same_weights(tmp_path, execution, queue):
    weights = []
    for name, stops in (("whole", 0), ("stopped", 1)):
        config = TrainConfig(factory=TINY, out=tmp_path / name)
        job = Job("factory", (factory_network(execution, queue),), 0)
        train_with_stops(job, config, stops)
        weights.append(load_file(tmp_path / name / "factory" / "weights.safetensors"))
    assert weights[0].keys() == weights[1].keys()
    assert all(np.array_equal(weights[0][k], weights[1][k]) for k in weights[0])


@pytest.mark.parametrize("gateways", [1, 2, 30])
def test_networks_of_any_number_of_gateways_are_trained_exported_and_evaluated(tmp_path, gateways):
    scenario = factory_network(groups=(5,) * gateways)
    config = TrainConfig(factory=TINY, out=tmp_path)
    train(Job("few", (scenario,), 0), config, lambda *_: None)
    policy = LearnedPolicy(tmp_path / "few")
    state = draw_states(scenario, 5, 0)
    action = policy.decide(state)
    check_action(action, state, scenario)
    assert (evaluate(scenario, state, action).reward <= 1).all()


@pytest.fixture(scope="module")
def deployed(tmp_path_factory):
    return train_policy(factory_network(), tmp_path_factory.mktemp("factory"), updates=16)


def test_a_deployed_policy_is_laws_in_a_file_and_no_onnx(deployed):
    assert {p.name for p in deployed.folder.glob("*.*") if p.suffix} == {
        "policy.json", "weights.safetensors", "run.json",
    }  # fmt: skip
    assert deployed.manifest.onnx_sha256 is None
    state = draw_states(deployed.scenario, 20, 1)
    action = deployed.decide(state)
    one = deployed.decide(state[4:5])
    assert np.array_equal(one.model[0], action.model[4])
    assert np.array_equal(one.offload[0], action.offload[4])
    assert np.array_equal(one.share[0], action.share[4])


def test_silent_sensors_are_neither_sent_nor_kept_nor_refused(deployed):
    state = draw_states(deployed.scenario, 20, 1)
    level = np.where(np.random.default_rng(0).random(state.level.shape) < 0.4, PADDING, state.level).astype(np.int8)
    level[:, 1] = PADDING
    level[0] = PADDING
    state = State(state.channel, level)
    action = deployed.decide(state)
    check_action(action, state, deployed.scenario)
    assert not (action.offload[0] | action.refused[0]).any()


def test_what_a_policy_cannot_serve_is_told(deployed, tmp_path):
    larger = LearnedPolicy(deployed.folder, factory_network(groups=(24, 16, 20)))
    state = draw_states(larger.scenario, 3, 0)
    check_action(larger.decide(state), state, larger.scenario)
    with pytest.raises(OptimizerError, match="serves gateways of up to 24 sensors; got one of 36"):
        LearnedPolicy(deployed.folder, factory_network(groups=(36, 24, 30)))
    with pytest.raises(OptimizerError, match="gateway 0: its processor, power or number of sensors"):
        LearnedPolicy(deployed.folder, factory_network(groups=(8, 12, 10)))
    with pytest.raises(OptimizerError, match="this network differs in edge"):
        LearnedPolicy(deployed.folder, factory_network(queue="none"))
    for path in deployed.folder.glob("*.*"):
        (tmp_path / path.name).write_bytes(path.read_bytes() if path.is_file() else b"")
    with (tmp_path / "weights.safetensors").open("ab") as file:
        file.write(b"x")
    with pytest.raises(OptimizerError, match="SHA-256 differs"):
        LearnedPolicy(tmp_path)


def test_a_policy_decides_without_torch(deployed):
    code = (
        "import sys\nfrom optimizer import LearnedPolicy, draw_states\n"
        f"policy = LearnedPolicy({str(deployed.folder)!r})\n"
        "policy.decide(draw_states(policy.scenario, 1, 0))\nprint(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "gymnasium", "matplotlib"} & set(done.stdout.split())


def test_random_decisions_try_everything():
    counts = count_levels(draw_states(factory_network(), 50, 0), factory_network())
    for by_level in (True, False):
        found = random_decision(counts, 3, by_level=by_level, rng=np.random.default_rng(0))
        refused = counts - found.sent - found.kept
        assert all((part >= 0).all() and part.sum() > 0 for part in (found.sent, found.kept, refused))
        assert set(np.unique(found.model)) == {0, 1, 2}
        assert (found.model == found.model[..., :1]).all() != by_level
        assert found.share.sum(axis=1) == pytest.approx(np.ones(50))


def test_doublings_are_knots_of_batch_times():
    assert {1, 2, 4, 8, 16, 32, 64, 128, 256} <= set(batch_knots(300).astype(int).tolist())


def test_epsilon_and_the_edge_are_found_from_noisy_delays():
    rng = np.random.default_rng(0)
    delays, share = EdgeDelays(), 1000 ** -rng.random(30_000)
    edge = 0.01 / (share + 0.004)
    gateway, spacing = rng.integers(0, 2, 30_000), np.maximum(0.02, edge)
    noise = np.exp(0.05 * rng.standard_normal(30_000))
    rows = [gateway, np.zeros(30_000), share, np.zeros(30_000), (0.1 + 0.05 * gateway + edge) * noise, spacing]
    delays.observe(np.stack(rows, axis=1))
    assert len(delays.samples) == 20_000
    sending, hold, law = fit_edge(delays.samples, 2, 3, fifo=True)
    assert law == pytest.approx([0.01, 0.004], rel=0.03)
    assert sending[:, 0] == pytest.approx([0.1, 0.15], rel=0.03)
    assert hold == pytest.approx(np.full((2, 3), 0.02))
    assert np.array_equal(sending, np.repeat(sending[:, :1], 3, axis=1))  # channel states that were never seen


def test_the_margin_is_the_one_that_loses_least():
    found = MarginStatistics()
    index = np.repeat(np.arange(len(MARGINS))[:, None], 2, axis=1)
    late = np.array(MARGINS) < 0.03
    found.observe(index, np.stack([late * 5.0, np.zeros(len(MARGINS))], axis=1))
    planned = 1 - 0.1 * np.array(MARGINS)
    assert found.best(0, planned) == 0.04
    assert found.best(1, planned) == MARGINS[0]
    found.clear()
    assert found.best(0, planned) == MARGINS[0]


@pytest.mark.parametrize("wrong", [{"updates": 0}, {"slots": 0}, {"at_random": 0}, {"explore": 1.5}])
def test_settings_outside_their_range_name_the_option(wrong):
    with pytest.raises(OptimizerError, match="--factory." + next(iter(wrong)).replace("_", "-")):
        replace(QUICK, **wrong)


def test_a_paper_network_is_trained_as_before():
    config = TrainConfig()
    assert config.settings_for(Scenario.load("paper"))["updates"] == 1500
    assert config.settings_for(factory_network())["updates"] == 60
