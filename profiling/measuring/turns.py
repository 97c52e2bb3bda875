"""Cells that take turns at random: every run is another model and another batch size, as in service.

A model is opened once for all its batch sizes, each run takes test windows in and gives classes out, and nothing is run
twice in a row on purpose. `--order random` measures so; the trial works so.
"""

import os
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from profiling.measuring.interference import disturbances, look
from profiling.runtimes.service import Service
from profiling.runtimes.session import Images

FIRST_RUNS = 2  # unrecorded runs of each model and size after opening: a runtime prepares a size when it first comes
Cell = dict[str, Any]


class Turns:
    """Open models whose cells take turns.

    Args:
        cells: The cells, by key.
        open_model: Opens the model of a cell for batches up to the largest of its cells.
        images: Test windows to draw batches from.
        least_runs: Least number of runs of each cell in a round.
        least_s: Least seconds of a round, for each of its cells.
    """

    def __init__(
        self, cells: dict[str, Cell], open_model: Callable[[Cell], Service], images: Images, least_runs: int,
        least_s: float,
    ) -> None:  # fmt: skip
        self._cells, self._open_model, self._images = cells, open_model, images
        self._least_runs, self._least_s = least_runs, least_s
        self._models: dict[tuple[Any, ...], Service] = {}
        self._ready: set[str] = set()

    def is_open(self, key: str) -> bool:
        """Whether a cell has been run before."""
        return key in self._ready

    def open(self, key: str) -> None:
        """Open a cell's model, unless it is open, and run the cell's batch size for the first time."""
        cell = self._cells[key]
        model = (cell["onnx"], str(cell["bundle"]), cell["precision"])
        if model not in self._models:
            alike = [c for c in self._cells.values() if (c["onnx"], str(c["bundle"]), c["precision"]) == model]
            self._models[model] = self._open_model({**cell, "batch": max(c["batch"] for c in alike)})
        for _ in range(FIRST_RUNS):
            self._models[model].serve(self._images[np.arange(cell["batch"]) % len(self._images)])
        self._ready.add(key)

    def _run(self, key: str, rng: np.random.Generator) -> float:
        cell = self._cells[key]
        batch = self._images[rng.integers(0, len(self._images), cell["batch"])]
        return self._models[cell["onnx"], str(cell["bundle"]), cell["precision"]].serve(batch)[0]

    def round(self, keys: Sequence[str], number: int) -> tuple[dict[str, list[float]], list[str]]:
        """Run open cells in turn, in a new random order each time, until all have enough runs.

        Returns:
            Seconds of each cell's runs, and what disturbed the round.
        """
        rng = np.random.default_rng(number)
        samples: dict[str, list[float]] = {key: [] for key in keys}
        before, runs = look(), 0
        while runs < self._least_runs or time.monotonic() - before.wall < self._least_s * len(keys):
            for i in rng.permutation(len(keys)):
                samples[keys[i]].append(self._run(keys[i], rng))
            runs += 1
        return samples, disturbances(before, look(), os.cpu_count() or 1)
