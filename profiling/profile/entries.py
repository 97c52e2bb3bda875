"""The parts of `profile.json`. Times are in seconds; a multiply-accumulate is 2 FLOP."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from data.common.schema import MOST, Count, Finite, Fraction, Hash, NonNegative, Pair, Positive, Rate, Strict

Precision = Literal["fp32", "bf16", "int8"]
Percentile = Literal["p50", "p90", "p99"]
Device = Literal["cpu", "cuda"]
Order = Literal["hot", "random"]
Amount = Annotated[int, Field(gt=0, le=MOST)]  # of FLOP
BatchSize = Annotated[int, Field(ge=1, le=1_000_000)]
RuntimeName = str  # a name in `profiling.runtimes.registry.RUNTIMES` of the jopa that measured
Law = Literal["proportional", "affine", "affine_bytes", "per_model", "measured"]


class Interval(Strict):
    """A 95 % interval."""

    low: Finite
    high: Finite

    @model_validator(mode="after")
    def _ordered(self) -> "Interval":
        if self.low > self.high:
            raise ValueError(f"an interval's low end is above its high end: {self.low}, {self.high}")
        return self


class Processor(Strict):
    """The CPU that the measuring process may use."""

    name: str
    architecture: str
    cores: Count
    cores_usable: Count
    caches: dict[str, Count]
    governor: str | None
    frequency_hz: NonNegative | None
    flags: list[str]


class Accelerator(Strict):
    """A GPU."""

    name: str
    memory_bytes: Count
    driver: str | None
    compute_capability: str | None


class Environment(Strict):
    """Where, with what and when a profile was measured."""

    processor: Processor
    accelerator: Accelerator | None
    memory_bytes: Count
    virtual_machine: str | None
    system: str
    python: str
    libraries: dict[str, str]
    load_before: list[Finite]
    load_after: list[Finite]
    started: str
    duration_s: NonNegative


class BundleReference(Strict):
    """The model bundle that was profiled; `sha256` is that of its `models.json`, which holds every file's hash."""

    sha256: Hash
    data: str
    split: str
    size: Count
    classes: Count
    method: str


class RuntimeTrial(Strict):
    """A runtime's times on the dense and on the most pruned model; None and an error if it failed."""

    runtime: RuntimeName
    version: str
    batch: BatchSize
    dense_s: Positive | None
    pruned_s: Positive | None
    error: str | None


class Measurement(Strict):
    """How the latencies were measured.

    `grade`: "reference" (1,024 runs and 60 s per cell), "quick" (30 runs and 1 s), or "noisy" where over a tenth of the
    cells were noisy or the device's speed drifted by over 5 % (`drift`), whatever was asked for. `order`: "hot" if each
    visit repeated one model and batch size, "random" if models and batch sizes took turns as in service; profiles of
    schema 1 are all "hot".
    """

    runtime: RuntimeName
    device: Device
    threads: Annotated[list[Count], Field(min_length=1)]
    batches: list[BatchSize]
    precisions: list[Precision]
    grade: Literal["quick", "reference", "noisy"]
    noisy_cells: Count
    cells: Count
    drift: NonNegative
    rounds: Count
    processes: Count
    order: Order = "hot"
    protocol: str
    samples: str | None
    samples_sha256: Hash | None
    chosen_from: list[RuntimeTrial]


class Latency(Strict):
    """Seconds that one batch takes, at one batch size and number of threads.

    `p50_low_s` to `p50_high_s`: 95 % bootstrap interval of the median over rounds and runs. `intervals`:
    distribution-free order-statistic intervals; a percentile without one has too few runs ("low n"). `outliers`: runs
    above p50 + 5 MAD, counted and kept. `host_p50_s` (CUDA): with both copies. A datasheet's entry has count 0.
    """

    batch: BatchSize
    threads: Count
    p50_s: Positive
    p90_s: Positive
    p99_s: Positive
    mean_s: Positive
    p50_low_s: Positive
    p50_high_s: Positive
    intervals: dict[Percentile, Interval]
    count: Count
    outliers: Count
    round_p50_s: list[Positive]
    host_p50_s: Positive | None
    memory_bytes: Count | None
    noisy: bool
    notes: list[str]

    @model_validator(mode="after")
    def _ordered(self) -> "Latency":
        if not self.p50_s <= self.p90_s <= self.p99_s:
            raise ValueError(f"percentiles must ascend; got {self.p50_s}, {self.p90_s}, {self.p99_s}")
        return self


