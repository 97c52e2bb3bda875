"""Everything that decides: the optimum, the paper's baselines and the simple rules they are compared with.

In: a scenario and a name. Out: a `Policy` whose `decide(state)` returns an `Action`. Start reading at `registry`, which
lists all schemes, and `base.Policy`. May import `optimizer.solver` and `optimizer.network`.
"""
