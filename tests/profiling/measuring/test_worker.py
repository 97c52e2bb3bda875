"""The measuring process: what costs one cell, and what costs the run."""

import io
import json
import sys
from dataclasses import replace

import pytest

from profiling import ProfilingError
from profiling.measuring.measure import measure
from profiling.measuring.worker import Job, Worker
from profiling.runtimes.registry import RUNTIMES
from pruning import read_manifest


def cell(key, needs=0, **changes):
    base = {"key": key, "precision": "fp32", "batch": 2, "shape": [1, 32, 32], "onnx": None, "bundle": None}
    return {**base, "needs_bytes": needs, **changes}


def job(cells, visits):
    return Job("onnxruntime", RUNTIMES["onnxruntime"].session, "cpu", 1, cells, visits, 2, 0.0, None)


def events(job):
    out = io.StringIO()
    Worker(job, out).run()
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_a_batch_too_large_for_memory_is_a_failed_cell_and_the_rest_goes_on(bundle):
    path = str(bundle / read_manifest(bundle).models[0].onnx)
    cells = [cell("huge", needs=2**60, onnx=path), cell("small", onnx=path)]
    told = events(job(cells, [("huge", 0), ("small", 0), ("huge", 1), ("small", 1)]))
    failed = [e for e in told if e["event"] == "failed"]
    assert [e["key"] for e in failed] == ["huge"]
    assert "out of memory" in failed[0]["reason"]
    assert [e["key"] for e in told if e["event"] == "visit"] == ["small", "small"]


def test_a_model_that_a_runtime_refuses_is_a_failed_cell(tmp_path):
    (tmp_path / "m.onnx").write_bytes(b"nonsense")
    told = events(job([cell("bad", onnx=str(tmp_path / "m.onnx"))], [("bad", 0)]))
    assert [e["event"] for e in told] == ["open", "failed", "done"]


def test_a_cell_that_fails_leaves_the_turns_to_the_others(bundle, tmp_path):
    path = str(bundle / read_manifest(bundle).models[0].onnx)
    (tmp_path / "m.onnx").write_bytes(b"nonsense")
    cells = [
        cell("one", onnx=path, turns=True, batch=1), cell("bad", onnx=str(tmp_path / "m.onnx"), turns=True),
        cell("two", onnx=path, turns=True),
    ]  # fmt: skip
    visits = [(key, number) for number in (0, 1) for key in ("two", "bad", "one")]
    told = events(replace(job(cells, visits), test=str(bundle / "test.safetensors")))
    assert [e["key"] for e in told if e["event"] == "failed"] == ["bad"]
    found = [(e["key"], e["round"]) for e in told if e["event"] == "visit"]
    assert found == [("two", 0), ("one", 0), ("two", 1), ("one", 1)]
    assert {len(e["samples"]) for e in told if e["event"] == "visit"} == {2}


def test_a_worker_that_is_killed_costs_one_cell(tmp_path):
    """A real process: it dies by SIGKILL at "b", as the system ends one that takes all memory."""
    script = tmp_path / "worker.py"
    script.write_text(
        "import json,os,signal,sys\njob=json.loads(sys.stdin.read())\n"
        "say=lambda **e: print(json.dumps(e), flush=True)\nsay(event='ready')\n"
        "for key, number in job['visits']:\n"
        "    if key == 'b': os.kill(os.getpid(), signal.SIGKILL)\n"
        "    say(event='visit', key=key, round=number)\n"
        "say(event='done')\n"
    )
    heard = []
    visits = [("a", 0), ("b", 0), ("c", 0), ("a", 1), ("b", 1), ("c", 1)]
    measure(job([], visits), heard.append, (sys.executable, str(script)))
    assert [(e["key"], e["round"]) for e in heard if e["event"] == "visit"] == [
        ("a", 0),
        ("c", 0),
        ("a", 1),
        ("c", 1),
    ]
    (failed,) = [e for e in heard if e["event"] == "failed"]
    assert failed["key"] == "b"
    assert "out of memory" in failed["reason"]


def test_a_worker_that_cannot_begin_is_told():
    command = (sys.executable, "-c", "raise SystemExit('no-such-thing')")
    with pytest.raises(ProfilingError, match=r"could not begin: .*no-such-thing"):
        measure(job([], [("a", 0)]), lambda event: None, command)
