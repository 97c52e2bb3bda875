"""How many sensors a network carries: for each scheme, the most that lose at most a given share of their tasks.

The share of lost tasks rises with the number of sensors, so the most is found by doubling and bisection. All schemes
see the same slots at the same number of sensors.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from pydantic import Field, field_serializer, model_validator

from data.common.schema import Count, Fraction, NonNegative, Positive, Strict
from optimizer.errors import OptimizerError
from optimizer.evaluation.largest import largest
from optimizer.evaluation.results import File
from optimizer.evaluation.time_limit import within
from optimizer.network.metrics import METRICS
from optimizer.network.outcome import Outcome
from optimizer.network.scenario import MOST_SENSORS, Scenario
from optimizer.network.slots import draw_states
from optimizer.schemes.base import Policy
from optimizer.schemes.rollout import run_policy

RULE_OF_THREE = 3.0  # upper 95 % bound of a number of lost tasks of which none was seen
CLEAR = 3.0  # picked by hand: whose interval begins above so many times the limit need not be looked at further
EARLY = (5, 20)  # numbers of slots after which that is looked at

Make = Callable[[Scenario], Policy]


class Point(Strict):
    """What one scheme loses with so many sensors.

    Attributes:
        sensors: Number of sensors.
        drop_ratio: Share of the tasks that were lost.
        low: Lower end of its 95 % interval over slots.
        high: Upper end.
    """

    sensors: Count
    drop_ratio: Fraction
    low: Fraction
    high: Fraction


class SchemeCapacity(Strict):
    """The most sensors that one scheme carries.

    Attributes:
        label: Name in tables.
        sensors: The most sensors whose lost share is at most the limit; 0 if even the fewest lose more.
        low: The same for the upper end of the lost share's interval: so many are carried in all likelihood.
        high: The same for its lower end: more are not carried in all likelihood.
        drop_ratio: Lost share at `sensors`.
        at_least: Whether the search ended at its largest number of sensors, or because its time was up, so that the
            capacity may be higher.
        extrapolated: Whether a gateway has more sensors there than the largest measured batch.
        points: All numbers of sensors that were tried.
    """

    label: str
    sensors: Count
    low: Count
    high: Count
    drop_ratio: Fraction | None
    at_least: bool
    extrapolated: bool
    points: list[Point]


class RiskPoint(Strict):
    """What is carried if inference times are planned for a risk.

    Attributes:
        risk: Share of the tasks that may be late because inference times scatter.
        longer: How many times as long as at the median inference on gateways is planned: the geometric mean over the
            models and batch sizes of the network at the risk.
        schemes: Capacity of each scheme by its name.
        notes: How the times were found, and what is wrong with them.
    """

    risk: Fraction
    longer: Positive
    schemes: dict[str, SchemeCapacity] = Field(min_length=1)
    notes: list[str]


class CapacityFile(File):
    """The file of `python -m optimizer.capacity --json`.

    Attributes:
        scenario: The network, at its own number of sensors.
        limit: The share of tasks that may be lost.
        slots: Number of slots at each number of sensors.
        seed: Random seed of the slots.
        most: The largest number of sensors that was tried.
        schemes: Capacity of each scheme by its name.
        gateways: For each gateway that grows alone while the others stay: capacity of each scheme. Empty if not asked.
        risks: What is carried at each risk, the largest first. Empty if not asked.
        warnings: What a reader should know.
        seconds: How long the search took.
    """

    scenario: Scenario
    limit: Fraction
    slots: Positive
    seed: Count
    most: Count
    schemes: dict[str, SchemeCapacity] = Field(min_length=1)
    gateways: dict[str, dict[str, SchemeCapacity]]
    risks: list[RiskPoint] = Field(default_factory=list)
    warnings: list[str]
    seconds: NonNegative

    @model_validator(mode="after")
    def _alike(self) -> "CapacityFile":
        if any(set(risk.schemes) != set(self.schemes) for risk in self.risks):
            raise ValueError("risks: expected the schemes of the file at every risk")
        return self

    @field_serializer("scenario")
    def _scenario(self, scenario: Scenario) -> dict[str, object]:
        return scenario.dump()


@dataclass
class Search:
    """The search for one scheme's capacity; every number of sensors is tried once.

    Attributes:
        grow: The network with so many sensors.
        make: Makes the scheme's policy.
        limit: The share of tasks that may be lost.
        least: The fewest sensors.
        most: The largest number of sensors to try.
        slots: Number of slots.
        seed: Random seed of the slots.
        seconds: After so long the search ends with the most sensors that were found to pass.
        tried: What was found, by number of sensors.
        begun: When the search began, on the monotonic clock.
        timed_out: Whether the search ended because its time was up.
    """

    grow: Callable[[int], Scenario]
    make: Make
    limit: float
    least: int
    most: int
    slots: int
    seed: int
    seconds: float
    tried: dict[int, Point] = field(default_factory=dict)
    begun: float = field(default_factory=time.monotonic)
    timed_out: bool = False

    def point(self, sensors: int) -> Point:
        """What is lost with so many sensors.

        Raises:
            TimeoutError: The time is up.
        """
        if sensors not in self.tried:
            first = not self.tried  # it compiles what the others need, so it is carried out here
            left = float("inf") if first else self.seconds - (time.monotonic() - self.begun)
            self.tried[sensors] = within(left, lambda: self._try(sensors))
            if first:
                self.begun = time.monotonic()
        return self.tried[sensors]

    def _try(self, sensors: int) -> Point:
        """Lost tasks of all slots, or of the first ones if those already lose far too many."""
        scenario = self.grow(sensors)
        state, policy = draw_states(scenario, self.slots, self.seed), self.make(scenario)
        found: list[Outcome] = []
        for start, stop in pairwise((0, *(n for n in EARLY if n < self.slots), self.slots)):
            found.append(run_policy(scenario, state[start:stop], policy))
            if stop < self.slots and _loss(found, sensors).low > CLEAR * self.limit:
                break
        return _loss(found, sensors)

    def run(self, start: int | None, say: Callable[[Point], None] | None = None) -> tuple[int, int, int]:
        """The most sensors whose lost share, its upper and its lower end are within the limit.

        Args:
            start: A guess of the first, tried early; None where there is none.
            say: Told of every number of sensors that was tried.
        """
        told = set()

        def passes(sensors: int, end: str) -> bool:
            if self.timed_out and sensors not in self.tried:
                return False
            try:
                point = self.point(sensors)
            except TimeoutError:
                self.timed_out = True
                return False
            if say is not None and sensors not in told:
                told.add(sensors)
                say(point)
            return float(getattr(point, end)) <= self.limit

        if start is not None:  # the fewest compile what the others need; half of the guess passes in all likelihood
            _ = passes(self.least, "drop_ratio") and passes(max(self.least, start // 2), "drop_ratio")
        found = largest(lambda n: passes(n, "drop_ratio"), self.least, self.most, start)
        if self.timed_out:
            found = max((n for n, p in self.tried.items() if p.drop_ratio <= self.limit), default=0)
        if not found:
            return 0, 0, largest(lambda n: passes(n, "low"), self.least, self.most)
        low = largest(lambda n: passes(n, "high"), self.least, found, start=found)
        high = largest(lambda n: passes(n, "low"), found, self.most, start=found)
        if self.timed_out:  # what was tried before may say more
            low = max((n for n, p in self.tried.items() if n <= found and p.high <= self.limit), default=0)
        return found, low, max(found, high)


def _loss(outcomes: Sequence[Outcome], sensors: int) -> Point:
    """Share of lost tasks with its interval over slots."""
    mean, half = METRICS["drop_ratio"].mean(outcomes)
    assert mean is not None
    unseen = RULE_OF_THREE / float(sum(o.tasks.sum() for o in outcomes))
    return Point(sensors=sensors, drop_ratio=mean, low=max(0.0, mean - half), high=min(1.0, max(mean + half, unseen)))


def grown(scenario: Scenario, sensors: int, gateway: int | None = None) -> Scenario:
    """The network with so many sensors: in proportion to its groups, or all the growth at one gateway.

    Batches beyond the largest measured one run in portions of it; whoever prints the result must say so.

    Args:
        scenario: The network.
        sensors: Number of sensors, of the whole network or of the one gateway.
        gateway: Index of the gateway that grows alone; None for all.
    """
    network = scenario.change(extrapolate=True)
    if gateway is None:
        return network.with_sensors(sensors)
    groups = list(scenario.groups)
    groups[gateway] = sensors
    return network.change(groups=tuple(groups))


def times_longer(plan: Scenario, median: Scenario) -> float:
    """How many times as long a plan's inference on gateways is as at the median, over its models and batch sizes."""
    usual = {(m.rate, m.precision): dict(m.latency_s or ()) for m in median.models}
    ratios = [
        seconds / usual[model.rate, model.precision][batch]
        for model in plan.models
        for batch, seconds in model.latency_s or ()
    ]
    return float(np.exp(np.mean(np.log(ratios)))) if ratios else 1.0


