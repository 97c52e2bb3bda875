"""The sweep: a data set, a job for each model and seed, and the bundle; stopped and continued at will."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import torch
from rich.console import Console

from data import Dataset, build_dataset
from data.cache import Cache
from data.common.console import say
from data.common.device import choose_device, usable_cores
from data.common.runfolder import claim, only_process
from data.common.sweep.job import Job as SweepJob
from data.common.sweep.sweep import Sweep, at_once
from data.config import WEAK
from pruning.assemble import assemble
from pruning.baseline import Baseline, fit_baselines
from pruning.budget import Cost, budget_words, cost, estimate, raised
from pruning.bundle import MANIFEST, Manifest, read_manifest, verified
from pruning.config import SweepConfig
from pruning.cross import Cross, cross_baselines, cross_words, make_cross
from pruning.crosstable import pooled_calls
from pruning.curve import curve_jobs
from pruning.errors import PruningError
from pruning.jobfolder import WEIGHTS
from pruning.jobs import Job, plan_jobs, pruned_spec
from pruning.metrics import independent
from pruning.parallel import ALONE, Team
from pruning.spec import VGGSpec
from pruning.train import choose_precision
from pruning.weak import check_strength
from pruning.worker import Reporter, Workshop, chains_of, do_chain


def check_reachable(config: SweepConfig, dense: VGGSpec) -> None:
    """Refuse a rate before hours of training, not after.

    Raises:
        PruningError: A rate cannot be reached (the layers are named).
    """
    if config.ranking == "layer":
        for rate in config.pruned_rates:
            pruned_spec(config, dense, rate)


@contextmanager
def _threads(count: int, team: Team = ALONE) -> Iterator[int]:
    previous = torch.get_num_threads()
    chosen = count or usable_cores()
    torch.set_num_threads(max(1, chosen // team.local_size))
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
    say(console, f"{len(dataset.classes)} classes, split {dataset.split}{held}: {counts}, at {dataset.rate_hz:g} Hz")
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


def run_sweep(config: SweepConfig, console: Console | None = None, team: Team = ALONE) -> Manifest:
    """Train, prune, retrain and test every model of a configuration, and write the bundle into `config.out`.

    If it is stopped, an equal call continues: finished models are kept, the current one continues from its last
    checkpoint, and on a CPU the bundle ends up the same, byte for byte.

    Args:
        config: Settings of the sweep.
        console: Where progress is shown; by default standard output.
        team: Processes that train every model together (`parallel.join`), of which this is the leader; the others must
            be in `Team.follow`.

    Returns:
        The bundle's manifest.

    Raises:
        DataError: The recordings cannot be used.
        PruningError: A rate cannot be reached, the folder is another run's or in use, training failed, or the dense
            model is not better than a constant answer.
    """
    console = console or Console()
    device = team.device or choose_device(config.device, PruningError)
    with _threads(config.threads, team) as threads, only_process(config.out):
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
        own = {**({} if cross is None else cross.identity(config)), **team.identity()}
        claim(config.out, {**config.identity(), **own, "data_set": dataset.fingerprint, "device_type": device.type})
        finished = _finished_bundle(config, console)
        if finished is not None:
            say(console, f"{config.out} is finished; nothing to do")
            _drop_job_weights(config)
            return finished
        where = "GPU" if device.type == "cuda" else f"CPU, {threads} threads"
        beside = "" if team.alone else f", shared by {team.size} processes"
        say(console, f"training on {where}{beside}, {config.train.precision}")
        _say_dataset(dataset, cache, console)
        for note in (more, refused, *(() if cross is None else cross.folds.notes)):
            if note:
                say(console, f"note: {note}", "yellow")
        if cross is not None:
            say(console, cross_words(cross))
        baselines = fit_baselines(dataset)
        _say_baselines(baselines, dataset, console)
        whole = replace(config, out=config.out.absolute())  # a node of a cluster may stand in another folder
        manifest = _work(Workshop(whole, dataset, dense, device, cross, team), baselines, console)
        _drop_job_weights(config)
        return manifest


def _drop_job_weights(config: SweepConfig) -> None:
    """Free the disk of the jobs' own weights: the finished bundle carries those worth keeping."""
    for path in (config.out / "jobs").glob(f"*/{WEIGHTS}"):
        path.unlink()


