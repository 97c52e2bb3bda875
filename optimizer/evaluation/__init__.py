"""Comparisons: policies beside the optimum and all schemes, and the paper's section V with its claims.

In: policies, scenarios, slots. Out: typed results, tables, figures and verdicts. Start reading at `compare` (policies
on the same slots) or `section_v` (the paper's evaluation), then `results` and `claims`. May import `optimizer.learning`
(deployed policies), `optimizer.schemes`, `optimizer.solver` and `optimizer.network`.
"""
