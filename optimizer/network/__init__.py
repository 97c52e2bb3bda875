"""The network of the paper's sections II and III as plain functions over arrays.

In: a scenario (shipped, a TOML file, or measured profiles), states and decisions. Out: what becomes of every task.
Start reading at `scenario.Scenario`, then `equations` (the paper) and `outcome` (the equations at work); `rewards` says
what a slot is worth, `metrics` what is measured, `readings` takes a user's own slots. May import `data.common` and, to
build a scenario from measurements, `profiling.profile`; needs neither torch, numba nor gymnasium.
"""
