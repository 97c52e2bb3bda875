"""How sure a plan is to be: lower bounds of accuracies, and inference times that hardly any batch exceeds.

A task on a gateway is late if the batches up to its own together take longer than planned. Each batch is planned at the
quantile that it exceeds with a probability of at most risk / K, where K is the largest number of batches that a gateway
runs one after the other in a slot: one per level, or one. The sum exceeds the sum of the plans only if one of the
batches exceeds its own, so the probability that a task is late is at most K * risk / K, the risk. This is the union
bound. It holds for any dependence between the batches of a slot: if they are slow together it errs by a factor of K,
never the other way.

What it cannot promise is that the device behaves as in the profile. A device that is slower as a whole on another day
needs a margin; `Tails.notes` says how much runs of a visit exceed what the other visits promise.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from data.common.stats import wilson
from optimizer.errors import OptimizerError
from profiling.profile.entries import Model
from profiling.profile.profile import Profile
from profiling.profile.samples import Cell, Runs, Samples, Tail, cells_of

MOST_RISK = 0.5  # at this risk a single batch is planned with its median
LEAST_CONFIDENCE, MOST_CONFIDENCE = 0.5, 0.999  # at 0.5 a bound is the estimate; beyond 0.999 a bootstrap says nothing


@dataclass(frozen=True, eq=False)
class Tails:
    """Inference times that a batch exceeds with a probability of at most risk / `batches`.

    Attributes:
        risk: Share of the tasks that may be late.
        batches: Largest number of batches that a gateway runs one after the other in a slot.
        samples: Runs of the gateway's profile.
        relative: All of them over their cell's median.
        edge: Runs of the edge's profile; None if it is a datasheet.
    """

    risk: float
    batches: int
    samples: Samples
    relative: Runs
    edge: Samples | None

    @classmethod
    def of(cls, risk: float, batches: int, samples: Samples, edge: Samples | None) -> "Tails":
        """The tails of a gateway's runs."""
        return cls(risk, batches, samples, samples.relative(), edge)

    @property
    def share(self) -> float:
        """Share of the runs of one batch that may exceed its plan."""
        return self.risk / self.batches

    def points(self, profile: Profile, model: Model) -> tuple[tuple[int, float], ...]:
        """(batch, seconds) of a model at the measured batch sizes.

        A larger batch is planned longer by at least as much as at the median: tails scatter, and where a larger batch
        has the shorter one, it would look cheap.

        Raises:
            OptimizerError: A model without a measurement at batch 1, or without runs.
        """
        cells = profile.cells(model.rate, model.precision)
        if cells[0].batch != 1:
            raise OptimizerError(
                f"--gateway: rate {model.rate:g} was not measured at batch 1 but from {cells[0].batch} on.",
                "Profile with --batches 1,...",
            )
        found: list[tuple[int, float]] = []
        for cell, before in zip(cells, [None, *cells[:-1]], strict=True):
            seconds = self._tail(profile, model, cell.batch).seconds
            if before is not None:
                seconds = max(seconds, found[-1][1] + max(0.0, cell.p50_s - before.p50_s))
            found.append((cell.batch, seconds))
        return tuple(found)

    def _tail(self, profile: Profile, model: Model, batch: int) -> Tail:
        cell = (model.rate, model.precision, batch, profile.threads)
        if cell not in self.samples.visits:
            raise OptimizerError(f"--risk: no run of rate {model.rate:g} at batch {batch} is kept.", "Measure again.")
        return self.samples.tail(cell, self.share, self.relative)

    def edge_task(self, gateway: Profile, edge: Profile, *, queue: bool) -> float:
        """Seconds of one task on the whole edge server.

        In a queue the tasks before a task delay it too, see `Samples.queue_tail`. A datasheet has no runs: its tasks
        are taken to scatter as the complete model does on the gateway.

        Args:
            gateway: The gateway's profile.
            edge: The edge's.
            queue: Whether tasks wait for each other.
        """
        own = edge if self.edge is not None else gateway
        runs = self.edge or self.samples
        cell = (0.0, own.precision, 1, own.threads)
        if cell not in runs.visits:
            raise OptimizerError("--risk: no run of the complete model at batch 1 is kept.", "Measure again.")
        found = runs.queue_tail(cell, self.risk) if queue else runs.tail(cell, self.risk, runs.relative())
        seconds = max(found.seconds, own.latency(0.0, 1))
        return seconds if self.edge is not None else edge.latency(0.0, 1) * seconds / gateway.latency(0.0, 1)

    def notes(self, profile: Profile) -> list[str]:
        """What was done, where runs were too few, and how far runs of one visit resemble each other."""
        chosen = cells_of(self.samples, profile)
        tails = [self.samples.tail(cell, self.share, self.relative) for cell in chosen]
        told = f"risk {100 * self.risk:g} %: each batch is planned with the time that {100 * self.share:.3g} % exceed"
        if self.batches > 1:
            told += f", because up to {self.batches} batches follow one another in a slot (union bound)"
        found = [told]
        few = [t.runs for t in tails if not t.enough]
        if few:
            needed, pooled = 1 / self.share, len(self.relative)
            all_few = "" if pooled + 1 >= needed else "; even all together are too few, so the risk is not assured"
            found.append(
                f"risk: {len(few)} of {len(tails)} models and batch sizes have too few runs for that ({needed:,.0f} "
                f"are needed, the fewest are {min(few)}): planned with their longest run, or with what all "
                f"{pooled:,} runs, each over its median, say of it, whichever is longer{all_few}. `python -m "
                "profiling.run --grade reference` gives more"
            )
        found.append(self._left_out(chosen))
        if self.edge is None:
            found.append("risk: the edge has no runs; its tasks are taken to scatter as the complete model's here")
        return found

    def _left_out(self, cells: Sequence[Cell]) -> str:
        """Whether runs of one round exceed what the other rounds promise by more than chance allows."""
        beyond, total = self.samples.left_out(cells, self.share)
        if not total:
            return "risk: there is one round of runs only, so nothing says how much rounds differ"
        promised = f"{100 * self.share:.3g} % were promised"
        told = f"risk: {beyond} of {total:,} runs took longer than the plan of the other rounds ({promised})"
        if wilson(beyond / total, total)[0] > self.share:
            return f"{told}: runs of a round resemble each other, so give a --margin too"
        return f"{told}: no more than chance allows"


