"""The profile of a device that is known by its datasheet alone, marked as such.

Latencies are batch * FLOP / C, the paper's eq. (2) and (3): no overhead, no memory, full efficiency. Real devices are
slower, so measure where you can.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from data.common.device import library_version
from data.common.options import comma_separated
from data.common.paper import PAPER_ACCURACY
from profiling.bundle.subjects import Bundle, Subject, read_bundle
from profiling.errors import ProfilingError
from profiling.profile.accuracy import fit_accuracy
from profiling.profile.entries import BundleReference, Interval, Latency, Model
from profiling.profile.outcomes import outcome_fields, packed_recordings
from profiling.profile.profile import SCHEMA, WEAK, Profile

DEVICES = {  # printed FLOP/s and where: the paper's section V-A
    "i7-12700": ("Intel Core i7-12700", 768e9),
    "rtx-3070": ("NVIDIA GeForce RTX 3070", 20.31e12),
}
PAPER_TASK_FLOPS = 10_000_000_000  # H * I, ERRATA row 3: VGG-16 at 128 x 128, 10 GFLOP


@dataclass(frozen=True)
class Datasheet:
    """A device known by its datasheet, and the models to list for it.

    Without `models`, these are the paper's: 10 GFLOP per task, (1 - p) of it at rate p, accuracies of Table II(a).
    """

    device: Literal["i7-12700", "rtx-3070", "other"] = "rtx-3070"
    """The paper's gateway (768 GFLOP/s), its edge server (20.31 TFLOP/s), or another device, which needs --flop-per-s
    and --name."""
    flop_per_s: float | None = None
    """Capacity in FLOP/s (a multiply-accumulate is 2) of another device, or in place of the paper's figure."""
    efficiency: float = 1.0
    """Share of the printed capacity that a network reaches, in (0, 1]."""
    name: str = ""
    """Name of the device."""
    models: Path | None = None
    """Bundle whose models are listed, with their executed FLOPs and test accuracies."""
    batches: Annotated[tuple[int, ...], comma_separated(int, "batches", "B")] = (1, 2, 4, 8, 16, 32)
    """Batch sizes to list, separated by commas."""

    def __post_init__(self) -> None:
        if self.device == "other" and (self.flop_per_s is None or not self.name):
            raise ProfilingError("--device other needs --flop-per-s and --name.", "E.g. --flop-per-s 1e12 --name NPU")
        if self.flop_per_s is not None and not 1e3 <= self.flop_per_s <= 1e21:
            raise ProfilingError(f"--flop-per-s must lie in 1e3 to 1e21; got {self.flop_per_s:g}.")
        if not 0 < self.efficiency <= 1:
            raise ProfilingError(f"--efficiency must lie in (0, 1]; got {self.efficiency:g}.")
        if not self.batches or min(self.batches) < 1:
            raise ProfilingError("--batches holds sizes of at least 1.")

    @property
    def capacity(self) -> float:
        """Capacity in FLOP/s, efficiency included."""
        printed = DEVICES[self.device][1] if self.device != "other" else 0.0
        return (self.flop_per_s or printed) * self.efficiency

    @property
    def title(self) -> str:
        """Name of the device."""
        return self.name or DEVICES[self.device][0]


def _latency(batch: int, flops: int, capacity: float) -> Latency:
    seconds = batch * flops / capacity
    return Latency(
        batch=batch,
        threads=0,
        **dict.fromkeys(("p50_s", "p90_s", "p99_s", "mean_s", "p50_low_s", "p50_high_s"), seconds),
        intervals={},
        count=0,
        outliers=0,
        round_p50_s=[],
        host_p50_s=None,
        memory_bytes=None,
        noisy=False,
        notes=["from a datasheet, not measured"],
    )


def _paper_model(rate: float, accuracy: float, sheet: Datasheet) -> Model:
    flops = round((1 - rate) * PAPER_TASK_FLOPS)
    return Model(
        rate=rate,
        method="dense" if rate == 0 else "mask",
        precision="fp32",
        flops=flops,
        flops_nominal=flops,
        flops_elementwise=0,
        parameters=0,
        activation_bytes=0,
        weight_bytes=0,
        accuracy=accuracy,
        accuracy_interval=Interval(low=accuracy, high=accuracy),
        accuracy_windows=0,
        accuracy_bundle=accuracy,
        accuracy_change=None,
        relative_accuracy=accuracy,
        file=None,
        file_sha256=None,
        layers=[],
        latency=[_latency(b, flops, sheet.capacity) for b in sorted(sheet.batches)],
    )


def _bundle_model(subject: Subject, bundle: Bundle, sheet: Datasheet) -> Model:
    entry, cost, dense = subject.entry, subject.cost, bundle.subjects[0]
    right, whole = (bundle.right(s.entry.rate) for s in (subject, dense))
    low, high = entry.accuracy_interval
    return Model(
        **subject.facts,
        precision="fp32",
        weight_bytes=cost.weight_bytes,
        accuracy=entry.accuracy,
        accuracy_interval=Interval(low=low, high=high),
        accuracy_windows=entry.after["clean"].accuracy.count,
        accuracy_change=None,
        relative_accuracy=entry.accuracy / max(dense.entry.accuracy, 1e-12),
        **outcome_fields(right, whole, bundle.recordings),
        file=entry.onnx,
        file_sha256=None,
        latency=[_latency(b, cost.flops, sheet.capacity) for b in sorted(sheet.batches)],
    )


def datasheet_profile(sheet: Datasheet) -> Profile:
    """The profile of a datasheet: `kind` is "datasheet", counts are 0, nothing was measured.

    Raises:
        ProfilingError, PruningError: A bundle that cannot be used.
    """
    reference: BundleReference | None = None
    weak: list[str] = []
    tested: str | None = None
    if sheet.models is None:
        models = [_paper_model(r, a, sheet) for r, a in {0.0: 1.0, **PAPER_ACCURACY}.items()]
        source = "models of the paper: 10 GFLOP per task, (1 - p) of it at rate p, accuracies of Table II(a)"
    else:
        bundle = read_bundle(sheet.models, need_onnx=False)
        reference = bundle.reference
        weak = [WEAK + bundle.manifest.weak] if bundle.manifest.weak else []
        models = [_bundle_model(s, bundle, sheet) for s in bundle.subjects]
        tested = packed_recordings(bundle.recordings) if any(m.right for m in models) else None
        source = "models of a bundle: executed FLOPs and test accuracies, mean over seeds"
    return Profile(
        schema_version=SCHEMA,
        kind="datasheet",
        name=sheet.title,
        library=library_version("jopa") or "unknown",
        bundle=reference,
        environment=None,
        measurement=None,
        models=models,
        failed=[],
        capacity_flop_per_s=sheet.capacity,
        capacities=[],
        accuracy_curve=fit_accuracy([m.rate for m in models], [m.accuracy for m in models]),
        test_recordings=tested,
        notes=[
            *weak,
            f"From a datasheet ({sheet.capacity / 1e9:,.1f} GFLOP/s), NOT measured: no overhead, full efficiency.",
            source,
        ],
    )
