"""The critic: what it is told, which parameters it has, and how far its values go."""

import dataclasses
from collections.abc import Iterator

import numpy as np
import torch

from optimizer import Scenario
from optimizer.learning.critic import GatewayCritic
from optimizer.learning.policy import Jopa


def contents(thing, name="policy") -> Iterator[tuple[str, object]]:
    """Every tensor, number and word in an object, with its place: parameters, buffers, attributes, recursively."""
    if isinstance(thing, torch.Tensor | np.ndarray):
        yield name, np.asarray(torch.as_tensor(thing).detach()).tolist()
    elif isinstance(thing, dict):
        for key, part in thing.items():
            yield from contents(part, f"{name}.{key}")
    elif isinstance(thing, list | tuple | set | frozenset):
        for i, part in enumerate(thing):
            yield from contents(part, f"{name}.{i}")
    elif dataclasses.is_dataclass(thing) or isinstance(thing, torch.nn.Module):
        yield from contents(vars(thing), name)
    elif isinstance(thing, int | float | str | None):
        yield name, thing
    else:
        assert callable(thing), f"{name} holds a {type(thing)} that is not compared"


def untrained(scenario):
    torch.manual_seed(0)
    return dict(contents(Jopa(scenario, np.zeros((1, 3)), scenario.width)))


def test_the_policy_is_told_nothing_of_latencies():
    """Two networks that differ only in how fast things are give the same untrained policy, down to the last number."""
    paper = Scenario.load("paper")
    slow = Scenario.parse(
        {
            "base": "paper",
            "gateway": {"capacity_flop_per_s": 5e9},
            "edge": {"task_s": 0.3},
            "link": {"bandwidth_hz": 1e6, "noise_w_per_hz": 1e-18},
        },
        "slow",
    )
    assert (slow.constants.local_s > paper.constants.local_s)[..., 1:].all()
    assert slow.constants.epsilon > paper.constants.epsilon
    assert (slow.constants.rate < paper.constants.rate).all()
    ours, theirs = untrained(paper), untrained(slow)
    assert len(ours) > 50
    assert {name: (ours[name], theirs.get(name)) for name in ours if ours[name] != theirs.get(name)} == {}
    assert ours.keys() == theirs.keys()


def test_what_the_comparison_of_policies_looks_at_includes_every_parameter():
    policy = Jopa(Scenario.load("paper"), np.zeros((1, 3)), 20)
    for parameter in policy.parameters():
        before = dict(contents(policy))
        with torch.no_grad():
            parameter += 1
        assert dict(contents(policy)) != before


def test_each_parameter_belongs_to_one_group():
    critic = GatewayCritic(Scenario.load("paper"), np.zeros((2, 3)), 20)
    grouped = [id(p) for group in critic.parameter_groups().values() for p in group]
    assert sorted(grouped) == sorted(id(p) for p in critic.parameters())


def test_the_critic_continues_beyond_its_width():
    values = GatewayCritic(Scenario.load("paper").with_sensors(10), np.zeros((1, 3)), 2).values(7)
    assert values.gain.shape == (1, 6, 8)
    assert values.local_drop.shape == (1, 6, 8, 6)
    assert values.queue_drop.shape == (1, 2, 3, 6, 15)


def test_waiting_longer_never_makes_a_task_more_likely_to_arrive():
    values = GatewayCritic(Scenario.load("paper"), np.zeros((1, 3)), 20).values(20)
    assert (values.queue_drop.diff(dim=-1) >= 0).all()
    assert (values.local_drop.diff(dim=2) >= 0).all()