class Layer(Strict):
    """One operator of the ONNX graph for one input: FLOP in multiply-accumulates, and element-wise operations."""

    name: str
    operator: str
    output: list[Count]
    flops: Count
    elementwise: Count


class Model(Strict):
    """One (rate, precision) of a bundle on this device.

    `flops`: what the hardware executes for one input (equal for a masked and the dense model); `flops_nominal`: the
    paper's (1 - p) share of the dense model's. `accuracy`: measured here, on the bundle's test windows, with the file
    that would be deployed; `accuracy_bundle`: the bundle's mean over seeds. `relative_accuracy`: to the dense fp32
    model (it may exceed 1), on the same windows; `relative_accuracy_interval`: its 95 % interval, a bootstrap over
    recordings. `right`: which test windows it classifies correctly, as `outcomes.pack_right` packs them. Both are None
    in profiles of schema 1 and 2, and where the windows' classes are not known. `accuracy_change`: to the same rate in
    the profile's first precision, on the same windows.
    """

    rate: Rate
    method: str
    precision: Precision
    flops: Amount
    flops_nominal: Amount
    flops_elementwise: Count
    parameters: Count
    activation_bytes: Count
    weight_bytes: Count
    accuracy: Fraction
    accuracy_interval: Interval
    accuracy_windows: Count
    accuracy_bundle: Fraction
    accuracy_change: Finite | None
    relative_accuracy: NonNegative
    relative_accuracy_interval: Interval | None = None
    right: str | None = None
    file: str | None
    file_sha256: Hash | None
    layers: list[Layer]
    latency: list[Latency]


class Failed(Strict):
    """A cell that could not be measured, and why."""

    rate: Rate
    precision: Precision
    batch: BatchSize
    threads: Count
    reason: str


class Residual(Strict):
    """One measured point and what a law predicts for it.

    `left_out`: the relative error if the point's batch size is left out of the fit.
    """

    rate: Rate
    batch: BatchSize
    measured_s: Positive
    fitted_s: Finite
    relative_error: Finite
    left_out: Finite | None


class LawFit(Strict):
    """One law of latency, fitted to relative error.

    `errors` are of |fitted / measured - 1|: mean, worst, and the median with the cell's batch size left out.
    `parameters` per model are keyed by rate. R^2 is listed only to show how little it says.
    """

    law: Law
    formula: str
    overhead_s: NonNegative | None
    capacity_flop_per_s: Positive | None
    bandwidth_byte_per_s: Positive | None
    per_model: dict[str, Pair[NonNegative]]
    mean_error: NonNegative
    worst_error: NonNegative
    left_out_median_error: NonNegative | None
    r_squared: Finite
    residuals: list[Residual]


class Capacity(Strict):
    """All laws of one precision and number of threads, with the peak of a matrix product to compare with.

    `chosen`: the law that predicts left-out batch sizes best ("measured" if no size can be left out). It is a finding
    and decides nothing: `Profile.latency` and the scenarios of `optimizer` use the law that they are asked for.
    """

    precision: Precision
    threads: Count
    chosen: Law
    laws: list[LawFit]
    peak_flop_per_s: Positive | None
    skipped: dict[str, str]


Degree = Annotated[int, Field(ge=0, le=20)]
Coefficients = Annotated[list[Finite], Field(min_length=1, max_length=21)]


class DegreeFit(Strict):
    """A polynomial of one degree; errors are root mean squares of accuracy (a fraction)."""

    degree: Degree
    coefficients: Coefficients
    intervals: list[Interval] | None
    error: NonNegative
    left_out_error: NonNegative | None
    aic: Finite | None
    aicc: Finite | None
    rises: bool


class AccuracyCurve(Strict):
    """Accuracy against pruning rate, eq. (1): ascending powers of the rate as a fraction, clipped to [0, 1].

    `rises`: the curve goes up somewhere between the rates; then `monotone` (isotonic values at `rates`, joined by
    PCHIP) is the safer one. `verdict` puts the table of degrees into words.
    """

    degree: Degree
    coefficients: Coefficients
    intervals: list[Interval] | None
    rates: Annotated[list[Rate], Field(min_length=1)]
    accuracies: list[Fraction]
    residuals: list[Finite]
    degrees: list[DegreeFit]
    rises: bool
    monotone: list[Fraction]
    verdict: str

    @model_validator(mode="after")
    def _alike(self) -> "AccuracyCurve":
        if not len(self.rates) == len(self.accuracies) == len(self.monotone):
            raise ValueError("rates, accuracies and monotone must have the same length")
        if sorted(set(self.rates)) != self.rates:
            raise ValueError("rates must ascend, each of them once")
        return self
