"""What a level can do on the gateway's processor: keep so many tasks and run them with one of the models (by numba)."""

from typing import NamedTuple, no_type_check

import numpy as np

from optimizer.solver.compiled import inner_kernel
from optimizer.solver.worth import local_gain

SIZES = 24  # picked by hand: prices from so many sizes are as good as from all


class Options(NamedTuple):
    """The local batches that each level may need; the first one of every level is to keep nothing.

    Attributes:
        first: Options of level k are those from `first[k]` up to `first[k + 1] - 1`.
        kept: Number of tasks in the batch.
        model: The model that runs it.
        seconds: How long it takes.
        own: What it adds to the reward if it starts at once, the avoided penalty included.
    """

    first: np.ndarray
    kept: np.ndarray
    model: np.ndarray
    seconds: np.ndarray
    own: np.ndarray


@no_type_check
@inner_kernel
def options_of(counts, local, levels, worth):
    """The `Options` of a gateway: batches that are fast and accurate enough, pay, and that no other one replaces.

    Batch A replaces batch B of the same level if it keeps no more tasks, is no slower and is worth at least as much.
    """
    count, models = len(counts), len(local.accuracy)
    size = count + counts.sum() * models
    first = np.zeros(count + 1, np.int64)
    kept, model = np.zeros(size, np.int64), np.zeros(size, np.int64)
    seconds, own = np.zeros(size), np.zeros(size)
    total = 0
    for k in range(count):
        first[k] = total
        kept[total] = model[total] = 0
        seconds[total] = own[total] = 0.0
        total += 1
        for n in range(1, counts[k] + 1):
            begun = total
            for v in range(models):
                if local.accuracy[v] < levels.min_accuracy[k]:
                    continue
                time = local.seconds[v, n]
                gain = n * local_gain(worth, v, time, n)
                if time > levels.max_delay_s[k] or gain <= 0:
                    continue
                at, replaced = begun, False
                for i in range(begun, total):  # among the batches of this size
                    if seconds[i] <= time and own[i] >= gain:
                        replaced = True
                        break
                if replaced:
                    continue
                for i in range(begun, total):
                    if not (time <= seconds[i] and gain >= own[i]):
                        kept[at], model[at], seconds[at], own[at] = kept[i], model[i], seconds[i], own[i]
                        at += 1
                kept[at], model[at], seconds[at], own[at] = n, v, time, gain
                total = at + 1
    first[count] = total
    return Options(first, kept[:total], model[:total], seconds[:total], own[:total])


@no_type_check
@inner_kernel
def longest_batches(options, deadlines, longest):
    """The longest batch that each level may run, written to `longest`; returns the most that a local task is worth."""
    most = 0.0
    for k in range(len(longest)):
        longest[k] = 0.0
        for i in range(options.first[k], options.first[k + 1]):
            longest[k] = max(longest[k], options.seconds[i])
            most = max(most, options.own[i] / max(options.kept[i], 1))
        longest[k] = min(longest[k], deadlines[k])
    return most


@no_type_check
@inner_kernel
def some_of(options, counts):
    """About SIZES sizes of batches of each level, with all their models: enough to find prices with."""
    keep = np.zeros(len(options.own), np.bool_)
    first = np.zeros_like(options.first)
    for k in range(len(counts)):
        stride = max(1, counts[k] // SIZES)
        for i in range(options.first[k], options.first[k + 1]):
            keep[i] = options.kept[i] == 0 or (counts[k] - options.kept[i]) % stride == 0
        first[k + 1] = first[k] + keep[options.first[k] : options.first[k + 1]].sum()
    return Options(first, options.kept[keep], options.model[keep], options.seconds[keep], options.own[keep])
