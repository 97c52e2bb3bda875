"""Settings of a measurement, from which the options of `python -m profiling.run` are made."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from data.common.device import usable_cores
from data.common.options import comma_separated, one_of
from profiling.errors import ProfilingError
from profiling.profile.entries import Device, Order, Precision
from profiling.runtimes.registry import RUNTIMES, runtime_of

AUTO = "auto"  # the runtime is chosen by a race
LARGEST_BATCH = 65_536
GRADES = {"quick": (30, 1.0), "reference": (1024, 60.0)}  # least runs and least seconds per cell


@dataclass(frozen=True)
class RunConfig:
    """Measure a bundle's models on this device (FLOPs, latency by batch size, accuracy, capacity) and write a profile.

    No torch is needed if the bundle holds ONNX models. You can stop it at any moment (Ctrl-C); the same command goes
    on from there.
    """

    models: Path
    """Model bundle: the folder that `python -m pruning.run` wrote."""
    device: Device = "cpu"
    """Device to measure. cuda: the first visible GPU."""
    runtime: Annotated[str, one_of((AUTO, *RUNTIMES))] = AUTO
    """Runtime that executes the models. auto: the fastest of those installed, found by a short race."""
    threads: Annotated[tuple[int, ...], comma_separated(int, "threads", "T")] = (0,)
    """Numbers of CPU threads, separated by commas; the first is the profile's default. 0: all cores."""
    batches: Annotated[tuple[int, ...], comma_separated(int, "batches", "B")] = (1, 2, 4, 8, 16, 32)
    """Batch sizes, separated by commas."""
    precision: Annotated[tuple[str, ...], comma_separated(str, "precision", "P")] = ("fp32",)
    """Precisions (fp32, bf16, int8), separated by commas; each (rate, precision) becomes a model of the profile."""
    grade: Literal["quick", "reference"] = "quick"
    """How long to measure. quick: at least 30 runs and 1 s per cell. reference: 1,024 runs and 60 s."""
    order: Order = "hot"
    """hot: a visit repeats one model and batch size until the caches hold it. random: models and batch sizes take turns
    in random order, each model opened once for all sizes and run on test windows, as in service."""
    rounds: int = 8
    """Visits to each cell, spread over the whole run so that a change of the device's speed affects all cells alike."""
    processes: int = 2
    """Number of fresh processes that share the rounds."""
    degree: int = 3
    """Degree of the accuracy curve; the paper uses 3."""
    name: str = ""
    """Name of the device in tables. By default the name that the system reports."""
    figures: bool = True
    """Draw figures (needs matplotlib)."""
    out: Path = Path("runs/profile.json")
    """File to write the profile to. Samples, figures and int8 models go to a folder of the same name without .json."""

    def __post_init__(self) -> None:
        if self.out.suffix != ".json":
            raise ProfilingError(f"--out must end in .json; got {self.out.name!r}.", "E.g. --out runs/gateway.json")
        for name in ("threads", "batches", "precision"):
            values = getattr(self, name)
            if not values or len(set(values)) < len(values):
                raise ProfilingError(f"--{name} is empty or holds a value twice.", "Give each value once.")
        if min(self.batches) < 1 or max(self.batches) > LARGEST_BATCH:
            raise ProfilingError(
                f"batch sizes must lie in 1 to {LARGEST_BATCH:,}; got {min(self.batches)} to {max(self.batches)}."
            )
        unknown = [p for p in self.precision if p not in get_args(Precision)]
        if unknown:
            raise ProfilingError(f"unknown precision {unknown[0]!r}.", f"Expected {', '.join(get_args(Precision))}.")
        if not 1 <= self.processes <= self.rounds:
            raise ProfilingError(
                f"--processes must lie in 1 to --rounds ({self.rounds}); got {self.processes}.",
                "Each process takes at least one round.",
            )
        if self.order == "random" and self.device != "cpu":
            raise ProfilingError(
                f"--order random measures on cpu; got --device {self.device}.", "Use --order hot, the default."
            )
        if not 1 <= self.degree <= 6:
            raise ProfilingError(f"--degree must lie in 1 to 6; got {self.degree}.")
        if self.runtime != AUTO:
            runtime_of(self.runtime)
        self._check_threads()

    def _check_threads(self) -> None:
        cores = usable_cores()
        if min(self.threads) < 0 or max(self.threads) > cores:
            wrong = min(self.threads) if min(self.threads) < 0 else max(self.threads)
            raise ProfilingError(
                f"--threads {wrong}: this process may use {cores} cores.",
                f"Give numbers from 1 to {cores}, or 0 for all.",
            )
        if len(set(self.resolved_threads)) < len(self.threads):
            raise ProfilingError(f"--threads names {cores} twice: 0 means all {cores} cores.", "Give each once.")
        if self.device == "cuda" and len(self.threads) > 1:
            raise ProfilingError("--threads takes one value with --device cuda.")

    @property
    def resolved_threads(self) -> tuple[int, ...]:
        """Numbers of threads, with 0 replaced by all usable cores."""
        return tuple(t or usable_cores() for t in self.threads)

    @property
    def least(self) -> tuple[int, float]:
        """Least number of runs and least seconds per cell, by the grade."""
        return GRADES[self.grade]

    @property
    def folder(self) -> Path:
        """Folder of the profile's other files."""
        return self.out.with_suffix("")

    @property
    def precisions(self) -> tuple[Precision, ...]:
        """The precisions, as their type."""
        return tuple(p for wanted in self.precision for p in get_args(Precision) if p == wanted)

    def identity(self) -> dict[str, Any]:
        """Every setting that the measured runs depend on; a change of any of them starts a new measurement."""
        return {
            "device": self.device,
            "runtime": self.runtime,
            "threads": list(self.resolved_threads),
            "batches": list(self.batches),
            "precision": list(self.precision),
            "grade": self.grade,
            "order": self.order,
            "rounds": self.rounds,
            "processes": self.processes,
        }
