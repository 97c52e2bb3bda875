"""The network of the paper's sections II and III as plain functions over arrays.

In: a scenario (shipped, a TOML file, or measured profiles), states and decisions. Out: what becomes of every task.
Start reading at `scenario.Scenario`, then `outcome` (the equations at work). May import `data.common` and, to build a
scenario from measurements, `profiling.profile`; needs neither torch, numba nor gymnasium.
"""
