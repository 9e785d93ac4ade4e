"""The incumbent: greedy growth, then best swaps until none helps."""

import numpy as np


def greedy_and_swap(u, w, n):
    """n indices, sorted; deterministic, ties go to the lower index. u: [M], w: [M, M] symmetric with zero diagonal.

    Plain local search is a (1 - O(1/n)) approximation for cosine-like distances (Cevallos et al., arXiv 1607.04557).
    """
    inside = np.zeros(len(u), dtype=bool)
    # Starting from the item with the most promising partners beats starting from the best single one.
    gain = u + w.sum(1) * (n - 1) / max(1, len(u) - 1) / 2
    inside[int(gain.argmax())] = True
    gain = u + w[:, inside].sum(1)
    for _ in range(n - 1):
        new = int(np.where(inside, -np.inf, gain).argmax())
        inside[new] = True
        gain = gain + w[:, new]
    tolerance = 1e-12 * max(1e-300, float(np.abs(u).max()), float(np.abs(w).max())) * len(u)
    while not inside.all():
        ins, outs = np.flatnonzero(inside), np.flatnonzero(~inside)
        delta = gain[outs][None, :] - gain[ins][:, None] - w[np.ix_(ins, outs)]
        best = int(delta.argmax())
        row, column = divmod(best, len(outs))
        if delta[row, column] <= tolerance:
            break
        leaving, entering = ins[row], outs[column]
        inside[leaving], inside[entering] = False, True
        gain = gain + w[:, entering] - w[:, leaving]
    return np.flatnonzero(inside)
