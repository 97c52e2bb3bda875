"""A network to optimise: sensors, gateways, link, criticality levels, models and edge, from a TOML file or profiles."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field, ValidationError, field_validator, model_validator

from data.common.guard import printable
from data.common.limits import too_much
from data.common.parse import read_json, read_toml
from data.common.schema import Many, NonNegative, Positive, Strict, first_problem
from optimizer.errors import OptimizerError
from optimizer.network.constants import Constants, build_constants, check_link
from optimizer.network.parts import (
    AtLeastOne,
    Edge,
    Gateway,
    Level,
    Link,
    LocalModel,
    Name,
    PositiveFraction,
    Task,
    check_levels,
    check_models,
)
from optimizer.network.rewards import REWARDS, Reward

FOLDER = Path(__file__).parent / "scenarios"
MOST_SENSORS = 100_000
MOST_GATEWAYS = 10_000
SHIPPED = ("paper", "paper-heavy", "paper-printed")
KNOWN = f"Shipped are {', '.join(SHIPPED)}; or give a TOML or JSON file of your own."
MULTIPLIED = "planned with inference times multiplied by"  # how a note of a plan with a margin begins


class Scenario(Strict):
    """A network and what is asked of it. Build one with `Scenario.load`, `Scenario.parse` or `measured_scenario`.

    Attributes:
        name: Name in tables and figures.
        groups: Number of sensors of each gateway, M_g.
        slot_s: Length of a slot in seconds, Gamma.
        penalty: Penalty for dropping all tasks of a slot, J of eq. (21).
        reward: Name of what is maximised, one of `network.rewards.REWARDS`: there each says what it pays for. The
            penalty times the share of dropped tasks is subtracted from all of them.
        link: The uplink.
        qos: Criticality levels, ascending; their requirements tighten with the criticality.
        models: The pruned models on the gateways.
        task: The complete model's cost.
        gateway: The gateways' processors.
        edge: The edge server.
        extrapolate: Whether batches beyond the last point of a model's latency are allowed; they run in portions.
        risk: Share of the tasks that may be late, if the times were chosen by it (`network.certainty`); the times hold
            what follows from it, and nothing else looks at it but the trial.
        notes: Where the numbers came from, one line each.
    """

    name: Name
    groups: Annotated[Many[AtLeastOne], Field(min_length=1, max_length=MOST_GATEWAYS)]
    slot_s: Positive
    penalty: NonNegative
    reward: str = "utilization"
    link: Link
    qos: Many[Level]
    models: Many[LocalModel]
    task: Task
    gateway: Gateway = Gateway()
    edge: Edge
    extrapolate: bool = False
    risk: PositiveFraction | None = None
    notes: Many[str] = ()

    @model_validator(mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        """`sensors` and `gateways` stand for equal groups."""
        if not isinstance(value, dict) or "groups" in value:
            return value
        value = dict(value)
        sensors, gateways = value.pop("sensors", None), value.pop("gateways", None)
        for name, given, most in (("sensors", sensors, MOST_SENSORS), ("gateways", gateways, MOST_GATEWAYS)):
            if not isinstance(given, int) or isinstance(given, bool) or not 1 <= given <= most:
                raise ValueError(
                    f"{name}: expected a number of at least 1 and at most {most:,} (or `groups`); got {given!r}"
                )
        if sensors < gateways:
            raise ValueError(f"sensors: expected at least one for each of the {gateways} gateways; got {sensors}")
        return {**value, "groups": split_sensors(sensors, [1] * gateways)}

    @field_validator("reward")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in REWARDS:
            raise ValueError(f"expected one of {', '.join(map(repr, REWARDS))} (network.rewards.REWARDS)")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> "Scenario":
        check_levels(self.qos, self.slot_s)
        if sum(self.groups) > MOST_SENSORS:
            raise ValueError(f"groups: expected at most {MOST_SENSORS:,} sensors; got {sum(self.groups):,}")
        check_models(self.models, self.gateway, self.width, extrapolate=self.extrapolate)
        cells = len(self.groups) * len(self.models) * (self.width + 1)
        problem = too_much("JOPA_NETWORK_MB", f"groups: {len(self.groups)} gateways of up to {self.width}", 8 * cells)
        if problem is not None:
            raise ValueError(problem)
        for name, given in (
            ("gateway.capacity_flop_per_s", self.gateway.capacity_flop_per_s),
            ("link.transmit_power_w", self.link.transmit_power_w),
        ):
            if isinstance(given, tuple) and len(given) != len(self.groups):
                raise ValueError(f"{name}: expected one value, or one for each of the {len(self.groups)} gateways")
        check_link(self.groups, self.link)
        least = self.objective.least_penalty
        if self.penalty < least:
            raise ValueError(
                f"penalty: with reward = {self.reward!r} expected at least {least:g}, or dropping a task pays; "
                f"got {self.penalty:g}"
            )
        return self

    @classmethod
    def load(cls, source: Path | str) -> "Scenario":
        """A shipped scenario by name (`paper`, `paper-heavy`, `paper-printed`), or a TOML or JSON file.

        Raises:
            OptimizerError: No such scenario, or a wrong one; the field is named.
        """
        path = FOLDER / f"{source}.toml" if str(source) in SHIPPED else Path(source)
        if path.suffix == ".json":
            return cls.parse(read_json(path, OptimizerError, missing=KNOWN), str(source))
        return cls.parse(read_toml(path, OptimizerError, missing=KNOWN), str(source))

    @classmethod
    def parse(cls, content: dict[str, Any], name: str) -> "Scenario":
        """A scenario from parsed TOML or JSON.

        Args:
            content: The fields.
            name: Where they came from, for error messages.

        Raises:
            OptimizerError: A wrong field; it is named.
        """
        try:
            return cls.model_validate(_on_base(content, name))
        except ValidationError as error:
            raise OptimizerError(f"{name}: {first_problem(error)}.", "docs/optimizer.md lists all fields.") from None

    def dump(self) -> dict[str, Any]:
        """The scenario as JSON would hold it; `Scenario.parse` reads it back."""
        return self.model_dump(mode="json", exclude_none=True)

    def change(self, **changes: Any) -> "Scenario":
        """A copy with other top-level fields, validated. Raises OptimizerError."""
        fields = {name: getattr(self, name) for name in type(self).model_fields} | changes
        try:
            return type(self).model_validate(fields)
        except ValidationError as error:
            raise OptimizerError(f"{self.name}: {first_problem(error)}.") from None

    def with_sensors(self, sensors: int) -> "Scenario":
        """The same network with so many sensors, in proportion to its groups. Raises OptimizerError."""
        if sensors > MOST_SENSORS:
            raise OptimizerError(f"--sensors: expected at most {MOST_SENSORS:,}; got {sensors:,}.")
        if sensors < len(self.groups):
            raise OptimizerError(
                f"--sensors: {sensors} sensors cannot serve {len(self.groups)} gateways.",
                "Give each gateway at least one.",
            )
        return self.change(groups=split_sensors(sensors, self.groups))

    def with_models(self, rates: Sequence[float]) -> "Scenario":
        """The same network with the models of these rates only, e.g. (0.7,) for JOPAV1. Raises OptimizerError."""
        kept = []
        for rate in rates:
            found = [m for m in self.models if abs(m.rate - rate) < 1e-9]
            if not found:
                held = ", ".join(f"{m.rate:g}" for m in self.models)
                raise OptimizerError(f"--models: no model of rate {rate:g} in {self.name}.", f"It has {held}.")
            kept += found
        return self.change(models=tuple(kept))

    def slower(self, factor: float) -> "Scenario":
        """The same network with inference times multiplied by a factor, on the gateways and at the edge.

        Raises OptimizerError.
        """

        def scaled(capacity: float | tuple[float, ...] | None) -> Any:
            if isinstance(capacity, tuple):
                return tuple(c / factor for c in capacity)
            return capacity and capacity / factor

        models = tuple(m.slower(factor) for m in self.models)
        edge = {"task_s": self.edge.task_s and factor * self.edge.task_s}
        edge["capacity_flop_per_s"] = scaled(self.edge.capacity_flop_per_s)
        gateway = {"capacity_flop_per_s": scaled(self.gateway.capacity_flop_per_s)}
        return self.change(
            models=models,
            gateway=self.gateway.model_copy(update=gateway),
            edge=self.edge.model_copy(update=edge),
            notes=(*self.notes, f"{MULTIPLIED} {factor:g}"),
        )

    @property
    def objective(self) -> Reward:
        """The reward that is maximised, as an object."""
        return REWARDS[self.reward]

    @property
    def by_level(self) -> bool:
        """Whether gateways work level by level instead of in one batch."""
        return self.gateway.execution == "by level"

    @property
    def fifo(self) -> bool:
        """Whether tasks queue at the edge instead of being lost by (17f)."""
        return self.edge.queue == "fifo"

    @property
    def can_refuse(self) -> bool:
        """Whether a task can be refused, as in every network but the paper's."""
        return self.by_level or self.fifo

    @property
    def sensors(self) -> int:
        """Number of sensors, N."""
        return sum(self.groups)

    @property
    def gateways(self) -> int:
        """Number of gateways, G."""
        return len(self.groups)

    @property
    def portion(self) -> int | None:
        """The largest batch that every model was measured at; larger ones run in portions. None without any."""
        measured = [m.portion for m in self.models if m.portion is not None]
        return min(measured) if measured else None

    @property
    def width(self) -> int:
        """Number of sensors of the largest gateway; smaller gateways are padded to it."""
        return max(self.groups)

    @cached_property
    def constants(self) -> Constants:
        """Everything that the equations look up, as arrays."""
        return build_constants(
            self.groups, self.slot_s, self.link, self.qos, self.models, self.task, self.gateway, self.edge
        )


