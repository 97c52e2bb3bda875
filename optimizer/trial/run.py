"""A whole trial: everyone decides, every slot is carried out, the figures and the file are made."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from safetensors.numpy import save

from data.common.console import make_console, say
from data.common.files import write_json, write_whole
from data.common.progress import work_bar
from optimizer.trial.carry_out import Rehearsal, Tally, sizes_of
from optimizer.trial.findings import accuracies, factors, pooled_errors, scheme_result
from optimizer.trial.machines import Machines
from optimizer.trial.options import TrialConfig
from optimizer.trial.results import SCHEMA, Network, Repeated, TrialFile
from optimizer.trial.setting import Setting, prepare
from optimizer.trial.table import print_trial

DISTURBED = 0.2  # picked by hand: |ln(time now / profiled time)| above which the machine counts as disturbed
CLOCK = (
    "virtual: real inference times, one process at a time, models taking turns as the slots ask, without runs between "
    "that are not measured; the link takes the scenario's mini-slots; a task at the edge takes its real time here, "
    "times how fast the edge's profile is against the complete model here and now"
)


def run_trial(config: TrialConfig, console: Console) -> tuple[TrialFile, list[Tally]]:
    """Carry out all slots of every scheme.

    Args:
        config: What to try.
        console: Where progress is shown.

    Returns:
        The content of the file that the command writes, and every task of every scheme.

    Raises:
        OptimizerError, ProfilingError, PruningError: A policy, bundle or profile that cannot be used, or a process that
            died.
    """
    with console.status("every scheme decides"):
        setting = prepare(config, lambda text: say(console, text))
    with Machines(setting) as machines, work_bar(console, "{task.completed}/{task.total} slots") as bar:
        task = bar.add_task("opening models", total=config.slots)
        machines.open(sizes_of(setting))
        before = machines.profiled_s()
        edge_factor = setting.scenario.constants.edge_task_s / machines.edge_s()
        bar.update(task, description="slots")
        rehearsal = Rehearsal(setting, machines, edge_factor, config.seed)
        rehearsal.run(lambda: bar.advance(task))
        after = machines.profiled_s()
    profiled = setting.gateway.latency(0.0, 1, precision=setting.complete[1])
    return _file(config, setting, machines, rehearsal, edge_factor, (before / profiled, after / profiled))


def _file(
    config: TrialConfig, setting: Setting, machines: Machines, rehearsal: Rehearsal, edge_factor: float,
    speed: tuple[float, float],
) -> tuple[TrialFile, list[Tally]]:  # fmt: skip
    scenario, tallies = setting.scenario, rehearsal.tallies
    assert setting.gateway.measurement is not None
    made = TrialFile(
        schema=SCHEMA,
        network=Network(
            sensors=scenario.sensors,
            groups=list(scenario.groups),
            execution=scenario.gateway.execution,
            queue=scenario.edge.queue,
            order=setting.gateway.measurement.order,
        ),
        slots=config.slots,
        seed=config.seed,
        clock=CLOCK,
        edge_factor=edge_factor,
        speed=speed,
        disturbed=any(abs(np.log(s)) > DISTURBED for s in speed),
        delay_error=pooled_errors(tallies),
        delay_error_local=pooled_errors(tallies, offloaded=False),
        delay_error_edge=pooled_errors(tallies, offloaded=True),
        schemes={t.contender.name: scheme_result(t, setting, config.seed) for t in tallies},
        accuracies=accuracies(setting, machines),
        factors=factors(rehearsal.ratios),
        risk=setting.risk,
        repeated=Repeated(**vars(machines.repeats)),
        notes=list(setting.notes),
    )
    return made, tallies


def write_tasks(path: Path, tallies: Sequence[Tally]) -> None:
    """Write every task: for each scheme arrays over (slot, gateway, task); `fate` is numbered as in `slots`."""
    arrays: dict[str, np.ndarray] = {}
    for tally in tallies:
        own = {
            "measured_s": tally.delay_s.astype(np.float32),
            "predicted_s": tally.predicted.delay_s.astype(np.float32),
            "fate": tally.fate,
            "fate_predicted": tally.predicted.fate,
            "offloaded": tally.contender.action.offload,
            "correct": tally.correct,
        }
        arrays |= {f"{tally.contender.name}/{name}": np.ascontiguousarray(values) for name, values in own.items()}
    write_whole(path, save(arrays))


def run(config: TrialConfig) -> None:
    """Carry out the trial, print its figures and write its files."""
    console = make_console()
    found, tallies = run_trial(config, console)
    print_trial(found, console)
    write_json(config.out, found.model_dump(mode="json", by_alias=True))
    from optimizer.trial.figure import write_trial_figure  # a gateway has no matplotlib

    write_trial_figure(found, config.figure)
    if config.tasks is not None:
        write_tasks(config.tasks, tallies)
        say(console, f"every task: {config.tasks}")
    say(console, f"trial: {config.out}  figure: {config.figure}")
