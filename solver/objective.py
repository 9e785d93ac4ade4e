"""What the scores mean together: the paper's raw sum, or scores put on one scale first."""

import math

import numpy as np

from .clock import Clock
from .pieces import SIDE, pieces

CLIP = 3.0
# Of 50 million pairs so many say the same: a median or a deviation within .3%.
SAMPLE = 2**20
# Scores that differ by no more than this share of the largest are equal: float32 features leave as much between equal pictures.
PRECISION = 1e-5
# So many of the scores may be broken previews, any distance away; one in any case.
BROKEN = 0.1


def marginals(unary, weighted_pairwise):
    """Each item's share of the objective of a group, u_i + sum_j w_ij / 2 over the others; the shares add up to it."""
    return unary + weighted_pairwise.sum(1) / 2


def standard_scores(unary):
    """(u - median) / spread, clipped at 3: one scale for all scorers, robust against one broken preview. spread: the larger of
    1.4826 MAD and the standard deviation of the nine tenths nearest to the median, since the MAD alone says nothing where more
    than half are alike. Where both are 0 it is that of all; scores that are all equal become zeros."""
    u = _within_one(unary)
    nearest = np.argsort(np.abs(u - np.median(u)), kind="stable")[: len(u) - math.ceil(BROKEN * len(u))]
    return np.clip((u - np.median(u)) / _spread(u, u[nearest]), -CLIP, CLIP)


def standard_distances(pairwise):
    """b / spread of the pairs: the larger of 1.4826 MAD and the standard deviation, of `some_pairs`. Only divided: a common shift
    changes nothing when n is fixed, and clipping would lose concavity."""
    return sum_of_distances([(1.0, np.asarray(pairwise, dtype=np.float64))], np.arange(len(pairwise)))


def sum_of_distances(parts, rows, standard=True, check=None, fixed=0):
    """Sum of share * distances among `rows`, of pairs (share, distances [M, M]), each standard_distances or as it is; float64 [K, K].
    Takes the memory of its answer. check: as in select; fixed: how many of the last rows have no part in the spread, where the
    others have one."""
    total, clock = np.zeros((len(rows), len(rows))), Clock(check=check)
    for share, b in parts:
        largest, spread = _scale(b, rows[: len(rows) - fixed], clock) if standard else (1.0, 1.0)
        if spread == np.inf and fixed:
            largest, spread = _scale(b, rows, clock)
        for some in pieces(len(rows), clock):
            own = _of(b, rows, some).astype(np.float64)
            own /= largest
            own /= spread
            own *= share
            total[some] += own
    return total


def _scale(b, rows, clock):
    """(the largest distance among `rows`, the spread of their pairs in that unit)."""
    largest = max([1e-300, *(float(np.abs(_of(b, rows, some)).max()) for some in pieces(len(rows), clock))])
    first, second = some_pairs(len(rows))
    pairs = b[rows[first], rows[second]].astype(np.float64) / largest
    return largest, _spread(pairs, pairs)


def _of(b, rows, some):
    """The distances of `some` of these rows to all of them; no copy where these are all that there are."""
    return b[some] if np.array_equal(rows, np.arange(len(b))) else b[np.ix_(rows[some], rows)]


def some_pairs(items):
    """(first, second): indices of all pairs, of more than SIDE items those of a sample, always the same one."""
    if items <= SIDE:
        return np.triu_indices(items, 1)
    draws = np.random.default_rng(0)
    first = draws.integers(items, size=SAMPLE)
    return first, (first + draws.integers(1, items, size=SAMPLE)) % items


def mean_weight(weight, n):
    """What `select` needs to maximise mean u + weight * mean b over the group: in the paper's sum lambda's effect grows with
    n - 1."""
    return 2 * weight / max(1, n - 1)


def _within_one(values):
    """As float64 and divided by the largest, so that no square of them overflows; every spread divides by it again."""
    values = np.asarray(values, dtype=np.float64)
    return values / max(1e-300, np.abs(values).max(initial=0.0))


def _spread(values, typical):
    """The larger of the MAD of `values` and the deviation of the `typical` ones; infinite for values without any spread, so that
    dividing by it gives zeros."""
    deviation = 1.4826 * np.median(np.abs(values - np.median(values))) if len(values) else 0.0
    for some in (typical, values):
        if len(some) and max(deviation, some.std()) > PRECISION * np.abs(some).max():
            return max(deviation, some.std())
    return np.inf
