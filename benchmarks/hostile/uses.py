"""Each format: how it is read and, where it is accepted, used as a user would use it.

A use returns nothing, raises the package's own error, or fails: an assertion says that what came out is not sound.
"""

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.hostile import corpus
from data.common.errors import UserError

MOST_SOLVED = 400  # sensors; a larger network is decided by a simple scheme: the exact one is not for it


@dataclass(frozen=True)
class Place:
    """Where a process works.

    Attributes:
        run: A finished pipeline's folder, which stays as it is.
        scratch: Folder of its own.
    """

    run: Path
    scratch: Path

    def copy(self, name: str) -> Path:
        """A part of the run's folder, as a copy that may be changed."""
        target = self.scratch / name
        if not target.exists():
            source = self.run / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copytree(source, target) if source.is_dir() else shutil.copy(source, target)
        return target

    def put(self, name: str, content: bytes) -> Path:
        """A file with this content."""
        path = self.scratch / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path


Use = Callable[[bytes, Place], None]


# The network


def solve_one(scenario: Any) -> None:
    """One slot of a network, solved exactly if it is small, and evaluated."""
    from optimizer.network.slots import draw_states
    from optimizer.schemes.registry import make_scheme
    from optimizer.schemes.rollout import carry_out

    name = "optimum" if scenario.sensors <= MOST_SOLVED and scenario.gateways <= 20 else "local"
    try:
        policy = make_scheme(name, scenario, "exact", 0)
    except UserError:  # a reward without an optimum
        policy = make_scheme("local", scenario, "exact", 0)
    action, outcome = carry_out(scenario, draw_states(scenario, 1, 0), policy)
    assert np.isfinite(outcome.reward).all(), "a reward that is not finite"
    assert np.isfinite(action.share).all(), "shares that are not finite"


def use_scenario(ending: str, content: bytes, place: Place) -> None:
    from optimizer.network.scenario import Scenario

    solve_one(Scenario.load(place.put(f"scenario{ending}", content)))


def use_link(content: bytes, place: Place) -> None:
    from optimizer.network.from_profiles import load_link
    from optimizer.network.scenario import Scenario

    solve_one(Scenario.load("paper").with_sensors(10).change(link=load_link(place.put("link.toml", content))))


def use_states(content: bytes, place: Place) -> None:
    from optimizer.network.scenario import Scenario
    from optimizer.schemes.registry import make_scheme
    from optimizer.schemes.rollout import carry_out
    from optimizer.solve import read_states

    scenario = Scenario.load("paper").with_sensors(10)
    state = read_states(place.put("states.json", content), scenario)[:3]
    _, outcome = carry_out(scenario, state, make_scheme("optimum", scenario, "exact", 0))
    assert np.isfinite(outcome.reward).all(), "a reward that is not finite"


def use_planner(content: bytes, place: Place) -> None:
    from optimizer.schemes.planner import Planner

    solve_one(Planner.load(place.put("planner.json", content)).scenario)


def use_profile(content: bytes, place: Place) -> None:
    from optimizer.network.from_profiles import measured_scenario
    from optimizer.network.scenario import Scenario
    from profiling.profile.profile import Profile

    gateway, edge = Profile.load(place.put("gateway.json", content)), Profile.load(place.run / "edge.json")
    base = Scenario.load("paper").with_sensors(10)
    for changes in ({}, {"execution": "by level", "queue": "fifo", "latency": "fit"}):
        solve_one(measured_scenario(gateway, edge, base, extrapolate=True, allow_other_bundle=True, **changes))


def use_samples(content: bytes, place: Place) -> None:
    from optimizer.network.certainty import Certainty, Tails
    from optimizer.network.from_profiles import measured_scenario
    from optimizer.network.scenario import Scenario
    from profiling.profile.profile import Profile
    from profiling.profile.samples import read_samples

    told = json.loads((place.run / "gateway.json").read_text())
    told["measurement"]["samples_sha256"] = hashlib.sha256(content).hexdigest()
    place.put(told["measurement"]["samples"], content)
    path = place.put("gateway.json", json.dumps(told).encode())
    gateway, edge = Profile.load(path), Profile.load(place.run / "edge.json")
    tails = Tails.of(0.01, 1, read_samples(path, gateway), None)
    base = Scenario.load("paper").with_sensors(10)
    solve_one(measured_scenario(gateway, edge, base, extrapolate=True, certainty=Certainty(None, tails)))


# The bundle


def _rehash(bundle: Path, name: str) -> None:
    """Let a manifest say the hash of a changed file, as an attacker would."""
    path = bundle / "models.json"
    told = json.loads(path.read_text())
    told["sha256"][name] = hashlib.sha256((bundle / name).read_bytes()).hexdigest()
    path.write_text(json.dumps(told))


def _fresh(place: Place) -> tuple[Path, dict[str, Any]]:
    bundle = place.copy("bundle")
    shutil.copy(place.run / "bundle" / "models.json", bundle)
    return bundle, json.loads((bundle / "models.json").read_text())


def _with_part(key: str, content: bytes, place: Place) -> tuple[Path, str]:
    """A bundle whose last model has this content for its "weights" or "onnx", and the name of that file."""
    bundle, told = _fresh(place)
    name = told["models"][-1][key]
    (bundle / name).write_bytes(content)
    _rehash(bundle, name)
    return bundle, name


def _images(manifest: Any) -> np.ndarray:
    size = manifest.preprocessing.size
    return np.random.default_rng(0).standard_normal((2, 1, size, size)).astype(np.float32)


