"""How engine="auto" proves a selection: fix what reduced costs settle, then hand the kernel to the engine for its shape."""

import time

import numpy as np

from . import linearised
from .branch_and_bound import Search
from .local_search import improve, value_of
from .relaxation import Kernel, reduce, subproblem
from .semidefinite import split
from .small_groups import Enumeration

# By `dev.py bench solver`: up to here enumeration needs no bound, and HiGHS closes a kernel in 50 ms or less.
MOST_ENUMERATED = 4
MOST_KERNEL_ITEMS = 10


def prove(u, w, n, chosen, tolerance, deadline, node_limit):
    """(chosen, bound, proven, nodes) for the best of n items, 0 < n < M, starting from the indices `chosen`."""
    goal = value_of(u, w, chosen) + tolerance
    everything = Kernel(np.zeros(0, dtype=int), np.arange(len(u)), None, np.inf)
    kernel = everything if n <= MOST_ENUMERATED else reduce(u, w, n, goal, deadline)
    if kernel is None:
        return chosen, goal, True, 0
    taken, rest, left = kernel.taken, kernel.rest, n - len(kernel.taken)
    if kernel.y is not None:
        rounded = improve(u, w, np.concatenate([taken, rest[np.argsort(-kernel.y, kind="stable")[:left]]]))
        chosen = max(chosen, rounded, key=lambda rows: value_of(u, w, rows))
        goal = value_of(u, w, chosen) + tolerance
    if left in (0, len(rest)):
        return chosen, goal, True, 0
    base, gain, among = subproblem(u, w, taken, rest)
    if left > MOST_ENUMERATED and len(rest) <= MOST_KERNEL_ITEMS:
        found = linearised.solve(gain, among, left, np.argsort(-kernel.y, kind="stable")[:left], max(0.0, deadline - time.perf_counter()))
        best, bound, proven, nodes = found.indices, found.bound, found.proven, 0
    else:
        floor = goal - tolerance - base
        if left <= MOST_ENUMERATED:
            search = Enumeration(gain, among, left, floor, tolerance)
        else:
            tightened = split(gain, among, left, kernel.y, goal - base, deadline)
            search = Search(gain, among, left, tightened, floor, tolerance)
        proven = search.run(deadline, node_limit)
        best, bound, nodes = search.best, search.bound, search.nodes
    if best is not None:
        chosen = max(chosen, np.concatenate([taken, rest[best]]), key=lambda rows: value_of(u, w, rows))
    return chosen, max(value_of(u, w, chosen) + tolerance, base + bound), proven, nodes
