"""A policy on many slots: it decides in chunks, its decisions are checked, and what becomes of them is computed."""

from optimizer.network.checks import check_action, check_state
from optimizer.network.outcome import Outcome, evaluate
from optimizer.network.scenario import Scenario
from optimizer.network.slots import Action, State, concatenate
from optimizer.schemes.base import Policy

CHUNK = 1024  # slots at a time, to bound memory


def decide(policy: Policy, state: State, chunk: int = CHUNK) -> Action:
    """A policy's decisions for all slots, in order, so many slots at a time."""
    return concatenate([policy.decide(state[i : i + chunk]) for i in range(0, len(state), chunk)])


def carry_out(scenario: Scenario, state: State, policy: Policy, chunk: int = CHUNK) -> tuple[Action, Outcome]:
    """Decide all slots, check the decisions, and compute what becomes of the tasks.

    Args:
        scenario: The network.
        state: Its slots.
        policy: Decides for them.
        chunk: Number of slots decided at a time.

    Raises:
        OptimizerError: A state that does not fit the network, or a decision that is not allowed.
    """
    check_state(state, scenario)
    action = decide(policy, state, chunk)
    check_action(action, state, scenario)
    return action, evaluate(scenario, state, action)


def run_policy(scenario: Scenario, state: State, policy: Policy) -> Outcome:
    """What becomes of every task when a policy decides; as `carry_out`, without the decisions."""
    return carry_out(scenario, state, policy)[1]
