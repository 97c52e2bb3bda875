"""Comparisons: policies beside the optimum and all schemes, and the paper's section V with its claims.

In: policies, scenarios, slots. Out: typed results, tables, pictures and verdicts. Start reading at `section_v`, then
`claims`. May import `optimizer.learning` (deployed policies), `optimizer.schemes`, `optimizer.solver` and
`optimizer.network`.
"""
