"""The quadratic integer program behind a round: which n of M candidates are jointly best.

    maximise    sum_i u_i y_i  +  weight * sum_{i<j} b_ij y_i y_j
    subject to  sum_i y_i = n,  y_i in {0, 1}

Parmar et al., "Scaling Group Inference for Diverse and High-Quality Generation", arXiv 2508.15773.
"""

import math
from dataclasses import dataclass

import numpy as np

from . import linearised, thresholds
from .clock import Clock
from .copies import first_copies, kinds
from .growth import Growth
from .highs import installed
from .local_search import improve, incumbent, value_of
from .objective import marginals
from .pieces import between, tiles, weighted
from .presolve import equalised, normal, relevant
from .proof import prove
from .set_functions import LogDet, MaxMin

ENGINES = ("auto", "highs", "heuristic")
SET_FUNCTIONS = {"max_min": MaxMin, "log_det": LogDet}
OBJECTIVES = ("sum", *SET_FUNCTIONS)
# Beyond this, one bound takes longer than a round may: the eigenvalues of M x M numbers.
MOST_ITEMS_TO_PROVE = 1024
# Beyond this the Cholesky factor that log_det needs, a step that cannot be interrupted, takes more than a second; of 10,000 items 30.
MOST_ITEMS_LOG_DET = 4096
# Beyond this HiGHS does not get past the first relaxation of the linearised program within minutes.
MOST_ITEMS_LINEARISED = 256
# By `dev.py bench solver`: where growing has not proven max_min after so many nodes times n, HiGHS will sooner, unless few are
# taken of many.
MOST_GROWN, MANY, FEW = 240_000, 192, 16
# Searches end here: in units of presolve.normal and for each member, so that the gap is within 1e-9 of the spread.
TOLERANCE = 2.5e-10
# Sums beyond this would overflow on the way.
LARGEST = 1e300
RANDOM_GROUPS = 16


@dataclass(frozen=True)
class Selection:
    """indices: the n chosen, best share of the sum of scores and distances first. objective <= optimum <= bound; gap = bound -
    objective.

    relative_gap: share of the objective. gap_over_random: share of what choosing is worth, objective - mean of random
    selections; the objective itself carries a large constant. status: "optimal", "gap" (stopped at a limit with a valid bound)
    or "heuristic" (not tried; the bound is valid but loose). Optimal means a gap of at most 1e-9 n times the spread, that is how
    far a score or weighted distance lies from the median, among the items that can be in a best group. Items whose
    distances differ by less than 3e-5 of it, as those of identical pictures do in float32, are proven as if these were equal;
    then the gap also holds what that may change. engine: what decided, or was at work at the limit: "trivial" (nothing to choose), "bound" (a
    relaxation alone), "enumeration", "branch and bound", "highs" or "heuristic". nodes: of the search. seconds: of the call.
    """

    indices: tuple[int, ...]
    objective: float
    bound: float
    gap: float
    relative_gap: float
    gap_over_random: float
    status: str
    engine: str
    nodes: int
    seconds: float


def check_size(objective, items):
    """Raises ValueError for more items than a selection by this objective can be made from."""
    if objective == "log_det" and items > MOST_ITEMS_LOG_DET:
        raise ValueError(
            f"The objective log_det is for at most {MOST_ITEMS_LOG_DET} items, and here are {items}: choose another objective, or fewer of them first."
        )


