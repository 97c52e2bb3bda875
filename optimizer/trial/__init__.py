"""Decisions carried out by real processes that run real models on real windows.

In: a network of measured profiles, their bundle, schemes and policies. Out: `trial.json`, what became of each scheme's
tasks, as predicted and as measured. Start reading at `slots` (what becomes of a slot's tasks), then `carry_out` (slots
with real times), `machines` (the processes), `run` (a whole trial) and `findings` (its figures).
May import `optimizer.evaluation`, `optimizer.learning`, `optimizer.network` and the profiler's runtimes.
"""
