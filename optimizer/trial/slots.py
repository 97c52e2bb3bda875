"""`python -m optimizer.trial`: decisions of a policy carried out by real processes on real windows.

Every slot the policy decides; each gateway, a process, runs its batch on the pruned model that was chosen; the edge
server, another, runs the complete model on what was offloaded. Time is a virtual clock: inference takes what it really
took, one process at a time (so that gateways do not share this machine's cores, as real ones would not), and the link
takes the scenario's mini-slots. Beside every task stands what the environment predicts.
"""

import json
import sys
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import Progress

from data.common.command import run_command
from data.common.files import write_json
from optimizer.errors import OptimizerError
from optimizer.learning.deployed import LearnedPolicy, find_policies
from optimizer.network.outcome import Outcome, evaluate
from optimizer.network.scenario import Scenario
from optimizer.network.slots import PADDING, Action, State, draw_states, send_first
from optimizer.trial.findings import TaskRow, factors, print_trial, summarise_trial, wilson
from optimizer.trial.processes import Worker
from optimizer.trial.worker import Station
from profiling.bundle.subjects import Bundle, read_bundle
from profiling.profile.profile import Profile

SPEED_RUNS = 50
DISTURBED = 0.2  # of the logarithm of how much slower or faster the machine is than when it was profiled


@dataclass(frozen=True)
class TrialConfig:
    """Try a policy against real inference: predicted delays and accuracies beside those that happen."""

    policy: Path
    """Folder of a policy that was trained on measured profiles."""
    models: Path
    """The model bundle that the profiles were measured on."""
    slots: int = 60
    """Slots decided by the policy."""
    repeats: int = 1
    """Times that each of them is carried out, with the order of equals drawn and everything measured anew: eq. (7)
    predicts a task's mean wait, which one order of equals does not show."""
    probes: int = 20
    """Further slots with random models and numbers of offloaded tasks, so that every model is seen at many batches."""
    gateway: Path | None = None
    """Profile of the gateway; by default the one that the policy was trained with."""
    edge: Path | None = None
    """Profile of the edge server; by default likewise."""
    seed: int = 0
    """Of slots, windows and the order of equals in a queue."""
    out: Path = Path("runs/trial.json")
    """Where to write every task."""

    def __post_init__(self) -> None:
        if self.slots < 1 or self.repeats < 1 or self.probes < 0:
            raise OptimizerError("--slots and --repeats: expected at least 1; --probes: at least 0.")


def random_actions(scenario: Scenario, state: State, rng: np.random.Generator) -> Action:
    """Any number of tasks sent, the most critical first, any model, equal shares."""
    batch, gateways = state.channel.shape
    levels = len(scenario.qos)
    counts = np.stack([(state.level == k).sum(axis=2) for k in range(levels)], axis=-1)
    above = counts[..., ::-1].cumsum(axis=-1)[..., ::-1] - counts
    total = rng.integers(0, scenario.tables.groups + 1, (batch, gateways))
    sent = np.clip(total[..., None] - above, 0, counts)
    model = rng.integers(0, len(scenario.models), (batch, gateways))
    return Action(send_first(state.level, sent), model, np.full((batch, gateways), 1 / gateways))


