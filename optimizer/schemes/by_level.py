"""A gateway's work by level without any search: what fits before the deadlines, on the most accurate models."""

import numpy as np
from jaxtyping import Int64

from optimizer.network.equations import Counts
from optimizer.network.scenario import Scenario

NEVER = np.inf
Models = Int64[np.ndarray, "batch gateways levels"]


def work_by_level(scenario: Scenario, counts: Counts) -> tuple[Counts, Models]:
    """How many tasks of each level a gateway keeps, and the model of each level; the others cannot be served in time.

    Two passes, the most critical level first. The first one gives every level as many tasks as are done in time on the
    fastest model that is accurate enough. The second one gives every level, as far as no level becomes late, a more
    accurate model.

    Args:
        scenario: The network.
        counts: Number of tasks that ask for the gateway, at [batch, gateway, level].
    """
    constants = scenario.constants
    gateways, levels = counts.shape[1], len(scenario.qos)
    enough = constants.accuracy[:, None] >= constants.min_accuracy  # model level
    kept, model = np.zeros_like(counts), np.zeros(counts.shape, np.int64)
    clock = np.zeros(counts.shape[:2])
    done = np.zeros(counts.shape)
    g = np.arange(gateways)
    for k in range(levels - 1, -1, -1):
        if not enough[:, k].any():
            done[:, :, k] = clock
            continue
        seconds = np.where(enough[:, k][None, :, None], constants.local_s, NEVER)  # gateway model tasks
        fastest, chosen = seconds.min(axis=1), seconds.argmin(axis=1)
        # Larger batches may be faster by noise: a batch fits if any batch of at least its size does.
        left = constants.max_delay_s[k] - clock
        fits = fastest[None] <= left[:, :, None]
        sizes = np.arange(fastest.shape[1])
        fits &= sizes <= counts[:, :, k, None]
        kept[:, :, k] = np.where(fits, sizes, 0).max(axis=2)
        model[:, :, k] = chosen[g, kept[:, :, k]]
        clock = clock + constants.local_s[g, model[:, :, k], kept[:, :, k]]
        done[:, :, k] = clock
    return kept, _upgrade(scenario, kept, model, done, enough)


def _upgrade(scenario: Scenario, kept: Counts, model: Models, done: np.ndarray, enough: np.ndarray) -> Models:
    """More accurate models, level by level, as far as no level with tasks becomes late."""
    constants, g = scenario.constants, np.arange(kept.shape[1])
    slack = np.where(kept > 0, constants.max_delay_s - done, NEVER)
    model = model.copy()
    for k in range(kept.shape[2] - 1, -1, -1):
        room = slack[:, :, : k + 1].min(axis=2)  # a longer batch delays its own level and those after it
        now = constants.local_s[g, model[:, :, k], kept[:, :, k]]
        seconds = constants.local_s[g[:, None], np.arange(len(enough)), kept[:, :, k, None]]  # batch gateway model
        allowed = enough[:, k] & (seconds - now[..., None] <= room[..., None])
        allowed[kept[:, :, k] == 0] = False
        score = np.where(allowed, constants.accuracy - 1e-9 * seconds / scenario.slot_s, -1.0)
        better = score.argmax(axis=2)
        take = allowed.any(axis=2)
        model[:, :, k] = np.where(take, better, model[:, :, k])
        grown = np.where(take, constants.local_s[g, model[:, :, k], kept[:, :, k]] - now, 0.0)
        slack[:, :, : k + 1] -= grown[..., None]
    return model
