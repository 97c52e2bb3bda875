"""Measuring on this machine: rounds in fresh processes, what disturbed them, peak and quantisation.

In: what to measure and how long. Out: raw samples with percentiles, intervals and a grade. Start reading at `worker`
(one process that measures) and `run_statistics` (from samples to figures). May import `profiling.bundle`,
`profiling.runtimes`, `profiling.profile` and `data.common`.
"""
