"""Every kind of file: its sound contents, how it is damaged, and what uses it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from json import loads

from benchmarks.hostile import corpus, mutate, uses
from benchmarks.hostile import uses_of_folders as folders
from benchmarks.hostile.uses import Place, Use

PREDICTIONS, CHECKPOINT = "predictions.safetensors", "checkpoint.safetensors"


@dataclass(frozen=True)
class Target:
    """A kind of file.

    Attributes:
        name: Its name.
        share: How many of a hundred mutants are of it.
        seeds: Sound contents, from the place.
        damage: Makes a mutant of one of them.
        use: Reads and uses it.
    """

    name: str
    share: int
    seeds: Callable[[Place], list[bytes]]
    damage: mutate.Damage
    use: Use


def _of_run(*names: str) -> Callable[[Place], list[bytes]]:
    return lambda place: [(place.run / name).read_bytes() for name in names]


def _model_file(kind: str) -> Callable[[Place], list[bytes]]:
    def seeds(place: Place) -> list[bytes]:
        told = loads((place.run / "bundle" / "models.json").read_text())
        return [(place.run / "bundle" / told["models"][-1][kind]).read_bytes()]

    return seeds


def _policy_file(parent: str, name: str) -> Callable[[Place], list[bytes]]:
    return lambda place: [path.read_bytes() for path in sorted((place.run / parent).glob(f"*/{name}"))[:1]]


def _job_file(name: str) -> Callable[[Place], list[bytes]]:
    def seeds(place: Place) -> list[bytes]:
        folder = place.scratch / "job-of-seeds"
        if not folder.exists():
            corpus.job_folder(folder)
        return [(folder / name).read_bytes()]

    return seeds


def _network(*names: str) -> Callable[[Place], list[bytes]]:
    return lambda _: [corpus.network_files()[name] for name in names]


def _recordings(ending: str) -> Callable[[Place], list[bytes]]:
    return lambda place: corpus.recordings(place.scratch)[ending]


def _samples(place: Place) -> list[bytes]:
    return [next((place.run / "gateway").glob("*.safetensors")).read_bytes()]


OF_LAWS, OF_ONNX = partial(uses.use_policy, "laws"), partial(uses.use_policy, "onnx")
JOB, PAGE, RECORDING = uses.use_job, uses.use_page, folders.use_recording
LAWS, ONNX = partial(_policy_file, "policies"), partial(_policy_file, "paper")
FIGURES, RESULTS = "experiment/figures/", "experiment/results.json"
json, tensors, onnx, toml = mutate.damage_json, mutate.damage_tensors, mutate.damage_onnx, mutate.damage_toml

TARGETS: tuple[Target, ...] = (
    Target("profile", 8, _of_run("gateway.json", "edge.json"), json, uses.use_profile),
    Target("samples", 2, _samples, tensors, uses.use_samples),
    Target("bundle", 8, _of_run("bundle/models.json"), json, uses.use_manifest),
    Target("weights", 3, _model_file("weights"), tensors, uses.use_weights),
    Target("onnx", 3, _model_file("onnx"), onnx, uses.use_onnx),
    Target("test part", 2, _of_run("bundle/test.safetensors"), tensors, uses.use_test_part),
    Target("history", 1, _of_run("bundle/history.jsonl"), mutate.damage_lines, uses.use_history),
    Target("job", 2, _job_file("job.json"), json, partial(JOB, "job.json")),
    Target("predictions", 1, _job_file(PREDICTIONS), tensors, partial(JOB, PREDICTIONS)),
    Target("checkpoint", 2, _job_file(CHECKPOINT), tensors, partial(JOB, CHECKPOINT)),
    Target("policy of laws", 4, LAWS("policy.json"), json, partial(OF_LAWS, "policy.json")),
    Target("laws", 3, LAWS("weights.safetensors"), tensors, partial(OF_LAWS, "weights.safetensors")),
    Target("policy", 4, ONNX("policy.json"), json, partial(OF_ONNX, "policy.json")),
    Target("policy's onnx", 3, ONNX("policy.onnx"), onnx, partial(OF_ONNX, "policy.onnx")),
    Target("trial", 6, _of_run("trial.json"), json, partial(PAGE, "trial.json")),
    Target("results", 6, _of_run(RESULTS), json, partial(PAGE, RESULTS)),
    Target("evaluation", 4, _of_run("evaluation.json"), json, partial(PAGE, "evaluation.json")),
    Target("capacity", 3, _of_run("capacity/capacity.json"), json, partial(PAGE, "capacity/capacity.json")),
    Target("claims", 1, _of_run(FIGURES + "claims.json"), json, partial(PAGE, FIGURES + "claims.json")),
    Target("captions", 1, _of_run(FIGURES + "captions.json"), json, partial(PAGE, FIGURES + "captions.json")),
    Target("scenario", 4, _network("paper.toml", "own.toml"), toml, partial(uses.use_scenario, ".toml")),
    Target("scenario's json", 4, _network("scenario.json"), json, partial(uses.use_scenario, ".json")),
    Target("link", 1, lambda _: [corpus.LINK], toml, uses.use_link),
    Target("states", 4, _network("states.json"), json, uses.use_states),
    Target("planner", 2, _network("planner.json"), json, uses.use_planner),
    Target("sheet", 2, lambda _: [corpus.SHEET], mutate.damage_csv, folders.use_sheet),
    Target("archive", 1, lambda p: [corpus.archive(p.scratch)], mutate.damage_bytes, folders.use_archive),
    Target("cache", 1, lambda _: [corpus.cached()], tensors, folders.use_cache),
    Target("settings", 1, lambda _: [corpus.SETTINGS], json, folders.use_settings),
    Target("pipeline's state", 1, _of_run("pipeline.json"), json, folders.use_state),
    Target("lock", 1, lambda _: [corpus.LOCK], json, folders.use_lock),
    *(
        Target(ending, share, _recordings(ending), damage, partial(RECORDING, ending))
        for ending, share, damage in (
            (".npy", 1, mutate.damage_bytes), (".npz", 2, mutate.damage_bytes), (".mat", 3, mutate.damage_bytes),
            (".wav", 1, mutate.damage_bytes), (".flac", 1, mutate.damage_bytes), (".csv", 2, mutate.damage_csv),
            (".parquet", 1, mutate.damage_bytes),
        )
    ),
)  # fmt: skip