def select(
    unary, pairwise, n, weight=1.0, time_limit=1.0, engine="auto", node_limit=None, start=None, pinned=(), banned=(), objective="sum",
    check=None,
):  # fmt: skip
    """Pick n of M items; the same answer on every machine unless the time limit cuts the proof short.

    unary: [M] quality of each item, any finite scale. pairwise: [M, M] symmetric, finite; the diagonal is ignored.
    weight: lambda, >= 0. time_limit: seconds for the proof; the incumbent found before is never lost. node_limit: the same
    as a count, for runs that do not depend on the machine's speed. engine: "auto" proves by the rules in proof.py, without HiGHS
    where there is none, "highs" by HiGHS on the whole linearised program (of up to 256 items), "heuristic" not at all. start: indices
    of an earlier selection to improve on. pinned, banned: indices that are or are not chosen. objective: "sum" over all pairs, or one
    of the whole group, in set_functions.py: "max_min" of the smallest distance, "log_det" of the similarities (not with
    engine="highs"). check: called between steps, many times a second; what it raises ends the call and comes through.
    Nothing is proven of more than 1024 items. Takes the memory of [M, M] float64 beside `pairwise`, twice for a set function.
    Raises ValueError, naming the input, for wrong shapes, values that are not finite or too large to be summed, n outside 1..M, a
    pairwise matrix that is not symmetric, a negative weight or time_limit, an unknown engine or objective, engine "highs" without the
    package highspy, pins and bans that leave no selection, or "log_det" of more than 4096 items.
    """
    clock = Clock(time_limit, check)
    u, b = _checked(unary, pairwise, n, weight, time_limit, clock)
    pinned, free = _free_items(len(u), n, pinned, banned)
    for name, value, known in (("engine", engine, ENGINES), ("objective", objective, OBJECTIVES)):
        if value not in known:
            raise ValueError(f"{name} must be one of {', '.join(known)}, not {value}.")
    check_size(objective, len(u))
    if engine == "highs" and objective == "log_det":
        raise ValueError("engine highs cannot solve the objective log_det, which is not linear: use engine auto.")
    if engine == "highs" and not installed():
        raise ValueError("engine highs needs the package highspy, which is not installed: pip install highspy, or use engine auto.")
    if n in (len(pinned), len(pinned) + len(free)):  # nothing to choose
        pinned, free = np.union1d(pinned, free[: n - len(pinned)]), free[:0]
    earlier = None if start is None else np.flatnonzero(np.isin(free, np.asarray(start)))
    gain = u[free] + (weight * between(b, free, pinned)).sum(1)
    limits = engine, clock, np.inf if node_limit is None else node_limit
    # What `weighted` makes has no name here, so that its memory is free again when it has served.
    if objective == "sum":
        found, gap, *how = _best_sum(gain, weighted(b, weight, free, clock), n - len(pinned), earlier, *limits)
        chosen = np.concatenate([pinned, free[found]])
    else:
        rough = free[incumbent(gain, weighted(b, weight, free, clock), n - len(pinned), earlier, clock)] if len(free) else free
        level, b = float(np.median(u)), weighted(b, 1.0, np.arange(len(u)), clock)
        growth = Growth(SET_FUNCTIONS[objective](u - level, b, n, weight, clock), pinned, free, n, clock)
        chosen, gap, *how = _best_set(growth, b, weight, rough, *limits)
    w = weight * between(b, chosen, chosen)
    if objective == "sum":
        best, mean = value_of(u[chosen], w, np.arange(n)), mean_of_random(u, b, weight, n, clock)
    else:
        best, mean = growth.value + n * level, mean_of_draws(growth, len(u), n) + n * level
    order = np.lexsort((chosen, -marginals(u[chosen], w)))
    indices, bound = tuple(int(i) for i in chosen[order]), best + gap
    shares = (gap / abs(value) if value else 0.0 for value in (best, best - mean))
    return Selection(indices, best, bound, bound - best, *shares, *how, clock.passed())


