"""A sweep: a list of independent, named, resumable jobs, done by local processes or on a Ray cluster.

In: jobs, a function that does one and leaves its result file in the run folder, and what all jobs share. Out: the same
files whatever did them, and a summary that names what was repeated. Start reading at `sweep`, then `job`; `local` and
`ray_executor` are the two executors. Like all of `data.common` it imports nothing else of ours.
"""
