"""`python -m optimizer.trial`: decisions of a policy carried out by real processes on real windows.

Every slot the policy decides; each gateway, a process, runs its batch on the pruned model that was chosen; the edge
server, another, runs the complete model on what was offloaded. Time is a virtual clock: inference takes what it really
took, one process at a time (so that gateways do not share this machine's cores, as real ones would not), and the link
takes the scenario's mini-slots. Beside every task stands what the environment predicts.
"""

import json
import sys
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import Progress

from data.command import run_command
from data.files import write_json
from optimizer.deployed import LearnedPolicy, find_policies
from optimizer.errors import OptimizerError
from optimizer.scenario import Scenario
from optimizer.slots import PADDING, Action, State, draw_states, send_first
from optimizer.system import Outcome, evaluate
from optimizer.trial_processes import Worker
from optimizer.trial_worker import Station
from profiling.profile import Profile
from profiling.subjects import Bundle, read_bundle

SPEED_RUNS = 50
DISTURBED = 0.2  # of the logarithm of how much slower or faster the machine is than when it was profiled
QUANTILES = 200


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


@dataclass(frozen=True)
class TaskRow:
    """What became of one task: predicted by the environment, and measured.

    Attributes:
        slot: Number of the slot.
        repeat: Number of its carrying out.
        probe: Whether the slot's decisions were random.
        gateway: Index.
        task: Index in the gateway.
        level: Of criticality.
        rate: Of the model that ran it; 0 at the edge.
        batch: Of the local batch; 1 at the edge.
        predicted_s: D of eq. (16), with the mean wait of its equals, eq. (7).
        predicted_in_order_s: The same with its place in the queue as drawn.
        measured_s: What it took.
        factor: How many times as long inference took (the batch, or the task at the edge) as predicted.
        correct: Whether its class was right.
        served: Whether it met deadline, accuracy and (17f) by the measured times.
        predicted_served: Whether the environment says so.
        cause: Why it was lost by the measured times: "late", "inaccurate", "edge slower than link, (17f)" or "".
    """

    slot: int
    repeat: int
    probe: bool
    gateway: int
    task: int
    level: int
    rate: float
    batch: int
    predicted_s: float
    predicted_in_order_s: float
    measured_s: float
    factor: float
    correct: bool
    served: bool
    predicted_served: bool
    cause: str


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


def wilson(share: float, n: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a proportion."""
    z = 1.959963984540054
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(0.0, float(middle - half)), min(1.0, float(middle + half))


def mean_of_repeats(rows: list[TaskRow]) -> list[TaskRow]:
    """Each task once, with the mean of what it took: what eq. (7) predicts."""
    groups: dict[tuple[int, int, int], list[TaskRow]] = {}
    for row in rows:
        groups.setdefault((row.slot, row.gateway, row.task), []).append(row)
    return [replace(g[0], measured_s=float(np.mean([r.measured_s for r in g]))) for g in groups.values()]


def factors(rows: list[TaskRow]) -> dict[str, list[float]]:
    """How inference times scatter about the predicted ones, as evenly spaced quantiles: a world to train in."""
    batches = {(r.slot, r.repeat, r.gateway): r.factor for r in rows if r.rate > 0}
    at = (np.arange(QUANTILES) + 0.5) / QUANTILES
    found = {"local": list(batches.values()), "edge": [r.factor for r in rows if r.rate == 0]}
    return {k: [round(float(x), 5) for x in np.quantile(v, at)] if v else [] for k, v in found.items()}


def errors(rows: list[TaskRow], field: str = "predicted_s") -> dict[str, float]:
    """Percentiles of |predicted / measured - 1|, and the median ratio; empty without rows."""
    if not rows:
        return {}
    ratio = np.array([getattr(r, field) / r.measured_s for r in rows])
    off = np.abs(ratio - 1)
    return {
        "tasks": float(len(rows)),
        "p50": float(np.quantile(off, 0.5)),
        "p90": float(np.quantile(off, 0.9)),
        "p99": float(np.quantile(off, 0.99)),
        "median_ratio": float(np.median(ratio)),
    }


def summarise_trial(rows: list[TaskRow], accuracies: list[dict[str, float]], gateway: Profile) -> dict[str, Any]:
    """The trial's figures."""
    decided = [r for r in rows if not r.probe]
    local, sent = [r for r in rows if r.rate > 0], [r for r in rows if r.rate == 0]
    for entry in accuracies:
        said = gateway.model(entry["rate"]).accuracy
        entry["predicted"] = entry["measured"] if said is None else float(said)
    return {
        "errors": errors(mean_of_repeats(decided)),
        "errors_once": errors(decided),
        "errors_all": errors(rows),
        "errors_local": errors(local),
        "errors_edge": errors(sent),
        "errors_in_order": errors(rows, "predicted_in_order_s"),
        "drop_ratio": {
            "measured": 1 - float(np.mean([r.served for r in decided])),
            "predicted": 1 - float(np.mean([r.predicted_served for r in decided])),
            "same_fate": float(np.mean([r.served == r.predicted_served for r in rows])),
            "causes": {
                c: sum(r.cause == c for r in decided) / len(decided) for c in sorted({r.cause for r in decided} - {""})
            },
        },
        "correct": float(np.mean([r.correct for r in decided])),
        "accuracies": accuracies,
    }


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


def print_trial(content: dict[str, Any], console: Console) -> None:
    """The figures in words."""
    summary = content["summary"]
    if content["disturbed"]:
        said = " and ".join(f"{s:.2f}" for s in content["speed"])
        console.print(
            f"WARNING: the complete model took {said} times as long as in the profile, before and after the slots. Is "
            "other work running here? Is it the machine of the profile? Delays below say little.",
            style="bold red", highlight=False, soft_wrap=True,
        )  # fmt: skip
    for name, key in (
        ("tasks of the policy's slots, mean of repeats", "errors"), ("each carried out once", "errors_once"),
        ("with the random slots", "errors_all"),
        ("run on gateways", "errors_local"), ("offloaded", "errors_edge"),
        ("offloaded, order of equals as drawn", "errors_in_order"),
    ):  # fmt: skip
        e = summary[key]
        if e:
            console.print(
                f"{name}: {e['tasks']:.0f}; predicted delay is off by {100 * e['p50']:.1f} % at the median, "
                f"{100 * e['p90']:.1f} % at p90 (median predicted / measured {e['median_ratio']:.3f})",
                highlight=False, soft_wrap=True,
            )  # fmt: skip
    drops = summary["drop_ratio"]
    console.print(
        f"dropped: {100 * drops['measured']:.2f} % measured, {100 * drops['predicted']:.2f} % predicted; same fate for "
        f"{100 * drops['same_fate']:.1f} % of all tasks"
        + "".join(f"; {cause}: {100 * share:.2f} %" for cause, share in drops["causes"].items()),
        highlight=False, soft_wrap=True,
    )  # fmt: skip
    for entry in summary["accuracies"]:
        inside = entry["low"] <= entry["predicted"] <= entry["high"]
        console.print(
            f"p = {entry['rate']:g}: accuracy {entry['measured']:.4f} ({entry['low']:.4f} to {entry['high']:.4f}), "
            f"predicted {entry['predicted']:.4f}{'' if inside else ' OUTSIDE'}",
            highlight=False, soft_wrap=True,
        )  # fmt: skip


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


if __name__ == "__main__":
    main()
