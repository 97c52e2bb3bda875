"""The unit in which the policy counts gains, so that a task's gain has one magnitude under every reward."""

from optimizer.network.scenario import Scenario


def gain_unit(scenario: Scenario) -> float:
    """Reward that makes one unit of gain: 1/N where the reward is a mean over tasks, else 1."""
    return scenario.objective.unit(scenario.sensors)


def drop_cost(scenario: Scenario, tasks: int) -> float:
    """Cost of one dropped task among `tasks` in a slot, J/N of eq. (21), in units of gain."""
    return scenario.penalty / tasks / scenario.objective.unit(tasks)