def _phases(config: SweepConfig, cross: Cross | None) -> list[list[list[Job]]]:
    """What is done one after another: two phases of chains of jobs; the chains of one do not need each other.

    The dense models come first, since the others start from them, and since they say whether pruning is worth it.
    """
    jobs = plan_jobs(config)
    first, then = [job for job in jobs if job.kind == "dense"], [job for job in jobs if job.kind != "dense"]
    if cross is not None:
        first += cross.dense_jobs(config)
        then += [*cross.pruned_jobs(config), *curve_jobs(config, cross)]
    return [chains_of(first), chains_of(then)]


def _check(job: Job, shop: Workshop, baselines: list[Baseline]) -> None:
    """Stop where the dense model is no better than a constant answer, by the cross-validation if there is one.

    Raises:
        PruningError: It is not better, and the user has not said to go on.
    """
    config, dataset, cross = shop.config, shop.dataset, shop.cross
    if job.kind != "dense" or job.groups or WEAK in config.data.accept:
        return
    result = shop.folder(job.name).result()
    assert result is not None
    updates = len(result.facts["logs"]) * config.train.updates_an_epoch(len(dataset.train))
    if cross is None or not cross.complete:
        if job.fold == 0:
            apart = independent(dataset.test.recordings, dataset.test.starts_s, dataset.window_s)
            check_strength(result.predictions["after.clean"], dataset, apart, baselines, updates)
    elif job.fold == len(cross.datasets):
        called = pooled_calls(cross.dense_jobs(config), shop.folder)["after.clean"]
        everywhere = np.ones(len(called), dtype=bool)
        check_strength(called, cross.pooled, everywhere, cross_baselines(cross), updates, cross.trials)


def _beside(shop: Workshop, chains: int) -> int:
    """How many processes share this machine's threads."""
    return at_once(shop.config.threads, chains) if shop.team.alone else shop.team.local_size


def _sweep_jobs(shop: Workshop, chains: list[list[Job]], costs: Mapping[str, Cost]) -> list[SweepJob]:
    """Chains as jobs of a sweep, the costliest first; each has the threads that it has in any such sweep."""
    config = shop.config
    gpu = config.execution.gpu_share if shop.device.type == "cuda" else 0.0
    threads = max(1, config.threads // _beside(shop, len(chains)))
    ordered = sorted(chains, key=lambda chain: -sum(costs[job.name].total for job in chain))
    return [SweepJob(chain[-1].name, tuple(chain), threads, gpu) for chain in ordered]


def _work(shop: Workshop, baselines: list[Baseline], console: Console) -> Manifest:
    """Train what is not finished, and write the bundle."""
    config = shop.config
    phases = _phases(config, shop.cross)
    jobs = [job for phase in phases for chain in phase for job in chain]
    contexts = {job: shop.context(job) for job in jobs}
    costs = {job.name: cost(job, own.config, shop.dense, len(own.dataset.train)) for job, own in contexts.items()}
    reporter = Reporter(console, costs)
    done = {job for job in jobs if shop.finished(job)}
    _say_budget([job for job in jobs if job not in done], shop, costs, len(phases[-1]), console)
    for job in done:
        reporter.skip(job)

    def finished(job: SweepJob) -> bool:
        return all(shop.finished(own) for own in job.arguments)

    sweep = Sweep(do_chain, shop, config.execution, cores=config.threads, hear=reporter.hear)
    with reporter.progress as progress:
        with sweep:
            for phase in phases:
                todo = _sweep_jobs(shop, phase, costs)
                # A team does one at a time, here, and ends at its first error, of which its followers do not know.
                for part in [todo] if shop.team.alone else [[job] for job in todo]:
                    sweep.run(part, finished)
                for job in (job for chain in phase for job in chain):
                    _check(job, shop, baselines)
        manifest = assemble(
            config,
            shop.dataset,
            shop.dense,
            plan_jobs(config),
            shop.folder,
            baselines,
            lambda name: progress.update(reporter.task, description=f"writing {name}"),
            shop.cross,
        )
        progress.update(reporter.task, description="done")
    for line in sweep.summary.lines():
        say(console, line, "yellow")
    return manifest


def _say_budget(todo: list[Job], shop: Workshop, costs: Mapping[str, Cost], chains: int, console: Console) -> None:
    """Print what is left to be done, and how long it will take on this machine's threads."""
    config = shop.config
    beside = 1 if shop.device.type == "cuda" or not shop.team.alone else at_once(config.threads, chains)
    with _threads(max(1, config.threads // beside), shop.team):
        spent = estimate(todo, config, shop.dense, shop.dataset, shop.device, costs, shop.team) / beside
    say(console, budget_words([costs[job.name] for job in todo], spent))