def use_manifest(content: bytes, place: Place) -> None:
    from pruning.bundle import read_manifest
    from pruning.load import load_model
    from pruning.train import predict
    from pruning.verdict import notices

    bundle, _ = _fresh(place)
    (bundle / "models.json").write_bytes(content)
    manifest = read_manifest(bundle)
    notices(manifest)
    found = predict(load_model(bundle, manifest.models[-1].rate), _images(manifest))
    assert found.shape == (2, len(manifest.classes)), "another number of classes"
    assert np.isfinite(found).all(), "logits that are not finite"


def use_weights(content: bytes, place: Place) -> None:
    from pruning.bundle import read_manifest
    from pruning.load import load_model
    from pruning.train import predict

    bundle, _ = _with_part("weights", content, place)
    manifest = read_manifest(bundle)
    predict(load_model(bundle, manifest.models[-1].rate), _images(manifest))


def use_onnx(content: bytes, place: Place) -> None:
    from profiling.bundle.flops import count, input_shape, read_graph
    from pruning.bundle import read_manifest, verified
    from pruning.classifier import Classifier

    bundle, name = _with_part("onnx", content, place)
    manifest = read_manifest(bundle)
    graph = read_graph(verified(bundle, manifest, name))
    count(graph, name)
    input_shape(graph)
    signal = np.random.default_rng(0).standard_normal(int(2.5 * manifest.preprocessing.rate_hz))
    found = Classifier(bundle, manifest.models[-1].rate, runtime="onnxruntime")(signal, manifest.preprocessing.rate_hz)
    assert abs(sum(found.probabilities.values()) - 1) < 1e-6, "probabilities that do not sum to 1"


def use_test_part(content: bytes, place: Place) -> None:
    from profiling.bundle.subjects import read_bundle

    bundle, told = _fresh(place)
    (bundle / told["test"]).write_bytes(content)
    told["sha256"][told["test"]] = hashlib.sha256(content).hexdigest()
    for model in (*told["models"], told["control"]):
        model["onnx"] = model["onnx_error"] = None
    (bundle / "models.json").write_text(json.dumps(told))
    read = read_bundle(bundle)
    assert len(read.labels) == len(read.independent), "labels of another number of windows"


def use_history(content: bytes, place: Place) -> None:
    from pruning.jobfacts import read_history

    for line in read_history(place.put("history.jsonl", content)):
        assert np.isfinite(line["train_loss"]), "a loss that is not finite"


def use_job(name: str, content: bytes, place: Place) -> None:
    from pruning.jobfolder import JobFolder

    path = place.scratch / "job"
    if not path.exists():
        corpus.job_folder(path)
        shutil.copytree(path, place.scratch / "job-sound")
    (path / name).write_bytes(content)
    if name == "predictions.safetensors":
        told = json.loads((path / "job.json").read_text())
        told["sha256"][name] = hashlib.sha256(content).hexdigest()
        (path / "job.json").write_text(json.dumps(told))
    own = JobFolder(path)
    try:
        found, kept = own.result(), own.load_checkpoint()
    finally:
        for sound in ("job.json", "predictions.safetensors", "checkpoint.safetensors"):
            shutil.copy(place.scratch / "job-sound" / sound, path / sound)
    if found is None or kept is None:
        raise UserError("the job is done again")
    assert all(isinstance(log["epoch"], int) for log in found.facts["logs"]), "logs without epochs"
    assert isinstance(kept[1]["epoch"], int), "a checkpoint without its epoch"


# Policies


def use_policy(kind: str, name: str, content: bytes, place: Place) -> None:
    from optimizer.learning.deployed import LearnedPolicy
    from optimizer.network.slots import draw_states

    parent = "policies" if kind == "laws" else "paper"
    source = next((place.run / parent).glob("*/policy.json")).parent
    folder = place.copy(str(source.relative_to(place.run)))
    for sound in source.iterdir():
        if sound.is_file():
            shutil.copy(sound, folder)
    (folder / name).write_bytes(content)
    if name != "policy.json":
        told = json.loads((folder / "policy.json").read_text())
        key = "onnx_sha256" if name.endswith(".onnx") else "weights_sha256"
        (folder / "policy.json").write_text(json.dumps(told | {key: hashlib.sha256(content).hexdigest()}))
    policy = LearnedPolicy(folder)
    action = policy.decide(draw_states(policy.scenario, 2, 0))
    assert np.isfinite(action.share).all(), "shares that are not finite"


# The page


def use_page(name: str, content: bytes, place: Place) -> None:
    from optimizer.evaluation.claims import check_claims
    from optimizer.evaluation.reading import read_results
    from optimizer.network.world import world_of_trial
    from optimizer.pipeline.report import write_report

    run = place.scratch / "run"
    if not run.exists():
        run.mkdir()
        for part in ("bundle", "capacity", "experiment"):
            shutil.copytree(place.run / part, run / part)
        for part in ("gateway.json", "edge.json", "trial.json", "trial.png", "evaluation.json"):
            shutil.copy(place.run / part, run / part)
    (run / name).write_bytes(content)
    try:
        if name == "trial.json":
            world_of_trial(run / name)
        if name == "experiment/results.json":
            check_claims(read_results(run / name))
        write_report(run, run / "page.html")
    finally:
        shutil.copy(place.run / name, run / name)
    assert "nan %" not in (run / "page.html").read_text(), "a page with numbers that are none"
