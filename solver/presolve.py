"""What a program is before the search: numbers around 0 and 1, without what cannot matter, and with copies made equal.

With n fixed a common shift of all scores, or of all distances, and a common factor change nothing: tolerances are meant for what
differs."""

import math

import numpy as np

from .copies import kinds
from .local_search import value_of
from .pieces import pieces

# Float32 features leave identical pictures up to this apart, as a share of the spread.
COPIES = 3e-5


def normal(u, w, clock):
    """(u, w, unit): the same choice with medians near 0 and nothing above 1 in size; w is changed in place. Differences of values
    are to be multiplied by `unit`, a power of two at most twice the largest deviation from the medians, or the largest number
    where there is none."""
    clock.check()
    largest = max(np.abs(u).max(), w.max(), -w.min())
    u = u - np.median(u)
    clock.check()
    w -= np.median(np.append(np.diagonal(w, 1), w[0, -1]))
    np.fill_diagonal(w, 0.0)
    clock.check()
    unit = 2.0 ** math.frexp(max(np.abs(u).max(), w.max(), -w.min()) or largest)[1]
    clock.check()
    w /= unit
    return u / unit, w, unit


def reach(u, w, n, clock):
    """([M] an item with its n - 1 best partners at half price, [M] the last of these partners): no group is worth more than the n
    largest of the former."""
    most, last = u.copy(), np.empty(len(u))
    for rows in pieces(len(u), clock):
        off = w[rows].copy()
        np.fill_diagonal(off[:, rows], -np.inf)
        off.partition(len(u) - n, axis=1)
        partners = off[:, len(u) - n + 1 :]
        most[rows] += partners.sum(1) / 2
        last[rows] = partners.min(1, initial=np.inf)
    return most, last


def simple_bound(u, w, n, clock):
    """Valid for any w."""
    return float(np.sort(reach(u, w, n, clock)[0])[-n:].sum())


def relevant(u, w, n, chosen, clock):
    """(items, least, bound): every group better than `chosen` is of these items, and worth the same if no w among them counts less
    than `least`.

    An item that costs more than the simple bound leaves open goes, and a pair that does is not charged beyond that: a score
    that stands for "never" may be as large as it likes."""
    most, last = reach(u, w, n, clock)
    falling = np.sort(most)[::-1]
    bound = float(falling[:n].sum())
    open_ = bound - value_of(u, w, chosen)
    items = np.union1d(np.flatnonzero(most >= falling[n - 1] - open_), chosen)
    return items, last[items].min() - open_ if n > 1 else -np.inf, bound


def equalised(w, n, clock):
    """(w, noise): items whose distances only low precision tells apart become copies; no value of a group changes by more than
    `noise`. w: normal."""
    kind = kinds(w, COPIES)
    if (kind == np.arange(len(w))).all():
        return w, 0.0
    same = kind[:, None] == kind
    np.fill_diagonal(same, False)
    inside = np.where(same, w, -np.inf).max(1, initial=-np.inf)[kind]
    equal = np.where(same, inside[:, None], w[np.ix_(kind, kind)])
    np.fill_diagonal(equal, 0.0)
    return equal, simple_bound(np.zeros(len(w)), np.abs(w - equal), n, clock)
