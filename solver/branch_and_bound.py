"""Branch and bound on the concave relaxation, for what HiGHS cannot prove in time."""

import time

import numpy as np

from . import linearised
from .local_search import improve, value_of
from .relaxation import project, relax
from .small_groups import Enumeration

ROOT_ITERATIONS = 150
ITERATIONS = 10
# Up to here enumeration beats bounding by the relaxation, and HiGHS closes a kernel in 50 ms or less.
MOST_ENUMERATED = 4
MOST_KERNEL_ITEMS = 10


class Search:
    """Depth first, fixing items by reduced cost at every node.

    best, best_value: the incumbent, never worse than the one given. bound: valid for the optimum once `run` is over,
    equal to best_value up to `tolerance` if it returned True. nodes: how many were looked at.
    """

    def __init__(self, u, w, n, incumbent, tolerance):
        self.u, self.w, self.n, self.tolerance = u, w, n, tolerance
        self.best, self.best_value = incumbent, value_of(u, w, incumbent)
        self.discarded, self.complete = -np.inf, True
        self.nodes = 0

    def run(self, deadline, most_nodes=None):
        """Search until all is decided (True), `deadline` (time.perf_counter) or `most_nodes`."""
        self.deadline, items = deadline, len(self.u)
        stack = [(np.inf, np.zeros(0, dtype=int), np.arange(items), np.full(items, self.n / items))]
        while stack and self.nodes != most_nodes and time.perf_counter() < deadline:
            bound, *node = stack.pop()
            if bound <= self.best_value + self.tolerance:
                self.discarded = max(self.discarded, bound)
                continue
            self.nodes += 1
            stack += self._branch(*node)
        self.bound = max([self.best_value, self.discarded, *(node[0] for node in stack)])
        return self.complete and not stack

    def _branch(self, taken, rest, y):
        """Two smaller problems, the more promising one last; nothing if this one is decided."""
        iterations = ROOT_ITERATIONS if self.nodes == 1 else ITERATIONS
        while True:
            left = self.n - len(taken)
            if left in (0, len(rest)):
                self._offer(np.concatenate([taken, rest[:left]]))
                return []
            base, u, w, left = self._below(taken, rest)
            goal = self.best_value + self.tolerance - base
            tangent = relax(u, w, left, project(y, left), goal, iterations)
            if tangent.bound <= goal:
                self.discarded = max(self.discarded, base + tangent.bound)
                return []
            order = np.argsort(-tangent.slope, kind="stable")
            if self.nodes % 4 == 1:
                self._offer(improve(self.u, self.w, np.concatenate([taken, rest[np.argsort(-tangent.y, kind="stable")[:left]]])))
            # What the bound loses when an item is forced to the other side of the cut.
            inside = np.zeros(len(rest), dtype=bool)
            inside[order[:left]] = True
            forced = tangent.bound - np.abs(tangent.slope - np.where(inside, *tangent.slope[order[[left, left - 1]]]))
            fixed = forced <= goal
            if fixed.any():
                self.discarded = max(self.discarded, base + float(forced[fixed].max()))
            taken, y, rest = np.concatenate([taken, rest[fixed & inside]]), tangent.y[~fixed], rest[~fixed]
            left = self.n - len(taken)
            if 0 < left <= MOST_ENUMERATED and left < len(rest):
                return self._enumerate(taken, rest)
            if 0 < left < len(rest) and fixed.mean() < 0.1:
                break
        if self.nodes == 1 and len(rest) <= MOST_KERNEL_ITEMS:
            return self._solve_kernel(taken, rest, y)
        i = int(np.abs(y - 0.5).argmin())
        others, y, bound = np.delete(rest, i), np.delete(y, i), base + tangent.bound
        return [(bound, taken, others, y), (bound, np.append(taken, rest[i]), others, y)]

    def _below(self, taken, rest):
        """(value so far, u, w, how many to take) of what is left to decide."""
        u = self.u[rest] + self.w[np.ix_(rest, taken)].sum(1)
        return value_of(self.u, self.w, taken), u, self.w[np.ix_(rest, rest)], self.n - len(taken)

    def _enumerate(self, taken, rest):
        """Settle a node with few items left to take."""
        base, u, w, left = self._below(taken, rest)
        small = Enumeration(u, w, left, self.best_value - base, self.tolerance)
        self.complete &= small.run(self.deadline)
        if small.best is not None:
            self._offer(np.concatenate([taken, rest[small.best]]))
        self.discarded = max(self.discarded, base + small.bound)
        return []

    def _solve_kernel(self, taken, rest, y):
        """HiGHS on the items that the root left undecided."""
        base, u, w, left = self._below(taken, rest)
        found = linearised.solve(u, w, left, np.argsort(-y, kind="stable")[:left], self.deadline - time.perf_counter())
        self._offer(np.concatenate([taken, rest[found.indices]]))
        self.complete &= found.proven
        self.discarded = max(self.discarded, base + found.bound)
        return []

    def _offer(self, chosen):
        value = value_of(self.u, self.w, chosen)
        if value > self.best_value:
            self.best, self.best_value = np.sort(chosen), value
