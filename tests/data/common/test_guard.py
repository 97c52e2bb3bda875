import errno
import json
import os
from pathlib import Path

import pytest

from data.common.errors import UserError
from data.common.files import write_json, write_whole
from data.common.guard import open_own, open_regular, printable
from data.common.limits import limit, too_much
from data.common.parse import parse_json, read_json, read_lines, read_toml
from data.common.runfolder import only_process
from data.common.schema import Strict


def test_what_is_no_regular_file_is_refused_and_never_waited_for(tmp_path):
    os.mkfifo(tmp_path / "fifo.json")
    (tmp_path / "zero.json").symlink_to("/dev/zero")
    for name, what in (("fifo.json", "a pipe"), ("zero.json", "a device")):
        with pytest.raises(UserError, match=f"is {what}"):
            read_json(tmp_path / name, UserError)
        with pytest.raises(OSError, match=f"is {what}"):
            open_regular(tmp_path / name)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * 70 + "]" * 70, "nested too deeply"),
        ("[" * 100_000, "nested too deeply"),
        ('{"a": NaN}', "NaN is not a number"),
        ('{"a": -Infinity}', "-Infinity is not a number"),
        ('{"a": 1e999}', "too large"),
        ('{"a": ' + "9" * 40 + "}", "more than 64 bits"),
        ('{"a": 1, "a": 2}', "the key 'a' is there twice"),
        ('{"a": "\\ud800"}', "not text"),
        ('{"a\\u0000": 1}', "not text"),
    ],
)
def test_json_with_which_nothing_can_be_done_is_refused(text, message):
    with pytest.raises(ValueError, match=message):
        parse_json(text)


def test_a_file_that_is_too_large_is_not_read(tmp_path, monkeypatch):
    (tmp_path / "a.json").write_text(json.dumps(["x" * 100] * 20_000))
    assert len(read_json(tmp_path / "a.json", UserError)) == 20_000
    monkeypatch.setenv("JOPA_JSON_MB", "1")
    with pytest.raises(UserError, match=r"2\.0 MB; at most 1\.0 MB are read") as told:
        read_json(tmp_path / "a.json", UserError)
    assert "JOPA_JSON_MB" in told.value.remedy
    monkeypatch.setenv("JOPA_JSON_MB", "much")
    with pytest.raises(UserError, match="must be a number above 0; got 'much'"):
        limit("JOPA_JSON_MB")


def test_lines_of_json_are_read_one_by_one(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"a": 1}\n\n{"a": 2}\n')
    assert read_lines(tmp_path / "a.jsonl", UserError) == [{"a": 1}, {"a": 2}]
    (tmp_path / "a.jsonl").write_text('{"a": 1}\n{"a": NaN}\n')
    with pytest.raises(UserError, match="NaN is not a number"):
        read_lines(tmp_path / "a.jsonl", UserError)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (".".join(["a"] * 100_000) + " = 1", "a dotted key of more than 16 parts"),
        (".".join(['"a b"'] * 20) + " = 1", "a dotted key of more than 16 parts"),
        ("a = " + "[" * 5000 + "]" * 5000, "nested too deeply"),
        ("a = " + "9" * 40, "more than 64 bits"),
    ],
)
def test_toml_that_only_asks_for_memory_is_refused(tmp_path, text, message):
    (tmp_path / "a.toml").write_text(text)
    with pytest.raises(UserError, match=message):
        read_toml(tmp_path / "a.toml", UserError)


def test_text_and_truth_values_are_no_numbers():
    class Part(Strict):
        seconds: float
        count: int

    assert Part.model_validate({"seconds": 1, "count": 2}).seconds == 1.0
    for wrong in ({"seconds": True, "count": 2}, {"seconds": "1", "count": 2}, {"seconds": 1.0, "count": 2.0}):
        with pytest.raises(ValueError, match="valid"):
            Part.model_validate(wrong)


def test_a_link_in_the_place_of_a_file_is_replaced_and_its_target_untouched(tmp_path):
    (tmp_path / "victim").write_text("precious")
    (tmp_path / "out.json").symlink_to(tmp_path / "victim")
    write_json(tmp_path / "out.json", [1])
    assert (tmp_path / "victim").read_text() == "precious"
    assert not (tmp_path / "out.json").is_symlink()


def test_a_device_is_written_to_and_stays_one():
    write_json(Path("/dev/null"), [1])
    with pytest.raises(UserError, match="the disk is full: /dev/full"):
        write_json(Path("/dev/full"), [1])
    assert Path("/dev/null").is_char_device()
    assert Path("/dev/full").is_char_device()


def test_a_pipe_is_written_to_if_somebody_reads(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(UserError, match="cannot write"):
        write_whole(pipe, b"x")
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write_whole(pipe, b"content")
    assert os.read(reader, 100) == b"content"
    os.close(reader)


def test_nothing_is_kept_open_through_a_link(tmp_path):
    (tmp_path / "victim").write_text("precious")
    (tmp_path / "soft").symlink_to(tmp_path / "victim")
    os.link(tmp_path / "victim", tmp_path / "hard")
    for name, code in (("soft", errno.ELOOP), ("hard", errno.EMLINK)):
        with pytest.raises(OSError, match="link") as told:
            open_own(tmp_path / name)
        assert told.value.errno == code
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ".lock").symlink_to(tmp_path / "victim")
    with pytest.raises(UserError, match="is a link"), only_process(tmp_path / "run"):
        pass
    assert (tmp_path / "victim").read_text() == "precious"


def test_names_that_are_no_text_are_shown_as_escapes():
    assert printable("a\udcff\n") == "a\\udcff\\n"
    assert printable("mes données") == "mes données"
    assert len(printable("a" * 5000)) < 300


def test_what_would_need_too_much_memory_is_told_with_an_estimate():
    assert too_much("JOPA_NETWORK_MB", "a network", 1e6) is None
    assert "would need about 9.3 GB of memory, more than 512.0 MB" in (too_much("JOPA_NETWORK_MB", "x", 1e10) or "")
