"""A slot as a picture, as in Fig. 5: what each gateway's processor, link and share of the edge do over time."""

from typing import Any

import numpy as np
from jaxtyping import UInt8
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from optimizer.network.outcome import Outcome
from optimizer.network.scenario import Scenario
from optimizer.network.slots import Action, State

SHOWN = 8
LANES = ("processor", "link", "edge")


def draw_slot(axis: Axes, state: State, action: Action, outcome: Outcome, gateway: int) -> None:
    """Draw the first slot of a batch at one gateway: its processor, its link and its part of the edge over time.

    Args:
        axis: Where to draw.
        state: The slot.
        action: What was decided for it.
        outcome: What became of its tasks.
        gateway: Index of the gateway.
    """
    scenario = outcome.scenario
    _draw_local(axis, action, outcome, gateway)
    _draw_queue(axis, state, outcome, gateway)
    axis.set_yticks((3, 2, 1), LANES)
    axis.set_xlim(0, 1.12 * scenario.slot_s)
    axis.set_ylim(0.5, 3.5)
    axis.axvline(scenario.slot_s, color="black", linewidth=1)
    channel = scenario.link.states[int(state.channel[0, gateway])]
    refused = int(outcome.refused[0, gateway].sum())
    axis.set_title(
        f"gateway {gateway + 1}: channel {channel}, {100 * action.share[0, gateway]:.0f} % of the edge"
        + (f", {refused} refused" if refused else ""),
        loc="left",
        fontsize=9,
    )


def _mark(outcome: Outcome, level: int, *, dropped: bool) -> dict[str, Any]:
    """How a task is drawn: its level's colour, hatched if it is dropped."""
    span = Normalize(0, max(len(outcome.scenario.qos) - 1, 1))
    return {
        "color": colormaps["viridis_r"](span(level)),
        "hatch": "xx" if dropped else None,
        "edgecolor": "white",
        "linewidth": 0.5,
    }


def _draw_local(axis: Axes, action: Action, outcome: Outcome, gateway: int) -> None:
    """The gateway's processor: one batch divided into levels, or the levels' batches one after the other."""
    scenario, local = outcome.scenario, outcome.local[0, gateway]
    if not local.sum():
        return
    below = 2.6
    for k in range(len(local)):
        if not local[k]:
            continue
        done = float(outcome.local_s[0, gateway, k])
        mark = _mark(outcome, k, dropped=not outcome.local_served[0, gateway, k])
        if action.by_level:
            length = float(outcome.local_work_s[0, gateway, k] * local[k])
            axis.barh(3, length, 0.8, done - length, **mark)
        else:
            height = 0.8 * local[k] / local.sum()
            axis.barh(below + height / 2, done, height, **mark)
            below += height
    rates = sorted({scenario.models[int(v)].rate for v in outcome.model[0, gateway][local > 0]})
    axis.text(
        0.01 * scenario.slot_s,
        3.0,
        f"{local.sum()} x p = {', '.join(f'{rate:g}' for rate in rates)}",
        va="center",
        fontsize=8,
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 1.5},
    )


def _draw_queue(axis: Axes, state: State, outcome: Outcome, gateway: int) -> None:
    """The offloaded tasks one after the other on the link, and then at the edge."""
    scenario, sent = outcome.scenario, outcome.offloaded[0, gateway]
    hold = float(scenario.constants.hold_s[gateway, state.channel[0, gateway]])
    sending, edge = float(outcome.transmission_s[0, gateway]), float(outcome.edge_s[0, gateway])
    spacing = max(hold, edge) if scenario.fifo else hold
    place = 0
    for k in range(len(sent) - 1, -1, -1):
        for i in range(int(sent[k])):
            mark = _mark(outcome, k, dropped=i >= int(outcome.edge_served[0, gateway, k]))
            axis.barh(2, sending, 0.8, place * hold, **mark)
            axis.barh(1, min(edge, scenario.slot_s), 0.8, place * spacing + sending, **mark | {"linewidth": 0})
            place += 1


def _figure(scenario: Scenario) -> tuple[Figure, FigureCanvasAgg]:
    figure = Figure(figsize=(9, 1.35 * min(scenario.gateways, SHOWN) + 1.1), dpi=100, layout="constrained")
    return figure, FigureCanvasAgg(figure)


def _pixels(canvas: FigureCanvasAgg) -> UInt8[np.ndarray, "height width 3"]:
    canvas.draw()  # type: ignore[no-untyped-call]  # matplotlib leaves it untyped
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()  # type: ignore[no-untyped-call]  # as above


def empty_image(scenario: Scenario) -> UInt8[np.ndarray, "height width 3"]:
    """A page of the same size before anything was decided."""
    figure, canvas = _figure(scenario)
    figure.text(0.5, 0.5, f"{scenario.name}: no slot decided yet", ha="center")
    return _pixels(canvas)


def slot_image(state: State, action: Action, outcome: Outcome) -> UInt8[np.ndarray, "height width 3"]:
    """The first slot of a batch as pixels; at most 8 gateways are drawn."""
    scenario = outcome.scenario
    count = min(scenario.gateways, SHOWN)
    figure, canvas = _figure(scenario)
    axes = figure.subplots(count, 1, sharex=True, squeeze=False)[:, 0]
    for g, axis in enumerate(axes):
        draw_slot(axis, state, action, outcome, g)
    axes[-1].set_xlabel("time in the slot, s")

    shade, span = colormaps["viridis_r"], Normalize(0, max(len(scenario.qos) - 1, 1))
    levels = [
        Patch(facecolor=shade(span(k)), label=f"criticality {level.criticality:g}")
        for k, level in enumerate(scenario.qos)
    ]
    levels.append(Patch(facecolor="lightgray", edgecolor="black", hatch="xxx", label="dropped"))
    figure.legend(handles=levels, loc="outside lower center", ncols=min(len(levels), 7), fontsize=7)
    more = f" (first {count} of {scenario.gateways} gateways)" if count < scenario.gateways else ""
    figure.suptitle(f"reward {outcome.reward[0]:.3f}, {100 * outcome.drop_ratio[0]:.1f} % dropped{more}", fontsize=10)
    return _pixels(canvas)
