"""Tuning a preset's settings with Optuna: trials by several workers on one storage, and what came of them.

In: a network, a preset with its settings, a storage (SQLite or PostgreSQL). Out: the study in the storage, and a page
with its table and pictures. Start reading at `worker`, then `space` and `study`. It may import `learning` and what is
below it, and the drawing of `evaluation`.
"""
