"""Train one policy in its folder: in blocks, with a checkpoint after each, ending in a policy folder.

Everything random in a block is drawn from (seed, block). A training that was stopped at any moment and goes on from its
last checkpoint therefore ends with the weights of one that never stopped (on the same number of threads).
"""

import json
import time
from contextlib import closing, nullcontext, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from safetensors.torch import save

from data.common.device import is_installed
from data.common.files import sha256, write_json, write_whole
from data.common.parse import read_json
from data.common.runfolder import SETTINGS, claim, only_process
from optimizer.errors import BadSlotError, OptimizerError
from optimizer.learning.checkpoint import CHECKPOINT, load_checkpoint, pack_weights, save_checkpoint
from optimizer.learning.eventlog import EventLog
from optimizer.learning.job import Job, Progress, Row, Training
from optimizer.learning.manifest import MANIFEST, ONNX, SCHEMA, WEIGHTS, PolicyManifest, Source, read_manifest
from optimizer.learning.options import TrainConfig
from optimizer.learning.presets import build_training

FAILED = "failed.json"


def train(job: Job, config: TrainConfig, progress: Progress) -> PolicyManifest:
    """Train one policy in its folder, from wherever an earlier call left it.

    Args:
        job: The policy to train.
        config: Settings of the training.
        progress: Called after each block.

    Raises:
        OptimizerError: The folder belongs to another configuration, its checkpoint is damaged, or a reward or loss was
            not finite (then `failed.json` says where).
    """
    folder = config.out / job.name
    given = {"gateway": config.network.gateway, "edge": config.network.edge}
    sources = {name: Source.of(path) for name, path in given.items() if path is not None}
    with only_process(folder):
        _claim(folder, job, config)
        manifest = _whole(folder)
        if manifest is not None:
            return manifest
        training = build_training(job, config)
        history = load_checkpoint(folder, training)
        try:
            _run_blocks(folder, job, training, history, progress)
        except OptimizerError as error:  # not a full disk: that is no failure of the training
            failed: dict[str, Any] = {"reason": str(error), "seed": job.seed, "done": training.done}
            if isinstance(error, BadSlotError):
                failed["slots"] = [error.slot]
            write_json(folder / FAILED, failed)
            raise
        return _finish(folder, job, config, training, history, sources)


def trained(job: Job, config: TrainConfig) -> PolicyManifest | None:
    """The finished policy of a job; None if it is not finished.

    Raises:
        OptimizerError: The folder belongs to another configuration.
    """
    folder = config.out / job.name
    if not (folder / SETTINGS).exists():
        return None
    _claim(folder, job, config)
    return _whole(folder)


def _whole(folder: Path) -> PolicyManifest | None:
    """The policy in a folder, if all its files are there."""
    with suppress(OptimizerError):
        manifest = read_manifest(folder)
        if all((folder / name).is_file() for name in manifest.files):
            return manifest
    return None


def _claim(folder: Path, job: Job, config: TrainConfig) -> None:
    """Write the training's settings into its folder, or refuse a folder of another training."""
    identity = {
        "preset": config.preset,
        "scenarios": [s.dump() for s in job.scenarios],
        "seed": job.seed,
        "world": asdict(config.world),
        "settings": config.settings_for(job.scenarios[0]),
    }
    with suppress(OptimizerError):  # `claim` tells about a file that cannot be read
        there = read_json(folder / SETTINGS, OptimizerError)
        if isinstance(there, dict) and there.get("world") == str(config.world):  # as written before schema 2
            write_json(folder / SETTINGS, {**there, "world": identity["world"]})
    claim(folder, identity)


def _run_blocks(folder: Path, job: Job, training: Training, history: list[Row], progress: Progress) -> None:
    """Train block by block, with a checkpoint after each."""
    own = closing(EventLog(folder / "tensorboard", training.done)) if is_installed("tensorboard") else nullcontext()
    with own as log:
        while training.done < training.total:
            begun = time.monotonic()
            row = training.run_block()
            seconds = time.monotonic() - begun
            shown = {f"validation_{k}": v for k, v in training.validate().items()}
            history.append({"done": training.done, **row, "seconds": seconds, **shown})
            save_checkpoint(folder, training, history)
            if log is not None:
                log.add({key: value for key, value in history[-1].items() if value is not None}, training.done)
            progress(job, training.done, training.total, history[-1])


def _finish(
    folder: Path, job: Job, config: TrainConfig, training: Training, history: list[Row], sources: dict[str, Source]
) -> PolicyManifest:
    """Write the policy; `policy.json`, written last, is what makes it finished."""
    write_whole(folder / WEIGHTS, save(pack_weights(training)))
    onnx = training.to_onnx()
    if onnx is not None:
        write_whole(folder / ONNX, onnx)
    manifest = PolicyManifest(
        schema=SCHEMA,
        preset=config.preset,
        scenario=job.scenarios[0].dump(),
        sensors=tuple(s.sensors for s in job.scenarios),
        reach=training.reach,
        gateway_types=tuple((float(a), float(b), float(c)) for a, b, c in training.gateway_types),
        seed=job.seed,
        config=json.loads(json.dumps(config.settings_for(job.scenarios[0]))),
        training={
            "slots": float(sum(r["slots"] or 0 for r in history)),
            "updates": float(training.done),
            "seconds": float(sum(r["seconds"] or 0 for r in history)),
        },
        sources=sources,
        onnx_sha256=None if onnx is None else sha256(folder / ONNX),
        weights_sha256=sha256(folder / WEIGHTS),
        history=tuple(history),
    )
    write_json(folder / MANIFEST, manifest.model_dump(mode="json", by_alias=True))
    for name in (CHECKPOINT, FAILED):
        (folder / name).unlink(missing_ok=True)
    return manifest
