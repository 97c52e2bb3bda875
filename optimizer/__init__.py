"""The network's system model, its exact optimum, the learned policy and the schemes it is compared with.

In: a scenario (shipped, a TOML file, or measured profiles). Out: decisions, and what becomes of every task. Start
reading at `scenario.Scenario` (the network), `system` (the paper's equations), `optimum` (the best decision of a slot)
`environment` (the same as a Gymnasium environment), `jopa` (the learned policy) and `sac` (the paper's). `python -m
optimizer.solve` solves slots, `optimizer.train` learns, `optimizer.evaluate` compares, `optimizer.trial` tries.
"""

from optimizer.errors import OptimizerError
from optimizer.network.outcome import Outcome
from optimizer.network.scenario import Scenario
from optimizer.network.slots import Action, State, draw_states
from optimizer.solver.exact import Optimum, optimum

__all__ = ["Action", "OptimizerError", "Optimum", "Outcome", "Scenario", "State", "draw_states", "optimum"]
