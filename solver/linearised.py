"""The program made linear and given to HiGHS.

Variables y_i (binary) and z_ij >= 0 for the product y_i y_j. Rows: sum y = n; z_ij <= y_i; z_ij <= y_j; and the
cardinality row multiplied by each y_i, sum_j z_ij = (n - 1) y_i. The last family makes the usual z_ij >= y_i + y_j - 1
superfluous and the relaxation several times tighter (reformulation-linearisation, Sherali and Adams 1986).
"""

import numpy as np

from .highs import maximise


def solve(u, w, n, start, clock, products=True):
    """(indices, bound) of the maximum of u'y + sum_{i<j} w_ij y_i y_j over n-subsets, from the indices `start`; bound is inf if HiGHS
    had no time for one.

    products=False leaves out the multiplied cardinality rows (then only for w >= 0): what the benchmark compares with.
    """
    items = len(u)
    first, second = np.triu_indices(items, 1)
    pairs = len(first)
    slack = np.full(items, 0.0 if products else np.inf)
    lower = np.concatenate([[n], np.full(2 * pairs, -np.inf), -slack])
    upper = np.concatenate([[n], np.zeros(2 * pairs), slack])

    z = items + np.arange(pairs)
    below = lambda rows, owner: (np.repeat(rows, 2), np.stack([z, owner], 1).ravel(), np.tile([1.0, -1.0], pairs))
    product = 1 + 2 * pairs
    parts = [
        (np.zeros(items, dtype=int), np.arange(items), np.ones(items)),
        below(1 + np.arange(pairs), first),
        below(1 + pairs + np.arange(pairs), second),
        (product + np.arange(items), np.arange(items), np.full(items, -(n - 1.0))),
        (product + first, z, np.ones(pairs)),
        (product + second, z, np.ones(pairs)),
    ]
    entries = [np.concatenate(p) for p in zip(*parts, strict=True)]
    y = np.zeros(items)
    y[start] = 1.0
    found = maximise(np.concatenate([u, w[first, second]]), items, lower, upper, entries, np.concatenate([y, y[first] * y[second]]), clock)
    indices = np.asarray(start) if found.x is None else np.flatnonzero(found.x[:items] > 0.5)
    return indices if len(indices) == n else np.asarray(start), found.bound
