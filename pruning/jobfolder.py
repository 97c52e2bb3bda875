"""The folder of a job: its results when it is finished, a checkpoint until then."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from safetensors.numpy import save as save_arrays
from safetensors.torch import load_file as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from data.common.files import sha256, write_json, write_whole
from data.common.parse import read_json
from data.common.tensors import load_guarded, read_metadata, read_tensors
from pruning.errors import PruningError
from pruning.jobfacts import CheckpointState, JobFacts, fits

WEIGHTS, PREDICTIONS = "weights.safetensors", "predictions.safetensors"
CHECKPOINT, RESULT, FAILED = "checkpoint.safetensors", "job.json", "failed.json"


class JobResult(NamedTuple):
    """Results of a finished job: facts, and the predicted class of each test window by "before.clean" and so on."""

    facts: dict[str, Any]
    predictions: dict[str, np.ndarray]


class JobFolder:
    """Files of one job (training one model with one seed).

    Args:
        path: The job's own folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def finish(self, weights: dict[str, Tensor], predictions: dict[str, np.ndarray], facts: dict[str, Any]) -> None:
        """Write a job's results. `job.json` is written last: a job that has it is finished."""
        write_whole(self.path / WEIGHTS, save_tensors({n: t.contiguous() for n, t in weights.items()}))
        write_whole(self.path / PREDICTIONS, save_arrays({n: np.ascontiguousarray(p) for n, p in predictions.items()}))
        hashes = {name: sha256(self.path / name) for name in (WEIGHTS, PREDICTIONS)}
        write_json(self.path / RESULT, {**facts, "sha256": hashes})
        for name in (CHECKPOINT, FAILED):
            (self.path / name).unlink(missing_ok=True)

    def fail(self, reason: str, seed: int) -> None:
        """Mark a job as failed; the mark is removed when it is finished after all."""
        write_json(self.path / FAILED, {"reason": reason, "seed": seed})

    def result(self, need_weights: bool = True) -> JobResult | None:
        """Results of the job; None if it is not finished or one of its files is damaged (it is then done again)."""
        try:
            facts = read_json(self.path / RESULT, PruningError)
            if not fits(JobFacts, facts) or set(facts["sha256"]) != {WEIGHTS, PREDICTIONS}:
                return None
            for name, expected in facts["sha256"].items():
                if (need_weights or name != WEIGHTS) and sha256(self.path / name) != expected:
                    return None
            return JobResult(facts, read_tensors(self.path / PREDICTIONS, PruningError))
        except (PruningError, OSError):
            return None

    @property
    def weights(self) -> Path:
        """Path of the trained weights."""
        return self.path / WEIGHTS

    def save_checkpoint(self, tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
        """Save the state of an unfinished training."""
        write_whole(self.path / CHECKPOINT, save_tensors(tensors, {"state": json.dumps(state)}))

    def load_checkpoint(self) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """The state of an unfinished training; None if there is none or it is damaged."""
        path = self.path / CHECKPOINT
        try:
            state = read_metadata(path, "state")
            return (load_guarded(path, load_tensors, PruningError), state) if fits(CheckpointState, state) else None
        except (OSError, ValueError, PruningError):
            return None
