"""The doubly nonnegative relaxation: several times tighter than the concave one where groups are small.

Y stands for (1, y)(1, y)': positive semidefinite, entries between 0 and 1, first column equal to the diagonal, and orthogonal
to (-n, 1, ..., 1), which makes its trace n + 1. Solved by alternating directions on that face (Oliveira, Wolkowicz and Xu,
arXiv 1512.05448). Any dual matrix S splits the objective into a part that is concave on the plane, bounded by its largest
eigenvalue, and a rest that charges pairs for being together, bounded item by item; so the bound is safe at every iterate
(Jansson, Chaykin and Keil, SIAM J. Numer. Anal. 46, 2007).
"""

from dataclasses import dataclass

import numpy as np

from .relaxation import shift_and_curvature

ITERATIONS = 60
# Beyond this an iteration takes longer than the search with the concave bound.
MOST_ITEMS = 320
# Both measured on the benchmark's families, on scores of mean 0 and variance 1; the penalty adapts from there.
OVER_RELAXATION = 1.6
PENALTY = 6.0


@dataclass(frozen=True)
class Split:
    """objective(y) <= const + linear'y + y'concave y / 2 - y'charge y / 2 for all binary y with sum n.

    concave: [M, M], concave over vectors that sum to 0; charge: [M, M], >= 0, zero diagonal. bound: over all n-subsets;
    y: [M], a good place to start from.
    """

    const: float
    linear: np.ndarray
    concave: np.ndarray
    charge: np.ndarray
    bound: float
    y: np.ndarray


def split(u, w, n, y, goal, clock):
    """The Split with the lowest bound met in ITERATIONS or until the clock's limit or a bound of `goal`.

    u [M], w [M, M] symmetric with zero diagonal, 1 <= n < M, y a maximiser of the concave relaxation: without
    any iteration, as beyond MOST_ITEMS, the Split is that relaxation, without charges.
    """
    items = len(u)
    # On the plane only differences of u and of w matter; without their means one penalty suits all scores.
    mean, pair_mean = u.mean(), w.sum() / (items * (items - 1))
    offset = n * mean + n * (n - 1) / 2 * pair_mean
    w = w - pair_mean
    np.fill_diagonal(w, 0.0)
    scale = max(1e-300, np.sqrt(np.square(w).sum() / (items * (items - 1))), (u - mean).std() / n**0.5)
    face, penalty = _Face(items, n), PENALTY
    objective = np.zeros((items + 1, items + 1))
    objective[1:, 1:] = (w / 2 + np.diag(u - mean)) / scale

    # The dual of the concave relaxation: its curvature, with its tangent at y.
    curved = (w - shift_and_curvature(w)[0] * np.eye(items)) / (2 * scale)
    dual, lifted = np.zeros_like(objective), np.concatenate([[1.0], y])
    dual[1:, 1:], dual[0, 1:], dual[1:, 0], dual[0, 0] = curved, -curved @ y, -curved @ y, y @ curved @ y
    primal = np.outer(lifted, lifted)
    primal[1:, 1:][np.diag_indices(items)] = y

    clock.check()
    best = _split(objective, dual, face, n, y)
    for i in range(ITERATIONS if items <= MOST_ITEMS else 0):
        if offset + scale * best.bound <= goal or clock.left() <= 0:
            break
        semidefinite = face.nearest(primal + dual / penalty, n + 1.0)
        ahead = OVER_RELAXATION * semidefinite + (1 - OVER_RELAXATION) * primal
        new = _nearest_entries(ahead + (objective - dual) / penalty)
        dual = dual + penalty * (new - ahead)
        apart, moved = np.linalg.norm(new - semidefinite), penalty * np.linalg.norm(new - primal)
        primal = new
        if i % 5 == 4:
            penalty *= 1.5 if apart > 3 * moved else 1 / 1.5 if moved > 3 * apart else 1.0
        if i % 10 == 9:
            best = min(best, _split(objective, dual, face, n, primal[0, 1:]), key=lambda found: found.bound)
    return Split(
        offset + scale * best.const, scale * best.linear, scale * best.concave, scale * best.charge, offset + scale * best.bound, best.y
    )


def _split(objective, dual, face, n, y):
    """What the dual matrix proves about the objective."""
    items = len(objective) - 1
    top = max(0.0, np.linalg.eigvalsh(face.down(dual))[-1] + 1e-12 * items)
    rest = objective - dual
    pairs, alone = rest[1:, 1:].copy(), 2 * rest[0, 1:] + np.diag(rest)[1:]
    np.fill_diagonal(pairs, 0.0)
    # Where being together is rewarded instead of charged, an item gets its n - 1 best rewards in any case.
    alone = alone + np.sort(np.maximum(pairs, 0.0), axis=1)[:, items - n + 1 :].sum(1)
    bound = rest[0, 0] + (n + 1) * top + np.sort(alone)[-n:].sum()
    linear, concave = alone + 2 * dual[0, 1:] + top, 2 * (dual[1:, 1:] - top * np.eye(items))
    return Split(rest[0, 0] + dual[0, 0], linear, concave, 2 * np.maximum(-pairs, 0.0), bound, y)


def _nearest_entries(t):
    """The nearest matrix with entries between 0 and 1, the first column equal to the diagonal, and 1 in the corner."""
    near = np.clip((t + t.T) / 2, 0.0, 1.0)
    diagonal = np.clip((np.diag(t)[1:] + t[0, 1:] + t[1:, 0]) / 3, 0.0, 1.0)
    near[0, 1:] = near[1:, 0] = diagonal
    np.fill_diagonal(near, np.concatenate([[1.0], diagonal]))
    return near


class _Face:
    """Matrices orthogonal to (-n, 1, ..., 1), in the coordinates of a reflection that maps this vector to the first axis."""

    def __init__(self, items, n):
        normal = np.concatenate([[-float(n)], np.ones(items)])
        normal /= np.linalg.norm(normal)
        normal[0] -= 1.0
        self.mirror = normal / np.linalg.norm(normal)

    def down(self, matrix):
        return self._reflect(matrix)[1:, 1:]

    def nearest(self, matrix, trace):
        """The nearest positive semidefinite matrix of this trace on the face."""
        values, vectors = np.linalg.eigh(self.down(matrix))
        sorted_ = values[::-1]
        excess = (np.cumsum(sorted_) - trace) / np.arange(1, len(values) + 1)
        values = values - excess[np.count_nonzero(sorted_ > excess) - 1]
        vectors, values = vectors[:, values > 0], values[values > 0]
        near = np.zeros_like(matrix)
        near[1:, 1:] = (vectors * values) @ vectors.T
        return self._reflect(near)

    def _reflect(self, matrix):
        m = self.mirror
        along, across = matrix @ m, m @ matrix
        return matrix - 2 * np.outer(m, across) - 2 * np.outer(along, m) + 4 * (m @ along) * np.outer(m, m)
