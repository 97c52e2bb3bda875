"""The network's system model, its exact optimum, the learned policy and the schemes it is compared with.

In: a scenario (shipped, a TOML file, or measured profiles). Out: decisions, and what becomes of every task. Start
reading at `network.scenario.Scenario` (the network), `network.equations` (the paper), `solver.exact` (the best decision
of a slot) and `learning.policy` (the learned one). May import `data.common` and `profiling.profile`. The names below
are loaded when they are first used, so that `import optimizer` costs little.
"""

from typing import TYPE_CHECKING

from data.common.lazy import lazy_exports
from data.common.loading import stop_quietly_if_a_command_loads

stop_quietly_if_a_command_loads()

if TYPE_CHECKING:
    from optimizer.environment.picture import draw_slot
    from optimizer.errors import OptimizerError
    from optimizer.learning.deployed import LearnedPolicy
    from optimizer.learning.from_python import train_policy
    from optimizer.network.from_profiles import measured_scenario
    from optimizer.network.outcome import Outcome, evaluate
    from optimizer.network.readings import describe_slot, make_state, parse_states
    from optimizer.network.rewards import REWARDS
    from optimizer.network.scenario import Scenario
    from optimizer.network.slots import Action, State, draw_states
    from optimizer.schemes.base import Policy
    from optimizer.schemes.planner import Planner
    from optimizer.schemes.registry import SCHEMES, make_scheme
    from optimizer.schemes.summary import summarise
    from optimizer.solver.exact import Optimum, optimum

__all__ = [
    "REWARDS",
    "SCHEMES",
    "Action",
    "LearnedPolicy",
    "OptimizerError",
    "Optimum",
    "Outcome",
    "Planner",
    "Policy",
    "Scenario",
    "State",
    "describe_slot",
    "draw_slot",
    "draw_states",
    "evaluate",
    "make_scheme",
    "make_state",
    "measured_scenario",
    "optimum",
    "parse_states",
    "summarise",
    "train_policy",
]  # fmt: skip

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "Action": "optimizer.network.slots",
        "LearnedPolicy": "optimizer.learning.deployed",
        "Optimum": "optimizer.solver.exact",
        "OptimizerError": "optimizer.errors",
        "Outcome": "optimizer.network.outcome",
        "Planner": "optimizer.schemes.planner",
        "Policy": "optimizer.schemes.base",
        "REWARDS": "optimizer.network.rewards",
        "SCHEMES": "optimizer.schemes.registry",
        "Scenario": "optimizer.network.scenario",
        "State": "optimizer.network.slots",
        "describe_slot": "optimizer.network.readings",
        "draw_slot": "optimizer.environment.picture",
        "draw_states": "optimizer.network.slots",
        "evaluate": "optimizer.network.outcome",
        "make_scheme": "optimizer.schemes.registry",
        "make_state": "optimizer.network.readings",
        "measured_scenario": "optimizer.network.from_profiles",
        "optimum": "optimizer.solver.exact",
        "parse_states": "optimizer.network.readings",
        "summarise": "optimizer.schemes.summary",
        "train_policy": "optimizer.learning.from_python",
    },
)