def _best_sum(u, w, n, start, engine, clock, node_limit):
    """(chosen, gap, status, engine, nodes) of the program without pins and bans."""
    if n == 0:
        return np.arange(0), 0.0, "optimal", "trivial", 0
    u, w, unit = normal(u, w, clock)
    chosen = incumbent(u, w, n, start, clock)
    items, least, bound = relevant(u, w, n, chosen, clock)
    if engine == "heuristic" or len(u) > MOST_ITEMS_TO_PROVE or (engine == "highs" and len(items) > MOST_ITEMS_LINEARISED):
        return chosen, (bound - value_of(u, w, chosen)) * unit, "heuristic", "heuristic", 0
    open_ = bound - value_of(u, w, chosen) if n < len(items) else 0.0
    exact_u, exact_w = u[items], w[np.ix_(items, items)]
    among = np.maximum(exact_w, least)
    np.fill_diagonal(among, 0.0)
    u, w, finer = normal(exact_u, among, clock)
    exact_u, exact_w, open_, unit, tolerance = exact_u / finer, exact_w / finer, open_ / finer, unit * finer, TOLERANCE * n
    chosen, decided, noise, nodes = np.searchsorted(items, chosen), "bound", 0.0, 0
    bound = value_of(u, w, chosen) + open_
    if open_ > 2 * tolerance:
        equal, noise = equalised(w, n, clock)
        if engine == "highs":
            found, limit = linearised.solve(u, equal, n, chosen, clock)
            decided = "highs"
        else:
            found, limit, decided, nodes = prove(u, equal, n, chosen, tolerance, clock, node_limit)
        bound = min(bound, limit + noise)
        found = improve(u, w, found, clock) if noise else found
        # What `relevant` has left out counts again: nothing is better by it than it is.
        if value_of(exact_u, exact_w, found) > value_of(exact_u, exact_w, chosen):
            chosen = found
    chosen = first_copies(kinds(exact_w), exact_u, np.isin(np.arange(len(items)), chosen))
    return items[chosen], *_judged(bound - value_of(u, w, chosen), unit, 2 * (tolerance + noise)), decided, nodes