class Trial:
    """A trial under way.

    Args:
        scenario: The network, as the policy knows it.
        bundle: The models and windows.
        gateway: Profile of the gateway: runtime, precision and threads are its.
        edge: Profile of the edge server.
        seed: Of windows and of the order of equals.
    """

    def __init__(self, scenario: Scenario, bundle: Bundle, gateway: Profile, edge: Profile, seed: int) -> None:
        if gateway.measurement is None or gateway.kind == "datasheet":
            raise OptimizerError("--gateway: a datasheet's profile; a trial needs one that was measured here.")
        for name, profile in (("gateway", gateway), ("edge", edge)):
            if profile.bundle and profile.bundle.sha256 != bundle.reference.sha256:
                raise OptimizerError(
                    f"--{name} is a profile of another bundle than {bundle.folder}.",
                    "Give the bundle that was profiled with --models.",
                )
        self.scenario, self.bundle = scenario, bundle
        self._rng = np.random.default_rng(seed)
        # What the edge takes is real time here times how fast the edge's profile is against this machine's.
        self._profiled_s = gateway.latency(0.0, 1)
        self.edge_factor = scenario.tables.edge_task_s / self._profiled_s
        rates = [0.0, *(m.rate for m in scenario.models)]
        files = {s.entry.rate: s.onnx for s in bundle.subjects if s.onnx is not None}
        missing = [r for r in rates if r not in files]
        if missing:
            raise OptimizerError(f"{bundle.folder}: no ONNX model of rate {missing[0]:g}.")
        self._station = Station(
            bundle=bundle.folder,
            onnx={r: files[r] for r in rates},
            runtime=gateway.measurement.runtime,
            precision="fp32" if gateway.precision == "int8" else gateway.precision,
            threads=gateway.threads,
            shape=bundle.shape,
            test=bundle.test,
        )
        self._stack = ExitStack()
        self.gateways: list[Worker] = []

    def __enter__(self) -> "Trial":
        for g in range(self.scenario.gateways):
            self.gateways.append(self._stack.enter_context(Worker(f"gateway {g + 1}", self._station)))
        self.edge = self._stack.enter_context(Worker("edge", self._station))
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def _windows(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        chosen = self._rng.integers(0, len(self.bundle.labels), count)
        return chosen, self.bundle.labels[chosen]

    def speed(self) -> float:
        """How many times as long the complete model takes here and now as when the gateway was profiled."""
        seconds, _ = self.gateways[0].run(0.0, [0] * SPEED_RUNS, 1)
        return float(np.median(seconds)) / self._profiled_s

    def slot(self, number: int, repeat: int, state: State, action: Action, *, probe: bool) -> list[TaskRow]:
        """Carry out one slot (a batch of one); a row a task."""
        outcome = evaluate(self.scenario, state, action)
        predicted = outcome.delay_of_tasks(state, action.offload)[0]
        expected = outcome.served_tasks(state, action.offload)[0]
        rows = []
        for g in range(self.scenario.gateways):
            of = (number, repeat, probe, g)
            rows += self._local(of, state, action, predicted[g], expected[g])
            rows += self._offloaded(of, state, action, outcome, predicted[g], expected[g])
        return rows

    def _local(
        self, of: tuple[int, int, bool, int], state: State, action: Action, predicted: np.ndarray,
        expected: np.ndarray,
    ) -> list[TaskRow]:  # fmt: skip
        g = of[3]
        level = state.level[0, g]
        tasks = np.flatnonzero((level != PADDING) & ~action.offload[0, g])
        if not len(tasks):
            return []
        model = self.scenario.models[int(action.model[0, g])]
        windows, labels = self._windows(len(tasks))
        seconds, classes = self.gateways[g].run(model.rate, windows.tolist(), len(tasks))
        took = seconds[0]
        rows = []
        for i, m in enumerate(tasks):
            asked = self.scenario.qos[level[m]]
            accurate = model.accuracy >= asked.min_accuracy
            cause = "late" if took > asked.max_delay_s else "" if accurate else "inaccurate"
            rows.append(
                TaskRow(
                    *of, int(m), int(level[m]), model.rate, len(tasks), float(predicted[m]), float(predicted[m]),
                    took, took / float(predicted[m]), classes[i] == int(labels[i]), not cause, bool(expected[m]),
                    cause,
                )
            )  # fmt: skip
        return rows

    def _offloaded(
        self, of: tuple[int, int, bool, int], state: State, action: Action, outcome: Outcome,
        predicted: np.ndarray, expected: np.ndarray,
    ) -> list[TaskRow]:  # fmt: skip
        g = of[3]
        tables, level = self.scenario.tables, state.level[0, g]
        tasks = np.flatnonzero(action.offload[0, g])
        if not len(tasks):
            return []
        # Higher criticality first, equals in any order (section II-C1).
        order = tasks[np.lexsort((self._rng.random(len(tasks)), -level[tasks]))]
        windows, labels = self._windows(len(order))
        seconds, classes = self.edge.run(0.0, windows.tolist(), 1)
        channel = int(state.channel[0, g])
        hold, sending = float(tables.hold_s[g, channel]), float(tables.transmission_s[g, channel])
        part = float(action.share[0, g]) + tables.epsilon
        rows = []
        for i, m in enumerate(order):
            edge_s = seconds[i] * self.edge_factor / part
            took = i * hold + sending + edge_s
            in_order = i * hold + sending + float(outcome.edge_s[0, g])
            late = took > self.scenario.qos[level[m]].max_delay_s
            cause = "late" if late else "edge slower than link, (17f)" if edge_s > sending else ""
            rows.append(
                TaskRow(
                    *of, int(m), int(level[m]), 0.0, 1, float(predicted[m]), in_order, took,
                    edge_s / float(outcome.edge_s[0, g]), classes[i] == int(labels[i]), not cause, bool(expected[m]),
                    cause,
                )
            )  # fmt: skip
        return rows

    def accuracies(self) -> list[dict[str, float]]:
        """Each model on the whole test part, in service's runtime, with a 95 % interval of independent windows."""
        every = list(range(len(self.bundle.labels)))
        found = []
        for rate in self._station.onnx:
            _, classes = self.gateways[0].run(rate, every, 1)
            right = np.array(classes) == self.bundle.labels
            n = int(self.bundle.independent.sum())
            low, high = wilson(float(right.mean()), n)
            found.append({"rate": rate, "measured": float(right.mean()), "low": low, "high": high, "independent": n})
        return found


def _profile(given: Path | None, policy: LearnedPolicy, name: str) -> Profile:
    source = policy.manifest.sources.get(name)
    path = given or (Path(source.path) if source else None)
    if path is None:
        raise OptimizerError(
            f"{policy.folder} was trained without profiles.",
            f"Give --{name}, or train with --gateway and --edge: a trial needs a measured network.",
        )
    return Profile.load(path)


def run_trial(config: TrialConfig, console: Console) -> dict[str, Any]:
    """All slots; the content of the file that is written."""
    folders = find_policies(config.policy)
    policy = LearnedPolicy(folders[0])
    gateway, edge = (_profile(p, policy, n) for p, n in ((config.gateway, "gateway"), (config.edge, "edge")))
    bundle = read_bundle(config.models, need_onnx=True)
    state = draw_states(policy.scenario, config.slots + config.probes, config.seed)
    action = policy.decide(state)
    probes = random_actions(policy.scenario, state, np.random.default_rng(config.seed))
    rows: list[TaskRow] = []
    slots = [(i, k) for i in range(config.slots) for k in range(config.repeats)]
    slots += [(config.slots + i, 0) for i in range(config.probes)]
    with (
        Trial(policy.scenario, bundle, gateway, edge, config.seed) as trial,
        Progress(console=console, disable=not console.is_terminal) as progress,
    ):
        before = trial.speed()
        task = progress.add_task("slots", total=len(slots))
        for i, repeat in slots:
            probe = i >= config.slots
            one = (probes if probe else action)[i : i + 1]
            rows += trial.slot(i, repeat, state[i : i + 1], one, probe=probe)
            progress.advance(task)
        progress.update(task, description="accuracies")
        accuracies = trial.accuracies()
        factor = trial.edge_factor
        speed = [before, trial.speed()]
    return {
        "schema": 2,
        "policy": policy.name,
        "slots": config.slots,
        "repeats": config.repeats,
        "probes": config.probes,
        "seed": config.seed,
        "clock": "virtual: real inference times, one process at a time; the link takes the scenario's mini-slots",
        "edge_factor": factor,
        "speed": speed,
        "disturbed": any(abs(np.log(s)) > DISTURBED for s in speed),
        "factors": factors(rows),
        "summary": summarise_trial(rows, accuracies, gateway),
        "tasks": [asdict(r) for r in rows],
    }


def run(config: TrialConfig) -> None:
    """Try, print, write."""
    console = Console() if sys.stdout.isatty() else Console(width=100)
    content = run_trial(config, console)
    print_trial(content, console)
    write_json(config.out, json.loads(json.dumps(content)))
    console.print(f"every task: {config.out}", highlight=False, markup=False)


def main() -> None:
    """Entry point of `python -m optimizer.trial`."""
    run_command(TrialConfig, run, "optimizer.trial", resume="Nothing is lost; run it again.")
