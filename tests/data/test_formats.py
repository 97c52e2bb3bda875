import contextlib
import os
import pickle
import wave
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
import scipy.io
import soundfile
from canary import Canary

from data import DataError
from data.common.extras import MissingExtraError
from data.readers import child, sizes
from data.readers.formats import read_table
from data.readers.mat import read_mat

SIGNAL = np.sin(np.arange(400) / 7.0)


def test_mat_vectors_scalars_and_structures_come_back_by_name(tmp_path):
    path = tmp_path / "a.mat"
    scipy.io.savemat(path, {"X105_DE_time": SIGNAL[:, None], "X105RPM": 1797, "bearing": {"gs": SIGNAL, "sr": 97656.0}})
    arrays = read_mat(path)
    np.testing.assert_array_equal(arrays["X105_DE_time"].ravel(), SIGNAL)
    np.testing.assert_array_equal(arrays["bearing.gs"].ravel(), SIGNAL)
    assert arrays["X105RPM"].item() == 1797


def test_a_matlab_7_3_file_is_read_too(tmp_path):
    path = tmp_path / "a.mat"
    with h5py.File(path, "w", userblock_size=512) as file:
        file["vibration"] = SIGNAL[None, :]
        file["fs"] = np.array([[12000.0]])
    with path.open("r+b") as raw:
        raw.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(128))
    table = read_table(path)
    assert table.sampling_rate_hz == 12000
    np.testing.assert_array_equal(table.columns["vibration"], SIGNAL)


def test_a_mat_of_object_arrays_says_what_it_holds(tmp_path):
    path = tmp_path / "cells.mat"
    cells = np.empty(2, dtype=object)
    cells[:] = ["a", np.zeros(3)]
    scipy.io.savemat(path, {"cells": cells})
    with pytest.raises(DataError, match=r"only object arrays or cells \(cells\)"):
        read_mat(path)


def test_a_truncated_mat_is_one_line_with_file_and_remedy(tmp_path):
    path = tmp_path / "cut.mat"
    scipy.io.savemat(path, {"x": SIGNAL})
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(DataError, match=r"cut.mat: cannot be read") as caught:
        read_mat(path)
    assert caught.value.remedy
    assert "\n" not in caught.value.problem


def test_the_parent_survives_a_file_that_kills_its_reader(tmp_path, monkeypatch):
    # The worker is told to read a file whose reading ends the process, as a segmentation fault would.
    good = tmp_path / "good.mat"
    scipy.io.savemat(good, {"x": SIGNAL})
    import data.readers.child as module

    dies = "import os, sys\nos.write(1, b'r')\nsys.stdin.readline()\nos.kill(os.getpid(), 11)\n"
    monkeypatch.setattr(module, "START", dies)
    module._reader.stop()
    with pytest.raises(DataError, match="killed the reader"):
        read_mat(good)
    monkeypatch.undo()
    module._reader.stop()
    assert read_mat(good)["x"].size == SIGNAL.size


@pytest.mark.parametrize("damage", ["truncate", "flip"])
def test_damaged_real_sized_files_never_end_this_process(tmp_path, damage):
    """F4 in small; `test_failures.py` does 200 of each on a real recording."""
    path = tmp_path / "a.mat"
    scipy.io.savemat(path, {"X105_DE_time": SIGNAL[:, None], "X105RPM": 1797}, do_compression=True)
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(30):
        position = int(rng.integers(len(whole)))
        if damage == "truncate":
            path.write_bytes(whole[:position])
        else:
            path.write_bytes(
                whole[:position] + bytes([whole[position] ^ (1 << int(rng.integers(8)))]) + whole[position + 1 :]
            )
        with contextlib.suppress(DataError):
            read_mat(path)


def test_wav_carries_its_rate(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, SIGNAL, 8000)
    table = read_table(path)
    assert table.sampling_rate_hz == 8000
    np.testing.assert_allclose(table.columns["channel0"], SIGNAL, atol=1e-4)


