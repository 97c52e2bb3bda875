"""The exact optimum of a slot where tasks can be refused: gateways that work by level, or an edge with a queue.

In: a network's numbers (`solver.problem`) and states. Out: the best decisions, their rewards and a bound. Start reading
at `slots.solve_slots`; `regimes` says how many tasks can be sent at which share of the edge, `by_level` and `one_batch`
find the best that a gateway can do on its own processor for each number of tasks sent, `cells` keeps what is known of
that, and `solver.edge_shares` divides the edge. `docs/factory.md` has the argument. May import the
other modules of `optimizer.solver`; needs numba.
"""
