"""A policy on many slots: it decides in chunks, its decisions are checked, and what becomes of them is computed."""

from optimizer.network.checks import check_action
from optimizer.network.outcome import Outcome, evaluate
from optimizer.network.scenario import Scenario
from optimizer.network.slots import Action, State, concatenate
from optimizer.schemes.base import Policy

CHUNK = 1024  # slots at a time, to bound memory


def decide(policy: Policy, state: State, chunk: int = CHUNK) -> Action:
    """A policy's decisions for all slots, in order, so many slots at a time."""
    return concatenate([policy.decide(state[i : i + chunk]) for i in range(0, len(state), chunk)])


def run_policy(scenario: Scenario, state: State, policy: Policy) -> Outcome:
    """What a policy does in every slot.

    Args:
        scenario: The network.
        state: Its slots.
        policy: Decides for them.

    Raises:
        BadSlotError: A decision that is not allowed.
    """
    action = decide(policy, state)
    check_action(action, state, scenario)
    return evaluate(scenario, state, action)
