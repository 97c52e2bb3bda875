"""The exact optimum of a slot.

In: a scenario and states. Out: the best decisions and their rewards, in compiled code. Start reading at
`exact.optimum`; `one_gateway` solves a gateway for every share of the edge, `edge_shares` divides the edge, `queue`
decides how many tasks of a level can be sent, `worth` knows what a task is worth. May import `optimizer.network`; needs
numba.
"""
