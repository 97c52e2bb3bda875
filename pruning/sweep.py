"""The sweep: a data set, a job for each model and seed, and the bundle; stopped and continued at will."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from threading import Event

import numpy as np
import torch
from rich.console import Console

from data import Dataset, build_dataset
from data.cache import Cache
from data.common.console import say
from data.common.device import choose_device
from data.common.runfolder import claim, only_process
from data.config import WEAK
from pruning.assemble import assemble
from pruning.baseline import Baseline, fit_baselines
from pruning.budget import budget_words, cost, estimate, raised
from pruning.bundle import MANIFEST, Manifest, read_manifest, verified
from pruning.config import SweepConfig
from pruning.cross import Cross, cross_baselines, cross_words, make_cross
from pruning.crosstable import pooled_calls
from pruning.curve import curve_jobs, fewer
from pruning.errors import PruningError
from pruning.jobfolder import WEIGHTS, JobFolder
from pruning.jobs import Job, JobContext, plan_jobs, pruned_spec
from pruning.metrics import independent
from pruning.sidebyside import at_once, side_by_side
from pruning.spec import VGGSpec
from pruning.train import choose_precision
from pruning.weak import check_strength
from pruning.worker import Reporter, Worker


def check_reachable(config: SweepConfig, dense: VGGSpec) -> None:
    """Refuse a rate before hours of training, not after.

    Raises:
        PruningError: A rate cannot be reached (the layers are named).
    """
    if config.ranking == "layer":
        for rate in config.pruned_rates:
            pruned_spec(config, dense, rate)


@contextmanager
def _threads(count: int) -> Iterator[int]:
    previous = torch.get_num_threads()
    chosen = count or os.cpu_count() or 1
    torch.set_num_threads(chosen)
    try:
        yield chosen
    finally:
        torch.set_num_threads(previous)


def _finished_bundle(config: SweepConfig, console: Console) -> Manifest | None:
    """The bundle of this run if it is whole, otherwise None."""
    if not (config.out / MANIFEST).exists():
        return None
    try:
        manifest = read_manifest(config.out)
        for name in manifest.sha256:
            verified(config.out, manifest, name)
    except PruningError as error:
        say(console, f"the bundle is damaged ({error.problem}); making it again")
        return None
    return manifest


def _say_dataset(dataset: Dataset, cache: Cache, console: Console) -> None:
    held = "" if dataset.held_out is None else f" (held out: {dataset.held_out:g})"
    counts = f"{len(dataset.train)} training, {len(dataset.validation)} validation, {len(dataset.test)} test windows"
    say(console, f"{len(dataset.classes)} classes, split {dataset.split}{held}: {counts}")
    for note in dataset.notes:
        say(console, f"note: {note}", "yellow")
    if cache.problem:
        say(console, f"note: {cache.problem}", "yellow")
    few = [name for name, train, _, test in dataset.windows_by_class() if train < 10 or test < 3]
    if few:
        say(console, f"note: few windows of {', '.join(few)}", "yellow")


def _say_baselines(baselines: list[Baseline], dataset: Dataset, console: Console) -> None:
    for own in baselines:
        accuracy = float((own.called["clean"] == dataset.test.labels).mean())
        head = f"{own.words:<24} test accuracy {accuracy:7.2%}"
        say(console, f"{head}   on {own.numbers} numbers, fitted in {own.fit_s:.1f} s")


def run_sweep(config: SweepConfig, console: Console | None = None) -> Manifest:
    """Train, prune, retrain and test every model of a configuration, and write the bundle into `config.out`.

    If it is stopped, an equal call continues: finished models are kept, the current one continues from its last
    checkpoint, and on a CPU the bundle ends up the same, byte for byte.

    Args:
        config: Settings of the sweep.
        console: Where progress is shown; by default standard output.

    Returns:
        The bundle's manifest.

    Raises:
        DataError: The recordings cannot be used.
        PruningError: A rate cannot be reached, the folder is another run's or in use, training failed, or the dense
            model is not better than a constant answer.
    """
    console = console or Console()
    device = choose_device(config.device, PruningError)
    with _threads(config.threads) as threads, only_process(config.out):
        cache = Cache.default()
        dataset = build_dataset(config.data, cache)
        dense = config.dense(len(dataset.classes))
        check_reachable(config, dense)
        precision = choose_precision(config.train.precision, device)
        low = precision == torch.bfloat16
        given = config.train
        train = replace(given.for_windows(len(dataset.train)), precision="bfloat16" if low else "float32")
        more = raised(given, train, len(dataset.train))
        config = replace(config, threads=threads, train=train)
        cross, refused = make_cross(config, replace(given, precision=train.precision), dataset, dense, cache)
        own = {} if cross is None else cross.identity(config)
        claim(config.out, {**config.identity(), **own, "data_set": dataset.fingerprint, "device_type": device.type})
        finished = _finished_bundle(config, console)
        if finished is not None:
            say(console, f"{config.out} is finished; nothing to do")
            _drop_job_weights(config)
            return finished
        where = "GPU" if device.type == "cuda" else f"CPU, {threads} threads"
        say(console, f"training on {where}, {config.train.precision}")
        _say_dataset(dataset, cache, console)
        for note in (more, refused, *(() if cross is None else cross.folds.notes)):
            if note:
                say(console, f"note: {note}", "yellow")
        if cross is not None:
            say(console, cross_words(cross))
        baselines = fit_baselines(dataset)
        _say_baselines(baselines, dataset, console)
        manifest = _work(config, dataset, dense, device, baselines, cross, console)
        _drop_job_weights(config)
        return manifest


def _drop_job_weights(config: SweepConfig) -> None:
    """Free the disk of the jobs' own weights: the finished bundle carries those worth keeping."""
    for path in (config.out / "jobs").glob(f"*/{WEIGHTS}"):
        path.unlink()