def test_a_wav_header_without_sound_is_refused(tmp_path):
    path = tmp_path / "a.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
    with pytest.raises(DataError, match="no numeric vector"):
        read_table(path)


def test_a_uniform_time_column_gives_the_rate(tmp_path):
    path = tmp_path / "a.csv"
    table = pa.table({"time (s)": np.arange(400) / 2000, "x": SIGNAL})
    pyarrow.csv.write_csv(table, path)
    read = read_table(path)
    assert read.sampling_rate_hz == pytest.approx(2000, rel=1e-3)
    assert list(read.columns) == ["x"]


@pytest.mark.parametrize(("name", "scale"), [("time_ms", 1e3), ("t [us]", 1e6), ("time (s)", 1), ("Seconds", 1)])
def test_the_unit_of_a_time_column_is_heeded(tmp_path, name, scale):
    path = tmp_path / "a.csv"
    pyarrow.csv.write_csv(pa.table({name: scale * np.arange(400) / 2000, "x": SIGNAL}), path)
    assert read_table(path).sampling_rate_hz == pytest.approx(2000, rel=1e-3)


@pytest.mark.parametrize(("step", "rate"), [(1.0, "1 Hz"), (1 / 12, "12 Hz")])
def test_a_sample_counter_or_milliseconds_are_not_taken_for_seconds(tmp_path, step, rate):
    path = tmp_path / "a.csv"
    pyarrow.csv.write_csv(pa.table({"time": step * np.arange(400), "x": SIGNAL}), path)
    with pytest.raises(DataError, match=f"column 'time' would make a sampling rate of {rate}"):
        read_table(path)


def test_two_sampling_rates_in_one_file_are_refused(tmp_path):
    path = tmp_path / "a.mat"
    scipy.io.savemat(path, {"x": SIGNAL, "fs": 12000, "sr": 48000})
    with pytest.raises(DataError, match="several sampling rates: fs = 12000, sr = 48000"):
        read_table(path)


def test_a_complex_signal_is_refused_and_not_passed_over(tmp_path):
    path = tmp_path / "a.mat"
    scipy.io.savemat(path, {"x": SIGNAL + 1j, "temperature": SIGNAL})
    with pytest.raises(DataError, match="x is complex"):
        read_table(path)


def test_a_sound_file_that_was_cut_off_is_refused(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, SIGNAL, 8000)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match=r"cut off: 422 of 844 bytes"):
        read_table(path)


@pytest.mark.parametrize("kept", [0.5, 0.999])
@pytest.mark.parametrize("at_a_frame", [False, True])
def test_a_flac_that_was_cut_off_is_refused_with_how_much_is_there(tmp_path, kept, at_a_frame):
    path = tmp_path / "a.flac"
    soundfile.write(path, 0.3 * np.random.default_rng(0).standard_normal(40000), 8000)
    content = path.read_bytes()
    end = int(kept * len(content))
    if at_a_frame:
        end = content.rindex(b"\xff\xf8", 0, end)  # what a frame begins with
    path.write_bytes(content[:end])
    with pytest.raises(DataError, match=r"cut off or damaged: [\d,]+ of 40,000 samples can be read") as caught:
        read_table(path)
    assert "Copy the file again" in caught.value.remedy


def test_a_flac_that_was_streamed_and_knows_no_length_is_told(tmp_path):
    path = tmp_path / "a.flac"
    samples = 0.3 * np.random.default_rng(0).standard_normal(20000)
    soundfile.write(path, samples, 8000)
    content = bytearray(path.read_bytes())
    content[21] &= 0xF0  # the number of samples, 36 bits of the header
    content[22:26] = bytes(4)
    path.write_bytes(content)
    with pytest.raises(DataError, match="does not say how many samples"):
        read_table(path)


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
def test_no_bit_of_a_sound_is_lost_and_short_samples_take_half_the_memory(tmp_path, subtype):
    path = tmp_path / "a.wav"
    samples = np.stack([SIGNAL, SIGNAL[::-1]], axis=1)
    soundfile.write(path, samples, 8000, subtype=subtype)
    read = read_table(path).columns
    wanted, _ = soundfile.read(path, dtype="float64")
    np.testing.assert_array_equal(np.stack([read["channel0"], read["channel1"]], axis=1), wanted)
    assert read["channel0"].dtype == (np.float64 if subtype in ("PCM_32", "DOUBLE") else np.float32)


