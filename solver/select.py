"""The quadratic integer program behind a round: which n of M candidates are jointly best.

    maximise    sum_i u_i y_i  +  weight * sum_{i<j} b_ij y_i y_j
    subject to  sum_i y_i = n,  y_i in {0, 1}

Parmar et al., "Scaling Group Inference for Diverse and High-Quality Generation", arXiv 2508.15773.
"""

import time
from dataclasses import dataclass

import numpy as np

from . import linearised
from .branch_and_bound import MOST_ENUMERATED, Search
from .local_search import incumbent, value_of
from .objective import marginals
from .small_groups import Enumeration

ENGINES = ("auto", "highs", "heuristic")
# Beyond this, one bound takes longer than a round may: the eigenvalues of M x M numbers.
MOST_ITEMS_TO_PROVE = 1024
# An optimum is proven when the gap is at most this share of the largest score.
TOLERANCE = 1e-9


@dataclass(frozen=True)
class Selection:
    """indices: the n chosen, best share of the objective first. objective <= optimum <= bound; gap = bound - objective.

    status: "optimal" (gap closed to rounding), "gap" (stopped at the time limit with a valid bound) or "heuristic"
    (not tried; the bound is valid but loose). engine: what closed the gap. nodes: of the branch and bound. seconds: wall
    time of the call.
    """

    indices: tuple[int, ...]
    objective: float
    bound: float
    gap: float
    status: str
    engine: str
    nodes: int
    seconds: float


def select(unary, pairwise, n, weight=1.0, time_limit=1.0, engine="auto", node_limit=None):
    """Pick n of M items; the same answer on every machine unless the time limit cuts the proof short.

    unary: [M] quality of each item, any finite scale. pairwise: [M, M] symmetric, finite; the diagonal is ignored.
    weight: lambda, >= 0.
    time_limit: seconds for the proof; the incumbent found before is never lost. engine: "auto" proves
    by the concave relaxation, "highs" by the linearised program as a whole, "heuristic" not at all.
    Raises ValueError, naming the input, for wrong shapes, values that are not finite, n outside 1..M, a pairwise
    matrix that is not symmetric, a negative weight or an unknown engine.
    """
    started = time.perf_counter()
    u, b = _checked(unary, pairwise, n, weight)
    if engine not in ENGINES:
        raise ValueError(f"engine must be one of {', '.join(ENGINES)}, not {engine}.")
    items, w = len(u), weight * b
    scale = max(1e-300, float(np.abs(u).max()), float(np.abs(w).max()))
    chosen, nodes = incumbent(u, w, n), 0
    if n in (1, items):
        bound, status, engine = value_of(u, w, chosen), "optimal", "trivial"
    elif engine == "heuristic" or items > MOST_ITEMS_TO_PROVE:
        bound, status, engine = simple_bound(u, w, n), "heuristic", "heuristic"
    elif engine == "highs":
        found = linearised.solve(u, w, n, chosen, max(0.0, time_limit - (time.perf_counter() - started)))
        chosen = max(chosen, found.indices, key=lambda rows: value_of(u, w, rows))
        bound, status = min(simple_bound(u, w, n), found.bound), "optimal" if found.proven else "gap"
    else:
        tolerance = TOLERANCE * scale
        small = n <= MOST_ENUMERATED
        search = Enumeration(u, w, n, value_of(u, w, chosen), tolerance) if small else Search(u, w, n, chosen, tolerance)
        proven = search.run(started + time_limit, node_limit)
        chosen, nodes = chosen if search.best is None else search.best, search.nodes
        bound, status = min(simple_bound(u, w, n), search.bound), "optimal" if proven else "gap"
    best = value_of(u, w, chosen)
    if bound < best - 1e-6 * scale:
        raise RuntimeError(f"the bound {bound} is below the selection's objective {best}: please report these scores")
    order = np.lexsort((chosen, -marginals(u, w, chosen)))
    indices = tuple(int(i) for i in chosen[order])
    return Selection(indices, best, bound, bound - best, status, engine, nodes, time.perf_counter() - started)


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
    if not np.allclose(b, b.T, rtol=1e-6, atol=1e-9 * max(1.0, float(np.abs(b).max()))):
        raise ValueError("pairwise must be symmetric: b[i, j] and b[j, i] are one distance.")
    return u, (b + b.T) / 2
