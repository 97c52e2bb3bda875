"""The same jobs by every executor: the same bytes; a node that is lost costs its unfinished jobs; nothing is left."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from sweeps import QUICK, SILENT, snapshot
from toyjobs import Toy, finished_in, toys, work

from data.common.extras import MissingExtraError
from data.common.sweep.job import Job, SweepError
from data.common.sweep.options import Execution
from data.common.sweep.ray_executor import connect
from data.common.sweep.sweep import Sweep
from pruning.sweep import run_sweep

# Ray leaves sockets and files of its own to the collector, and warns of what it will change one day.
pytestmark = [pytest.mark.filterwarnings("default")]


def test_without_ray_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r"(?s)extra \[ray\].*pip install 'jopa\[ray\]'"):
        connect(None, 1)


@contextlib.contextmanager
def two_nodes():
    """A cluster of two nodes on this machine, one core each."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        cluster.add_node(num_cpus=1)
        yield cluster
    finally:
        cluster.shutdown()


def results(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in folder.glob("*.json")}


def attempts(folder: Path) -> dict[str, int]:
    return {p.name: len(list(p.iterdir())) for p in (folder / "attempts").iterdir()}


def swept(folder: Path, jobs: list[Job], settings: Execution, hear=lambda *_: None):
    folder.mkdir(exist_ok=True)
    with Sweep(work, folder, settings, cores=2, hear=hear) as sweep:
        sweep.run(jobs, finished_in(folder))
    return sweep.summary


@pytest.mark.slow
class TestCluster:
    def test_two_nodes_leave_what_local_processes_leave_and_repeat_what_dies_or_hangs(self, tmp_path):
        jobs = [Job("toy0", Toy(0, "dies")), Job("toy1", Toy(1, "hangs")), *toys(6)[2:]]
        swept(tmp_path / "local", jobs, Execution(hang_s=5.0))
        with two_nodes() as cluster:
            settings = Execution(executor="ray", address=cluster.address, hang_s=5.0)
            summary = swept(tmp_path / "ray", jobs, settings)
            with pytest.raises(SweepError, match="needs 4 cores on one node; the largest of 2 nodes has 1"):
                swept(tmp_path / "large", [Job("toy0", Toy(0), threads=4)], settings)
        assert results(tmp_path / "ray") == results(tmp_path / "local")
        assert "WorkerCrashedError" in summary.repeated["toy0"][0]
        assert summary.repeated["toy1"] == ["no sign of life for 5 s"]

    def test_a_lost_node_costs_only_its_unfinished_jobs(self, tmp_path):
        import ray

        with two_nodes() as cluster:
            settings = Execution(executor="ray", address=cluster.address)
            heard = []

            def hear(name, said):
                heard.append(said)
                if len(results(tmp_path)) >= 2 and len(cluster.list_all_nodes()) == 2:
                    here = ray.get_runtime_context().get_node_id()
                    (other,) = (node for node in cluster.list_all_nodes() if node.node_id != here)
                    cluster.remove_node(other, allow_graceful=False)

            summary = swept(tmp_path, toys(8, seconds=3.0), settings, hear)
        assert len(results(tmp_path)) == 8
        assert summary.finished == 8
        assert len(summary.repeated) == 1  # the second node has one core
        assert 8 <= sum(attempts(tmp_path).values()) <= 9  # it may have been lost before it began

    def test_no_cluster_at_an_address_is_told(self, tmp_path):
        with pytest.raises(SweepError, match=r"no Ray cluster at 127\.0\.0\.1:1"):
            swept(tmp_path, toys(2), Execution(executor="ray", address="127.0.0.1:1"))

    @pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
    def test_a_stopped_sweep_on_ray_leaves_no_process(self, tmp_path, number, status):
        sys.path.append(str(Path(__file__).parent / "data" / "common"))
        from test_sweep import alive, stopped

        ended, said, workers = stopped(tmp_path, "ray", number)
        assert ended == status, said
        assert "Traceback" not in said
        assert len(workers) == 2
        assert not any(map(alive, workers))


@pytest.mark.slow
class TestPruning:
    """A real sweep: models trained on one thread each, two at a time."""

    def test_the_bundle_is_the_same_byte_for_byte_whoever_trains_the_models(self, tmp_path, small_data):
        quick = replace(QUICK, threads=2, seeds=(0, 1), rates=(0.5,), onnx=False)
        run_sweep(replace(quick, out=tmp_path / "local"), SILENT)
        with two_nodes() as cluster:
            settings = Execution(executor="ray", address=cluster.address)
            run_sweep(replace(quick, out=tmp_path / "ray", execution=settings), SILENT)
        local, ray = snapshot(tmp_path / "local"), snapshot(tmp_path / "ray")
        assert [n for n in {*local, *ray} if local.get(n) != ray.get(n)] == []

    def test_killed_while_models_train_side_by_side_the_same_command_ends_with_the_same_files(self, tmp_path):
        command = [
            sys.executable, "-m", "pruning.run", "--width", "0.0625", "--rates", "0.5,0.9", "--epochs", "2",
            "--retrain-epochs", "2", "--threads", "2", "--hop-s", "1.0", "--no-onnx", "--accept", "weak", "--out",
        ]  # fmt: skip
        environment = {**os.environ, "JOPA_CACHE": str(tmp_path / "cache")}
        whole, killed = tmp_path / "whole", tmp_path / "killed"
        subprocess.run([*command, str(whole)], check=True, capture_output=True, env=environment)
        for job in ("seed0-dense", "seed0-p0.9"):
            process = subprocess.Popen([*command, str(killed)], stdout=subprocess.DEVNULL, env=environment)
            until = time.monotonic() + 120
            while not (killed / "jobs" / job / "job.json").exists():
                assert process.poll() is None
                assert time.monotonic() < until
                time.sleep(0.02)
            process.kill()
            process.wait()
        subprocess.run([*command, str(killed)], check=True, capture_output=True, env=environment)
        one, other = snapshot(whole), snapshot(killed)
        assert [n for n in {*one, *other} if one.get(n) != other.get(n)] == []
