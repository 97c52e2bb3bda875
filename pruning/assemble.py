"""Finished jobs -> the model bundle: scores, weights, ONNX, test part, history, figures, and `models.json` last."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save as save_arrays

from data import Dataset
from data.common.device import library_version
from data.common.files import sha256, write_json, write_whole
from data.images import FLOOR, SMOOTHING, segment_length
from pruning import spec as specs
from pruning.baseline import Baseline, baseline_entries
from pruning.bundle import MANIFEST, SCHEMA, Manifest
from pruning.config import SweepConfig
from pruning.cross import Cross, cross_baselines
from pruning.crosstable import cross_entry, pooled_calls
from pruning.curve import curve_entry
from pruning.export import export
from pruning.figures import draw_all
from pruning.jobfolder import JobFolder, JobResult
from pruning.jobs import Job
from pruning.load import load_weights
from pruning.metrics import Scores, difference, independent, score
from pruning.spec import VGGSpec
from pruning.weak import weakness

TEST, CALIBRATION, HISTORY = "test.safetensors", "calibration.safetensors", "history.jsonl"
PREDICTIONS = "predictions.safetensors"
CALIBRATION_WINDOWS = 64
LIBRARIES = ("jopa", "torch", "torchvision", "torch-pruning", "numpy", "scipy", "onnx", "scikit-learn")


@dataclass(frozen=True, eq=False)
class _Model:
    """The jobs of one model, one per seed."""

    rate: float
    method: str
    target: str | None
    jobs: list[Job]
    results: list[JobResult]
    name: str


def _gather(
    config: SweepConfig, jobs: Sequence[Job], folder: Callable[[str], JobFolder]
) -> tuple[list[_Model], _Model]:
    """All models by rate, and the control."""
    results = {}
    for job in jobs:
        result = folder(job.name).result(need_weights=False)
        assert result is not None, f"job {job.name} should be finished"
        results[job.name] = result
    last = [j for j in jobs if j.rate == j.final_rate]

    def model(chosen: list[Job], method: str, target: str | None, name: str) -> _Model:
        return _Model(chosen[0].rate, method, target, chosen, [results[j.name] for j in chosen], name)

    models = [model([j for j in last if j.kind == "dense"], "dense", None, "vgg16-dense")]
    for rate in config.pruned_rates:
        own = [j for j in last if j.kind == "pruned" and j.final_rate == rate]
        models.append(model(own, config.method, config.resolved_target, f"vgg16-p{rate:g}"))
    return models, model([j for j in last if j.kind == "control"], "dense", None, "vgg16-control")


def _all_scores(model: _Model, prefix: str, dataset: Dataset, apart: np.ndarray) -> dict[str, Scores] | None:
    names = [n.split(".", 1)[1] for n in model.results[0].predictions if n.startswith(f"{prefix}.")]
    if not names:
        return None
    order = ["clean", *(f"{snr}dB" for snr in dataset.noisy)]
    return {
        name: score(
            own,
            dataset.test.labels[: own.shape[1]],
            apart[: own.shape[1]],
            len(dataset.classes),
            dataset.normal,
        )
        for name in sorted(names, key=order.index)
        for own in [np.stack([r.predictions[f"{prefix}.{name}"] for r in model.results])]
    }


def _correct(model: _Model, dataset: Dataset) -> np.ndarray:
    """Which test windows each seed of a model classifies correctly."""
    return np.stack([r.predictions["after.clean"] == dataset.test.labels for r in model.results])


def _weakness(dense: _Model, dataset: Dataset, apart: np.ndarray) -> str | None:
    """What is said of the first seed that is no better than a constant answer; None if all are better."""
    found = [weakness(r.predictions["after.clean"], dataset, apart) for r in dense.results]
    return next((said for said in found if said is not None), None)


def _exported(model: _Model) -> int:
    """Index of the seed that the bundle carries: that of the lowest validation loss, or the first if there is none."""
    losses = [r.facts["validation_loss"] for r in model.results]
    return int(np.argmin([np.inf if loss is None else loss for loss in losses]))


def _entry(
    model: _Model, dense_model: _Model, dense: VGGSpec, dataset: Dataset, apart: np.ndarray
) -> tuple[dict[str, Any], Job, VGGSpec]:
    """A model's entry without its files, the job to export, and its structure."""
    chosen = _exported(model)
    facts = model.results[chosen].facts
    structure = replace(dense, widths=tuple(facts["widths"]), hidden=tuple(facts["hidden"]))
    after = _all_scores(model, "after", dataset, apart)
    assert after is not None
    before = _all_scores(model, "before", dataset, apart)
    own, reference = (_correct(m, dataset) for m in (model, dense_model))
    gain, low, high = difference([own, reference], dataset.test.recordings)
    accuracy = after["clean"].accuracy
    entry = {
        "rate": model.rate,
        "method": model.method,
        "target": model.target,
        "widths": facts["widths"],
        "hidden": facts["hidden"],
        "channels_kept": facts["channels_kept"],
        "flops": specs.flops(structure),
        "flops_nominal": round((1 - model.rate) * specs.flops(dense)),
        "parameters": specs.parameters(structure),
        "parameters_nonzero": facts["parameters_nonzero"],
        "accuracy": accuracy.value,
        "accuracy_interval": [accuracy.low, accuracy.high],
        "accuracy_before": before["clean"].accuracy.value if before else None,
        "relative_accuracy": accuracy.value / max(float(reference.mean()), 1e-12),
        "difference": {"value": gain, "low": low, "high": high},
        "before": {n: asdict(s) for n, s in before.items()} if before else None,
        "after": {n: asdict(s) for n, s in after.items()},
        "seeds": [
            {
                "seed": job.seed,
                "accuracy": float(correct.mean()),
                "validation_loss": result.facts["validation_loss"],
                "epochs": len(result.facts["logs"]),
            }
            for job, result, correct in zip(model.jobs, model.results, own, strict=True)
        ],
        "exported_seed": model.jobs[chosen].seed,
    }
    return entry, model.jobs[chosen], structure


