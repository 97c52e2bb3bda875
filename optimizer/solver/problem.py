"""What the compiled kernels are given: a network's numbers in named tuples, which numba compiles as structures.

The same tuples hold arrays over the whole network and, inside a kernel, the numbers of one gateway in one slot.
"""

from typing import NamedTuple

import numpy as np

from optimizer.network.scenario import Scenario

# Columns of a piece: the best decision of one gateway for every share of the edge from `START` to `END`, worth
# constant + slope * (seconds at the edge). It runs `MODEL`, sends `SENT` tasks, of which `SHED` are dropped, and serves
# local tasks of the levels up to `PREFIX`. In the paper's network, pieces have no end.
START, CONSTANT, SLOPE, MODEL, SENT, SHED, PREFIX, END, COLUMNS = 0, 1, 2, 3, 4, 5, 6, 7, 8
NO_END = np.inf


class Local(NamedTuple):
    """Pruned models on the gateways.

    Attributes:
        seconds: Seconds of a batch, at [gateway, model, tasks]; for one gateway at [model, tasks].
        accuracy: Accuracy of each model relative to the complete one.
    """

    seconds: np.ndarray
    accuracy: np.ndarray


class Link(NamedTuple):
    """The uplink.

    Attributes:
        transmission_s: Omega of eq. (6) in seconds, at [gateway, channel state]; for one gateway a number.
        hold_s: Seconds that one transmission holds the queue, delta * tau; shaped alike.
    """

    transmission_s: np.ndarray
    hold_s: np.ndarray


class Edge(NamedTuple):
    """The edge server.

    Attributes:
        task_s: Seconds that one task takes on the whole server, H I / C_e.
        epsilon: Regularisation of eq. (3).
    """

    task_s: float
    epsilon: float


class Levels(NamedTuple):
    """Requirements of the criticality levels, which tighten with the level.

    Attributes:
        min_accuracy: (17b), ascending.
        max_delay_s: (17a) in seconds, descending.
    """

    min_accuracy: np.ndarray
    max_delay_s: np.ndarray


class Worth(NamedTuple):
    """What served tasks add to the reward, from the coefficients of `network.rewards.Reward`.

    Attributes:
        busy: Worth of a second of busy time.
        delay: Worth of a second of a task's delay, before it is divided by the number of tasks.
        answer: Worth of a local answer of each model, before it is divided by the number of tasks.
        edge_answer: The same of the complete model's answer.
        penalty: J, what dropping all tasks costs.
        per_task: 1 / (number of tasks in the slot); filled in slot by slot.
    """

    busy: float
    delay: float
    answer: np.ndarray
    edge_answer: float
    penalty: float
    per_task: float


class Problem(NamedTuple):
    """A network as the kernels see it."""

    local: Local
    link: Link
    edge: Edge
    levels: Levels
    worth: Worth


def make_problem(scenario: Scenario) -> Problem:
    """The numbers of a scenario that the kernels need."""
    constants, reward = scenario.constants, scenario.objective
    return Problem(
        Local(constants.local_s, constants.accuracy),
        Link(constants.transmission_s, constants.hold_s),
        Edge(float(constants.edge_task_s), float(constants.epsilon)),
        Levels(constants.min_accuracy, constants.max_delay_s),
        Worth(
            busy=reward.busy / scenario.slot_s,
            delay=reward.delay / scenario.slot_s,
            answer=reward.answer(constants.accuracy),
            edge_answer=float(reward.answer(np.ones(1))[0]),
            penalty=float(scenario.penalty),
            per_task=0.0,
        ),
    )
