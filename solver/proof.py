"""How engine="auto" proves a selection: fix what reduced costs settle, then hand the kernel to the engine for its shape."""

import numpy as np

from . import linearised
from .branch_and_bound import Search
from .highs import installed
from .local_search import improve, value_of
from .relaxation import Kernel, reduce, subproblem
from .semidefinite import split
from .small_groups import Enumeration

# By `dev.py bench solver`: up to here enumeration needs no bound, and HiGHS closes a kernel in 50 ms or less.
MOST_ENUMERATED = 4
MOST_KERNEL_ITEMS = 10


def prove(u, w, n, chosen, tolerance, clock, node_limit):
    """(chosen, bound, engine, nodes) for the best of n items, 0 < n < M, starting from the indices `chosen`; engine: the part that
    decided, or was at work at a limit."""
    goal = value_of(u, w, chosen) + tolerance
    everything = Kernel(np.zeros(0, dtype=int), np.arange(len(u)), None, np.inf)
    kernel = everything if n <= MOST_ENUMERATED else reduce(u, w, n, goal, clock)
    if kernel is None:
        return chosen, goal, "bound", 0
    taken, rest, left = kernel.taken, kernel.rest, n - len(kernel.taken)
    if kernel.y is not None:
        rounded = improve(u, w, np.concatenate([taken, rest[np.argsort(-kernel.y, kind="stable")[:left]]]), clock)
        chosen = max(chosen, rounded, key=lambda rows: value_of(u, w, rows))
        goal = value_of(u, w, chosen) + tolerance
    if left in (0, len(rest)):
        return chosen, goal, "bound", 0
    base, gain, among = subproblem(u, w, taken, rest)
    # What all have from those taken says nothing, and is more than a tolerance of HiGHS allows for.
    level = np.median(gain)
    base, gain = base + left * level, gain - level
    if left > MOST_ENUMERATED and len(rest) <= MOST_KERNEL_ITEMS and installed():
        engine, nodes = "highs", 0
        best, bound = linearised.solve(gain, among, left, np.argsort(-kernel.y, kind="stable")[:left], clock)
    else:
        floor = goal - tolerance - base
        if left <= MOST_ENUMERATED:
            engine, search = "enumeration", Enumeration(gain, among, left, floor, tolerance, clock)
        else:
            tightened = split(gain, among, left, kernel.y, goal - base, clock)
            engine, search = "branch and bound", Search(gain, among, left, tightened, floor, tolerance, clock)
        search.run(node_limit)
        best, bound, nodes = search.best, search.bound, search.nodes
    if best is not None:
        chosen = max(chosen, np.concatenate([taken, rest[best]]), key=lambda rows: value_of(u, w, rows))
    return chosen, max(value_of(u, w, chosen) + tolerance, base + bound), engine, nodes
