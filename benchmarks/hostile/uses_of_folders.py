"""Recordings and what folders keep about themselves: how each is read and used, as in `uses`."""

import shutil

import numpy as np

from benchmarks.hostile import corpus
from benchmarks.hostile.uses import Place
from data.common.errors import UserError


def use_recording(ending: str, content: bytes, place: Place) -> None:
    from data.checks import find_flaws
    from data.images import log_spectrogram, prepare_signal
    from data.readers.formats import read_table
    from data.recording import Recording

    path = place.put(f"recording{ending}", content)
    table = read_table(path)
    rate = corpus.RATE_HZ if table.sampling_rate_hz is None else table.sampling_rate_hz
    recording = Recording("a", "folder", table.columns, rate, path=path)
    channel = next(iter(recording.channels))
    find_flaws(recording, channel)
    prepared = prepare_signal(recording.signal(channel)[:200_000], rate, 4000.0)
    if len(prepared) >= 4000:
        images = log_spectrogram(prepared[:4000][None], 32, 4000.0)
        assert np.isfinite(images).all(), "an image that is not finite"


def use_sheet(content: bytes, place: Place) -> None:
    from data.readers.folder import read

    root = place.scratch / "folder"
    if not root.exists():
        for name in ("normal", "inner"):
            (root / name).mkdir(parents=True)
            np.save(root / name / "a.npy", corpus.signal())
    (root / "recordings.csv").write_bytes(content)
    assert len(read(root, 1000.0)) == 2, "another number of recordings"


def use_archive(content: bytes, place: Place) -> None:
    from data.download import WrongFileError, check_zip, unpack
    from data.readers import mfpt

    path, root = place.put("mfpt.zip", content), place.scratch / "unpacked"
    shutil.rmtree(root, ignore_errors=True)
    try:
        check_zip(path)
    except WrongFileError as error:
        raise UserError(str(error)) from None
    unpack(path, root)
    mfpt.read(root)


def use_cache(content: bytes, place: Place) -> None:
    from data.cache import Cache
    from data.config import DataConfig

    config = DataConfig(split="load", labels="fault")
    path = place.put("cache/" + "f" * 32 + ".safetensors", content)
    if Cache(path.parent).load("f" * 64, config) is None:
        raise UserError("the data set is built again")


# What folders keep about themselves


def use_settings(content: bytes, place: Place) -> None:
    from data.common.runfolder import claim

    claim(place.put("claimed/run.json", content).parent, {"data": "folder", "rates": [0.5], "nested": {"seed": 1}})


def use_state(content: bytes, place: Place) -> None:
    from optimizer.pipeline.state import read_state

    state, _ = read_state(place.put("state/pipeline.json", content).parent)
    sum(s.seconds or 0 for s in state.stages.values())


def use_lock(content: bytes, place: Place) -> None:
    from data.lock import verify

    verify(place.put("locked/jopa-lock.json", content).parent, [place.put("locked/97.mat", b"content")])
