"""One sound file of each format: a small pipeline's folder, recordings in every format, and files of the network."""

import hashlib
import io
import json
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from unittest.mock import patch

import numpy as np

from data.common.files import write_json, write_whole
from optimizer.network.scenario import FOLDER, Scenario

SMALL = {"CAPACITY_SLOTS": 2, "CAPACITY_S": 0.5, "PRICE_SLOTS": 2, "PRICE_S": 0.5}
SAMPLES = 6000
RATE_HZ = 8000


def make_run(out: Path) -> None:
    """A finished pipeline on simulated bearings, with narrow networks and little of everything: some minutes."""
    from data.common.console import make_console
    from optimizer.learning.factory.settings import FactoryConfig
    from optimizer.pipeline.options import PipelineConfig, ProfileOptions, PruneOptions, TrainOptions
    from optimizer.pipeline.runner import run_pipeline
    from pruning.train import TrainConfig

    few = TrainConfig(epochs=1, retrain_epochs=1, updates=0, retrain_updates=0, batch=32, precision="float32")
    config = PipelineConfig(
        out=out, rates=(0.5, 0.9), sensors=20, paper_sensors=20, slots=20, paper_slots=20, trial_slots=2, updates=20,
        small_updates=20,
        prune=PruneOptions(width=0.0625, folds=1, round_to=1, train=few),
        profile=ProfileOptions(runtime="onnxruntime", threads=(1,), batches=(1, 2, 4), rounds=1, processes=1),
        train=TrainOptions(factory=FactoryConfig(updates=4, slots=8, block=2, at_random=2)),
    )  # fmt: skip
    with patch.multiple("optimizer.pipeline.stages", **SMALL):
        run_pipeline(config, make_console())


def signal() -> np.ndarray:
    """A made-up vibration."""
    rng = np.random.default_rng(0)
    return np.sin(np.arange(SAMPLES) / 7.0) + 0.1 * rng.standard_normal(SAMPLES)


def _bytes_of(save: Callable[[Path], None], folder: Path, name: str) -> bytes:
    path = folder / name
    save(path)
    content = path.read_bytes()
    path.unlink()
    return content


def _hdf5(path: Path, **options: object) -> None:
    import h5py

    with h5py.File(path, "w") as file:
        if options:
            file.create_dataset("x", dtype="f8", **options)  # type: ignore[arg-type]
            return
        file["bearing/gs"] = signal()[None, :]
        file["bearing/sr"] = np.array([[12000.0]])


