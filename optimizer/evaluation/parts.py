"""The paper's evaluation in parts that do not need each other: one for each size, so that a sweep can do them.

Each part leaves a file, which says from what it was made; a part whose file fits is not done again.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from data.common.device import library_version
from data.common.errors import UserError
from data.common.files import sha256, write_json
from data.common.parse import read_json
from data.common.schema import Strict, parse_model
from data.common.sweep.job import Job, Tell
from optimizer.errors import OptimizerError
from optimizer.evaluation.results import CapacityRow, Results, SizeResult, SmallResult, Training
from optimizer.evaluation.section_v import (
    at_size,
    both_policies,
    capacity_at,
    capacity_sizes,
    on_small_network,
)
from optimizer.learning.manifest import MANIFEST, find_policies
from optimizer.network.scenario import Scenario
from optimizer.schemes.registry import mid_pruned

KINDS: dict[str, type[Strict]] = {"size": SizeResult, "capacity": CapacityRow, "small": SmallResult}


@dataclass(frozen=True)
class Part:
    """One part of the evaluation.

    Attributes:
        kind: "size": all schemes at a number of sensors; "capacity": what the optimum drops at a number of sensors per
            gateway; "small": the network of Fig. 8.
        count: That number; 0 for the small network.
    """

    kind: Literal["size", "capacity", "small"]
    count: int = 0

    @property
    def name(self) -> str:
        """Name of its file and in messages."""
        return f"{self.kind}-{self.count}" if self.count else self.kind


@dataclass(frozen=True)
class Setting:
    """What all parts share.

    Attributes:
        scenario: The network.
        sizes: Numbers of sensors.
        most: Largest number of sensors per gateway at which the capacity is looked for; 0 for nowhere.
        slots: Number of held-out slots at each size.
        capacity_slots: Number of slots at each size of the capacity.
        seed: Random seed for drawing slots.
        policies: Folder of policies with all models, of those with the middle model, and of those of the small network.
        folder: Folder of the parts' files.
    """

    scenario: Scenario
    sizes: tuple[int, ...]
    most: int
    slots: int
    capacity_slots: int
    seed: int
    policies: tuple[Path | None, Path | None, Path | None]
    folder: Path

    @property
    def parts(self) -> list[Part]:
        """All parts, the costliest first."""
        capacity = [Part("capacity", size) for size in capacity_sizes(self.most)]
        return [*(Part("size", size) for size in reversed(self.sizes)), *reversed(capacity), Part("small")]

    @cached_property
    def made_from(self) -> str:
        """Hash of everything that a part's result follows from."""
        found = [sha256(p / MANIFEST) for folder in self.policies if folder is not None for p in find_policies(folder)]
        given = [self.scenario.dump(), self.slots, self.capacity_slots, self.seed, found, library_version("jopa")]
        return hashlib.sha256(json.dumps(given, sort_keys=True, default=str).encode()).hexdigest()

    def path(self, part: Part) -> Path:
        """The file of a part."""
        return self.folder / f"{part.name}.json"

    def read(self, part: Part) -> Strict | None:
        """The result of a part; None if it is not done, damaged, or made from something else."""
        try:
            content = read_json(self.path(part), OptimizerError)
            if not isinstance(content, dict) or content.get("made_from") != self.made_from:
                return None
            return parse_model(content.get("result"), KINDS[part.kind], part.name, OptimizerError, remedy="")
        except UserError:
            return None


def do_part(setting: Setting, part: Part, tell: Tell) -> None:
    """Do one part and write its file."""
    result: Strict
    scenario = setting.scenario
    if part.kind == "size":
        learned, one = both_policies(scenario, *setting.policies[:2])
        result = at_size(scenario.with_sensors(part.count), setting.slots, setting.seed, learned, one, tell)
    elif part.kind == "capacity":
        tell(f"what {part.count} sensors at each gateway lose")
        result = capacity_at(scenario, part.count, setting.capacity_slots, setting.seed)
    else:
        tell("the small network")
        result = on_small_network(scenario, setting.policies[2], setting.seed)
    content = {"made_from": setting.made_from, "result": result.model_dump(mode="json", by_alias=True)}
    write_json(setting.path(part), content)


def part_jobs(setting: Setting) -> list[Job]:
    """The parts as jobs of a sweep."""
    return [Job(part.name, part) for part in setting.parts]


def results_of(setting: Setting) -> Results:
    """The results of all parts, which are finished, with the training curves of the policies."""

    def read(parts: Sequence[Part]) -> list[Strict]:
        found = [setting.read(part) for part in parts]
        assert None not in found
        return [result for result in found if result is not None]

    learned, one = both_policies(setting.scenario, *setting.policies[:2])
    sizes = [r for r in read([Part("size", n) for n in setting.sizes]) if isinstance(r, SizeResult)]
    (small,) = (r for r in read([Part("small")]) if isinstance(r, SmallResult))
    rows = [r for r in read([Part("capacity", n) for n in capacity_sizes(setting.most)]) if isinstance(r, CapacityRow)]
    return Results(
        scenario=setting.scenario,
        slots=setting.slots,
        seed=setting.seed,
        mid_rate=mid_pruned(setting.scenario),
        sizes=sizes,
        training=Training(
            all={str(n): h for n, h in learned.histories.items()},
            single={str(n): h for n, h in one.histories.items()},
        ),
        small=small,
        capacity=rows,
    )
