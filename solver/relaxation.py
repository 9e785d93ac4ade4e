"""The concave relaxation: an upper bound within per cents or much less, in milliseconds.

On the plane sum y = n the objective u'y + y'Wy/2 keeps its value at binary points when s y'y / 2 is taken away and
s sum(y) / 2 added. With s the largest eigenvalue of W over the directions of the plane the result is concave there, so every
tangent plane is an upper bound, at any point, optimal or not. For distances 1 - cos (half a squared distance, of negative
type: Cevallos, Eisenbrand and Zenklusen, arXiv 1511.07077) s is 0 or less and the bound is tight; for other distances it
stays valid and is weaker.
"""

from dataclasses import dataclass

import numpy as np

from .local_search import value_of

ITERATIONS = 60
# Another round of fixing pays when the last one settled at least this share of the items.
WORTH_REPEATING = 0.1
# Stands for an item that cannot be taken, in projections.
HIDDEN = -1e9


@dataclass(frozen=True)
class Kernel:
    """What reduced costs leave of a program: every n-subset worth more than the goal holds all of `taken` (indices) and
    otherwise items of `rest`; y: near a maximiser of the relaxation over `rest`; bound: of all those subsets."""

    taken: np.ndarray
    rest: np.ndarray
    y: np.ndarray
    bound: float


def reduce(u, w, n, goal, clock):
    """The Kernel of the program above `goal`, None if no n-subset is worth more than that.

    u [M], w [M, M] symmetric with zero diagonal, 0 < n < M. Rounds of fixing end at the clock's limit.
    """
    taken, rest, y, bound, settled = np.zeros(0, dtype=int), np.arange(len(u)), np.full(len(u), n / len(u)), np.inf, 1.0
    while settled >= WORTH_REPEATING and 0 < n - len(taken) < len(rest) and clock.left() > 0:
        base, gain, among = subproblem(u, w, taken, rest)
        shift, curvature = shift_and_curvature(among)
        linear, concave = (gain + shift / 2)[None], among - shift * np.eye(len(rest))
        free, left = np.ones((1, len(rest)), dtype=bool), np.array([n - len(taken)])
        y = climb(linear, concave, curvature, free, left, y[None], ITERATIONS, clock)
        (bound,), inside, outside = cut(base, linear, concave, free, left, y, goal)
        if bound <= goal:
            return None
        open_ = ~(inside | outside)[0]
        taken, rest, y, settled = np.concatenate([taken, rest[inside[0]]]), rest[open_], y[0, open_], 1 - open_.mean()
    return Kernel(taken, rest, y, float(bound))


def subproblem(u, w, taken, rest):
    """(value of `taken`, u and w of the program that is left among `rest`)."""
    among = w if len(rest) == len(w) else w[np.ix_(rest, rest)]
    return value_of(u, w, taken), u[rest] + w[np.ix_(rest, taken)].sum(1), among


def climb(linear, concave, curvature, free, left, y, iterations, clock):
    """Uphill on linear'y + y'concave y / 2, each row of [B, M] on its own: accelerated projected gradient with restarts
    (O'Donoghue and Candes, arXiv 1204.3982), from y to a better y.

    free [B, M]: which items may be taken, left [B]: how many, fewer than are free. In single precision and with one step of
    projection at a time, since any y with the right sum makes a bound: a row sums to `left`, but may leave the box a little.
    """
    # A program that is nearly linear needs no longer steps: one of its tangent planes is as good as another.
    curvature = max(curvature, 1e-6 * np.abs(linear).max(), 1e-300)
    count, momentum = free.sum(1), np.ones(len(y))
    step, offset = (concave / curvature).astype(np.float32), np.where(free, linear / curvature, HIDDEN)
    ahead = before = np.where(free, y, 0.0)
    t = ((linear / curvature + ahead.astype(np.float32) @ step) * free).sum(1) / count
    for _ in range(iterations):
        clock.check()
        uphill = ahead.astype(np.float32) @ step + offset
        new, t = project(ahead + uphill, left, count, t)
        moved = new - before
        momentum = np.where(np.einsum("ij,ij->i", moved, uphill) < 0, 1.0, momentum)
        faster = (1 + np.sqrt(1 + 4 * momentum * momentum)) / 2
        before, ahead, momentum = new, new + ((momentum - 1) / faster)[:, None] * moved, faster
    return new


def project(v, left, count, t):
    """One step of Newton's method towards the nearest point of {0 <= y <= 1, sum y = left}, as (y, next t).

    The point is clip(v - t, 0, 1) for the right t [B]; y has the right sum for any t. v: [B, M], HIDDEN where y stays 0;
    count: [B], the number of the other entries.
    """
    over = v - t[:, None]
    y = np.clip(over, 0.0, 1.0)
    excess = y.sum(1) - left
    inside = np.count_nonzero(over == y, axis=1)
    return y - (v > HIDDEN / 2) * (excess / count)[:, None], t + excess / np.maximum(inside, 1)


def cut(base, linear, concave, free, left, y, goal):
    """(bound [B], inside, outside [B, M]): the tangent plane at each row's y, largest at the `left` free items with the largest
    slope, and the free items that all selections above `goal` take or leave: what the bound loses when an item is forced to
    the other side is the distance of its slope to the first one there."""
    rows, most = np.arange(len(y)), min(int(left.max()), free.shape[1] - 1)
    slope = linear + y @ concave
    bound = base + ((linear - slope) * y).sum(1) / 2
    slope = np.where(free, slope, -np.inf)
    falling = -np.sort(np.partition(-slope, most, axis=1)[:, : most + 1], axis=1)
    bound = bound + np.where(np.arange(most + 1) < left[:, None], falling, 0.0).sum(1)
    lowest_in, highest_out = falling[rows, left - 1][:, None], falling[rows, np.minimum(left, most)][:, None]
    high = slope >= lowest_in
    with np.errstate(invalid="ignore"):
        fixed = free & (bound[:, None] - np.abs(slope - np.where(high, highest_out, lowest_in)) <= goal)
    return bound, fixed & high, fixed & ~high


def shift_and_curvature(w):
    """The largest eigenvalue of w over vectors that sum to 0, and its distance to the smallest; both with a margin."""
    mean = w.mean(0)
    centred = w - mean - mean[:, None] + mean.mean()
    scale = max(1e-300, float(np.abs(centred).max()))
    # The ones vector adds an eigenvalue 0 that no direction of the plane has: put it below all others.
    values = np.linalg.eigvalsh(centred - 2 * scale)
    shift = values[-1] + 1e-12 * scale * len(w)
    return shift, max(shift - values[1 if len(w) > 1 else 0], 1e-9 * scale)
