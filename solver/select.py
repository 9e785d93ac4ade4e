"""The quadratic integer program behind a round: which n of M candidates are jointly best.

    maximise    sum_i u_i y_i  +  weight * sum_{i<j} b_ij y_i y_j
    subject to  sum_i y_i = n,  y_i in {0, 1}

Parmar et al., "Scaling Group Inference for Diverse and High-Quality Generation", arXiv 2508.15773.
"""

import time
from dataclasses import dataclass

import numpy as np

from . import linearised
from .copies import first_copies, kinds
from .growth import Growth
from .local_search import incumbent, value_of
from .objective import marginals
from .proof import prove
from .relaxation import subproblem
from .set_functions import LogDet, MaxMin

ENGINES = ("auto", "highs", "heuristic")
SET_FUNCTIONS = {"max_min": MaxMin, "log_det": LogDet}
OBJECTIVES = ("sum", *SET_FUNCTIONS)
# Beyond this, one bound takes longer than a round may: the eigenvalues of M x M numbers.
MOST_ITEMS_TO_PROVE = 1024
# An optimum is proven when the gap is at most this share of the largest score.
TOLERANCE = 1e-9
RANDOM_GROUPS = 16


@dataclass(frozen=True)
class Selection:
    """indices: the n chosen, best share of the sum of scores and distances first. objective <= optimum <= bound; gap = bound -
    objective.

    relative_gap: share of the objective. gap_over_random: share of what choosing is worth, objective - mean of random
    selections; the objective itself carries a large constant. status: "optimal" (gap within 1e-9 of the largest score), "gap"
    (stopped at a limit with a valid bound) or "heuristic" (not tried; the bound is valid but loose). engine: as asked for,
    "trivial" where there was nothing to choose. nodes: of the search. seconds: wall time of the call.
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


def select(
    unary, pairwise, n, weight=1.0, time_limit=1.0, engine="auto", node_limit=None, start=None, pinned=(), banned=(), objective="sum"
):
    """Pick n of M items; the same answer on every machine unless the time limit cuts the proof short.

    unary: [M] quality of each item, any finite scale. pairwise: [M, M] symmetric, finite; the diagonal is ignored.
    weight: lambda, >= 0. time_limit: seconds for the proof; the incumbent found before is never lost. node_limit: the same
    as a count, for runs that do not depend on the machine's speed. engine: "auto" proves by the rules in proof.py, "highs" by
    HiGHS on the whole linearised program, "heuristic" not at all. start: indices of an earlier selection to improve on.
    pinned, banned: indices that are or are not chosen. objective: "sum" over all pairs, or one of the whole group, in
    set_functions.py: "max_min" of the smallest distance, "log_det" of the similarities (neither with engine="highs").
    Raises ValueError, naming the input, for wrong shapes, values that are not finite, n outside 1..M, a pairwise
    matrix that is not symmetric, a negative weight, an unknown engine or objective, or pins and bans that leave no selection.
    """
    started = time.perf_counter()
    u, b = _checked(unary, pairwise, n, weight)
    pinned, free = _free_items(len(u), n, pinned, banned)
    for name, value, known in (("engine", engine, ENGINES), ("objective", objective, OBJECTIVES)):
        if value not in known:
            raise ValueError(f"{name} must be one of {', '.join(known)}, not {value}.")
    if engine == "highs" and objective != "sum":
        raise ValueError(f"engine highs solves the objective sum only, not {objective}: use engine auto.")
    if n - len(pinned) == len(free):
        pinned, free = np.union1d(pinned, free), free[:0]
    w = weight * b
    scale = max(1e-300, float(np.abs(u).max()), float(np.abs(w).max()))
    earlier = None if start is None else np.flatnonzero(np.isin(free, np.asarray(start)))
    limits = started + time_limit, np.inf if node_limit is None else node_limit
    base, *rest = subproblem(u, w, pinned, free)
    rest += [n - len(pinned), earlier]
    if objective == "sum":
        found, bound, status, engine, nodes = _best_sum(*rest, engine, TOLERANCE * scale, *limits)
        chosen, bound = np.concatenate([pinned, free[found]]), base + bound
        best, mean = value_of(u, w, chosen), mean_of_random(u, w, n)
    else:
        growth = Growth(SET_FUNCTIONS[objective](u, b, n, weight), pinned, free, n, TOLERANCE * scale)
        chosen, bound, status, engine, nodes = _best_set(growth, rest, engine, *limits)
        best, mean = growth.value, mean_of_draws(growth, len(u), n)
    if len(u) <= MOST_ITEMS_TO_PROVE:
        chosen = np.concatenate([pinned, free[first_copies(kinds(u, w)[free], np.isin(free, chosen))]])
    if bound < best - 1e-6 * scale:
        raise RuntimeError(f"the bound {bound} is below the selection's objective {best}: please report these scores")
    order = np.lexsort((chosen, -marginals(u, w, chosen)))
    indices, gap = tuple(int(i) for i in chosen[order]), bound - best
    shares = (gap / abs(value) if value else 0.0 for value in (best, best - mean))
    return Selection(indices, best, bound, gap, *shares, status, engine, nodes, time.perf_counter() - started)


def _best_sum(u, w, n, start, engine, tolerance, deadline, node_limit):
    """(chosen, bound, status, engine, nodes) of the program without pins and bans."""
    if n == 0:
        return np.arange(0), 0.0, "optimal", "trivial", 0
    chosen, loose = incumbent(u, w, n, start), simple_bound(u, w, n)
    if engine == "heuristic" or len(u) > MOST_ITEMS_TO_PROVE:
        return chosen, loose, "heuristic", "heuristic", 0
    if engine == "highs":
        found = linearised.solve(u, w, n, chosen, max(0.0, deadline - time.perf_counter()))
        chosen = max(chosen, found.indices, key=lambda rows: value_of(u, w, rows))
        bound, proven, nodes = found.bound, found.proven, 0
    else:
        chosen, bound, proven, nodes = prove(u, w, n, chosen, tolerance, deadline, node_limit)
    return chosen, bound if proven else min(loose, bound), "optimal" if proven else "gap", engine, nodes


def _best_set(growth, rest, engine, deadline, node_limit):
    """(chosen, bound, status, engine, nodes) of a set function; rest: the sum's program without pins and bans, for a start."""
    if growth.left == 0:
        return growth.chosen, growth.bound, "optimal", "trivial", 0
    growth.improve(deadline, np.concatenate([growth.pinned, growth.free[incumbent(*rest)]]))
    if engine == "heuristic" or len(growth.function.u) > MOST_ITEMS_TO_PROVE:
        return growth.chosen, growth.bound, "heuristic", "heuristic", 0
    proven = growth.prove(deadline, node_limit)
    return growth.chosen, growth.bound, "optimal" if proven else "gap", engine, growth.nodes


