"""A sweep by local processes and on a Ray cluster of two nodes on this machine, with the same cores, side by side.

`python -m benchmarks.executors [--rounds 3] [--updates 60]`. Each of 12 jobs trains a narrow VGG-16 for some updates on
one thread; the executors take turns, and what is timed includes starting their processes and loading modules, but not
starting the cluster. Then a node is killed in mid-sweep, and the jobs that had to be repeated are counted.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from rich.console import Console

from benchmarks.machine import write
from data.common.files import write_json
from data.common.sweep.job import Job, Tell
from data.common.sweep.options import Execution
from data.common.sweep.sweep import Sweep
from pruning.spec import dense_spec
from pruning.vgg import build_vgg

JOBS, CORES = 12, 2


def work(shared: tuple[Path, int], seed: int, tell: Tell) -> None:
    folder, updates = shared
    torch.manual_seed(seed)
    model = build_vgg(dense_spec(10, 32, "small", True, 0.25, False), 0.0)
    sgd = torch.optim.SGD(model.parameters(), lr=0.01)
    images, labels = torch.randn(32, 1, 32, 32), torch.randint(10, (32,))
    for update in range(updates):
        loss = torch.nn.functional.cross_entropy(model(images), labels)
        sgd.zero_grad()
        loss.backward()
        sgd.step()
        tell(update)
    weights = float(next(model.parameters()).detach().sum())
    write_json(folder / f"{seed}.json", {"loss": float(loss.detach()), "weights": weights})


def sweep(folder: Path, updates: int, execution: Execution, hear=lambda *_: None):
    """Seconds of a sweep, and its summary."""
    from benchmarks import executors  # other processes import it by this name, not as __main__

    begun = time.perf_counter()
    jobs = [Job(f"job{seed}", seed) for seed in range(JOBS)]
    with Sweep(executors.work, (folder, updates), execution, cores=CORES, hear=hear) as running:
        running.run(jobs, lambda job: (folder / f"{job.arguments}.json").exists())
        return time.perf_counter() - begun, running.summary


def new_folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="executors-"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--updates", type=int, default=60)
    arguments = parser.parse_args()
    import ray as ray_api
    from ray.cluster_utils import Cluster

    console = Console(width=100)
    seconds: dict[str, list[float]] = {"local": [], "ray": []}
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": CORES // 2, "include_dashboard": False})
    cluster.add_node(num_cpus=CORES // 2)
    ray = Execution(executor="ray", address=cluster.address)
    try:
        same = True
        for number in range(arguments.rounds):
            folders = {"local": new_folder(), "ray": new_folder()}
            order = ("local", "ray") if number % 2 == 0 else ("ray", "local")  # whatever else runs meets both alike
            for name in order:
                spent, _ = sweep(folders[name], arguments.updates, Execution() if name == "local" else ray)
                seconds[name].append(spent)
            console.print(f"round {number}: local {seconds['local'][-1]:.1f} s, two nodes {seconds['ray'][-1]:.1f} s")
            files = [{p.name: p.read_bytes() for p in folders[name].iterdir()} for name in folders]
            same = same and files[0] == files[1] and len(files[0]) == JOBS
        folder = new_folder()

        def hear(*_: object) -> None:
            if len(list(folder.glob("*.json"))) >= JOBS // 3 and len(cluster.list_all_nodes()) > 1:
                here = ray_api.get_runtime_context().get_node_id()
                (other,) = (node for node in cluster.list_all_nodes() if node.node_id != here)
                cluster.remove_node(other, allow_graceful=False)

        spent, summary = sweep(folder, arguments.updates, ray, hear)
    finally:
        cluster.shutdown()
    ratio = float(np.median(seconds["ray"]) / np.median(seconds["local"]))
    paired = [b / a for a, b in zip(seconds["local"], seconds["ray"], strict=True)]
    console.print(
        f"ratio of the medians {ratio:.3f}, of each round {', '.join(f'{r:.3f}' for r in paired)}; same: {same}"
    )
    console.print(f"a node killed after {JOBS // 3} jobs: {spent:.1f} s, repeated: {summary.repeated}")
    write(
        "executors",
        f"python -m benchmarks.executors --rounds {arguments.rounds} --updates {arguments.updates}",
        {
            "jobs": JOBS, "cores": CORES, "seconds": seconds, "ratio": ratio, "ratios": paired, "same_bytes": same,
            "lost_node": {"seconds": spent, "finished": summary.finished, "repeated": summary.repeated},
        },
    )  # fmt: skip


if __name__ == "__main__":
    main()