def _write_test_part(out: Path, dataset: Dataset, apart: np.ndarray) -> None:
    tensors = {"images.clean": dataset.test.images}
    tensors |= {f"images.{snr}dB": images for snr, images in dataset.noisy.items()}
    tensors |= {
        "labels": dataset.test.labels,
        "recordings": dataset.test.recordings,
        "starts_s": dataset.test.starts_s,
        "independent": apart.astype(np.uint8),
    }
    write_whole(out / TEST, save_arrays({n: np.ascontiguousarray(t) for n, t in tensors.items()}))


def _write_calibration(out: Path, dataset: Dataset) -> None:
    """Training images of all classes, evenly chosen: the ranges of an int8 model must not be set on test windows."""
    labels = dataset.train.labels
    each = -(-CALIBRATION_WINDOWS // len(dataset.classes))
    chosen = []
    for label in np.unique(labels):
        own = np.flatnonzero(labels == label)
        chosen += own[np.unique(np.linspace(0, len(own) - 1, each).astype(int))].tolist()
    images = np.ascontiguousarray(dataset.train.images[np.sort(chosen)])
    write_whole(out / CALIBRATION, save_arrays({"images": images}))


def _write_predictions(out: Path, models: Sequence[_Model], classes: int) -> None:
    """The class that every model names for every test window, in as few bytes as it takes."""
    small = np.min_scalar_type(classes)
    called = {m.name: np.stack([r.predictions["after.clean"] for r in m.results]).astype(small) for m in models}
    write_whole(out / PREDICTIONS, save_arrays(called))


def _write_model(
    config: SweepConfig, name: str, job: JobFolder, structure: VGGSpec, dataset: Dataset
) -> dict[str, Any]:
    """Write a model's weights and, if wanted, its ONNX file; what its entry says of them."""
    weights = f"weights/{name}.safetensors"
    path = config.out / weights
    write_whole(path, job.weights.read_bytes())
    entry = {"weights": weights, "file_bytes": path.stat().st_size, "onnx": None, "onnx_error": None}
    if not config.onnx:
        return entry
    onnx = f"onnx/{name}.onnx"
    error = export(load_weights(path, structure), config.out / onnx, dataset.test.images[:16])
    return entry | {"onnx": onnx, "onnx_error": error}


def _write_history(out: Path, jobs: Sequence[Job], folder: Callable[[str], JobFolder]) -> None:
    lines = []
    for job in jobs:
        result = folder(job.name).result(need_weights=False)
        assert result is not None
        phase = {"dense": "train", "control": "control", "pruned": "retrain"}[job.kind]
        head = {"seed": job.seed, "rate": job.final_rate, "phase": phase, "step": job.step}
        lines += [json.dumps({**head, **log}) for log in result.facts["logs"]]
    write_whole(out / HISTORY, ("\n".join(lines) + "\n").encode())


def assemble(
    config: SweepConfig,
    dataset: Dataset,
    dense: VGGSpec,
    jobs: Sequence[Job],
    folder: Callable[[str], JobFolder],
    baselines: Sequence[Baseline],
    tick: Callable[[str], None],
    cross: Cross | None = None,
) -> Manifest:
    """Write the bundle into `config.out` from its finished jobs.

    Args:
        config: Settings of the sweep.
        dataset: What the models were trained and tested on.
        dense: Structure of the dense model.
        jobs: All jobs of the sweep, each finished.
        folder: Gives the folder of a job by its name.
        baselines: The simplest detectors, fitted on the same data set.
        tick: Called with the name of what is written next.
        cross: The cross-validation, if there is one; its jobs are finished as well.
    """
    out = config.out
    apart = independent(dataset.test.recordings, dataset.test.starts_s, dataset.window_s)
    models, control = _gather(config, jobs, folder)
    entries, files = [], [TEST, CALIBRATION, PREDICTIONS, HISTORY]
    _write_test_part(out, dataset, apart)
    _write_calibration(out, dataset)
    _write_predictions(out, (*models, control), len(dataset.classes))
    _write_history(out, jobs, folder)
    for model in (*models, control):
        tick(model.name)
        entry, job, structure = _entry(model, models[0], dense, dataset, apart)
        entries.append(entry | _write_model(config, model.name, folder(job.name), structure, dataset))
    files += [entry[kind] for entry in entries for kind in ("weights", "onnx") if entry[kind]]
    manifest = {
        **_head(config, dataset, dense, apart),
        "models": entries[:-1],
        "control": entries[-1],
        "baselines": baseline_entries(baselines, dataset, apart, _correct(models[0], dataset)),
        **_validated(config, cross, models[0], dataset, apart, folder),
        "test": TEST,
        "calibration": CALIBRATION,
        "predictions": PREDICTIONS,
        "history": HISTORY,
        "sha256": {name: sha256(out / name) for name in files},
    }
    checked = Manifest.model_validate(json.loads(json.dumps(manifest)))  # as it will be read
    tick("figures")
    draw_all(out, checked, dataset)
    write_json(out / MANIFEST, manifest)  # last: a bundle that has it is whole
    return checked


def _validated(
    config: SweepConfig,
    cross: Cross | None,
    dense: _Model,
    dataset: Dataset,
    apart: np.ndarray,
    folder: Callable[[str], JobFolder],
) -> dict[str, Any]:
    """What the bundle says of the dense model's weakness, the cross-validation and the learning curve."""
    fitted = cross_baselines(cross) if cross else []
    if cross and cross.complete:
        called = pooled_calls(cross.dense_jobs(config), folder)["after.clean"]
        weak = weakness(called, cross.pooled, np.ones(len(called), dtype=bool), cross.trials)
    else:
        weak = _weakness(dense, dataset, apart)
    return {
        "weak": weak,
        "cross_validation": cross_entry(config, cross, fitted, folder) if cross and cross.complete else None,
        "learning_curve": curve_entry(config, cross, fitted, folder) if cross else None,
    }


def _head(config: SweepConfig, dataset: Dataset, dense: VGGSpec, apart: np.ndarray) -> dict[str, Any]:
    """What `models.json` says of the whole bundle, before its models."""
    return {
        "schema": SCHEMA,
        "library": {name: library_version(name) or "unknown" for name in LIBRARIES},
        "data": _data_entry(config, dataset, apart),
        "classes": list(dataset.classes),
        "normal_class": dataset.normal,
        "preprocessing": {
            "image": "log_spectrogram",
            "size": config.data.size,
            "window_s": config.data.window_s,
            "rate_hz": dataset.rate_hz,
            "hop_s": config.data.hop_s,
            "segment": segment_length(config.data.size, dataset.rate_hz),
            "floor": FLOOR,
            "smoothing": SMOOTHING,
            "mean": dataset.mean,
            "deviation": dataset.deviation,
            "channel": config.data.channel,
        },
        "architecture": {
            "name": "vgg16",
            "head": config.head,
            "width": config.width,
            "pool": dense.pool,
            "batch_norm": config.batch_norm,
            "line": config.line,
        },
        "criterion": config.criterion,
        "seeds": list(config.seeds),
        "training": config.identity(),
    }


def _data_entry(config: SweepConfig, dataset: Dataset, apart: np.ndarray) -> dict[str, Any]:
    return {
        "name": config.data.data,
        "labels": dataset.config.labels,
        "split": dataset.split,
        "held_out": dataset.held_out,
        "windows": {"train": len(dataset.train), "validation": len(dataset.validation), "test": len(dataset.test)},
        "test_windows_independent": int(apart.sum()),
        "recordings": list(dataset.recordings),
        "fingerprint": dataset.fingerprint,
        "notes": list(dataset.notes),
    }