def mean_of_random(u, w, n):
    """The expected objective of n items drawn at random."""
    items = len(u)
    return float(u.sum() * n / items + w.sum() / 2 * n * (n - 1) / max(1, items * (items - 1)))


def mean_of_draws(growth, items, n):
    """The same of a set function, estimated from a few draws."""
    draws = np.random.default_rng(0)
    return np.mean([growth.value_of(draws.permutation(items)[:n]) for _ in range(RANDOM_GROUPS)])


def simple_bound(u, w, n):
    """Each item with its n - 1 best partners at half price, then the n best such items: valid for any w."""
    off = w - np.diag(np.full(len(u), np.inf))
    partners = np.partition(off, len(u) - n, axis=1)[:, len(u) - n + 1 :].sum(1)
    return float(np.sort(u + partners / 2)[-n:].sum())


def _checked(unary, pairwise, n, weight):
    u, b = np.asarray(unary, dtype=np.float64), np.array(pairwise, dtype=np.float64)
    if u.ndim != 1 or len(u) == 0:
        raise ValueError(f"unary must be a vector of M scores, not of shape {u.shape}.")
    if b.shape != (len(u), len(u)):
        raise ValueError(f"pairwise must be of shape {(len(u), len(u))} to go with {len(u)} unary scores, not {b.shape}.")
    if not 1 <= n <= len(u):
        raise ValueError(f"n must be between 1 and the number of items, {len(u)}, not {n}.")
    if not (np.isfinite(weight) and weight >= 0):
        raise ValueError(f"weight must be a finite number that is not negative, not {weight}.")
    np.fill_diagonal(b, 0.0)
    for name, values in (("unary", u), ("pairwise", b)):
        if not np.isfinite(values).all():
            raise ValueError(f"{name} holds values that are not finite: drop those items first.")
    if np.abs(b - b.T).max() > 1e-6 * np.abs(b).max():
        raise ValueError("pairwise must be symmetric: b[i, j] and b[j, i] are one distance.")
    return u, (b + b.T) / 2


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
