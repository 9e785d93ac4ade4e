"""Copies: items at the same distances from all others, of which the best ones may be taken without loss. Without that rule every
choice among them is a branch of its own."""

import numpy as np

EXACT = 1e-13
SAMPLE = 8


def kinds(w, tolerance=EXACT):
    """[M]: the lowest index among the items that each item is a copy of, its own if there are none. tolerance: how much the
    distances to a third item may differ."""
    items, sums, kind = len(w), w.sum(1), np.arange(len(w))
    alike = np.tril(np.abs(sums[:, None] - sums) <= items * tolerance, -1)
    sample = np.linspace(0, items - 1, min(items, SAMPLE)).astype(int)
    for first in np.flatnonzero(alike.any(0)):
        later = np.flatnonzero(alike[:, first] & (kind == np.arange(items))) if kind[first] == first else kind[:0]
        # Most that are not are found out by few of their distances.
        for columns in (sample, np.arange(items)):
            apart = np.abs(w[np.ix_(later, columns)] - w[first, columns])
            apart[(columns == first) | (columns == later[:, None])] = 0.0
            later = later[apart.max(1, initial=0.0) <= tolerance]
        kind[later] = first
    return kind


def earlier(kind, u):
    """[M, M] bool: the column's item is a copy of the row's, and better or, equally good, of lower index."""
    items = np.arange(len(u))
    return (kind[:, None] == kind) & ((u > u[:, None]) | ((u == u[:, None]) & (items < items[:, None])))


def first_copies(kind, u, chosen):
    """Indices of as many items of each kind as are chosen [M] bool, the best ones of it; sorted."""
    same = kind[:, None] == kind
    return np.flatnonzero(earlier(kind, u).sum(1) < same @ chosen.astype(int))
