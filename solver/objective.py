"""What the scores mean together: the paper's raw sum, or scores put on one scale first."""

import numpy as np

CLIP = 3.0


def marginals(unary, weighted_pairwise, chosen):
    """Each chosen item's share of the objective, u_i + sum_j w_ij / 2 over the others; the shares add up to it."""
    rows = np.asarray(chosen)
    return unary[rows] + weighted_pairwise[np.ix_(rows, rows)].sum(1) / 2


def standard_scores(unary):
    """(u - median) / (1.4826 MAD), clipped at 3: one scale for all scorers, robust against one broken preview. Where the MAD is
    0 the standard deviation stands in; scores that are all equal become zeros."""
    u = np.asarray(unary, dtype=np.float64)
    return np.clip((u - np.median(u)) / _spread(u), -CLIP, CLIP)


def standard_distances(pairwise):
    """b / (1.4826 MAD) of the pairs. Only divided: a common shift changes nothing when n is fixed, and clipping would lose
    concavity."""
    b = np.asarray(pairwise, dtype=np.float64)
    return b / _spread(b[np.triu_indices(len(b), 1)])


def mean_weight(weight, n):
    """What `select` needs to maximise mean u + weight * mean b over the group: in the paper's sum lambda's effect grows with
    n - 1."""
    return 2 * weight / max(1, n - 1)


def _spread(values):
    """Robust standard deviation; infinite for values without any spread, so that dividing by it gives zeros."""
    if len(values) == 0:
        return np.inf
    deviation = 1.4826 * np.median(np.abs(values - np.median(values)))
    floor = 1e-12 * max(1e-300, np.abs(values).max())
    if deviation <= floor:
        deviation = values.std()
    return deviation if deviation > floor else np.inf
