"""Sweeps: independent jobs, done here or in processes, begun again where they die or hang; no process is left."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import toyjobs
from toyjobs import Toy, ToyError, finished_in, toys, work

from data.common.errors import UserError
from data.common.sweep.job import Job, JobError, SweepError
from data.common.sweep.local import LocalExecutor, visible_gpus
from data.common.sweep.options import Execution
from data.common.sweep.payload import pack, unpack
from data.common.sweep.sweep import Sweep, at_once


def swept(folder: Path, jobs: list[Job], cores: int = 2, **execution):
    """The summary of a sweep, and what was heard."""
    heard = []
    folder.mkdir(exist_ok=True)
    settings = Execution(**{"hang_s": 60.0, **execution})
    with Sweep(work, folder, settings, cores=cores, hear=lambda name, said: heard.append((name, said))) as sweep:
        sweep.run(jobs, finished_in(folder))
    return sweep.summary, heard


def attempts(folder: Path, number: int) -> list[int]:
    """The processes that worked at a job."""
    return [int(p.name.split("-")[1]) for p in sorted((folder / "attempts" / str(number)).iterdir())]


def alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().split(")")[1].split()[0] != "Z"
    except OSError:
        return False


def results(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in folder.glob("*.json")}


def test_as_many_at_once_as_there_are_threads_and_jobs_but_at_most_eight():
    assert [at_once(threads, jobs) for threads, jobs in ((1, 9), (2, 9), (16, 9), (16, 3))] == [1, 2, 8, 3]


def test_one_at_a_time_is_done_in_this_process_and_two_are_not(tmp_path):
    swept(tmp_path / "one", toys(3), cores=1)
    assert {process for i in range(3) for process in attempts(tmp_path / "one", i)} == {os.getpid()}
    swept(tmp_path / "two", toys(4))
    workers = {process for i in range(4) for process in attempts(tmp_path / "two", i)}
    assert os.getpid() not in workers
    assert len(workers) == 2
    assert not any(map(alive, workers))
    assert results(tmp_path / "one").items() <= results(tmp_path / "two").items()


def test_what_is_finished_is_not_done_again(tmp_path):
    swept(tmp_path, toys(2), cores=1)
    summary, heard = swept(tmp_path, toys(4), cores=1)
    assert (summary.finished_before, summary.finished) == (2, 2)
    assert [name for name, _ in heard] == ["toy2", "toy3"]


def test_a_job_whose_process_dies_is_begun_again_and_named(tmp_path):
    summary, _ = swept(tmp_path, [Job("toy0", Toy(0, "dies")), Job("toy1", Toy(1))])
    assert summary.finished == 2
    assert len(attempts(tmp_path, 0)) == 2
    assert "toy0 was begun again: its process was ended by SIGKILL" in summary.lines()[0]


def test_a_job_that_hangs_is_ended_begun_again_and_named(tmp_path):
    summary, _ = swept(tmp_path, [Job("toy0", Toy(0, "hangs")), Job("toy1", Toy(1, seconds=2.0))], hang_s=1.0)
    assert summary.finished == 2
    assert summary.lines() == ["toy0 was begun again: no sign of life for 1 s"]
    assert not alive(attempts(tmp_path, 0)[0])


def test_a_job_that_dies_too_often_is_named_once_the_others_are_finished(tmp_path):
    jobs = [Job("toy0", Toy(0, "dies")), Job("toy1", Toy(1)), Job("toy2", Toy(2))]
    with pytest.raises(SweepError, match=r"1 of 3 jobs could not be finished: toy0: .*SIGKILL.*attempt 1 of 1"):
        swept(tmp_path, jobs, retries=0)
    assert set(results(tmp_path)) == {"toy1.json", "toy2.json"}
    assert swept(tmp_path, jobs, retries=0)[0].finished_before == 2


@pytest.mark.parametrize("cores", [1, 2])
def test_a_users_mistake_is_raised_as_it_was_once_the_others_are_finished(tmp_path, cores):
    with pytest.raises(ToyError, match=r"number 0 cannot be") as caught:
        swept(tmp_path, [Job("toy0", Toy(0, "wrong")), Job("toy1", Toy(1)), Job("toy2", Toy(2))], cores=cores)
    assert caught.value.remedy == "Give another."
    assert set(results(tmp_path)) == {"toy1.json", "toy2.json"}
    assert len(attempts(tmp_path, 0)) == 1


def test_another_failure_comes_with_the_traceback_of_its_process(tmp_path):
    with pytest.raises(JobError, match=r"(?s)toy0 failed:.*toyjobs\.py.*KeyError: 0"):
        swept(tmp_path, [Job("toy0", Toy(0, "broken")), Job("toy1", Toy(1))])


def test_a_result_that_is_not_there_is_told(tmp_path):
    sweep = Sweep(work, tmp_path, Execution(), cores=1, hear=lambda *_: None)
    with sweep, pytest.raises(SweepError, match=r"toy0 was done, but its result is not here"):
        sweep.run(toys(1), lambda job: False)


def test_what_is_shared_is_mapped_and_not_copied():
    arrays = {"images": np.arange(12.0).reshape(3, 4), "none": np.zeros((0, 3), np.int64), "word": "toy"}
    with pack(arrays) as file:
        there, again = unpack(file.fileno()), unpack(file.fileno())
    assert there["word"] == "toy"
    assert np.array_equal(there["images"], arrays["images"])
    assert there["none"].shape == (0, 3)
    assert there["images"].flags.writeable
    assert there["images"].ctypes.data % 64 == 0
    there["images"][0] = -1  # nobody else sees it
    assert again["images"][0, 1] == 1


def test_jobs_share_gpus_and_each_process_sees_its_own(tmp_path, monkeypatch):
    """No GPU is needed: a job is told which one is its own by its environment."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,7")
    assert visible_gpus(2) == ["4", "7"]
    executor = LocalExecutor(work, tmp_path, cores=8, gpus=2)
    try:
        jobs = [Job(f"toy{i}", Toy(i, seconds=1.0), gpus=0.5) for i in range(5)]
        for job in jobs[:4]:
            assert executor.fits(job)
            executor.start(job)
        assert not executor.fits(jobs[4])
        until = time.monotonic() + 60
        while len(results(tmp_path)) < 4 and time.monotonic() < until:
            executor.events(0.1)
    finally:
        executor.close()
    assert sorted(json.loads(text)["gpus"] for text in results(tmp_path).values()) == ["4", "4", "7", "7"]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"address": "auto"}, "needs --executor ray"),
        ({"gpu_share": 0.0}, "--gpu-share"),
        ({"retries": -1}, "--retries"),
        ({"hang_s": float("nan")}, "--hang-s"),
    ],
)
def test_settings_that_cannot_be_are_refused(wrong, message):
    with pytest.raises(UserError, match=message):
        Execution(**wrong)