def test_a_csv_without_header_loses_no_row(tmp_path):
    path = tmp_path / "a.csv"
    np.savetxt(path, SIGNAL)
    read = read_table(path)
    assert read.sampling_rate_hz is None
    assert len(next(iter(read.columns.values()))) == 400


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_columns_may_be_separated_by_commas_semicolons_or_tabs(tmp_path, delimiter):
    path = tmp_path / "a.csv"
    np.savetxt(
        path, np.stack([SIGNAL, 2 * SIGNAL], axis=1), delimiter=delimiter, header="x" + delimiter + "y", comments=""
    )
    columns = read_table(path).columns
    np.testing.assert_allclose(columns["y"], 2 * SIGNAL)
    assert list(columns) == ["x", "y"]


def write_rows(path, rows, header="label,x,temperature"):
    path.write_text("\n".join([header, *(",".join(map(str, row)) for row in rows)]) + "\n")
    return path


def test_text_and_missing_values_stand_beside_numbers(tmp_path):
    rows = [["run 1", "" if i == 3 else x, 20] for i, x in enumerate(SIGNAL)]
    columns = read_table(write_rows(tmp_path / "a.csv", rows)).columns
    assert list(columns) == ["x", "temperature"]
    assert np.flatnonzero(np.isnan(columns["x"])).tolist() == [3]


def test_a_text_cell_among_numbers_is_refused_with_its_place(tmp_path):
    """Otherwise the column would be dropped and the temperature taken for the vibration."""
    rows = [["run 1", "overload" if i == 7 else x, 20] for i, x in enumerate(SIGNAL)]
    with pytest.raises(DataError, match=r"a.csv, line 9, column x: 'overload' is not a number \(1 such cells\)"):
        read_table(write_rows(tmp_path / "a.csv", rows))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("x;y\n" + "0,5;1,5\n" * 20, "line 2, column x: '0,5' has a decimal comma"),
        ("x,y\n" + "1,2\n" * 20 + "1\n", "line 22: 1 values; expected 2"),
        ("x,x\n" + "1,2\n" * 20, "column x is there twice"),
        ("", "empty or binary"),
    ],
)
def test_a_csv_that_could_be_misread_is_refused(tmp_path, content, message):
    path = tmp_path / "a.csv"
    path.write_text(content)
    with pytest.raises(DataError, match=message):
        read_table(path)