def _parquet(path: Path, columns: int = 2) -> None:
    import pyarrow
    import pyarrow.parquet

    table = pyarrow.table({f"c{i}": signal()[: SAMPLES // columns] for i in range(columns)})
    pyarrow.parquet.write_table(table.replace_schema_metadata({"sampling_rate_hz": "8000"}), path)


def _huge_npy() -> bytes:
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }"
    header += b" " * (117 - len(header)) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header


def recordings(folder: Path) -> dict[str, list[bytes]]:
    """Sound recordings by ending, and some that only ask for memory or point elsewhere."""
    import scipy.io
    import soundfile

    x, whole = signal(), partial(_bytes_of, folder=folder)
    table = "\n".join(["time_ms,x,note", *(f"{1e3 * i / RATE_HZ},{v:.5f},run" for i, v in enumerate(x[:800]))])
    zeros = np.zeros(24_000_000)
    fields = {"bearing": {"gs": x, "sr": 97656.0, "rate": 25.0}, "X105_DE_time": x[:, None], "X105RPM": 1797}
    mat = partial(scipy.io.savemat, mdict=fields)
    return {
        ".npy": [whole(lambda p: np.save(p, x), name="a.npy"), _huge_npy()],
        ".npz": [
            whole(lambda p: np.savez(p, x=x, fs=12000), name="a.npz"),
            whole(lambda p: np.savez_compressed(p, x=x, y=x[::-1], fs=12000), name="b.npz"),
            whole(lambda p: np.savez_compressed(p, x=zeros), name="c.npz"),
        ],
        ".mat": [
            whole(mat, name="a.mat"),
            whole(partial(mat, do_compression=True), name="b.mat"),
            whole(partial(mat, format="4", mdict={"x": x, "fs": 12000}), name="c.mat"),
            whole(lambda p: scipy.io.savemat(p, {"x": zeros}, do_compression=True), name="d.mat"),
            whole(_hdf5, name="e.mat"),
            whole(partial(_hdf5, shape=(400_000_000,)), name="f.mat"),
            whole(partial(_hdf5, shape=(1000,), external=[("/etc/passwd", 0, 8000)]), name="g.mat"),
        ],
        ".wav": [
            whole(lambda p: soundfile.write(p, x, RATE_HZ), name="a.wav"),
            whole(lambda p: soundfile.write(p, np.stack([x, x], 1), RATE_HZ, subtype="FLOAT"), name="b.wav"),
        ],
        ".flac": [
            whole(lambda p: soundfile.write(p, 0.3 * x, RATE_HZ), name="a.flac"),
            whole(lambda p: soundfile.write(p, np.zeros(40_000_000, np.int16), RATE_HZ), name="b.flac"),
        ],
        ".csv": [table.encode(), "\n".join(f"{v:.5f}" for v in x[:800]).encode()],
        ".parquet": [whole(_parquet, name="a.parquet"), whole(partial(_parquet, columns=1500), name="b.parquet")],
    }


def archive(folder: Path) -> bytes:
    """A ZIP archive as MFPT's."""
    import scipy.io

    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as file:
        for name in ("set/baseline_1.mat", "set/InnerRaceFault_vload_1.mat"):
            fields = {"bearing": {"gs": signal(), "sr": 97656.0, "rate": 25.0, "load": 270.0}}
            file.writestr(name, _bytes_of(partial(scipy.io.savemat, mdict=fields), folder, "m.mat"))
        file.writestr("readme.txt", "text")
    return held.getvalue()


def network_files() -> dict[str, bytes]:
    """Scenario, link, states and planner of a small network."""
    from optimizer.network.readings import describe_slot
    from optimizer.network.slots import draw_states
    from optimizer.schemes.planner import PlannerFile

    scenario = Scenario.load("paper").with_sensors(10)
    state = draw_states(scenario, 3, 0)
    slots = {"slots": [describe_slot(state, i, scenario) for i in range(3)]}
    own = b'base = "paper"\nsensors = 10\ngateways = 5\n[link]\ntransmit_power_w = 1.0\n'
    own += b'[gateway]\nexecution = "by level"\n'
    planner = PlannerFile(scenario=scenario.dump()).model_dump(mode="json", by_alias=True)
    return {
        "paper.toml": (FOLDER / "paper.toml").read_bytes().replace(b"sensors = 100", b"sensors = 10"),
        "own.toml": own,
        "scenario.json": json.dumps(scenario.dump()).encode(),
        "states.json": json.dumps(slots).encode(),
        "planner.json": json.dumps(planner).encode(),
    }


@contextmanager
def finished_run(folder: Path) -> Iterator[Path]:
    """The folder of a finished small pipeline: made if it is not there, gone on with if it is not finished."""
    if not (folder / "report.html").is_file():
        make_run(folder)
    yield folder


def job_folder(path: Path) -> None:
    """A finished job of a sweep with a checkpoint beside it."""
    import torch

    from pruning.jobfolder import JobFolder
    from pruning.spec import dense_spec
    from pruning.vgg import build_vgg

    torch.manual_seed(0)  # the same files in every folder
    own, spec = JobFolder(path), dense_spec(3, 32, width=0.0625)
    weights = build_vgg(spec).state_dict()
    log = {"epoch": 1, "lr": 0.01, "train_loss": 1.0, "validation_loss": None, "validation_accuracy": None}
    facts = {
        "job": {"kind": "dense", "seed": 0}, "widths": list(spec.widths), "hidden": list(spec.hidden),
        "channels_kept": [], "parameters_nonzero": 10, "validation_loss": None, "logs": [log],
    }  # fmt: skip
    own.finish(weights, {"after.clean": np.zeros(5, np.int64)}, facts)
    state = {"epoch": 1, "best_loss": 1.0, "best_epoch": 1, "logs": [log]}
    own.save_checkpoint({f"model.{n}": torch.as_tensor(t) for n, t in weights.items()}, state)
    write_json(path / "run.json", {"data": "folder", "rates": [0.5], "nested": {"seed": 1}})
    write_whole(path / "x.bin", b"content")


def cached() -> bytes:
    """A data set as it is cached."""
    from safetensors.numpy import save

    images, count = np.zeros((4, 1, 32, 32), np.float32), np.arange(4, dtype=np.int64) % 2
    part = {"images": images, "labels": count, "recordings": count, "starts_s": count.astype(np.float32)}
    tensors = {f"{p}.{n}": a for p in ("train", "validation", "test") for n, a in part.items()} | {"noisy.10": images}
    rest = {
        "classes": ["normal", "inner"], "normal": 0, "recordings": ["a", "b"], "split": "load", "held_out": None,
        "mean": 0.0, "deviation": 1.0, "notes": [], "fingerprint": "f" * 64,
    }  # fmt: skip
    return save(tensors, {"dataset": json.dumps(rest)})


SHEET = (
    b"file,sampling_rate_hz,rpm,load,size_mm,machine\nnormal/a.npy,1000,1500,1,,pump\ninner/a.npy,1000,1500,2,0.5,fan\n"
)
LINK = (
    b"[link]\nbandwidth_hz = 5e6\ntransmit_power_w = 1.0\nnoise_w_per_hz = 1e-19\ntask_bits = 2e5\n"
    b'states = ["good", "bad"]\ngains = [6e-13, 1e-13]\ntransitions = [[0.9, 0.1], [0.5, 0.5]]\n'
)
SETTINGS = b'{"data": "folder", "rates": [0.5], "nested": {"seed": 1}}'
LOCKED = hashlib.sha256(b"content").hexdigest()
LOCK = json.dumps({"schema": 1, "files": {"97.mat": {"sha256": LOCKED, "bytes": 7, "url": "x"}}}).encode()
