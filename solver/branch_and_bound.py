"""Branch and bound on an upper model of the objective, hundreds of nodes in one matrix product."""

import numpy as np

from .copies import earlier, kinds
from .local_search import improve, value_of
from .relaxation import climb, cut, shift_and_curvature

BATCH = 256
ROOT_ITERATIONS, ITERATIONS = 60, 12


class Search:
    """Depth first, in batches of nodes; items are fixed by reduced cost at every node.

    A node is a row of three arrays [B, M]: taken and free (bool), and y, where its relaxation starts. best: the best
    selection found that is worth more than `floor`, None without one; best_value: its value or the floor; bound: valid for
    every selection, at most `tolerance` above best_value where `run` returned True; nodes: how many were looked at.
    """

    def __init__(self, u, w, n, split, floor, tolerance, clock):
        self.u, self.w, self.n, self.split, self.tolerance, self.clock = u, w, n, split, tolerance, clock
        self.best, self.best_value, self.bound, self.nodes = None, floor, np.inf, 0
        clock.check()
        self.curvature = shift_and_curvature(split.concave)[1]
        found = earlier(kinds(w), u)
        self.earlier_copies = found.astype(float) if found.any() else None

    def run(self, most_nodes=np.inf):
        """Search until all is decided (True), the clock's limit or `most_nodes`."""
        items = len(self.u)
        stack = [np.zeros((1, items), dtype=bool), np.ones((1, items), dtype=bool), self.split.y[None], np.array([self.split.bound])]
        while len(stack[0]) and self.nodes < most_nodes and self.clock.left() > 0:
            size = int(min(BATCH, most_nodes - self.nodes))
            batch, stack = [part[-size:] for part in stack], [part[:-size] for part in stack]
            children = self._branch(*(part[batch[3] > self.goal] for part in batch))
            stack = [np.concatenate(parts) for parts in zip(stack, children, strict=True)]
        self.bound = max([self.goal, *stack[3]])
        return len(stack[0]) == 0

    @property
    def goal(self):
        """A node whose bound is no higher is decided."""
        return self.best_value + self.tolerance

    def _branch(self, taken, free, y, bound):
        """The nodes that those of a batch leave open, the most promising last."""
        iterations = ITERATIONS if self.nodes else ROOT_ITERATIONS
        self.nodes += len(taken)
        if len(taken):
            taken, free, y, bound = self._bound(taken, free, y, iterations)
        taken, free, y, bound, left = self._settle(taken, free, y, bound)
        if len(taken) == 0:
            return taken, free, y, bound
        self._offer(improve(self.u, self.w, np.argsort(-(y[-1] * free[-1] + 2.0 * taken[-1]), kind="stable")[: self.n], self.clock))
        order = np.argsort(bound, kind="stable")
        taken, free, y, bound = taken[order], free[order], y[order], bound[order]
        rows, item = np.arange(len(taken)), np.where(free, y, -1.0).argmax(1)
        without, with_ = taken, taken.copy()
        free[rows, item], with_[rows, item] = False, True
        return [np.concatenate(parts) for parts in ((without, with_), (free, free), (y, y), (bound, bound))]

    def _bound(self, taken, free, y, iterations):
        """Climb each node's relaxation, drop the nodes whose tangent bound decides them, fix items of the others."""
        split, left, items = self.split, self.n - taken.sum(1), np.flatnonzero(free.any(0))
        linear = split.linear + taken @ (split.concave - split.charge)
        base = split.const + (taken * (split.linear + linear)).sum(1) / 2
        program = linear[:, items], split.concave[np.ix_(items, items)]
        near = climb(*program, self.curvature, free[:, items], left, y[:, items], iterations, self.clock)
        bound, inside, outside = cut(base, *program, free[:, items], left, near, self.goal)
        taken, free, y = taken.copy(), free.copy(), np.zeros(taken.shape)
        taken[:, items] |= inside
        free[:, items] &= ~(inside | outside)
        y[:, items] = near
        return _rows(bound > self.goal, taken, free, y, bound)

    def _settle(self, taken, free, y, bound):
        """Finish nodes with at most two items left to take or no choice; the others, and how many items each has left to take."""
        if self.earlier_copies is not None:
            out = ~taken & ~free
            taken = taken | (taken @ self.earlier_copies > 0)
            free = free & ~taken & ~(out @ self.earlier_copies.T > 0)
        left, count = self.n - taken.sum(1), free.sum(1)
        for row in np.flatnonzero((left == 0) | (left == count)):
            self._offer(np.flatnonzero(taken[row] | (free[row] & (left[row] > 0))))
        gain = self.u + taken @ self.w
        for row in np.flatnonzero((left == 1) & (count > 1)):
            self._offer(np.append(np.flatnonzero(taken[row]), np.where(free[row], gain[row], -np.inf).argmax()))
        for row in np.flatnonzero((left == 2) & (count > 2)):
            items = np.flatnonzero(free[row])
            pairs = gain[row, items] + gain[row, items][:, None] + self.w[np.ix_(items, items)]
            np.fill_diagonal(pairs, -np.inf)
            self._offer(np.append(np.flatnonzero(taken[row]), items[list(divmod(int(pairs.argmax()), len(items)))]))
        rest = (left > 2) & (left < count)
        return *_rows(rest, taken, free, y, bound), left[rest]

    def _offer(self, chosen):
        value = value_of(self.u, self.w, chosen)
        if value > self.best_value:
            self.best, self.best_value = np.sort(chosen), value


def _rows(which, *parts):
    return [part[which] for part in parts]
