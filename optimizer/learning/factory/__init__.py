"""The learned policy of a factory's network: laws learned from what gateways report, and a search on them.

In: a scenario that says `can_refuse`, and what its environment's `step` returns. Out: a training as `job.Training` has
it, and a policy that decides without torch. Start reading at `policy` (how it decides), `laws` (what it has learned),
`statistics` (how it learns) and `training`. May import `optimizer.environment`, `optimizer.solver.compiled` and
`optimizer.network`; all but `training` need no torch.
"""