def _best_set(growth, b, weight, rough, engine, clock, node_limit):
    """The same of a set function, from Growth; b: all distances; rough: what goes with the pinned for a start."""
    if growth.left == 0:
        return growth.chosen, 0.0, "optimal", "trivial", 0
    growth.improve(np.concatenate([growth.pinned, rough]))
    if engine == "heuristic" or len(growth.function.u) > MOST_ITEMS_TO_PROVE:
        return growth.chosen, growth.bound - growth.value, "heuristic", "heuristic", 0
    w, by_distance, decided = weight * b, isinstance(growth.function, MaxMin), "bound"
    unit = growth.narrow(w)
    # Values hold scores that all groups share, which may leave less than the tolerance of their precision.
    growth.tolerance = max(TOLERANCE * growth.n * unit, 1e-15 * abs(growth.value), 4 * growth.n * math.ulp(0.0))
    if engine == "auto" and growth.open:
        hand_over = by_distance and installed() and (len(growth.free) <= MANY or growth.left >= FEW)
        growth.prove(min(node_limit, MOST_GROWN // growth.n) if hand_over else node_limit)
        by_distance, decided = hand_over, "branch and bound"
    if by_distance and growth.open and growth.nodes < node_limit and clock.left() > 0:
        thresholds.prove(growth, clock)
        decided = "highs"
    kind, u = kinds(normal(growth.function.u, w, clock)[1])[growth.free], growth.function.u[growth.free]
    chosen = np.concatenate([growth.pinned, growth.free[first_copies(kind, u, np.isin(growth.free, growth.chosen))]])
    growth.offer(chosen, growth.value_of(chosen))
    return chosen, *_judged((growth.bound - growth.value) / unit, unit, 2 * growth.tolerance / unit), decided, growth.nodes


def _judged(gap, unit, tolerance):
    """(gap, status), both of a proof in these units."""
    if gap < -max(1e-6, tolerance):
        raise RuntimeError(f"the bound is {-gap} below the selection's objective: please report these scores")
    return max(0.0, gap) * unit, "optimal" if gap <= tolerance else "gap"  # less than 0 is rounding


def mean_of_random(u, b, weight, n, clock):
    """The expected objective of n items drawn at random."""
    items, pairs = np.arange(len(u)), 0.0
    for rows, columns in tiles(len(u), clock):
        pairs += (weight * between(b, items[rows], items[columns])).sum() * (1 if rows == columns else 2)
    return float(u.sum() * n / len(u) + pairs / 2 * n * (n - 1) / max(1, len(u) * (len(u) - 1)))


def mean_of_draws(growth, items, n):
    """The same of a set function, estimated from a few draws."""
    draws = np.random.default_rng(0)
    return np.mean([growth.value_of(draws.permutation(items)[:n]) for _ in range(RANDOM_GROUPS)])


def _checked(unary, pairwise, n, weight, time_limit, clock):
    """(u, b): as arrays, float64, and float32 where pairwise is; not copied where they are such."""
    u, b = np.asarray(unary, dtype=np.float64), np.asarray(pairwise)
    b = b if b.dtype == np.float32 else np.asarray(b, dtype=np.float64)
    if u.ndim != 1 or len(u) == 0:
        raise ValueError(f"unary must be a vector of M scores, not of shape {u.shape}.")
    if b.shape != (len(u), len(u)):
        raise ValueError(f"pairwise must be of shape {(len(u), len(u))} to go with {len(u)} unary scores, not {b.shape}.")
    if not 1 <= n <= len(u):
        raise ValueError(f"n must be between 1 and the number of items, {len(u)}, not {n}.")
    if not (np.isfinite(weight) and weight >= 0):
        raise ValueError(f"weight must be a finite number that is not negative, not {weight}.")
    if not time_limit >= 0:
        raise ValueError(f"time_limit must be a number of seconds that is not negative, not {time_limit}.")
    if not np.isfinite(u).all():
        raise ValueError("unary holds values that are not finite: drop those items first.")
    highest = float(np.abs(u).max())
    if highest * len(u) > LARGEST:
        raise ValueError(f"unary holds a score of {highest:.3g}, and sums of such leave the range of numbers: scale the scores down.")
    _check_pairs(b, weight, clock)
    return u, b


def _check_pairs(b, weight, clock):
    widest = apart = 0.0
    for rows, columns in tiles(len(b), clock):
        there, back = b[rows, columns].astype(np.float64), b[columns, rows].T
        if rows == columns:
            np.fill_diagonal(there, 0.0)
            back = there.T
        most = float(np.maximum(np.abs(there), np.abs(back)).max())
        if not np.isfinite(most):
            raise ValueError("pairwise holds values that are not finite: drop those items first.")
        if not max(most, most * weight) * len(b) ** 2 <= LARGEST:
            raise ValueError(
                f"pairwise holds {most:.3g}, and sums of weight ({weight:.3g}) times such leave the range of numbers: lower the weight (lambda) or scale the distances down."
            )
        widest, apart = max(widest, most), max(apart, float(np.abs(there - back).max()))
    if apart > 1e-6 * widest:
        raise ValueError("pairwise must be symmetric: b[i, j] and b[j, i] are one distance.")


def _free_items(items, n, pinned, banned):
    """Sorted arrays: the pinned, and those that are neither pinned nor banned."""
    pinned, banned = (np.unique(np.asarray(list(rows), dtype=int)) for rows in (pinned, banned))
    for name, rows in (("pinned", pinned), ("banned", banned)):
        if len(rows) and not (rows[0] >= 0 and rows[-1] < items):
            raise ValueError(f"{name} must hold indices from 0 to {items - 1}.")
    if np.isin(pinned, banned).any():
        raise ValueError("pinned and banned have an item in common.")
    if not len(pinned) <= n <= items - len(banned):
        raise ValueError(f"n is {n}, but {len(pinned)} items are pinned and {items - len(banned)} of {items} are not banned.")
    return pinned, np.setdiff1d(np.arange(items), np.union1d(pinned, banned))
