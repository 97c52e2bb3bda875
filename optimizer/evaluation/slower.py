"""What a plan loses if inference takes longer than planned: the first thing to know about it in a factory."""

from collections.abc import Sequence

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from data.common.console import say
from data.common.schema import Fraction, Positive, Strict
from optimizer.network.metrics import METRICS
from optimizer.network.outcome import evaluate
from optimizer.network.scenario import Scenario
from optimizer.network.slots import Action, State

FACTORS = (1.02, 1.1, 1.3)
SERIOUS = 0.01  # more tasks lost than planned by this share of all tasks are told first


class Slower(Strict):
    """Lost tasks of one plan where all inference, on gateways and at the edge, takes longer than planned.

    Attributes:
        factor: Real time divided by planned time.
        drop_ratio: Share of the tasks lost then.
    """

    factor: Positive
    drop_ratio: Fraction


# Number of sensors, name of the scheme, share of the tasks lost as planned, and losses with slower inference.
Rows = Sequence[tuple[str, str, float, Sequence[Slower]]]


def slower(scenario: Scenario, state: State, action: Action, factors: Sequence[float] = FACTORS) -> list[Slower]:
    """Lost tasks of these decisions for each factor on the times of inference.

    Args:
        scenario: The network, as planned.
        state: The slots.
        action: The decisions.
        factors: Factors on the times of local batches and of tasks at the edge.
    """
    found = []
    for factor in factors:
        times = np.full(state.channel.shape, float(factor))
        outcome = evaluate(scenario, state, action, local_factor=times, edge_factor=times)
        found.append(Slower(factor=factor, drop_ratio=METRICS["drop_ratio"].mean([outcome])[0] or 0.0))
    return found


def slower_line(scheme: str, planned: float, found: Sequence[Slower]) -> str:
    """The losses in one sentence.

    Args:
        scheme: Name of the scheme.
        planned: Share of the tasks lost as planned.
        found: Losses with slower inference.
    """
    losses = ", ".join(f"{100 * (x.factor - 1):.0f} % slower: {100 * x.drop_ratio:.2f} %" for x in found)
    return f"{scheme} loses {100 * planned:.2f} % of the tasks as planned; if inference is {losses}."


def slower_table(rows: Rows) -> Table:
    """Table of the losses; a plan that a little slower inference spoils is marked."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1), collapse_padding=True)
    table.add_column("N", justify="right", no_wrap=True)
    table.add_column("lost tasks, %; slower than planned", no_wrap=True)
    table.add_column("as planned", justify="right", no_wrap=True)
    for factor in [x.factor for x in rows[0][3]]:
        table.add_column(f"{100 * (factor - 1):.0f} %", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for sensors, scheme, planned, found in rows:
        shares = (f"{100 * share:.2f}" for share in (planned, *(x.drop_ratio for x in found)))
        table.add_row(sensors, scheme, *shares, "fragile" if serious(planned, found) else "")
    return table


def print_slower(rows: Rows, console: Console) -> None:
    """Print what slower inference would lose, with a warning if it is serious for one of the schemes."""
    if is_fragile(rows):
        say(
            console,
            f"WARNING: fragile plans lose over {100 * SERIOUS:g} % more of the tasks if inference is "
            f"{100 * (FACTORS[0] - 1):.0f} % slower than planned.",
            "bold yellow",
        )
        say(
            console,
            "A --margin is part of the plan: give a larger one, plan for fewer sensors, or run a trial.",
            "yellow",
        )
    console.print(slower_table(rows))


def is_fragile(rows: Rows) -> bool:
    """Whether a little slower inference is serious for one of the schemes."""
    return any(serious(planned, found) for _, _, planned, found in rows)


def serious(planned: float, found: Sequence[Slower]) -> bool:
    """Whether a little slower inference (the smallest factor) already loses many more tasks than planned."""
    return bool(found) and found[0].drop_ratio - planned > SERIOUS
