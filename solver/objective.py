"""What the scores mean together: the paper's raw sum, or scores put on one scale first."""

import math

import numpy as np

CLIP = 3.0
# Scores that differ by no more than this share of the largest are equal: float32 features leave as much between equal pictures.
PRECISION = 1e-5
# So many of the scores may be broken previews, any distance away; one in any case.
BROKEN = 0.1


def marginals(unary, weighted_pairwise, chosen):
    """Each chosen item's share of the objective, u_i + sum_j w_ij / 2 over the others; the shares add up to it."""
    rows = np.asarray(chosen)
    return unary[rows] + weighted_pairwise[np.ix_(rows, rows)].sum(1) / 2


def standard_scores(unary):
    """(u - median) / spread, clipped at 3: one scale for all scorers, robust against one broken preview. spread: the larger of
    1.4826 MAD and the standard deviation of the nine tenths nearest to the median, since the MAD alone says nothing where more
    than half are alike. Where both are 0 it is that of all; scores that are all equal become zeros."""
    u = _within_one(unary)
    nearest = np.argsort(np.abs(u - np.median(u)), kind="stable")[: len(u) - math.ceil(BROKEN * len(u))]
    return np.clip((u - np.median(u)) / _spread(u, u[nearest]), -CLIP, CLIP)


def standard_distances(pairwise):
    """b / spread of the pairs: the larger of 1.4826 MAD and the standard deviation. Only divided: a common shift changes nothing
    when n is fixed, and clipping would lose concavity."""
    b = _within_one(pairwise)
    pairs = b[np.triu_indices(len(b), 1)]
    return b / _spread(pairs, pairs)


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