def test_a_missing_extra_is_named(tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(
        MissingExtraError, match=r"pyarrow is not installed; it is part of the extra \[parquet\]"
    ) as told:
        read_table(tmp_path / "a.parquet")
    assert "pip install 'jopa[parquet]'" in str(told.value)


def test_parquet_metadata_gives_the_rate(tmp_path):
    path = tmp_path / "a.parquet"
    table = pa.table({"x": SIGNAL}).replace_schema_metadata({"sampling_rate_hz": "25600"})
    pyarrow.parquet.write_table(table, path)
    assert read_table(path).sampling_rate_hz == 25600


def test_npz_holds_signal_and_rate(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, x=SIGNAL, fs=12000)
    table = read_table(path)
    assert (table.sampling_rate_hz, list(table.columns)) == (12000, ["x"])


@pytest.mark.parametrize("name", ["a.npy", "a.npz", "a.mat", "a.wav", "a.parquet", "a.csv"])
def test_a_pickle_under_any_name_is_never_run(tmp_path, name):
    """F9."""
    canary = tmp_path / "canary"
    (tmp_path / name).write_bytes(pickle.dumps(Canary(canary)))
    with pytest.raises(DataError):
        read_table(tmp_path / name)
    assert not canary.exists()


def test_an_object_array_inside_npy_is_never_run(tmp_path):
    canary = tmp_path / "canary"
    np.save(tmp_path / "a.npy", np.array([Canary(canary)], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match="not a numeric NumPy file"):
        read_table(tmp_path / "a.npy")
    assert not canary.exists()


def test_an_unknown_ending_lists_the_known_ones(tmp_path):
    with pytest.raises(DataError, match="Expected one of"):
        read_table(tmp_path / "a.xlsx")


def write_bomb(path):
    """A small file that declares or unpacks to far more than a recording of its size can hold."""
    zeros = np.zeros(24_000_000)
    if path.suffix == ".npy":
        header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }".ljust(117) + b"\n"
        path.write_bytes(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
    elif path.suffix == ".npz":
        np.savez_compressed(path, x=zeros)
    elif path.name == "a.mat":
        scipy.io.savemat(path, {"x": zeros}, do_compression=True)
    elif path.name == "unwritten.mat":
        with h5py.File(path, "w") as file:
            file.create_dataset("x", shape=(400_000_000,), dtype="f8")
    elif path.suffix == ".flac":
        soundfile.write(path, np.zeros(40_000_000, np.int16), 8000)
    elif path.suffix == ".parquet":
        pyarrow.parquet.write_table(pa.table({f"c{i}": SIGNAL[:20] for i in range(2000)}), path)
    else:
        path.write_text(",".join(f"c{i}" for i in range(200_000)) + "\n")


@pytest.mark.parametrize("name", ["a.npy", "a.npz", "a.mat", "unwritten.mat", "a.flac", "a.parquet", "a.csv"])
def test_declared_sizes_are_compared_with_the_file_before_anything_is_allocated(tmp_path, name):
    write_bomb(tmp_path / name)
    with pytest.raises(DataError, match=r"declares|at most 1,024 are read"):
        read_table(tmp_path / name)
    reader = Path(f"/proc/{child._reader._process.pid}/status").read_text()
    peak = next(int(line.split()[1]) for line in reader.splitlines() if line.startswith("VmHWM"))
    assert peak < 1_000_000  # kB


def test_hdf5_that_takes_its_numbers_from_another_file_is_refused(tmp_path):
    with h5py.File(tmp_path / "a.mat", "w") as file:
        file.create_dataset("x", shape=(100,), dtype="f8", external=[("/etc/passwd", 0, 800)])
    layout = h5py.VirtualLayout(shape=(400,), dtype="f8")
    layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "x", shape=(400,))
    with h5py.File(tmp_path / "b.mat", "w") as file:
        file.create_virtual_dataset("x", layout)
    for name in ("a.mat", "b.mat"):
        with pytest.raises(DataError, match="takes its numbers from another file"):
            read_table(tmp_path / name)


def test_pipes_and_devices_with_the_name_of_a_recording_are_refused(tmp_path):
    os.mkfifo(tmp_path / "a.wav")
    (tmp_path / "a.npy").symlink_to("/dev/zero")
    for name in ("a.wav", "a.npy"):
        with pytest.raises(DataError, match="expected a regular file"):
            read_table(tmp_path / name)


def test_a_file_that_takes_too_long_ends_its_reader_and_not_the_next_file(tmp_path, monkeypatch):
    np.save(tmp_path / "a.npy", SIGNAL)
    read_table(tmp_path / "a.npy")
    (tmp_path / "slow.csv").write_text("1\n" * 2_000_000)
    monkeypatch.setenv("JOPA_READ_SECONDS", "1e-9")
    monkeypatch.setattr(sizes, "MB", 1e30)
    with pytest.raises(DataError, match="not read within 0 s"):
        read_table(tmp_path / "slow.csv")
    monkeypatch.undo()
    assert len(read_table(tmp_path / "a.npy").columns["signal"]) == 400