@dataclass(frozen=True, eq=False)
class Certainty:
    """How sure a plan is to be.

    Attributes:
        confidence: Confidence of the accuracies' lower bounds; None plans with the accuracies themselves.
        tails: Inference times for a risk; None plans with a percentile.
    """

    confidence: float | None = None
    tails: Tails | None = None

    @property
    def risk(self) -> float | None:
        """Share of late tasks that is planned for; None if no risk was chosen."""
        return None if self.tails is None else self.tails.risk

    def edge_task(self, gateway: Profile, edge: Profile, *, queue: bool) -> float | None:
        """Seconds of one task on the whole edge server, as `Tails.edge_task`; None without a risk."""
        return None if self.tails is None else self.tails.edge_task(gateway, edge, queue=queue)

    def words(self, latency: str, percentile: str, accuracy: str) -> str:
        """How times and accuracies are taken from a profile, for the notes of a plan."""
        times = percentile if self.tails is None else f"a risk of {100 * self.tails.risk:g} %"
        bound = "" if self.confidence is None else f", lower bounds at {100 * self.confidence:g} % confidence"
        return f"{latency} latency at {times}, {accuracy} accuracy{bound}"


def check_risk(risk: float, option: str = "--risk") -> None:
    """Refuse a risk outside (0, 0.5]. Raises OptimizerError."""
    if not 0 < risk <= MOST_RISK:
        raise OptimizerError(
            f"{option}: expected a share of late tasks above 0 and at most {MOST_RISK:g}; got {risk:g}.",
            "E.g. 0.001 for one task in a thousand; at 0.5 a single batch is planned with its median.",
        )


def check_confidence(confidence: float) -> None:
    """Refuse a confidence outside [0.5, 0.999]. Raises OptimizerError."""
    if not LEAST_CONFIDENCE <= confidence <= MOST_CONFIDENCE:
        raise OptimizerError(
            f"--confidence: expected {LEAST_CONFIDENCE:g} to {MOST_CONFIDENCE:g}; got {confidence:g}.",
            "E.g. 0.95: each accuracy is then at least as high as planned with 95 % confidence.",
        )
