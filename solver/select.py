"""The quadratic integer program behind a round: which n of M candidates are jointly best.

    maximise    sum_i u_i y_i  +  weight * sum_{i<j} b_ij y_i y_j
    subject to  sum_i y_i = n,  y_i in {0, 1}

Parmar et al., "Scaling Group Inference for Diverse and High-Quality Generation", arXiv 2508.15773.
"""

import time
from dataclasses import dataclass

import numpy as np

from . import linearised
from .local_search import greedy_and_swap
from .objective import marginals

# Pairs beyond which building the linear program alone would take longer than a round may.
MOST_PAIRS_FOR_HIGHS = 20_000


@dataclass(frozen=True)
class Selection:
    """indices: the n chosen, best share of the objective first. objective <= optimum <= bound; gap = bound - objective.

    status: "optimal" (gap closed to rounding), "gap" (stopped at the time limit with a valid bound) or "heuristic"
    (too large to prove; the bound is valid but loose). seconds: wall time of the call.
    """

    indices: tuple[int, ...]
    objective: float
    bound: float
    gap: float
    status: str
    seconds: float


def select(unary, pairwise, n, weight=1.0, time_limit=1.0):
    """Pick n of M items; the same answer on every machine unless the time limit cuts the proof short.

    unary: [M] quality of each item, any finite scale. pairwise: [M, M] symmetric, finite; the diagonal is ignored.
    weight: lambda, >= 0. time_limit: seconds for the proof; the incumbent found before is never lost.
    Raises ValueError, naming the input, for wrong shapes, values that are not finite, n outside 1..M, a pairwise
    matrix that is not symmetric, or a negative weight.
    """
    started = time.perf_counter()
    u, b = _checked(unary, pairwise, n, weight)
    items = len(u)
    w = weight * b
    chosen = greedy_and_swap(u, w, n)
    best = _value(u, w, chosen)
    bound, proof = simple_bound(u, w, n), "heuristic"
    if n in (1, items):
        bound, proof = best, "optimal"
    elif items * (items - 1) // 2 <= MOST_PAIRS_FOR_HIGHS:
        found = linearised.solve(u, w, n, chosen, max(0.0, time_limit - (time.perf_counter() - started)))
        bound, proof = min(bound, found.bound), "optimal" if found.proven else "gap"
        value = _value(u, w, found.indices)
        if value > best + 1e-12 * _scale(u, w):
            chosen, best = found.indices, value
    if bound < best - 1e-6 * _scale(u, w):
        raise RuntimeError(f"the bound {bound} is below the selection's objective {best}: please report these scores")
    share = marginals(u, w, chosen)
    order = np.lexsort((chosen, -share))
    indices = tuple(int(i) for i in np.asarray(chosen)[order])
    return Selection(indices, best, bound, bound - best, proof, time.perf_counter() - started)


def simple_bound(u, w, n):
    """Each item with its n - 1 best partners at half price, then the n best such items: valid for any w."""
    off = w - np.diag(np.full(len(u), np.inf))
    partners = -np.sort(-off, axis=1)[:, : n - 1].sum(1)
    return float(np.sort(u + partners / 2)[-n:].sum())


def _value(u, w, chosen):
    rows = np.asarray(chosen)
    return float(u[rows].sum() + w[np.ix_(rows, rows)].sum() / 2)


def _scale(u, w):
    return max(1e-300, float(np.abs(u).max()), float(np.abs(w).max()))


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
    if not np.allclose(b, b.T, rtol=1e-6, atol=1e-9 * max(1.0, float(np.abs(b).max()))):
        raise ValueError("pairwise must be symmetric: b[i, j] and b[j, i] are one distance.")
    return u, (b + b.T) / 2
