"""The settings of who does a sweep's jobs, from which the command line is made."""

from dataclasses import dataclass
from typing import Literal

from data.common.errors import UserError


@dataclass(frozen=True)
class Execution:
    """Who does the jobs of a sweep. The results are the same, byte for byte."""

    executor: Literal["local", "ray"] = "local"
    """Who does the jobs. local: processes on this machine. ray: tasks on a Ray cluster (extra [ray]); all its nodes
    must see the folder of the results."""
    address: str | None = None
    """Address of the Ray cluster, e.g. 10.0.0.1:6379, or auto for the one that this machine belongs to. By default
    (with --executor ray) Ray is started on this machine alone."""
    gpu_share: float = 1.0
    """Share of a GPU that each job gets if jobs run on GPUs; with 0.5, two share one."""
    retries: int = 2
    """How often a job is begun again, from its last checkpoint, if its process or node dies or hangs."""
    hang_s: float = 1800.0
    """Seconds without any sign of life after which a job's process is ended. A job that this command does in its own
    process, because one job at a time is all there is room for, is not watched."""

    def __post_init__(self) -> None:
        if self.address is not None and self.executor != "ray":
            raise UserError(f"--address {self.address} needs --executor ray.", "Add it, or leave the address out.")
        if not 0 < self.gpu_share <= 1:
            raise UserError(f"--gpu-share must lie in (0, 1]; got {self.gpu_share:g}.")
        if self.retries < 0:
            raise UserError(f"--retries must be at least 0; got {self.retries}.")
        if not self.hang_s > 0:
            raise UserError(f"--hang-s must be above 0; got {self.hang_s:g}.")
