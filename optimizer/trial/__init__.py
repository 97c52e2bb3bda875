"""Decisions carried out by real processes that run real models on real windows.

In: a policy, and the bundle and profiles that its network was built from. Out: `trial.json`, each task as predicted and
as measured. Start reading at `slots` (one slot carried out), then `run` (a whole trial) and `findings` (its figures).
May import `optimizer.evaluation`, `optimizer.learning`, `optimizer.network` and the profiler's runtimes.
"""
