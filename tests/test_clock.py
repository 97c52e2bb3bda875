"""The wall clock is set back by a year: while a command runs, between two calls of it, and in what it finds."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from optuna.trial import TrialState
from sqlalchemy import create_engine, text

from optimizer.learning.eventlog import EventLog
from optimizer.learning.schedule import LearnerConfig
from optimizer.pipeline.runner import set_aside
from optimizer.tune import run
from optimizer.tuning.options import TuneConfig
from optimizer.tuning.space import DEFAULT, begun_with
from optimizer.tuning.study import BEATS, ended, open_study
from profiling import Profile

YEAR = 365 * 24 * 3600
# Every process that finds this on its PYTHONPATH sees the clock go back after so many seconds.
BACK = f"""
import datetime, time
begun, real, local, utc = time.monotonic(), time.time, time.localtime, time.gmtime
def now():
    return real() - ({YEAR} if time.monotonic() - begun > AFTER else 0)
class Back(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls.fromtimestamp(now(), tz)
datetime.datetime = Back
time.time, time.time_ns = now, lambda: int(now() * 1e9)
time.localtime = lambda s=None: local(now() if s is None else s)
time.gmtime = lambda s=None: utc(now() if s is None else s)
"""


def set_back(folder: Path, after: float) -> dict[str, str]:
    """The environment of a command whose clock goes back after so many seconds."""
    folder.mkdir(exist_ok=True)
    (folder / "sitecustomize.py").write_text(BACK.replace("AFTER", str(after)))
    ours = [str(folder), str(Path(__file__).parent), str(Path(__file__).parents[1])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(ours)}


def from_the_future(folder: Path) -> None:
    """Every file of a folder was changed an hour from now."""
    for path in [folder, *folder.rglob("*")]:
        os.utime(path, (time.time() + 3600, time.time() + 3600))


def test_the_clock_of_these_tests_goes_back(tmp_path):
    code = "import time, datetime as d; a = time.time(); time.sleep(1); print(a - time.time(), d.datetime.now().year)"
    done = subprocess.run(
        [sys.executable, "-c", code], env=set_back(tmp_path, 0.5), capture_output=True, text=True, check=True
    )
    gone, year = done.stdout.split()
    assert float(gone) == pytest.approx(YEAR, abs=60)
    assert int(year) == time.localtime(time.time() - YEAR).tm_year


def test_a_sweep_ends_and_repeats_nothing(tmp_path):
    def swept() -> str:
        command = [sys.executable, "-m", "toycommand", str(tmp_path / "run"), "--seconds", "0.6"]
        environment = set_back(tmp_path / "clock", 0.8)
        return subprocess.run(
            command, env=environment, capture_output=True, text=True, check=True, timeout=60
        ).stdout.strip()

    assert swept() == "0 4 {}"
    (tmp_path / "run" / "toy2.json").unlink()
    from_the_future(tmp_path / "run")
    assert swept() == "3 1 {}"


def test_a_profile_goes_on_and_its_seconds_are_not_negative(bundle, tmp_path):
    out = tmp_path / "p.json"
    command = [sys.executable, "-m", "profiling.run", "--models", str(bundle), "--out", str(out), "--no-figures"]
    command += ["--runtime", "onnxruntime", "--threads", "1", "--batches", "1", "--processes", "1", "--rounds", "2"]
    process = subprocess.Popen(command, env=set_back(tmp_path / "clock", 1.0), stdout=subprocess.DEVNULL)
    until = time.monotonic() + 60
    while not visits(tmp_path):
        assert time.monotonic() < until
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = visits(tmp_path)
    from_the_future(tmp_path / "p")
    done = subprocess.run(
        command, env=set_back(tmp_path / "clock", 0.0), capture_output=True, text=True, check=True, timeout=120
    )
    assert f"going on: {len(kept)} of" in " ".join(done.stdout.split())
    profile = Profile.load(out)
    assert profile.measurement.cells == 3
    assert 0 < profile.environment.duration_s < 120


def visits(folder: Path) -> list[str]:
    """The visits that are in a profile's journal."""
    return [
        line
        for journal in (folder / "p").glob(".journal-*")
        for line in journal.read_text().splitlines(keepends=True)
        if line.endswith("\n") and json.loads(line)["event"] == "visit"
    ]


def test_a_dead_trial_whose_last_sign_of_life_lies_in_the_future_is_repeated(tmp_path):
    """The study would wait for it until the clock has caught up."""
    config = TuneConfig(
        sensors=5, trials=1, workers=1, startup=3, heartbeat_s=1, out=tmp_path,
        learner=LearnerConfig(updates=2, slots=8, block=2),
    )  # fmt: skip
    study = open_study(config)
    (waiting,) = study.trials
    study._storage.set_trial_state_values(waiting._trial_id, TrialState.RUNNING)
    study._storage.record_heartbeat(waiting._trial_id)
    engine = create_engine(f"sqlite:///{tmp_path / 'study.db'}")
    with engine.begin() as connection:
        connection.execute(text("update trial_heartbeats set heartbeat = datetime('now', '+1 year')"))
    engine.dispose()
    begun = time.monotonic()
    run(config)
    assert time.monotonic() - begun > BEATS  # so long it may be alive
    assert ended(open_study(config)) == 1
    dead, again = open_study(config).trials
    assert (dead.state, again.state) == (TrialState.FAIL, TrialState.COMPLETE)
    assert again.params == begun_with(config.learner, DEFAULT)


def test_tensorboard_reads_a_later_process_after_an_earlier_one(tmp_path, monkeypatch):
    for clock in (2e9, 2e9 - YEAR):
        monkeypatch.setattr("optimizer.learning.eventlog.time.time", lambda clock=clock: clock)
        log = EventLog(tmp_path, 0)
        log.add({"reward": clock}, 1)
        log.close()
    first, second = sorted(path.name.split(".")[3] for path in tmp_path.iterdir())
    assert (first, second) == ("2000000000", "2000000001")


def test_what_is_set_aside_twice_in_the_same_second_is_kept_twice(tmp_path, monkeypatch):
    monkeypatch.setattr("optimizer.pipeline.runner.time.strftime", lambda _: "20260101-000000")
    for content in ("first", "second", "third"):
        (tmp_path / "trial.json").write_text(content)
        set_aside(tmp_path / "trial.json")
    assert sorted(p.read_text() for p in tmp_path.iterdir()) == ["first", "second", "third"]
