"""What evaluations write, as validated models: the experiment's results, claims and captions, and a comparison.

Each file has a `schema`; `reading` reads them.
"""

from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    Field,
    field_serializer,
    model_serializer,
    model_validator,
)

from data.common.files import write_json
from data.common.schema import (
    Count,
    Finite,
    Fraction,
    NonNegative,
    Positive,
    Rate,
    Strict,
)
from optimizer.evaluation.fields import DRAWN, SHOWN, Curves, FigureName, Figures, check_rates
from optimizer.evaluation.slower import Slower
from optimizer.network.scenario import MOST_SENSORS, Scenario

SCHEMA = 1
Verdict = Literal[
    "holds", "holds in part", "equal", "equal within the interval", "does not hold", "cannot be said"
]  # fmt: skip


class File(Strict):
    """A file with a schema version, written as `schema`."""

    schema_version: int = Field(default=SCHEMA, alias="schema")

    def save(self, path: str | Path) -> None:
        """Write the file, whole or not at all."""
        write_json(Path(path), self.model_dump(mode="json", by_alias=True))


class Mean(Strict):
    """Mean of a metric.

    Attributes:
        mean: The mean; None if no task was served.
        interval: Half of its 95 % interval over slots (and seeds).
    """

    mean: Finite | None
    interval: NonNegative


class LevelResult(Strict):
    """What one criticality level asks for, and what its tasks got.

    Attributes:
        criticality: The level, 0 to 1.
        max_delay_s: Largest delay that it allows, in seconds.
        min_accuracy: Least accuracy that it asks for, relative to the complete model.
        tasks: Number of tasks; 0 if it is not known (files of schema 0).
        delay_s: Mean delay of the served tasks, in seconds; None if there is none.
        accuracy: Mean accuracy of the served tasks; None if there is none.
        drop_ratio: Share of its tasks that were dropped; None without tasks.
    """

    criticality: Fraction
    max_delay_s: Positive
    min_accuracy: Fraction
    tasks: Count = 0
    delay_s: NonNegative | None
    accuracy: Fraction | None
    drop_ratio: Fraction | None


class SchemeResult(Strict):
    """What one scheme did on the slots of one network.

    Attributes:
        means: Mean of each metric (`optimizer.network.metrics`), over all seeds.
        summary: All figures of the first seed.
        levels: What each criticality level got, for the first seed.
        seeds: Number of policies behind the means.
    """

    means: dict[str, Mean]
    summary: Figures
    levels: list[LevelResult] = Field(min_length=1)
    seeds: Annotated[int, Field(ge=1, le=1_000_000)] = 1

    @model_validator(mode="after")
    def _all_metrics(self) -> "SchemeResult":
        missing = [name for name in SHOWN if name not in self.means]
        if missing:
            raise ValueError(f"means: {', '.join(missing)} missing")
        return self

    def mean(self, metric: str) -> float:
        """Mean of a metric; NaN if no task was served."""
        found = self.means[metric].mean
        return float("nan") if found is None else found


class SizeResult(Strict):
    """All schemes at one number of sensors.

    Attributes:
        sensors: Number of sensors, N.
        schemes: Result of each scheme by its name.
        rates: Result of the optimum with a single model, by the model's pruning rate.
    """

    sensors: Annotated[int, Field(ge=1, le=MOST_SENSORS)]
    schemes: dict[str, SchemeResult]
    rates: Annotated[dict[str, SchemeResult], AfterValidator(check_rates), Field(min_length=1)]

    @model_validator(mode="after")
    def _drawn(self) -> "SizeResult":
        missing = [name for name in DRAWN if name not in self.schemes]
        if missing:
            raise ValueError(f"schemes: {', '.join(missing)} missing")
        return self

    @property
    def ours(self) -> str:
        """The scheme that stands for JOPA: the learned policy where there is one, else the optimum."""
        return "jopa" if "jopa" in self.schemes else "optimum"


class Training(Strict):
    """Rewards while policies were trained: (slots so far, mean reward), by number of sensors, one curve per seed.

    Attributes:
        all: Policies with all models.
        single: Policies with the one middle model.
    """

    all: Curves
    single: Curves

    @model_validator(mode="after")
    def _not_empty(self) -> "Training":
        if not all(chain(self.all.values(), self.single.values())):
            raise ValueError("expected at least one curve for each number of sensors")
        return self


class SmallResult(Strict):
    """Rewards slot by slot on the network of Fig. 8 (3 gateways, 6 sensors).

    Attributes:
        grid: Optimum on 20 shares of the edge.
        continuous: Optimum over continuous shares.
        policies: Trained policies by name.
    """

    grid: list[Finite] = Field(min_length=1)
    continuous: list[Finite] = Field(min_length=1)
    policies: dict[str, list[Finite]]

    @model_validator(mode="after")
    def _alike(self) -> "SmallResult":
        if any(len(own) != len(self.grid) for own in (self.continuous, *self.policies.values())):
            raise ValueError("grid, continuous and policies: expected one reward for each slot")
        return self


