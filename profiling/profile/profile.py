"""The profile: what a device does with a bundle's models, in one JSON file that is validated when it is read."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from jaxtyping import Int64
from pydantic import ConfigDict, Field, ValidationError, model_validator

from data.common.files import write_json
from data.common.guard import printable
from data.common.interpolation import piecewise_linear
from data.common.parse import read_json
from data.common.schema import Positive, Strict, check_schema, first_problem
from profiling.errors import ProfilingError
from profiling.profile.entries import (
    AccuracyCurve,
    BundleReference,
    Capacity,
    Environment,
    Failed,
    Latency,
    Law,
    Measurement,
    Model,
    Percentile,
    Precision,
)
from profiling.profile.outcomes import by_recording, unpack_right, unpack_runs

SCHEMA = 3  # 2: `measurement.order`; 3: `test_recordings`, and each model's `right` and `relative_accuracy_interval`
WEAK = "Weak models: "  # beginning of the note that is copied from a bundle with a weak dense model


class Profile(Strict):
    """`profile.json`. Models are keyed by (rate, precision); the first precision and threads are the defaults.

    `kind` is "datasheet" if nothing was measured; latencies are then FLOPs over a printed capacity.
    `test_recordings`: number of test windows of each test recording, as `outcomes.pack_runs` packs them, in the order
    of each model's `right`; None in profiles of schema 1 and 2, and where the windows' classes are not known.
    """

    schema_version: Annotated[int, Field(alias="schema")]
    kind: Literal["measured", "datasheet"]
    name: str
    library: str
    bundle: BundleReference | None
    environment: Environment | None
    measurement: Measurement | None
    models: list[Model] = Field(min_length=1)
    failed: list[Failed]
    capacity_flop_per_s: Positive
    capacities: list[Capacity]
    accuracy_curve: AccuracyCurve
    test_recordings: str | None = None
    notes: list[str]

    model_config = ConfigDict(populate_by_name=True)

    @model_validator(mode="after")
    def _no_doubles(self) -> "Profile":
        keys = [(m.rate, m.precision) for m in self.models]
        if len(set(keys)) < len(keys):
            raise ValueError("models: duplicate rate and precision")
        for model in self.models:
            cells = [(x.batch, x.threads) for x in model.latency]
            if len(set(cells)) < len(cells):
                raise ValueError(f"models: rate {model.rate:g}: duplicate batch size and number of threads")
        fits = [(f.precision, f.threads) for f in self.capacities]
        if len(set(fits)) < len(fits):
            raise ValueError("capacities: duplicate precision and number of threads")
        return self

    @model_validator(mode="after")
    def _outcomes_fit(self) -> "Profile":
        windows = None if self.test_recordings is None else sum(unpack_runs(self.test_recordings))
        for model in self.models:
            if model.right is not None:
                if windows is None:
                    raise ValueError(f"models: rate {model.rate:g}: right, but no test_recordings")
                unpack_right(model.right, windows)
        return self

    def right(self, models: Sequence[Model]) -> Int64[np.ndarray, "models recordings"] | None:
        """Number of windows of each test recording that each model classifies correctly; None if that is not known."""
        if self.test_recordings is None or any(m.right is None for m in models):
            return None
        windows = unpack_runs(self.test_recordings)
        return by_recording(np.stack([unpack_right(m.right or "", sum(windows)) for m in models]), windows)

    @classmethod
    def load(cls, path: Path | str) -> "Profile":
        """Read and validate a profile.

        Raises:
            ProfilingError: Missing, damaged, of a newer schema, or with a wrong field (its path is named).
        """
        content = read_json(
            Path(path),
            ProfilingError,
            missing="Expected what `python -m profiling.run` wrote.",
            remedy="Restore it, or profile again.",
        )
        return cls.parse(content, printable(path))

    @classmethod
    def parse(cls, content: Any, name: str) -> "Profile":
        """A profile from parsed JSON; `name` is for messages. Raises as `load` does."""
        check_schema(content, SCHEMA, name, ProfilingError, "a profile")
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            raise ProfilingError(
                f"{name}: {first_problem(error)}.", "The file was changed or is damaged; restore it, or profile again."
            ) from None

    def save(self, path: Path | str) -> None:
        """Write the profile, whole or not at all."""
        write_json(Path(path), self.model_dump(mode="json", by_alias=True))

    @property
    def precision(self) -> Precision:
        """The default precision."""
        return self.models[0].precision

    @property
    def threads(self) -> int:
        """The default number of threads (0 on a GPU or datasheet)."""
        return self.measurement.threads[0] if self.measurement else 0

    @property
    def capacity(self) -> float:
        """The device's capacity in FLOP/s, C of eq. (2): latency = overhead + batch * FLOP / C."""
        return self.capacity_flop_per_s

    @property
    def weak(self) -> str | None:
        """In what way the dense model is no better than a constant answer; None if nobody said that it is so."""
        return next((note.removeprefix(WEAK) for note in self.notes if note.startswith(WEAK)), None)

    @property
    def rates(self) -> tuple[float, ...]:
        """Pruning rates of the default precision, ascending; 0.0 is the dense model."""
        return tuple(sorted(m.rate for m in self.models if m.precision == self.precision))

    def model(self, rate: float, precision: Precision | None = None) -> Model:
        """The model of a rate and precision.

        Raises:
            ProfilingError: The profile has no such model.
        """
        wanted = precision or self.precision
        for model in self.models:
            if abs(model.rate - rate) < 1e-9 and model.precision == wanted:
                return model
        held = ", ".join(f"{m.rate:g} {m.precision}" for m in self.models)
        raise ProfilingError(f"no model of rate {rate:g} in {wanted} in this profile.", f"It holds {held}.")

    def cells(self, rate: float, precision: Precision | None = None, threads: int | None = None) -> list[Latency]:
        """A model's latencies by ascending batch size.

        Raises:
            ProfilingError: No such model, or none measured with so many threads.
        """
        wanted = self.threads if threads is None else threads
        model = self.model(rate, precision)
        found = sorted((x for x in model.latency if x.threads == wanted), key=lambda x: x.batch)
        if not found:
            held = ", ".join(sorted({str(x.threads) for x in model.latency})) or "none"
            raise ProfilingError(f"rate {rate:g} was not measured with {wanted} threads.", f"Measured: {held}.")
        return found

    def capacity_of(self, precision: Precision | None = None, threads: int | None = None) -> Capacity:
        """The latency laws of a precision and number of threads.

        Raises:
            ProfilingError: The profile has no fit for them.
        """
        wanted = (precision or self.precision, self.threads if threads is None else threads)
        for fit in self.capacities:
            if (fit.precision, fit.threads) == wanted:
                return fit
        raise ProfilingError(f"no latency law for {wanted[0]} with {wanted[1]} threads in this profile.")

    def latency(
        self,
        rate: float,
        batch: float,
        *,
        precision: Precision | None = None,
        threads: int | None = None,
        percentile: Percentile = "p50",
        law: Law = "measured",
    ) -> float:
        """Seconds that the model of a rate takes for a batch.

        Args:
            rate: One of the profile's rates.
            batch: Inputs in the batch, within the measured range for `law="measured"`.
            precision: Precision of the model; by default the profile's first.
            threads: Number of CPU threads; by default the profile's first.
            percentile: Percentile of the measured runs; the fitted laws know only the median.
            law: "measured" interpolates linearly between the measured batch sizes; the others evaluate a fit.

        Raises:
            ProfilingError: No such model, a batch out of the measured range, or a law that was not fitted.
        """
        cells = self.cells(rate, precision, threads)
        if law != "measured":
            return self._fitted(rate, batch, precision, threads, percentile, law)
        sizes = [x.batch for x in cells]
        if not sizes[0] <= batch <= sizes[-1]:
            raise ProfilingError(
                f"a batch of {batch:g} is outside the measured {sizes[0]} to {sizes[-1]} of rate {rate:g}.",
                f"Profile again with --batches up to {batch:g}, or ask for a fitted law.",
            )
        return float(piecewise_linear(batch, sizes, [getattr(x, f"{percentile}_s") for x in cells]))

    def _fitted(
        self,
        rate: float,
        batch: float,
        precision: Precision | None,
        threads: int | None,
        percentile: Percentile,
        law: Law,
    ) -> float:
        if percentile != "p50":
            raise ProfilingError(f"the law {law!r} is fitted to medians; got {percentile}.", "Use law='measured'.")
        if not batch >= 1:
            raise ProfilingError(f"a batch holds at least 1 input; got {batch:g}.")
        model = self.model(rate, precision)
        fits = {f.law: f for f in self.capacity_of(precision, threads).laws}
        if law not in fits:
            raise ProfilingError(f"the law {law!r} was not fitted here.", f"Fitted: {', '.join(fits)}.")
        fit = fits[law]
        if law == "per_model":
            if f"{model.rate:g}" not in fit.per_model:
                raise ProfilingError(f"the law {law!r} was not fitted to rate {rate:g}.", "Profile again.")
            overhead, slope = fit.per_model[f"{model.rate:g}"]
            return overhead + batch * slope
        seconds = fit.overhead_s or 0.0
        if fit.capacity_flop_per_s is not None:
            seconds += batch * model.flops / fit.capacity_flop_per_s
        if fit.bandwidth_byte_per_s is not None:
            seconds += batch * model.activation_bytes / fit.bandwidth_byte_per_s
        return seconds

    def accuracy(
        self, rate: float, how: Literal["cubic", "monotone", "measured"] = "cubic", precision: Precision | None = None
    ) -> float:
        """Accuracy at a pruning rate, a fraction.

        Args:
            rate: Within the measured rates for the curves; one of them for "measured".
            how: "cubic": eq. (1) with the fitted coefficients, clipped to [0, 1]; "monotone": the isotonic fit joined
                by PCHIP; "measured": the accuracy of the model itself.
            precision: Precision of the model, for "measured"; the curves are those of the first precision.

        Raises:
            ProfilingError: A rate out of the measured range, no such model, or a curve of another precision.
        """
        if how == "measured":
            return self.model(rate, precision).accuracy
        if precision not in (None, self.precision):
            raise ProfilingError(
                f"the accuracy curve is that of {self.precision}; asked for {precision}.", "Use how='measured'."
            )
        curve = self.accuracy_curve
        low, high = min(curve.rates), max(curve.rates)
        if not low - 1e-9 <= rate <= high + 1e-9:
            raise ProfilingError(
                f"rate {rate:g} is outside the measured {low:g} to {high:g}; the curve does not cover it.",
                "Prune and profile a model at that rate.",
            )
        if how == "monotone":
            if len(curve.rates) == 1:
                return curve.monotone[0]
            from scipy.interpolate import PchipInterpolator  # takes as long to import as all the rest

            value = float(PchipInterpolator(curve.rates, curve.monotone)(rate))
        else:
            value = float(np.polynomial.polynomial.polyval(rate, curve.coefficients))
        return min(1.0, max(0.0, value))
