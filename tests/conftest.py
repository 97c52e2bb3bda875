"""Shared fixtures. Nothing here trains at full width or touches the network."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import settings
from together import made_once

from data import DataConfig, Dataset, Examples

# Commands that tests start: with several test processes (pytest -n), one thread each.
os.environ.setdefault("OMP_NUM_THREADS", "1" if "PYTEST_XDIST_WORKER" in os.environ else "2")
settings.register_profile("jopa", deadline=None)  # on a loaded machine an example may take seconds
settings.load_profile("jopa")


TOGETHER = {
    "tests/optimizer/evaluation/": "a finished pipeline",
    "tests/optimizer/trial/": "a finished pipeline",
    "tests/optimizer/pipeline/": "a finished pipeline",
    "tests/optimizer/learning/": "trained learners",
}


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """With several test processes: tests that share an expensive fixture run in one of them, others file by file.

    `--dist loadgroup` would do this by a mark, but with pytest-xdist 3.8 and pytest 9 the mark has no effect.
    """
    from xdist.scheduler import LoadScopeScheduling

    class ByFixture(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            path = nodeid.partition("::")[0]
            return next((name for room, name in TOGETHER.items() if path.startswith(room)), path)

    return ByFixture(config, log)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory, monkeypatch):
    """Tests neither read nor fill the user's cache."""
    monkeypatch.setenv("JOPA_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture(scope="session")
def bearing_data() -> Path:
    """Folder of the real CWRU recordings, for tests that skip where they are absent."""
    said = os.environ.get("BEARING_DATA")
    folder = Path(said) if said else Path(__file__).parents[2] / "shared" / "data"
    if not (folder / "cwru" / "105.mat").is_file():
        pytest.skip(f"no CWRU recordings in {folder}; set BEARING_DATA to a folder that holds cwru/105.mat ...")
    return folder / "cwru"


def tiny_dataset(classes: int = 3, train: int = 48, test: int = 24, seed: int = 0) -> Dataset:
    """Three classes that a narrow network learns in seconds: bright bands at different heights."""
    rng = np.random.default_rng(seed)

    def part(count: int, first_recording: int) -> Examples:
        labels = np.arange(count) % classes
        images = 0.3 * rng.standard_normal((count, 1, 32, 32)).astype(np.float32)
        for i, label in enumerate(labels):
            images[i, 0, 8 * label : 8 * label + 6] += 2
        return Examples(
            images,
            labels.astype(np.int64),
            (first_recording + labels).astype(np.int64),
            (np.arange(count) // classes).astype(np.float32),
        )

    made = part(test, 3)
    noisy = {
        snr: (made.images + 2.0 / (snr + 1) * rng.standard_normal(made.images.shape)).astype(np.float32)
        for snr in (10, 5, 0)
    }
    return Dataset(
        train=part(train, 0),
        validation=part(12, 0),
        test=made,
        noisy=noisy,
        classes=("normal", "inner", "outer")[:classes],
        normal=0,
        recordings=tuple("abcdef"),
        split="load",
        held_out=3.0,
        mean=0.0,
        deviation=1.0,
        notes=(),
        fingerprint="tiny",
        config=DataConfig(split="load", labels="fault", rate_hz=4000.0),
    )


@pytest.fixture
def dataset() -> Dataset:
    return tiny_dataset()


@pytest.fixture
def small_data(monkeypatch):
    """Sweeps on the tiny data set; `test_commands.py` and `test_end_to_end.py` use real ones."""
    monkeypatch.setattr("pruning.sweep.build_dataset", lambda config, cache: tiny_dataset())


@pytest.fixture
def one_thread():
    """Deterministic and quick for small work."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def quick_data() -> DataConfig:
    return DataConfig(hop_s=0.5)


def _swept(out: Path, **changes) -> None:
    from sweeps import sweep  # it imports what this module defines

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pruning.sweep.build_dataset", lambda config, cache: tiny_dataset())
        sweep(out, **changes)


@pytest.fixture(scope="session")
def bundle(tmp_path_factory) -> Path:
    """One finished structural bundle with two seeds: dense, 0.5 and 0.9, narrow, 32 pixels."""
    return made_once(tmp_path_factory, "bundle", lambda out: _swept(out, seeds=(0, 1)))


@pytest.fixture(scope="session")
def masked(tmp_path_factory) -> Path:
    """The same by masks."""
    return made_once(tmp_path_factory, "masked", lambda out: _swept(out, method="mask", width=0.125))


@pytest.fixture(scope="session")
def kernels(tmp_path_factory) -> None:
    """The solver is compiled, and kept on disk, by one test process: half a minute where it was not yet."""
    from optimizer import Scenario, draw_states, optimum

    scenario = Scenario.load("paper").with_sensors(5)
    made_once(tmp_path_factory, "kernels", lambda _: optimum(scenario, draw_states(scenario, 1, 0)))