def scheme_capacity(
    scenario: Scenario,
    label: str,
    make: Make,
    *,
    limit: float,
    slots: int,
    seed: int,
    most: int = MOST_SENSORS,
    seconds: float = float("inf"),
    gateway: int | None = None,
    start: int | None = None,
    say: Callable[[Point], None] | None = None,
) -> SchemeCapacity:
    """The most sensors that lose at most `limit` of their tasks with one scheme.

    Args:
        scenario: The network; its groups give the proportions.
        label: Name of the scheme in tables.
        make: Makes the scheme's policy for a network.
        limit: The share of tasks that may be lost, 0 to 1.
        slots: Number of slots at each number of sensors.
        seed: Random seed of the slots.
        most: The largest number of sensors to try.
        seconds: After so long the search ends with the most sensors that were found to pass.
        gateway: Index of the gateway that grows alone; None if all grow.
        start: A guess of the capacity, tried first.
        say: Told of every number of sensors that was tried.

    Raises:
        OptimizerError: A limit outside [0, 1), or fewer sensors than gateways.
    """
    if not 0 <= limit < 1:
        raise OptimizerError(f"--limit: expected a share of lost tasks from 0 to below 1; got {limit:g}.")
    least = scenario.gateways if gateway is None else 1
    if most < least:
        raise OptimizerError(f"--most: {most} sensors cannot serve {least} gateways.", "Give each at least one.")
    search = Search(lambda n: grown(scenario, n, gateway), make, limit, least, most, slots, seed, seconds)
    sensors, low, high = search.run(start, say)
    batch = scenario.portion
    widest = 0 if not sensors else sensors if gateway is not None else grown(scenario, sensors).width
    return SchemeCapacity(
        label=label,
        sensors=sensors,
        low=low,
        high=high,
        drop_ratio=search.tried[sensors].drop_ratio if sensors else None,
        at_least=sensors >= most or search.timed_out,
        extrapolated=batch is not None and widest > batch,
        points=[search.tried[n] for n in sorted(search.tried)],
    )
