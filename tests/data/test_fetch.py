import contextlib
import hashlib
import http.server
import io
import json
import threading
import time
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from rich.console import Console

from data import DataError, fetch
from data.download import Transfer, download, unpack
from data.fetch import FetchConfig
from data.lock import LOCK, read_lock, verify
from data.readers import cwru, mfpt

SIGNAL = np.random.default_rng(0).standard_normal((60000, 1))
CONSOLE = Console(file=io.StringIO())


def mat(**variables) -> bytes:
    buffer = io.BytesIO()
    scipy.io.savemat(buffer, variables)
    return buffer.getvalue()


class Server(http.server.ThreadingHTTPServer):
    """Serves `files`; `behave(path, attempt)` says how an attempt goes: ok, cut, wrong, 404, 500, hang."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.behave = lambda path, attempt: "ok"
        self.attempts: dict[str, int] = {}
        self.ranges: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *args):
        pass

    def do_GET(self):
        server = self.server
        attempt = server.attempts[self.path] = server.attempts.get(self.path, 0) + 1
        how = server.behave(self.path, attempt)
        content = server.files.get(self.path)
        if content is None or how == "404":
            self.send_error(404)
            return
        if how == "500":
            self.send_error(500)
            return
        if how == "wrong":
            content = bytes(len(content))
        start = 0
        asked = self.headers.get("Range")
        if asked:
            server.ranges.append(asked)
            start = int(asked.removeprefix("bytes=").split("-")[0])
        if start >= len(content):
            self.send_error(416)
            return
        self.send_response(206 if asked else 200)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        body = content[start:]
        if how == "cut":
            self.wfile.write(body[: len(body) // 2])
            self.wfile.flush()
            self.connection.close()
            return
        self.wfile.write(body)


@pytest.fixture
def server():
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def config(tmp_path, server, monkeypatch):
    """Numbers 3001 and 144, whose MD5 nobody published, so that small files of ours pass."""
    server.files["/144.mat"] = mat(X144_DE_time=SIGNAL, X144RPM=1797.0)
    server.files["/3001.mat"] = mat(X056_DE_time=SIGNAL)
    assert cwru.catalogue()[144].md5 is None
    assert cwru.catalogue()[3001].md5 is None
    return FetchConfig("cwru", tmp_path / "cwru", (144, 3001), url=server.url + "/{number}.mat", wait_s=0.0)


def test_files_arrive_checked_and_locked(config, server):
    assert cwru.fetch(config, CONSOLE) == 2
    lock = read_lock(config.root)
    assert lock["144.mat"]["sha256"] == hashlib.sha256(server.files["/144.mat"]).hexdigest()
    assert not list(config.root.glob("*.part"))
    assert cwru.read(config.root)[0].name == "144"


def test_what_is_there_is_not_fetched_again(config, server):
    cwru.fetch(config, CONSOLE)
    cwru.fetch(config, CONSOLE)
    assert server.attempts == {"/144.mat": 1, "/3001.mat": 1}


def test_a_cut_connection_resumes_where_it_stopped(config, server):
    server.behave = lambda path, attempt: "cut" if attempt < 3 else "ok"
    cwru.fetch(config, CONSOLE)
    assert (config.root / "144.mat").read_bytes() == server.files["/144.mat"]
    assert len(server.ranges) == 4
    assert all(r != "bytes=0-" for r in server.ranges)


def test_an_interrupted_download_goes_on_in_the_next_run(config, server):
    config.root.mkdir()
    (config.root / "144.mat.part").write_bytes(server.files["/144.mat"][:1000])
    cwru.fetch(config, CONSOLE)
    assert "bytes=1000-" in server.ranges
    assert (config.root / "144.mat").read_bytes() == server.files["/144.mat"]


def test_wrong_bytes_are_never_kept(config, server):
    server.behave = lambda path, attempt: "wrong"
    with pytest.raises(DataError, match=r"4 attempts failed"):
        cwru.fetch(config, CONSOLE)
    assert not (config.root / "144.mat").exists()
    assert not (config.root / LOCK).exists()


def test_a_part_of_another_file_is_noticed_and_fetched_anew(config, server):
    config.root.mkdir()
    (config.root / "144.mat.part").write_bytes(b"rubbish" * 100)
    cwru.fetch(config, CONSOLE)
    assert (config.root / "144.mat").read_bytes() == server.files["/144.mat"]


def test_a_file_of_another_recording_is_refused(config, server):
    server.files["/144.mat"] = mat(other=SIGNAL)
    with pytest.raises(DataError, match="expected the variable X144_DE_time"):
        cwru.fetch(config, CONSOLE)


def test_a_short_recording_is_refused(config, server):
    server.files["/144.mat"] = mat(X144_DE_time=SIGNAL[:5000])
    with pytest.raises(DataError, match=r"of 0\.4 s"):
        cwru.fetch(config, CONSOLE)


def test_a_published_md5_is_compared(config, server):
    server.files["/105.mat"] = mat(X105_DE_time=SIGNAL)
    with pytest.raises(DataError, match="wrong bytes: MD5"):
        cwru.fetch(replace(config, only=(105,)), CONSOLE)


def test_404_is_said_at_once_with_the_way_to_do_without_network(config, server, monkeypatch):
    server.behave = lambda path, attempt: "404"
    with pytest.raises(DataError, match="answered 404") as caught:
        fetch.run(config)
    assert server.attempts == {"/144.mat": 1}
    assert "in a browser" in caught.value.remedy


def test_a_server_error_is_tried_again(config, server):
    server.behave = lambda path, attempt: "500" if attempt == 1 else "ok"
    assert cwru.fetch(config, CONSOLE) == 2


def test_no_network_is_a_clear_error(config):
    with pytest.raises(DataError, match="attempts failed") as caught:
        fetch.run(replace(config, url="http://127.0.0.1:9/{number}.mat"))
    assert "Without a network" in caught.value.remedy


def test_a_changed_file_is_noticed_from_then_on(config):
    cwru.fetch(config, CONSOLE)
    path = config.root / "144.mat"
    content = bytearray(path.read_bytes())
    content[5000] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match="differs from the file that was fetched"):
        cwru.fetch(config, CONSOLE)
    with pytest.raises(DataError, match="differs"):
        verify(config.root, [path])


def test_a_file_put_there_by_hand_is_checked_and_locked(config, server):
    config.root.mkdir()
    (config.root / "144.mat").write_bytes(server.files["/144.mat"])
    cwru.fetch(config, CONSOLE)
    assert "/144.mat" not in server.attempts
    assert "144.mat" in read_lock(config.root)


def test_a_newer_lock_file_is_refused(config):
    config.root.mkdir()
    (config.root / LOCK).write_text(json.dumps({"schema": 99, "files": {}}))
    with pytest.raises(DataError, match="schema 99"):
        cwru.fetch(config, CONSOLE)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "cannot be read as JSON"),
        ("[]", "no schema version"),
        ('{"schema": 1, "files": []}', "damaged"),
        ('{"schema": 1, "files": {"144.mat": {"bytes": 3}}}', "damaged"),
    ],
)
def test_a_damaged_lock_file_is_refused(tmp_path, content, message):
    (tmp_path / LOCK).write_text(content)
    with pytest.raises(DataError, match=message):
        read_lock(tmp_path)


def test_a_number_that_is_not_a_recording_is_refused(config):
    with pytest.raises(DataError, match="113: not among the CWRU recordings"):
        cwru.fetch(replace(config, only=(113,)), CONSOLE)


def archive(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, content in members.items():
            file.writestr(name, content)
    return buffer.getvalue()


def bearing(rate: float) -> bytes:
    signal = np.random.default_rng(1).standard_normal((round(3 * rate), 1))
    return mat(bearing={"gs": signal, "sr": rate, "rate": 25.0, "load": 100.0})


def test_the_mfpt_archive_is_unpacked_checked_and_locked(tmp_path, server):
    server.files["/mfpt.zip"] = archive(
        {
            "MFPT Fault Data Sets/1 - Three Baseline Conditions/baseline_1.mat": bearing(9766.0),
            "MFPT Fault Data Sets/4 - Seven Inner/InnerRaceFault_vload_1.mat": bearing(4883.0),
            "MFPT Fault Data Sets/readme.txt": b"hello",
        }
    )
    config = FetchConfig("mfpt", tmp_path / "my set", url=server.url + "/mfpt.zip", wait_s=0.0)
    assert mfpt.fetch(config, CONSOLE) == 2
    assert mfpt.fetch(config, CONSOLE) == 2
    assert server.attempts == {"/mfpt.zip": 1}
    assert len(read_lock(config.root)) == 3


def test_an_archive_that_is_none_is_refused(tmp_path, server):
    server.files["/mfpt.zip"] = b"<html>moved</html>" * 100
    with pytest.raises(DataError, match="not a ZIP archive"):
        mfpt.fetch(FetchConfig("mfpt", tmp_path / "m", url=server.url + "/mfpt.zip", wait_s=0.0), CONSOLE)


@pytest.mark.parametrize(
    "name", ["../outside.mat", "/tmp/outside.mat", "a/../../outside.mat", "C:/outside.mat", "..\\outside.mat"]
)
def test_an_archive_member_outside_its_folder_is_refused(tmp_path, name):
    """F10."""
    path = tmp_path / "bad.zip"
    path.write_bytes(archive({"good.mat": b"x", name: b"x"}))
    with pytest.raises(DataError, match="points outside"):
        unpack(path, tmp_path / "root")
    assert not list((tmp_path / "root").rglob("*.mat"))
    assert not (tmp_path / "outside.mat").exists()


def test_an_archive_with_a_symbolic_link_is_refused(tmp_path):
    """F10."""
    path = tmp_path / "bad.zip"
    with zipfile.ZipFile(path, "w") as file:
        link = zipfile.ZipInfo("link.mat")
        link.external_attr = 0o120777 << 16
        file.writestr(link, "/etc/passwd")
    with pytest.raises(DataError, match="is a link"):
        unpack(path, tmp_path / "root")


class Odd(http.server.BaseHTTPRequestHandler):
    """Answers as no honest server does; `kind` says how."""

    kind = ""

    def log_message(self, *args):
        pass

    def do_GET(self):
        self.send_response(200)
        headers = {"no number": ("Content-Length", "many"), "too many": ("Content-Length", "99999999999")}
        headers["compressed"] = ("Content-Encoding", "gzip")
        if self.kind in headers:
            self.send_header(*headers[self.kind])
        self.end_headers()
        chunk, pause = (b"x", 0.05) if self.kind == "drips" else (bytes(1 << 16), 0.0)
        with contextlib.suppress(OSError):
            for _ in range(2000):
                self.wfile.write(chunk)
                time.sleep(pause)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("no number", "announces 'many' bytes"),
        ("too many", r"announces 93\.1 GB; at most"),
        ("compressed", "sends the file compressed"),
        ("drips", r"not whole after 0\.5 s"),
        ("endless", "sends more than it should"),
    ],
)
def test_a_server_that_never_ends_or_lies_about_lengths_is_left(tmp_path, kind, message):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), type("Kind", (Odd,), {"kind": kind}))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}/a.zip"
    transfer = Transfer(
        url, tmp_path / "a.zip", 2, 5.0, 0.01, limit_s=0.5 if kind == "drips" else 60.0, most_bytes=1 << 20
    )
    begun = time.monotonic()
    with pytest.raises(DataError, match=message):
        download(transfer, lambda have, total: None, lambda path: None)
    server.shutdown()
    server.server_close()
    assert time.monotonic() - begun < 20
    assert not (tmp_path / "a.zip").exists()


def test_a_part_that_is_a_link_is_not_written_through(tmp_path, config, server):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    config.root.mkdir(exist_ok=True)
    (config.root / "144.mat.part").symlink_to(victim)
    fetch.run(config)
    assert victim.read_text() == "precious"
    assert not (config.root / "144.mat").is_symlink()


def test_an_archive_that_unpacks_through_a_link_is_refused(tmp_path):
    (tmp_path / "root").mkdir()
    (tmp_path / "outside").mkdir()
    (tmp_path / "root" / "set").symlink_to(tmp_path / "outside")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr("set/a.mat", "x")
    with pytest.raises(DataError, match="points outside"):
        unpack(tmp_path / "a.zip", tmp_path / "root")
    assert not list((tmp_path / "outside").iterdir())


def test_a_folder_that_cannot_be_written_is_a_clear_error(tmp_path, config):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="file"):
        fetch.run(replace(config, root=Path(tmp_path / "file" / "sub")))