class CapacityRow(Strict):
    """Share of tasks that even the optimum drops.

    Attributes:
        sensors_per_gateway: Number of sensors of every gateway.
        drop_ratio: Share of tasks dropped.
    """

    sensors_per_gateway: Count
    drop_ratio: Fraction


class Results(File):
    """`results.json` of `python -m optimizer.experiment`.

    Attributes:
        scenario: The network.
        slots: Number of held-out slots at each size.
        seed: Random seed of the slots.
        mid_rate: Pruning rate of the one model of JOPAV1 and AGDM.
        sizes: Results by number of sensors, ascending as they were asked for.
        training: Rewards while policies were trained.
        small: Rewards on the network of Fig. 8.
        capacity: What the network can carry.
    """

    scenario: Scenario
    slots: Count
    seed: Count
    mid_rate: Rate
    sizes: list[SizeResult] = Field(min_length=1)
    training: Training
    small: SmallResult
    capacity: list[CapacityRow] = Field(default_factory=list)

    @model_validator(mode="after")
    def _alike(self) -> "Results":
        rates = self.sizes[0].rates
        if any(set(rates) != set(size.rates) for size in self.sizes):
            raise ValueError("sizes: expected the same rates at every number of sensors")
        if len({size.sensors for size in self.sizes}) < len(self.sizes):
            raise ValueError("sizes: a number of sensors is there twice")
        return self

    @field_serializer("scenario")
    def _scenario(self, scenario: Scenario) -> dict[str, Any]:
        return scenario.dump()

    @property
    def ours(self) -> str:
        """The scheme that stands for JOPA at every size."""
        names = {size.ours for size in self.sizes}
        return names.pop() if len(names) == 1 else "optimum"


class ClaimResult(Strict):
    """One claim of section V and whether it holds here.

    Attributes:
        name: Short name of the claim.
        figure: Figure of the paper.
        text: The paper's claim.
        verdict: Whether it holds.
        evidence: The numbers.
    """

    name: str = ""
    figure: str
    text: str
    verdict: Verdict
    evidence: str


class Claims(File):
    """`claims.json`: every claim with its verdict."""

    claims: list[ClaimResult]


class Captions(File):
    """`captions.json`: caption of each figure by its name."""

    captions: dict[FigureName, str]


class PolicyResult(Strict):
    """One policy or scheme beside the optimum. The file holds the summary's figures and the others side by side.

    Attributes:
        summary: Its figures.
        gap: 1 - reward / the optimum's reward.
        gap_interval: Half of the gap's paired 95 % interval over slots.
        learned: Whether it was trained.
    """

    summary: Figures
    gap: Finite
    gap_interval: NonNegative
    learned: bool

    @model_validator(mode="before")
    @classmethod
    def _nest(cls, value: Any) -> Any:
        if not isinstance(value, dict) or "summary" in value:
            return value
        own = {name: value[name] for name in cls.model_fields if name in value}
        return {"summary": {k: v for k, v in value.items() if k not in own}, **own}

    @model_serializer
    def _flat(self) -> dict[str, Any]:
        own = {"gap": self.gap, "gap_interval": self.gap_interval, "learned": self.learned}
        return {**asdict(self.summary), **own}


class SeedMeans(Strict):
    """Means over policies that differ in their seeds alone.

    Attributes:
        seeds: Number of policies.
        reward: Mean reward.
        gap: Mean gap to the optimum.
        worst_gap: Largest gap.
        drop_ratio: Mean share of tasks dropped.
    """

    seeds: Positive
    reward: Finite
    gap: Finite
    worst_gap: Finite
    drop_ratio: Fraction


class Evaluation(File):
    """The file of `python -m optimizer.evaluate --json`.

    Attributes:
        scenario: The network.
        sensors: Number of its sensors.
        slots: Number of held-out slots.
        seed: Random seed of the slots.
        optimum: Figures of the exact optimum.
        policies: Trained policies and schemes by name.
        means: Means over seeds by the policies' common name.
        warnings: What a reader should know.
        slower: For each of them, tasks lost where inference takes longer than planned.
    """

    scenario: Scenario
    sensors: Count
    slots: Count
    seed: Count
    optimum: Figures
    policies: dict[str, PolicyResult]
    means: dict[str, SeedMeans]
    warnings: list[str]
    slower: dict[str, list[Slower]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _of_its_schemes(self) -> "Evaluation":
        unknown = set(self.slower) - {"optimum", *self.policies}
        if unknown:
            raise ValueError(f"slower: {min(unknown)!r} is neither the optimum nor one of the policies")
        return self

    @field_serializer("scenario")
    def _scenario(self, scenario: Scenario) -> dict[str, Any]:
        return scenario.dump()
