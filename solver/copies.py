"""Exact copies: interchangeable items, of which the first ones may be taken without loss. Without that rule every choice among
them is a branch of its own."""

import numpy as np


def kinds(u, w):
    """[M]: the lowest index among the items that each item is interchangeable with, its own if there are none."""
    items, sums, rows = len(u), w.sum(1), np.arange(len(u))
    tolerance = 1e-13 * max(float(np.abs(u).max()), float(np.abs(w).max()))
    alike = (np.abs(u[:, None] - u) <= tolerance) & (np.abs(sums[:, None] - sums) <= items * tolerance)
    first = alike.argmax(1)
    apart = np.abs(w - w[first])
    apart[rows, rows] = apart[rows, first] = 0.0
    return np.where(apart.max(1) <= tolerance, first, rows)


def earlier(kind):
    """[M, M], 1 where the column's item is an earlier copy of the row's; None where all kinds differ."""
    found = np.tril(kind[:, None] == kind, -1)
    return found.astype(float) if found.any() else None


def first_copies(kind, chosen):
    """Indices of as many items of each kind as are chosen [M] bool, the first ones of it; sorted."""
    same = kind[:, None] == kind
    return np.flatnonzero(np.tril(same, -1).sum(1) < same @ chosen.astype(int))
