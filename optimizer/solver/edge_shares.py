"""Shares of the edge for gateways whose worth is given by pieces (see `one_gateway`): on a grid, or continuous.

Maximise the sum of F_g(c_g) subject to sum(c_g) = 1. On a grid that is a max-plus convolution. Over continuous shares,
branch and bound: the bound of a box of shares is its Lagrangian dual, whose response is known in closed form for every
piece, and a box is split where the dual's two responses part. `docs/optimum.md` has the argument.
"""

from typing import NamedTuple, no_type_check

import numpy as np

from optimizer.solver.compiled import kernel
from optimizer.solver.envelope import UNREACHABLE
from optimizer.solver.problem import CONSTANT, END, SLOPE, START
from optimizer.solver.queue import edge_seconds


class Gap(NamedTuple):
    """How far a decision may fall short of the best one.

    Attributes:
        share: As a share of the slot's reward; 0 for what TOLERANCE leaves.
        lost: The slot's reward is the worth of its decision less this penalty for losing every task.
    """

    share: float
    lost: float


TOLERANCE = 1e-9  # in units of the reward: a box is left when it can hold nothing better by more than this


@no_type_check
@kernel
def best_piece(pieces, rows, share, edge):
    """The piece that is worth most at a share, and its worth."""
    x = edge_seconds(share, edge)
    best, chosen = UNREACHABLE, -1
    for p in range(rows):
        if pieces[p, START] <= share <= pieces[p, END]:
            worth = pieces[p, CONSTANT] + pieces[p, SLOPE] * x
            if worth > best:
                best, chosen = worth, p
    return chosen, best


@no_type_check
@kernel
def allocate_on_grid(pieces, rows, steps, edge, share):
    """The best shares k / steps, exactly; fills `share` and returns the total worth."""
    gateways = len(rows)
    worth = np.empty((gateways, steps + 1))
    for g in range(gateways):
        for z in range(steps + 1):
            worth[g, z] = best_piece(pieces[g], rows[g], z / steps, edge)[1]
    total = worth[0].copy()
    choice = np.zeros((gateways, steps + 1), np.int32)
    choice[0] = np.arange(steps + 1)
    for g in range(1, gateways):
        after = np.full(steps + 1, UNREACHABLE)
        for used in range(steps + 1) if g < gateways - 1 else range(steps, steps + 1):
            for z in range(used + 1):
                both = total[used - z] + worth[g, z]
                if both > after[used]:
                    after[used] = both
                    choice[g, used] = z
        total = after
    left = steps
    for g in range(gateways - 1, -1, -1):
        z = choice[g, left]
        share[g] = z / steps
        left -= z
    return total[steps]


@no_type_check
@kernel
def respond(pieces, rows, low, high, price, edge, share):
    """Max over the box of the sum of F_g(c_g) - price * (sum(c_g) - 1); fills the maximising `share`."""
    value = price
    for g in range(len(rows)):
        best, at = UNREACHABLE, low[g]
        for p in range(rows[g]):
            a = max(low[g], pieces[g, p, START])
            b = min(high[g], pieces[g, p, END])
            if a > b:
                continue
            constant, slope = pieces[g, p, CONSTANT], pieces[g, p, SLOPE]
            worth = constant + slope * edge_seconds(a, edge) - price * a
            if worth > best:
                best, at = worth, a
            worth = constant + slope * edge_seconds(b, edge) - price * b
            if worth > best:
                best, at = worth, b
            if slope < 0 and price > 0:  # concave in the share: it may be best inside
                c = np.sqrt(-slope * edge.task_s / price) - edge.epsilon
                if a < c < b:
                    worth = constant + slope * edge_seconds(c, edge) - price * c
                    if worth > best:
                        best, at = worth, c
        value += best
        share[g] = at
    return value


@no_type_check
@kernel
def bracket(pieces, rows, low, high, edge, enough, price, less, more):
    """Two prices, at which the gateways together ask for at least and at most the whole edge.

    Fills `more` and `less`, their responses at these two prices. Stops early when a dual value falls to `enough`.

    Returns:
        The cheap price, its dual value and by how much the shares exceed 1 there; and the same of the dear price.
    """
    value = respond(pieces, rows, low, high, price, edge, more)
    excess = more.sum() - 1
    less[:] = more
    cheap = dear = price
    cheap_value = dear_value = value
    cheap_excess = dear_excess = excess
    step = max(0.25, abs(price) * 0.25)
    if excess > 0:
        while dear_excess > 0 and dear_value > enough:
            cheap, cheap_value, cheap_excess = dear, dear_value, dear_excess
            more[:] = less
            dear += step
            step *= 4
            dear_value = respond(pieces, rows, low, high, dear, edge, less)
            dear_excess = less.sum() - 1
    else:
        while cheap_excess < 0 and cheap_value > enough:
            dear, dear_value, dear_excess = cheap, cheap_value, cheap_excess
            less[:] = more
            cheap -= step
            step *= 4
            cheap_value = respond(pieces, rows, low, high, cheap, edge, more)
            cheap_excess = more.sum() - 1
    return cheap, cheap_value, cheap_excess, dear, dear_value, dear_excess