def _phases(config: SweepConfig, cross: Cross | None) -> list[list[list[Job]]]:
    """What is done one after another: phases of chains of jobs; the chains of one phase do not need each other.

    With a cross-validation its dense models come first, since they say whether pruning is worth it.
    """
    jobs = plan_jobs(config)
    if cross is None:
        return [[[job]] for job in jobs]
    chains: dict[tuple[int, float], list[Job]] = {}
    for job in cross.pruned_jobs(config):
        chains.setdefault((job.fold, job.final_rate), []).append(job)
    costly = sorted(chains.values(), key=lambda chain: chain[0].final_rate)  # the largest models first
    return [
        [jobs[:1]],
        [[job] for job in cross.dense_jobs(config)],
        *[[[job]] for job in jobs[1:]],
        costly,
        [[job] for job in curve_jobs(config, cross)],
    ]


def _context(job: Job, whole: JobContext, cross: Cross | None) -> JobContext:
    """The same with the data set and the epochs of the job's fold."""
    if cross is None or job.fold == 0:
        return whole
    fold = job.fold - 1
    dataset = fewer(cross, fold, job.groups) if job.groups else cross.datasets[fold]
    return replace(whole, dataset=dataset, config=cross.settings(job, whole.config, len(dataset.train)))


def _check(job: Job, whole: JobContext, cross: Cross | None, baselines: list[Baseline]) -> None:
    """Stop where the dense model is no better than a constant answer, by the cross-validation if there is one.

    Raises:
        PruningError: It is not better, and the user has not said to go on.
    """
    config, dataset = whole.config, whole.dataset
    if job.kind != "dense" or job.groups or WEAK in config.data.accept:
        return
    result = whole.folder(job.name).result()
    assert result is not None
    updates = len(result.facts["logs"]) * config.train.updates_an_epoch(len(dataset.train))
    if cross is None or not cross.complete:
        if job.fold == 0:
            apart = independent(dataset.test.recordings, dataset.test.starts_s, dataset.window_s)
            check_strength(result.predictions["after.clean"], dataset, apart, baselines, updates)
    elif job.fold == len(cross.datasets):
        called = pooled_calls(cross.dense_jobs(config), whole.folder)["after.clean"]
        everywhere = np.ones(len(called), dtype=bool)
        check_strength(called, cross.pooled, everywhere, cross_baselines(cross), updates, cross.trials)


def _silent(*_: object) -> None:
    """Nobody is told."""


def _work(
    config: SweepConfig,
    dataset: Dataset,
    dense: VGGSpec,
    device: torch.device,
    baselines: list[Baseline],
    cross: Cross | None,
    console: Console,
) -> Manifest:
    def folder(name: str) -> JobFolder:
        return JobFolder(config.out / "jobs" / name)

    plain = JobContext(config, dataset, dense, device, folder, _silent, _silent)
    phases = _phases(config, cross)
    contexts = {job: _context(job, plain, cross) for phase in phases for chain in phase for job in chain}
    costs = {job.name: cost(job, own.config, dense, len(own.dataset.train)) for job, own in contexts.items()}
    worker = Worker(contexts, costs, Reporter(console, sum(own.total for own in costs.values())))
    todo = [job for job in contexts if not worker.finished(job)]
    spent = estimate(todo, config, dense, dataset, device, costs)
    say(console, budget_words([costs[job.name] for job in todo], spent))
    alone = device.type != "cpu" or config.train.dropout > 0  # dropout draws from a generator that all would share
    with worker.reporter.progress as progress:
        for phase in phases:
            count = 1 if alone else at_once(config.threads, len(phase))
            if count == 1:
                for chain in phase:
                    worker.chain(chain, Event())
            else:
                side_by_side(phase, worker.chain, config.threads, count)
            for job in (job for chain in phase for job in chain):
                _check(job, plain, cross, baselines)
        manifest = assemble(
            config,
            dataset,
            dense,
            plan_jobs(config),
            folder,
            baselines,
            lambda name: progress.update(worker.reporter.task, description=f"writing {name}"),
            cross,
        )
        progress.update(worker.reporter.task, description="done")
    return manifest
