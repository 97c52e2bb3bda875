"""Trainings as jobs of a sweep."""

from collections.abc import Sequence

from data.common.device import choose_device
from data.common.sweep.job import Job as SweepJob
from data.common.sweep.job import Tell
from data.common.sweep.sweep import at_once
from optimizer.errors import OptimizerError
from optimizer.learning.job import Job
from optimizer.learning.options import TrainConfig
from optimizer.learning.run import train


def do_job(config: TrainConfig, job: Job, tell: Tell) -> None:
    """Train one policy; wherever it is trained, tell how far it is."""
    train(job, config, lambda job, done, total, row: tell((job, done, total, row)))


def sweep_jobs(jobs: Sequence[Job], config: TrainConfig, cores: int) -> list[SweepJob]:
    """Policies as jobs; the default preset computes on one core, the paper's agents on equal parts of all."""
    paper = config.preset == "paper"
    threads = max(1, cores // at_once(cores, len(jobs))) if paper else 1
    gpus = config.execution.gpu_share if paper and choose_device(config.device, OptimizerError).type == "cuda" else 0.0
    return [SweepJob(job.name, job, threads, gpus) for job in jobs]
