"""Training of the policy of a factory's network, as `job.Training` has it.

An update: a batch of slots is decided by the search on the laws so far, with margins drawn at random, some slots
altogether at random; the environment answers with what gateways report; the laws are fitted to all reports. After half
of the updates the margins' statistics start anew, and the last block chooses the margins. Everything random in a block
is drawn from (seed, block).
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float64, Int64
from torch import Tensor, nn

from optimizer.environment.env import OffloadingVectorEnv
from optimizer.errors import BadSlotError, OptimizerError
from optimizer.learning.factory.laws import FactoryLaws
from optimizer.learning.factory.margins import KINDS, MARGINS, MarginStatistics
from optimizer.learning.factory.policy import Decision, count_levels, decide, to_action
from optimizer.learning.factory.reports import Report, random_decision
from optimizer.learning.factory.settings import FactoryConfig
from optimizer.learning.factory.statistics import Statistics
from optimizer.learning.gateway_types import gateway_types_of
from optimizer.learning.job import Row
from optimizer.learning.learner import hash_seed
from optimizer.network.outcome import Outcome, evaluate
from optimizer.network.readings import describe_slot
from optimizer.network.scenario import Scenario
from optimizer.network.slots import State, draw_states
from optimizer.network.world import World

VALIDATION_SEED = 987_654_321
VALIDATION_SLOTS = 100
EPISODE = 2**31  # slots: a block never reaches the end of an episode
REACH = 2  # the policy serves gateways with up to this many times the tasks it was trained on
GROUP = 8  # slots that are planned with the same margins
COMPARED = 12  # slots on which margins are compared


class LawsModule(nn.Module):
    """The laws as named tensors, for checkpoints and weight files."""

    def __init__(self, laws: FactoryLaws) -> None:
        super().__init__()
        for name, array in laws.arrays().items():
            self.register_buffer(name, torch.from_numpy(array.copy()))

    def laws(self) -> FactoryLaws:
        """The laws that the tensors hold."""
        return FactoryLaws(**{name: tensor.numpy().copy() for name, tensor in self.named_buffers()})


class FactoryTraining:
    """A training under way.

    Args:
        scenarios: One network, or several that differ in their numbers of sensors: the policy is trained on all.
        config: Settings.
        seed: Random seed of everything that is drawn.
        world: What really happens where it differs from the scenario.

    Raises:
        OptimizerError: A reward that pays for dropped tasks.
    """

    def __init__(
        self, scenarios: Sequence[Scenario], config: FactoryConfig, seed: int, world: World | None = None
    ) -> None:
        self.scenarios, self.config, self.seed = tuple(scenarios), config, seed
        first = scenarios[0]
        if not first.objective.solvable:
            raise OptimizerError(
                f"reward = {first.reward!r}: the default preset credits served tasks only.",
                "This reward pays for dropped tasks, too, and exists to show that; use --preset paper.",
            )
        self.total, self.done = config.updates, 0
        self.reach = REACH * max(s.width for s in scenarios)
        self.gateway_types: Float64[np.ndarray, "types 3"] = gateway_types_of(first)
        sizes = first.gateways, len(first.models), len(first.qos), len(first.link.states)
        self.laws = FactoryLaws.untrained(*sizes, self.reach)
        self.statistics = Statistics(self.laws, first)
        self.margins = MarginStatistics()
        self._environments = [
            OffloadingVectorEnv(config.slots, s, episode_length=EPISODE, world=world) for s in scenarios
        ]
        self._validation = [draw_states(s, VALIDATION_SLOTS, VALIDATION_SEED) for s in scenarios]
        self._module = LawsModule(self.laws)

    def run_block(self) -> Row:
        """Make a block of updates."""
        block = self.done // self.config.block
        rng = np.random.default_rng(np.random.SeedSequence((self.seed, block)))
        for i, environment in enumerate(self._environments):
            environment.reset(seed=hash_seed(self.seed, block, 1 + i))
        until = min(self.total, (block + 1) * self.config.block)
        rewards, drops = [], []
        while self.done < until:
            reward, drop = self._update(self._environments[int(rng.integers(len(self.scenarios)))], rng)
            rewards.append(reward)
            drops.append(drop)
            self.done += 1
        self._choose_margins()
        count = len(rewards) * self.config.slots
        return {"slots": count, "reward": float(np.mean(rewards)), "drop_ratio": float(np.mean(drops))}

    def _update(self, environment: OffloadingVectorEnv, rng: np.random.Generator) -> tuple[float, float]:
        """One update; the mean reward and the mean drop ratio."""
        scenario, state = environment.scenario, environment.state
        assert state is not None
        random = rng.random(len(state)) < (1.0 if self.done < self.config.at_random else self.config.explore)
        index = np.repeat(rng.integers(0, len(MARGINS), (-(-len(state) // GROUP), KINDS)), GROUP, axis=0)[: len(state)]
        decision = self._decide(scenario, state, random, index, rng)
        action = to_action(decision, scenario, state)
        present = scenario.constants.present
        assert action.refused is not None
        _, reward, _, _, info = environment.step(
            {
                "offload": action.offload[:, present],
                "refuse": action.refused[:, present],
                "model": action.model,
                "share": action.share,
            }
        )
        if not np.isfinite(reward).all():
            bad = int(np.flatnonzero(~np.isfinite(reward))[0])
            raise BadSlotError(
                f"the environment returned a reward of {reward[bad]}.", describe_slot(state, bad, scenario)
            )
        report = Report.of(decision, state.channel, info)
        self.statistics.observe(report, self.laws)
        if 2 * self.done == self.total - self.total % 2:
            self.margins.clear()
        self._observe_margins(report, index, ~random, scenario)
        self.laws = self.statistics.fit(self.laws)
        return float(reward.mean()), float(info["drop_ratio"].mean())

    def _decide(
        self,
        scenario: Scenario,
        state: State,
        random: np.ndarray,
        index: Int64[np.ndarray, "slots kinds"],
        rng: np.random.Generator,
    ) -> Decision:
        """Decide the slots in groups, each with its margins; some at random."""
        counts = count_levels(state, scenario)
        found = random_decision(counts, len(scenario.models), by_level=scenario.by_level, rng=rng)
        if random.all():
            return found
        for i in range(0, len(state), GROUP):
            local, edge = index[i]
            own = slice(i, i + GROUP)
            made = decide(self.laws, scenario, state[own], (MARGINS[local], MARGINS[edge]), thorough=False)
            keep = ~random[own]
            for name in ("sent", "kept", "model", "share", "worth"):
                getattr(found, name)[own][keep] = getattr(made, name)[keep]
        return found

    def _observe_margins(self, report: Report, index: np.ndarray, planned: np.ndarray, scenario: Scenario) -> None:
        """What tasks that were planned to be served and were not have cost."""
        decision = report.decision
        cost = (scenario.penalty + float(self.laws.edge_answer[0])) / scenario.sensors
        late = np.stack(
            [
                (decision.kept - report.local_served).sum(axis=(1, 2)),
                (decision.sent - report.edge_served).sum(axis=(1, 2)),
            ],
            axis=1,
        )
        self.margins.observe(index[planned], cost * late[planned])

    def _choose_margins(self) -> None:
        """Choose the margins by what was lost so far; the other one stays while one is chosen."""
        chosen = self.laws.margins.copy()
        compared = [(e.scenario, e.state[:COMPARED]) for e in self._environments if e.state is not None]
        for kind in range(KINDS):
            planned = np.zeros(len(MARGINS))
            for i, margin in enumerate(MARGINS):
                pair = (margin, chosen[1]) if kind == 0 else (chosen[0], margin)
                worths = [decide(self.laws, s, x, pair, thorough=False).worth.mean() for s, x in compared]
                planned[i] = np.mean(worths)
            chosen[kind] = self.margins.best(kind, planned)
        self.laws = replace(self.laws, margins=chosen)

    def outcomes(self) -> list[Outcome]:
        """What the policy's decisions do on slots that training never sees, if the scenarios are right."""
        return [
            evaluate(s, state, to_action(decide(self.laws, s, state), s, state))
            for s, state in zip(self.scenarios, self._validation, strict=True)
        ]

    def validate(self) -> Row:
        """Figures on validation slots, averaged over the networks of the training; no gap, which takes long to find."""
        found = self.outcomes()
        reward = float(np.mean([o.reward.mean() for o in found]))
        return {"reward": reward, "drop_ratio": float(np.mean([o.drop_ratio.mean() for o in found])), "gap": None}

    def modules(self) -> dict[str, nn.Module]:
        """The laws."""
        self._module = LawsModule(self.laws)
        return {"laws": self._module}

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """None: the laws follow from sums."""
        return {}

    def _sums(self) -> dict[str, np.ndarray]:
        return self.statistics.arrays() | {"lost": self.margins.lost, "planned": self.margins.slots}

    def memory(self) -> dict[str, Tensor]:
        """The sums."""
        return {name: torch.from_numpy(array.copy()) for name, array in self._sums().items()}

    def counters(self) -> dict[str, int]:
        """Number of delays that were ever reported."""
        return {"delays": self.statistics.delays.stored}

    def resume(self, done: int, memory: dict[str, Tensor], counters: dict[str, int]) -> None:
        """Go on after `done` updates; `modules` holds the laws then."""
        self.done, self.laws = done, self._module.laws()
        for name, array in self._sums().items():
            array[...] = memory[name].numpy()
        self.statistics.delays.stored = counters["delays"]

    def to_onnx(self) -> None:
        """Nothing: the policy is laws, in the weights' file, and a search."""
