"""Small networks, states and actions written down by hand, for tests of the system model."""

import numpy as np

from optimizer import Action, Scenario, State

PAPER = Scenario.load("paper")


def action(scenario, offload, model=0, share=None):
    """One slot's action: flat offloading decisions, one model, equal or given shares."""
    mask = np.zeros((1, scenario.gateways, scenario.width), bool)
    mask[0][scenario.constants.present] = offload
    shares = np.full((1, scenario.gateways), 1 / scenario.gateways) if share is None else np.array([share], float)
    return Action(mask, np.full((1, scenario.gateways), model), shares)


def small(groups=(2, 2), **changes):
    return PAPER.change(groups=groups, **changes)


def at(scenario, channel, levels):
    """One slot's state: one channel name and the level indices per gateway."""
    level = np.full((1, scenario.gateways, scenario.width), -1, np.int8)
    for g, row in enumerate(levels):
        level[0, g, : len(row)] = row
    return State(np.array([[scenario.link.states.index(c) for c in channel]], np.int8), level)
