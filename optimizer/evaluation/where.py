"""What runs where: each gateway's tasks by place and model, the first answer that a plan owes."""

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.table import Table

from optimizer.network.outcome import Outcome

MOST_GATEWAYS = 8  # rows; more are not read
LEAST_SHARE = 0.005  # of a gateway's local tasks: models that run fewer are not named


def where_table(scheme: str, outcome: Outcome) -> Table:
    """A row per gateway: tasks kept, sent, refused and lost, in percent over all slots, and the models that run.

    Args:
        scheme: Name of the scheme.
        outcome: What became of its decisions.
    """
    scenario = outcome.scenario
    table = Table(
        "gateway", "sensors", "kept %", "sent %", "refused %", "lost %", "models of what is kept", box=SIMPLE_HEAD,
        pad_edge=False, padding=(0, 1), collapse_padding=True, title=f"What runs where: {scheme}", title_justify="left",
    )  # fmt: skip
    for column in table.columns[:-1]:
        column.justify = "right"
    kept, sent, refused = (x.sum(axis=(0, 2)) for x in (outcome.local, outcome.offloaded, outcome.refused))
    tasks = np.maximum(1, kept + sent + refused)
    served = (outcome.local_served + outcome.edge_served).sum(axis=(0, 2))
    lost = kept + sent + refused - served
    for g, sensors in enumerate(scenario.groups[:MOST_GATEWAYS]):
        shares = (f"{100 * x[g] / tasks[g]:.1f}" for x in (kept, sent, refused, lost))
        table.add_row(str(g + 1), f"{sensors:,}", *shares, _models(outcome, g))
    if scenario.gateways > MOST_GATEWAYS:
        table.caption = f"the first {MOST_GATEWAYS} of {scenario.gateways:,} gateways; --json has all"
    return table


def _models(outcome: Outcome, gateway: int) -> str:
    """The models that run a gateway's tasks, the most used first."""
    local, model = outcome.local[:, gateway], outcome.model[:, gateway]
    count = np.bincount(model.ravel(), weights=local.ravel(), minlength=len(outcome.scenario.models))
    if not count.sum():
        return "none"
    share = count / count.sum()
    order = [int(i) for i in np.argsort(-share, kind="stable") if share[i] >= LEAST_SHARE]
    return ", ".join(f"{outcome.scenario.models[i].label} {100 * share[i]:.0f} %" for i in order)