def split_sensors(sensors: int, weights: Sequence[int]) -> tuple[int, ...]:
    """Number of sensors of each gateway, in proportion to `weights` and at least 1.

    With equal weights, the numbers differ by at most 1.
    """
    exact = np.array(weights) * sensors / sum(weights)
    sizes = np.maximum(np.floor(exact + 1e-9).astype(int), 1)
    while (missing := sensors - int(sizes.sum())) != 0:
        short = exact - sizes
        if missing > 0:
            sizes[int(np.argmax(short))] += 1
        else:
            sizes[int(np.argmin(np.where(sizes > 1, short, np.inf)))] -= 1
    return tuple(int(x) for x in sizes)


def _on_base(content: dict[str, Any], name: str) -> dict[str, Any]:
    """`base = "paper"` starts from a shipped scenario; tables are merged key by key, lists replaced."""
    if not isinstance(content, dict):
        raise OptimizerError(
            f"{name}: expected the fields of a scenario by name.", "docs/optimizer.md lists all fields."
        )
    content = dict(content)
    base = content.pop("base", None)
    if base is None:
        return content
    if base not in SHIPPED:
        raise OptimizerError(f"{name}: base: expected one of {', '.join(SHIPPED)}; got {printable(repr(base))}.")
    below = _on_base(read_toml(FOLDER / f"{base}.toml", OptimizerError), base)
    if "groups" in content:
        below = {k: v for k, v in below.items() if k not in ("sensors", "gateways")}
    speed = {"capacity_flop_per_s", "task_s"}
    if isinstance(content.get("edge"), dict) and speed & set(content["edge"]):  # either replaces the other
        below["edge"] = {key: value for key, value in below["edge"].items() if key not in speed}
    return _merge(below, content)


def _merge(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    both = dict(below)
    for key, value in above.items():
        old = both.get(key)
        both[key] = _merge(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return both
