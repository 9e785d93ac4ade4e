"""max_min by HiGHS: is there a group with all distances above t?

Distances count as MaxMin weighs them. For one t that is a linear program in binaries: maximise the sum of u over groups without
any pair that is closer than t. A group whose smallest distance lies between t and t' is worth at most that maximum plus t';
bisection over the distances leaves few such ranges (Erkut, EJOR 46, 1990).
"""

import numpy as np

from .highs import maximise


def prove(growth, clock):
    """Raise the incumbent of a Growth of MaxMin and lower its bound, until they meet or the clock's limit."""
    function, free = growth.function, growth.free
    total, smallest, near = growth.start
    among, near = np.minimum(function.b[np.ix_(free, free)], smallest), near[free]
    np.fill_diagonal(among, smallest)
    steps = np.unique(np.concatenate([among.ravel(), np.minimum(near, smallest)]))
    most = total + np.sort(function.u[free])[-growth.left :].sum()
    # Ranges of smallest distances, and a bound on the sum of u there; the last one first, since a group there is worth most.
    open_, settled = [(0, len(steps) - 1, most)], []
    while open_ and clock.left() > 0:
        low, high, most = open_.pop()
        low += int(np.searchsorted(most + steps[low : high + 1], growth.value + growth.tolerance, side="right"))
        if low > high:
            continue
        middle = (low + high + 1) // 2
        items, bound = _heaviest(function.u[free], among >= steps[middle], near >= steps[middle], growth.left, clock)
        if len(items) == growth.left:
            chosen = np.concatenate([growth.pinned, free[items]])
            growth.offer(chosen, growth.value_of(chosen))
        if low < middle:
            open_.append((low, middle - 1, most))
        above = middle, high, min(most, total + bound)
        # What HiGHS did not settle for one distance alone, it would not the next time.
        (settled if middle == high else open_).append(above)
    rest = [most + steps[high] for _, high, most in open_ + settled]
    growth.bound = min(growth.bound, max([growth.value + growth.tolerance, *rest]))


def _heaviest(u, apart, able, n, clock):
    """(items, bound) of the largest sum of u of n items that are `able` [M] and all `apart` [M, M] from each other; no items and -inf
    where there are not as many."""
    before = -1
    while before != (before := np.count_nonzero(able)):
        # A member has n - 1 others to go with.
        able = able & (apart[:, able].sum(1) - 1 >= n - 1)
    items = np.flatnonzero(able)
    if len(items) < n:
        return items[:0], -np.inf
    cliques = _cliques(~apart[np.ix_(items, items)], clock)
    if cliques is None:
        return items[:0], np.inf
    row = np.repeat(np.arange(len(cliques) + 1), [len(items), *map(len, cliques)])
    column = np.concatenate([np.arange(len(items)), *cliques]).astype(int)
    lower, upper = np.full(len(cliques) + 1, -np.inf), np.ones(len(cliques) + 1)
    lower[0] = upper[0] = n
    entries = row, column, np.ones(len(row))
    found = maximise(u[items], len(items), lower, upper, entries, None, clock)
    return items[:0] if found.x is None else items[found.x > 0.5], found.bound


def _cliques(near, clock):
    """Groups of items that are all near [M, M] each other, of which only one may be taken; every near pair is in one of them.
    None at the clock's limit."""
    todo, found = near.copy(), []
    for item in range(len(near)):
        while todo[item].any():
            if clock.left() <= 0:
                return None
            # Always the one that has most pairs with the others that no clique holds yet.
            clique, able, fresh = [item], near[item], todo[item].astype(int)
            while able.any():
                clique.append(int(np.where(able, fresh, -1).argmax()))
                able, fresh = able & near[clique[-1]], fresh + todo[clique[-1]]
            todo[np.ix_(clique, clique)] = False
            found.append(np.array(clique))
    return found
