"""Tuning studies: workers that share a storage, trials that die, hopeless ones, and what is written at the end."""

import csv
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import optuna
import pytest

from optimizer import OptimizerError
from optimizer.learning.factory.settings import FactoryConfig
from optimizer.learning.options import TrainConfig
from optimizer.learning.paper_sac import SacConfig
from optimizer.learning.schedule import LearnerConfig
from optimizer.network.scenario import Scenario
from optimizer.tune import run
from optimizer.tuning.options import TuneConfig
from optimizer.tuning.report import trial_rows
from optimizer.tuning.space import PAPER, Range, as_options, begun_with, changed, settings_of, space_of
from optimizer.tuning.study import address, ended, open_study, shown

SHORT = LearnerConfig(updates=4, slots=8, block=2)
QUICK = TuneConfig(sensors=5, trials=6, workers=1, startup=3, warmup=1, heartbeat_s=1, learner=SHORT)
COMMAND = [
    sys.executable, "-m", "optimizer.tune", "--sensors", "5", "--startup", "3", "--warmup", "1", "--heartbeat-s", "1",
    "--default.updates", "40", "--default.slots", "8", "--default.block", "2",
]  # fmt: skip


def values(config: TuneConfig) -> list[tuple]:
    """State, reward and settings of every trial that counts, in the order of their settings."""
    rows = trial_rows(open_study(config))
    return sorted(tuple(v for k, v in row.items() if k not in ("trial", "seconds")) for row in rows)


class TestSpace:
    @pytest.mark.parametrize("preset", ["default", "paper"])
    def test_the_settings_as_they_are_lie_inside_and_come_back(self, preset):
        config, scenario = TrainConfig(preset=preset), Scenario.load("paper")
        settings, space = settings_of(config, scenario), space_of(config, scenario)
        begun = begun_with(settings, space)
        assert {n for n in space if n not in begun} <= {"zeta"}
        assert changed(settings, begun) == settings

    def test_table_iii_is_inside(self):
        begun = begun_with(SacConfig(), PAPER)
        assert (begun["width"], begun["depth"], begun["batch"], begun["gamma"]) == (1024, 3, 512, 0.99)

    def test_values_become_options_that_the_training_takes(self):
        given = {"lr": 0.00123, "entropy_in_target": True, "width": 256, "depth": 2, "batch": 64}
        told = as_options(SacConfig(), given)
        assert told == "--paper.lr 0.00123 --paper.entropy-in-target --paper.hidden 256 256 --paper.batch 64"
        assert as_options(FactoryConfig(), {"at_random": 3.4}) == "--factory.at-random 3"
        assert all(bounds.low < bounds.high for bounds in PAPER.values() if isinstance(bounds, Range))


class TestStorage:
    @pytest.mark.parametrize(
        ("given", "expected"),
        [
            ("postgresql://me:secret@host/db", "postgresql+psycopg://me:secret@host/db"),
            ("sqlite:////tmp/a.db", "sqlite:////tmp/a.db"),
        ],
    )
    def test_addresses_as_users_write_them(self, given, expected):
        assert address(replace(QUICK, storage=given)) == expected

    def test_a_password_is_never_shown(self):
        assert "secret" not in shown("postgresql+psycopg://me:secret@host/db")

    @pytest.mark.parametrize("given", ["mysql://host/db", "study.db", "sqlite://"])
    def test_other_storages_are_refused(self, given):
        with pytest.raises(OptimizerError, match="expected sqlite:///FILE or postgresql://"):
            address(replace(QUICK, storage=given))

    def test_a_server_that_is_not_there_is_told(self, tmp_path):
        with pytest.raises(OptimizerError, match="cannot be used"):
            open_study(replace(QUICK, out=tmp_path, storage="postgresql://nobody:secret@127.0.0.1:1/none"))

    def test_a_study_with_other_settings_is_refused(self, tmp_path):
        open_study(replace(QUICK, out=tmp_path))
        with pytest.raises(OptimizerError, match="was made with another settings"):
            open_study(replace(QUICK, out=tmp_path, learner=replace(SHORT, updates=6)))


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> TuneConfig:
    """A finished study of six trials."""
    config = replace(QUICK, out=tmp_path_factory.mktemp("whole"))
    run(config)
    return config