COMMAND = """
import sys
from dataclasses import dataclass
from pathlib import Path
from toyjobs import finished_in, toys, work
from data.common.command import run_command
from data.common.sweep.options import Execution
from data.common.sweep.sweep import Sweep

@dataclass(frozen=True)
class Config:
    '''Toys.'''

def run(config):
    folder = Path(sys.argv[1])
    with Sweep(work, folder, Execution(executor=sys.argv[2]), cores=2, hear=lambda *_: print("heard", flush=True)) as s:
        s.run(toys(3, seconds=60.0), finished_in(folder))

run_command(Config, run, "toys", resume="Go on.", arguments=[])
"""


def stopped(folder: Path, executor: str, number: int) -> tuple[int, str, list[int]]:
    """Start a sweep, stop it once two jobs are under way; its status, what it said, and the jobs' processes."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    environment["PYTHONPATH"] = f"{Path(toyjobs.__file__).parent}{os.pathsep}{environment['PYTHONPATH']}"
    process = subprocess.Popen(
        [sys.executable, "-c", COMMAND, str(folder), executor], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL,
        text=True, env=environment, start_new_session=True,
    )  # fmt: skip
    until = time.monotonic() + 120
    while len(list(folder.glob("attempts/*/*"))) < 2:
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < until
        time.sleep(0.05)
    workers = [p for i in range(2) for p in attempts(folder, i)]
    process.send_signal(number)
    status = process.wait(timeout=30)
    said = process.stderr.read()
    process.stderr.close()
    until = time.monotonic() + 10
    while any(map(alive, workers)) and time.monotonic() < until:
        time.sleep(0.05)
    return status, said, workers


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -signal.SIGKILL)]
)
def test_a_stopped_sweep_leaves_no_process(tmp_path, number, status):
    """F2; the last is killed without a chance to end its own."""
    ended, said, workers = stopped(tmp_path, "local", number)
    assert ended == status
    assert "Traceback" not in said
    assert len(workers) == 2
    assert not any(map(alive, workers))