@no_type_check
@kernel
def bound(pieces, rows, low, high, edge, enough, start_price, less, more):
    """The least dual value of a box of shares, and the price at which it is reached.

    Fills `less` and `more`, the responses on either side of that price, whose sums are at most and at least 1. Stops
    early when the value falls to `enough`.
    """
    cheap, cheap_value, cheap_excess, dear, dear_value, dear_excess = bracket(
        pieces, rows, low, high, edge, enough, start_price, less, more
    )
    best, at = min(cheap_value, dear_value), cheap if cheap_value < dear_value else dear
    if best <= enough:
        return best, at
    other = np.empty_like(more)
    for turn in range(200):
        if dear - cheap <= 1e-13 * (1 + abs(dear)) or cheap_excess == 0 or dear_excess == 0:
            break
        # The dual is convex: the two supporting lines meet at a lower bound of it.
        meet = (dear_value - cheap_value - cheap_excess * cheap + dear_excess * dear) / (dear_excess - cheap_excess)
        floor = cheap_value - cheap_excess * (meet - cheap)
        if best - floor <= 1e-12 * (1 + abs(best)):
            break
        inside = cheap < meet < dear and turn % 3 != 2
        price = meet if inside else 0.5 * (cheap + dear)
        value = respond(pieces, rows, low, high, price, edge, other)
        excess = other.sum() - 1
        if value < best:
            best, at = value, price
        if best <= enough:
            return best, at
        if excess > 0:
            cheap, cheap_value, cheap_excess = price, value, excess
            more[:] = other
        else:
            dear, dear_value, dear_excess = price, value, excess
            less[:] = other
    return best, at


@no_type_check
@kernel
def total_worth(pieces, rows, share, edge):
    """Total worth at these shares, the sum of F_g(c_g)."""
    total = 0.0
    for g in range(len(rows)):
        total += best_piece(pieces[g], rows[g], share[g], edge)[1]
    return total


@no_type_check
@kernel
def give_rest(pieces, rows, base, edge, incumbent, share):
    """The best of giving what `base` leaves of the edge to one gateway; improves `share` and returns the best worth."""
    gateways = len(rows)
    rest = 1 - base.sum()
    chosen, most = -1, UNREACHABLE
    for f in range(gateways):
        taken = base[f] + rest
        if 0 <= taken <= 1:
            gain = best_piece(pieces[f], rows[f], taken, edge)[1] - best_piece(pieces[f], rows[f], base[f], edge)[1]
            if gain > most:
                chosen, most = f, gain
    if chosen >= 0:
        trial = base.copy()
        trial[chosen] += rest
        worth = total_worth(pieces, rows, trial, edge)
        if worth > incumbent:
            incumbent = worth
            share[:] = trial
    return incumbent


@no_type_check
@kernel
def fill_up(less, more, share):
    """Let as many gateways as fit into the edge take what they want at the cheap price, the largest steps first."""
    share[:] = less
    rest = 1 - less.sum()
    for g in np.argsort(less - more):
        step = more[g] - less[g]
        if step <= 0:
            break
        if step <= rest:
            share[g] = more[g]
            rest -= step


@no_type_check
@kernel
def tolerance_of(best, gap):
    """By how much a decision may be better than the best one known before the search goes on."""
    return max(TOLERANCE, gap.share * abs(best - gap.lost)) if best > UNREACHABLE else TOLERANCE


@no_type_check
@kernel
def allocate(pieces, rows, edge, most_boxes, gap, share):
    """The best continuous shares; fills `share`, returns the total worth, a bound on the best, and the boxes searched.

    The bound exceeds the worth by at most what `gap` allows, unless `most_boxes` were not enough.
    """
    gateways = len(rows)
    depth = 64
    lows, highs = np.empty((depth, gateways)), np.empty((depth, gateways))
    prices, bounds = np.empty(depth), np.empty(depth)
    lows[0], highs[0], prices[0], bounds[0] = 0.0, 1.0, 0.0, 1e300
    stacked = 1
    share[:] = 1 / gateways
    best = give_rest(pieces, rows, share, edge, UNREACHABLE, share)
    less, more = np.empty(gateways), np.empty(gateways)
    low, high, trial = np.empty(gateways), np.empty(gateways), np.empty(gateways)
    boxes, left = 0, UNREACHABLE  # `left`: the highest bound of a box that was left
    while stacked > 0:
        stacked -= 1
        if boxes >= most_boxes or bounds[stacked] <= best + tolerance_of(best, gap):
            left = max(left, bounds[stacked])
            continue
        low[:], high[:] = lows[stacked], highs[stacked]
        boxes += 1
        enough = best + (TOLERANCE if boxes == 1 else tolerance_of(best, gap))
        value, price = bound(pieces, rows, low, high, edge, enough, prices[stacked], less, more)
        if value > enough:
            best = give_rest(pieces, rows, less, edge, best, share)
            best = give_rest(pieces, rows, more, edge, best, share)
            fill_up(less, more, trial)
            best = give_rest(pieces, rows, trial, edge, best, share)
        apart = np.abs(more - less)
        f = int(apart.argmax())
        # Where the dual's response is a single point, its worth is known.
        if value <= best + tolerance_of(best, gap) or apart[f] < 1e-12:
            left = max(left, value)
            continue
        middle = less[f] + (1 - less.sum())
        width = high[f] - low[f]
        if not low[f] + 1e-9 * width < middle < high[f] - 1e-9 * width:
            middle = 0.5 * (less[f] + more[f])
        if not low[f] < middle < high[f]:
            middle = 0.5 * (low[f] + high[f])
        if stacked + 2 > depth:
            depth *= 2
            lows, highs = grow(lows, depth), grow(highs, depth)
            prices, bounds = np.append(prices, np.empty(depth // 2)), np.append(bounds, np.empty(depth // 2))
        for upper in range(2):
            lows[stacked], highs[stacked], prices[stacked], bounds[stacked] = low, high, price, value
            if upper:
                lows[stacked, f] = middle
            else:
                highs[stacked, f] = middle
            if lows[stacked].sum() <= 1 and highs[stacked].sum() >= 1:
                stacked += 1
    return best, max(best, left), boxes


@no_type_check
@kernel
def grow(rows, size):
    """A copy of an array with room for `size` rows."""
    grown = np.empty((size, rows.shape[1]))
    grown[: len(rows)] = rows
    return grown