class TestStudy:
    def test_it_leaves_a_table_pictures_a_page_and_options_to_train_with(self, whole):
        found = json.loads((whole.out / "tuning.json").read_text())
        assert found["trials"] == found["finished"] + found["stopped_early"] == 6
        assert found["best"]["reward"] >= found["begun_with"]["reward"]
        assert found["options"].startswith("--default.")
        rows = list(csv.DictReader((whole.out / "trials.csv").read_text().splitlines()))
        assert [row["trial"] for row in rows] == [str(i) for i in range(6)]
        assert "the settings as they were" in (whole.out / "tuning.html").read_text()
        assert (whole.out / "history.png").stat().st_size > 5000

    def test_any_optuna_reads_it(self, whole):
        study = optuna.load_study(study_name=whole.name, storage=f"sqlite:///{whole.out}/study.db")
        assert len(study.trials) == 6
        assert study.trials[0].params["critic_lr"] == SHORT.critic_lr

    def test_more_trials_go_on_and_a_study_in_two_calls_is_that_in_one(self, whole, tmp_path):
        run(replace(whole, out=tmp_path, trials=2))
        run(replace(whole, out=tmp_path, trials=6))
        assert values(replace(whole, out=tmp_path)) == values(whole)

    def test_a_loss_that_is_not_finite_ends_the_trial_and_not_the_study(self, tmp_path, monkeypatch):
        monkeypatch.setattr("optimizer.tuning.worker.build_training", _broken)
        with pytest.raises(OptimizerError, match="no trial was finished"):
            run(replace(QUICK, out=tmp_path, trials=2))
        (first, _) = open_study(replace(QUICK, out=tmp_path)).trials
        assert first.user_attrs["problem"] == "the loss is nan."


class _Broken:
    total, done = 4, 0

    def run_block(self):
        raise OptimizerError("the loss is nan.")


def _broken(job, config):
    return _Broken()


@pytest.mark.slow
class TestWorkers:
    def test_a_killed_study_goes_on_as_if_it_had_never_stopped(self, tmp_path):
        """F1: kill -9 in the middle of a trial; the trial is repeated with the same values."""
        for out in ("whole", "killed"):
            command = [*COMMAND, "--workers", "1", "--trials", "4", "--out", str(tmp_path / out)]
            if out == "killed":
                process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
                while "1 of 4" not in process.stdout.readline():
                    assert process.poll() is None
                time.sleep(1.0)
                process.kill()
                process.wait()
                process.stdout.close()
            subprocess.run(command, check=True, capture_output=True)
        learner = LearnerConfig(updates=40, slots=8, block=2)
        one = replace(QUICK, trials=4, learner=learner, out=tmp_path / "whole")
        other = replace(one, out=tmp_path / "killed")
        assert values(one) == values(other)
        assert json.loads((tmp_path / "killed" / "tuning.json").read_text())["repeated"] <= 1

    def test_two_commands_share_one_storage_and_a_dead_ones_trial_is_repeated(self, tmp_path):
        self.share(tmp_path, f"sqlite:///{tmp_path / 'shared.db'}")

    def test_the_same_in_postgresql(self, tmp_path, postgresql):
        self.share(tmp_path, postgresql)

    @staticmethod
    def share(folder: Path, storage: str) -> None:
        def start(name: str) -> subprocess.Popen:
            command = [*COMMAND, "--workers", "1", "--trials", "8", "--storage", storage, "--out", str(folder / name)]
            return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

        config = replace(
            QUICK, trials=8, storage=storage, learner=LearnerConfig(updates=40, slots=8, block=2), out=folder
        )
        doomed, other = start("doomed"), start("other")
        study = open_study(config)
        until = time.monotonic() + 240
        while not (ended(study) and [t.state.name for t in study.get_trials()].count("RUNNING") == 2):
            assert time.monotonic() < until
            time.sleep(0.1)
        doomed.send_signal(signal.SIGKILL)
        doomed.communicate()
        said, _ = other.communicate(timeout=280)
        assert other.returncode == 0, said
        states = [trial.state.name for trial in study.get_trials()]
        assert states.count("COMPLETE") + states.count("PRUNED") == 8
        assert states.count("RUNNING") == 0
        assert states.count("FAIL") == 1  # the one that was under way
        assert set(states) <= {"COMPLETE", "PRUNED", "FAIL"}


def _tools() -> Path | None:
    """Folder of the server's programs, as Debian's package installs them."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: int(p.parts[-3]))
    named = shutil.which("initdb")
    return found[-1].parent if found else Path(named).parent if named else None


@pytest.fixture
def postgresql(tmp_path_factory):
    """The address of a PostgreSQL server of this test alone."""
    tools = _tools()
    if tools is None:
        pytest.skip("PostgreSQL's server is not installed (Debian: apt-get install postgresql)")
    folder = tmp_path_factory.mktemp("postgresql")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    as_user: list[str] = []
    if os.geteuid() == 0:  # the server refuses to run as root
        shutil.chown(folder, "postgres")
        for parent in [folder, *folder.parents][:4]:
            parent.chmod(parent.stat().st_mode | 0o011)
        as_user = ["runuser", "-u", "postgres", "--"]
    data = folder / "data"
    subprocess.run(
        [*as_user, tools / "initdb", "-D", data, "-U", "tuner", "--auth", "trust", "--no-sync"],
        check=True, capture_output=True, cwd="/",
    )  # fmt: skip
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c fsync=off"
    control = [*as_user, tools / "pg_ctl", "-D", data, "-w"]
    subprocess.run(
        [*control, "-l", folder / "log", "-o", options, "start"], check=True, stdout=subprocess.DEVNULL, cwd="/"
    )
    try:
        yield f"postgresql://tuner@127.0.0.1:{port}/postgres"
    finally:
        subprocess.run([*control, "-m", "immediate", "stop"], check=False, capture_output=True, cwd="/")
