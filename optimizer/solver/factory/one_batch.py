"""The best that a gateway can do with one batch, for every number of tasks sent to an edge with a queue (by numba).

A batch serves the tasks of a *prefix* of levels, 0 to j, those whose requirements it meets. What it is worth depends on
the model, its size, and how many of its tasks are served. A task that is not served may still help to fill it: with a
reward for busy time, a bigger batch can be worth more for each task that is served.
"""

from typing import no_type_check

import numpy as np

from optimizer.solver.compiled import inner_kernel
from optimizer.solver.worth import local_gain


@no_type_check
@inner_kernel
def best_sizes(counts, local, levels, worth):
    """The most that a task served in a batch is worth, at [prefix, size], and the model that gives it; -1 for none."""
    tasks, count = counts.sum(), len(counts)
    gain, model = np.zeros((count, tasks + 1)), np.full((count, tasks + 1), -1, np.int64)
    for v in range(len(local.accuracy)):
        reachable = -1
        while reachable + 1 < count and levels.min_accuracy[reachable + 1] <= local.accuracy[v]:
            reachable += 1
        for n in range(1, tasks + 1):
            j = reachable
            while j >= 0 and local.seconds[v, n] > levels.max_delay_s[j]:
                j -= 1
            if j < 0:
                continue
            each = local_gain(worth, v, local.seconds[v, n], n)
            if each > gain[j, n]:
                gain[j, n], model[j, n] = each, v
    return gain, model


@no_type_check
@inner_kernel
def best_in_one_batch(counts, gain, model, caps, worths, plans):
    """The best batch for every number of tasks sent: its worth, and `plans[n]` = prefix, model, size.

    Of n tasks sent, as many as the queue admits come from the levels above the prefix. Of those that are left in the
    prefix as many are served as fit into the batch; others fill it up.
    """
    tasks, count = counts.sum(), len(counts)
    for n in range(len(worths)):
        worths[n] = 0.0
        plans[n, 0] = plans[n, 1] = plans[n, 2] = 0
    within = 0
    for j in range(count):
        within += counts[j]
        above = caps[j + 1] if j + 1 < count else 0
        for n in range(len(worths)):
            left = within - n + min(n, above)
            for size in range(1, tasks - n + 1):
                value = min(size, left) * gain[j, size]
                if value > worths[n]:
                    worths[n] = value
                    plans[n, 0], plans[n, 1], plans[n, 2] = j, model[j, size], size


@no_type_check
@inner_kernel
def send_least_critical(counts, prefix, above, n, sent):
    """How many tasks of each level are sent: of n, as many as the queue admits from above the prefix."""
    sent[:] = 0
    high = min(n, above)
    for k in range(prefix + 1, len(counts)):
        sent[k] = min(high, counts[k])
        high -= sent[k]
    low = n - min(n, above)
    for k in range(prefix + 1):
        sent[k] = min(low, counts[k])
        low -= sent[k]
