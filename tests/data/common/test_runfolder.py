import subprocess
import sys

import pytest

from data.common.errors import UserError
from data.common.runfolder import SETTINGS, claim, only_process


def test_two_processes_in_one_folder_are_refused_and_a_dead_ones_lock_is_not(tmp_path):
    code = (
        "import sys,time,pathlib; from data.common.runfolder import only_process\n"
        "with only_process(pathlib.Path(sys.argv[1])):\n print('held', flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE)
    assert holder.stdout.readline() == b"held\n"
    with pytest.raises(UserError, match=f"in use by process {holder.pid}"), only_process(tmp_path):
        pass
    holder.kill()
    holder.communicate()
    with only_process(tmp_path):
        pass


def test_files_that_a_killed_process_left_half_written_are_removed(tmp_path):
    (tmp_path / ".profile.json.x.tmp").write_text("half")
    with only_process(tmp_path):
        assert not list(tmp_path.glob("*.tmp"))


def test_a_run_is_continued_with_its_own_settings_and_refused_with_others(tmp_path):
    claim(tmp_path, {"seed": 1, "train": {"rate": 0.1}})
    claim(tmp_path, {"seed": 1, "train": {"rate": 0.1}})
    with pytest.raises(UserError, match=r"another configuration: train\.rate was 0\.1, now 0\.2"):
        claim(tmp_path, {"seed": 1, "train": {"rate": 0.2}})


def test_a_folder_of_other_files_is_refused(tmp_path):
    (tmp_path / "thesis.docx").write_text("")
    with pytest.raises(UserError, match=r"holds thesis\.docx and no run\.json: it is not a run folder"):
        claim(tmp_path, {})
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.docx"]


def test_damaged_settings_are_named(tmp_path):
    (tmp_path / SETTINGS).write_text("{")
    with pytest.raises(UserError, match=r"run\.json: cannot be read as JSON"):
        claim(tmp_path, {})
