"""A network to optimise: sensors, gateways, link, QoS, models and edge, from a TOML file or from profiles."""

import tomllib
from collections.abc import Sequence
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from optimizer.errors import OptimizerError
from optimizer.network.constants import Tables, build_tables

FOLDER = Path(__file__).parent / "scenarios"
MOST_SENSORS = 100_000
SHIPPED = ("paper", "paper-heavy", "paper-printed")

Reward = Literal["utilization", "goodput", "delay", "literal"]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Fraction = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]
Probability = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]


class Strict(BaseModel):
    """Unknown keys are refused, never ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Link(Strict):
    """The uplink that all gateways share, eq. (4) and (5); state i moves to state j with `transitions[i][j]`."""

    bandwidth_hz: Positive
    transmit_power_w: Positive | tuple[Positive, ...]
    noise_w_per_hz: Positive
    task_bits: Positive
    states: tuple[str, ...]
    gains: tuple[Positive, ...]
    transitions: tuple[tuple[Probability, ...], ...]

    @model_validator(mode="after")
    def _square(self) -> "Link":
        count = len(self.states)
        if not count or len(set(self.states)) < count:
            raise ValueError(f"states must be different names, at least one; got {list(self.states)}")
        if len(self.gains) != count:
            raise ValueError(f"gains: expected one for each of the {count} states; got {len(self.gains)}")
        if len(self.transitions) != count or any(len(row) != count for row in self.transitions):
            raise ValueError(f"transitions: expected {count} rows of {count} probabilities")
        for i, row in enumerate(self.transitions):
            if abs(sum(row) - 1) > 1e-9:
                raise ValueError(f"transitions: row {i} ({self.states[i]}) must sum to 1; it sums to {sum(row):g}")
        return self


class Level(Strict):
    """What a criticality level asks for, Table II(b)."""

    criticality: Probability
    min_accuracy: Fraction
    max_delay_s: Positive
    probability: Probability | None = None


class LocalModel(Strict):
    """A pruned model on the gateways. `accuracy` is relative to the complete model.

    Its latency is `latency_s`, points (batch, seconds) joined by lines, or else `flops` a task (by default 1 - rate of
    the complete model's) over the gateway's capacity.
    """

    rate: Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)]
    accuracy: Fraction
    flops: Positive | None = None
    latency_s: tuple[tuple[Count, Positive], ...] | None = None

    @model_validator(mode="after")
    def _ascending(self) -> "LocalModel":
        if self.latency_s is not None:
            sizes = [n for n, _ in self.latency_s]
            if not sizes or sizes[0] != 1 or sorted(set(sizes)) != sizes:
                raise ValueError(f"latency_s: batch sizes must ascend from 1; got {sizes}")
        return self


class Task(Strict):
    """What the complete model computes for one task, H * I; a multiply-accumulate is 2 FLOP."""

    flops: Positive


class Gateway(Strict):
    """A gateway's processor, C_g of eq. (2); one number for all, or one each."""

    capacity_flop_per_s: Positive | tuple[Positive, ...] | None = None


class Edge(Strict):
    """The edge server: its capacity C_e of eq. (3), or the seconds that one task takes on all of it."""

    capacity_flop_per_s: Positive | None = None
    task_s: Positive | None = None

    @model_validator(mode="after")
    def _one(self) -> "Edge":
        if (self.capacity_flop_per_s is None) == (self.task_s is None):
            raise ValueError("give either capacity_flop_per_s or task_s")
        return self


class Scenario(Strict):
    """A network and what is asked of it. Build one with `Scenario.load`, `Scenario.parse` or `measured_scenario`.

    Attributes:
        name: For tables and figures.
        groups: Sensors of each gateway, M_g.
        slot_s: Length of a slot, Gamma, in seconds.
        penalty: J of eq. (21).
        reward: "utilization", eq. (21) over served tasks; "goodput", accuracy of the served tasks a task; "delay",
            minus the delay of the served tasks a task, in slots; each less `penalty` times the share of dropped tasks.
            "literal" is (21) with dropped tasks counted as busy: it can be exploited and is there to show that.
        link: The uplink.
        qos: By ascending criticality; requirements tighten with it.
        models: The pruned models on the gateways.
        task: The complete model's cost.
        gateway: The gateways' processors.
        edge: The edge server.
        extrapolate: Allow batches beyond the last point of a model's latency.
        notes: Where it came from.
    """

    name: str
    groups: Annotated[tuple[Count, ...], Field(min_length=1)]
    slot_s: Positive
    penalty: NonNegative
    reward: Reward = "utilization"
    link: Link
    qos: tuple[Level, ...]
    models: tuple[LocalModel, ...]
    task: Task
    gateway: Gateway = Gateway()
    edge: Edge
    extrapolate: bool = False
    notes: tuple[str, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        """`sensors` and `gateways` stand for equal groups."""
        if not isinstance(value, dict) or "groups" in value:
            return value
        value = dict(value)
        sensors, gateways = value.pop("sensors", None), value.pop("gateways", None)
        for name, given in (("sensors", sensors), ("gateways", gateways)):
            if not isinstance(given, int) or isinstance(given, bool) or given < 1:
                raise ValueError(f"{name}: expected a number of at least 1 (or `groups`); got {given!r}")
        return {**value, "groups": split_sensors(sensors, [1] * gateways)}

    @model_validator(mode="after")
    def _consistent(self) -> "Scenario":
        _check_qos(self.qos, self.slot_s)
        if sum(self.groups) > MOST_SENSORS:
            raise ValueError(f"groups: expected at most {MOST_SENSORS:,} sensors; got {sum(self.groups):,}")
        if not self.models:
            raise ValueError("models: expected at least one")
        rates = [m.rate for m in self.models]
        if len(set(rates)) < len(rates):
            raise ValueError(f"models: a rate stands there twice in {rates}")
        for name, given in (
            ("gateway.capacity_flop_per_s", self.gateway.capacity_flop_per_s),
            ("link.transmit_power_w", self.link.transmit_power_w),
        ):
            if isinstance(given, tuple) and len(given) != len(self.groups):
                raise ValueError(f"{name}: expected one value, or one for each of the {len(self.groups)} gateways")
        for model in self.models:
            _check_latency(model, self)
        if self.reward == "delay" and self.penalty < 1:
            raise ValueError(
                f"penalty: with reward = 'delay' expected at least 1, or dropping a task pays; got {self.penalty:g}"
            )
        return self

    @classmethod
    def load(cls, source: Path | str) -> "Scenario":
        """A shipped scenario by name (`paper`, `paper-heavy`, `paper-printed`), or a TOML file.

        Raises:
            OptimizerError: No such scenario, or a wrong one; the field is named.
        """
        path = FOLDER / f"{source}.toml" if str(source) in SHIPPED else Path(source)
        return cls.parse(read_toml(path), str(source))

    @classmethod
    def parse(cls, content: dict[str, Any], name: str) -> "Scenario":
        """A scenario from parsed TOML or JSON; `name` is for messages. Raises as `load` does."""
        try:
            return cls.model_validate(_on_base(content, name))
        except ValidationError as error:
            raise OptimizerError(f"{name}: {_explain(error)}.", "docs/optimizer.md lists all fields.") from None

    def dump(self) -> dict[str, Any]:
        """All of it as JSON would hold it; `Scenario.parse` reads it back."""
        return self.model_dump(mode="json", exclude_none=True)

    def change(self, **changes: Any) -> "Scenario":
        """A copy with other top-level fields, validated. Raises OptimizerError."""
        fields = {name: getattr(self, name) for name in type(self).model_fields} | changes
        try:
            return type(self).model_validate(fields)
        except ValidationError as error:
            raise OptimizerError(f"{self.name}: {_explain(error)}.") from None

    def with_sensors(self, sensors: int) -> "Scenario":
        """The same network with so many sensors, in proportion to its groups. Raises OptimizerError."""
        if sensors < len(self.groups):
            raise OptimizerError(
                f"--sensors: {sensors} sensors cannot serve {len(self.groups)} gateways.", "Give at least one each."
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

    @property
    def sensors(self) -> int:
        """N."""
        return sum(self.groups)

    @property
    def gateways(self) -> int:
        """G."""
        return len(self.groups)

    @property
    def width(self) -> int:
        """Tasks of the largest gateway; smaller ones are padded to it."""
        return max(self.groups)

    @cached_property
    def tables(self) -> Tables:
        """Everything that the equations look up, as arrays."""
        return build_tables(self)


def _explain(error: ValidationError) -> str:
    """The first wrong field, its path and what was got."""
    detail = error.errors()[0]
    where = ".".join(str(x) for x in detail["loc"] if not str(x).startswith(("tuple", "constrained")))
    message = {"extra_forbidden": "unknown key", "missing": "missing"}.get(detail["type"], detail["msg"])
    got = detail["input"]
    shown = f"; got {got!r}" if isinstance(got, int | float | str | None) else ""
    return f"{where + ': ' if where else ''}{message.removeprefix('Value error, ')}{shown}"


def split_sensors(sensors: int, weights: Sequence[int]) -> tuple[int, ...]:
    """Sensors a gateway in proportion to `weights`, at least one each; equal weights give sizes that differ by 1."""
    exact = np.array(weights) * sensors / sum(weights)
    sizes = np.maximum(np.floor(exact + 1e-9).astype(int), 1)
    while (missing := sensors - int(sizes.sum())) != 0:
        short = exact - sizes
        if missing > 0:
            sizes[int(np.argmax(short))] += 1
        else:
            sizes[int(np.argmin(np.where(sizes > 1, short, np.inf)))] -= 1
    return tuple(int(x) for x in sizes)


def _check_qos(qos: Sequence[Level], slot_s: float) -> None:
    if not qos:
        raise ValueError("qos: expected at least one level")
    for i, (a, b) in enumerate(pairwise(qos)):
        if not a.criticality < b.criticality:
            raise ValueError(
                f"qos.{i + 1}.criticality: levels must ascend; got {b.criticality:g} after {a.criticality:g}"
            )
        if b.min_accuracy < a.min_accuracy or b.max_delay_s > a.max_delay_s:
            raise ValueError(f"qos.{i + 1}: a more critical level must ask for at least as much as the one before")
    if qos[0].max_delay_s > slot_s:
        raise ValueError(f"qos.0.max_delay_s: {qos[0].max_delay_s:g} s is longer than the slot of {slot_s:g} s")
    given = [level.probability for level in qos if level.probability is not None]
    if given and (len(given) < len(qos) or abs(sum(given) - 1) > 1e-9):
        raise ValueError("qos: give a probability to every level, summing to 1, or to none")


def _check_latency(model: LocalModel, scenario: Scenario) -> None:
    if model.latency_s is None:
        if scenario.gateway.capacity_flop_per_s is None:
            raise ValueError(
                f"models: rate {model.rate:g} has no latency_s, so gateway.capacity_flop_per_s must be given"
            )
        return
    last = model.latency_s[-1][0]
    if last < scenario.width and (not scenario.extrapolate or len(model.latency_s) < 2):
        raise ValueError(
            f"models: rate {model.rate:g} was measured up to a batch of {last}, but a gateway has {scenario.width} "
            "sensors: profile again with larger --batches, or allow it with --extrapolate (`extrapolate = true`)"
        )


def read_toml(path: Path) -> dict[str, Any]:
    """Parsed TOML. Raises OptimizerError."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise OptimizerError(
            f"no scenario {str(path)!r}.", f"Shipped are {', '.join(SHIPPED)}; or give a TOML file of your own."
        ) from None
    except (OSError, ValueError) as error:
        raise OptimizerError(f"{path}: cannot be read as TOML ({error}).") from None


def _on_base(content: dict[str, Any], name: str) -> dict[str, Any]:
    """`base = "paper"` starts from a shipped scenario; tables are merged key by key, lists replaced."""
    content = dict(content)
    base = content.pop("base", None)
    if base is None:
        return content
    if base not in SHIPPED:
        raise OptimizerError(f"{name}: base: expected one of {', '.join(SHIPPED)}; got {base!r}.")
    below = _on_base(read_toml(FOLDER / f"{base}.toml"), base)
    if "groups" in content:
        below = {k: v for k, v in below.items() if k not in ("sensors", "gateways")}
    if isinstance(content.get("edge"), dict):  # either of its two keys replaces the other
        below["edge"] = {}
    return _merge(below, content)


def _merge(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    both = dict(below)
    for key, value in above.items():
        old = both.get(key)
        both[key] = _merge(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return both
