"""Copies: interchangeable items, of which the first ones may be taken without loss. Without that rule every choice among them is a
branch of its own."""

import numpy as np

EXACT = 1e-13
SAMPLE = 8


def kinds(u, w, tolerance=EXACT):
    """[M]: the lowest index among the items that each item is interchangeable with, its own if there are none. tolerance: how much
    two scores, or the distances to a third item, may differ."""
    items, sums, kind = len(u), w.sum(1), np.arange(len(u))
    alike = np.tril((np.abs(u[:, None] - u) <= tolerance) & (np.abs(sums[:, None] - sums) <= items * tolerance), -1)
    sample = np.linspace(0, items - 1, min(items, SAMPLE)).astype(int)
    for first in np.flatnonzero(alike.any(0)):
        later = np.flatnonzero(alike[:, first] & (kind == np.arange(items))) if kind[first] == first else kind[:0]
        for columns in (sample, np.arange(items)):
            apart = np.abs(w[np.ix_(later, columns)] - w[first, columns])
            apart[(columns == first) | (columns == later[:, None])] = 0.0
            later = later[apart.max(1, initial=0.0) <= tolerance]
        kind[later] = first
    return kind


def earlier(kind):
    """[M, M], 1 where the column's item is an earlier copy of the row's; None where all kinds differ."""
    found = np.tril(kind[:, None] == kind, -1)
    return found.astype(float) if found.any() else None


def first_copies(kind, chosen):
    """Indices of as many items of each kind as are chosen [M] bool, the first ones of it; sorted."""
    same = kind[:, None] == kind
    return np.flatnonzero(np.tril(same, -1).sum(1) < same @ chosen.astype(int))
