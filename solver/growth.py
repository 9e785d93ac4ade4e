"""Groups under a set function (set_functions.py): a greedy start, exchanges, and an exact search by bounds on continuations."""

import numpy as np

from .presolve import normal

MOST_PASSES = 10


class Growth:
    """The best n items that hold all of `pinned`, the others from `free` (arrays of indices).

    chosen, value: the incumbent, from `improve` on; bound: valid for every group; tolerance: how much better a
    group must be to count; open: whether there may be one; nodes: how many heads `prove` looked at.
    """

    def __init__(self, function, pinned, free, n, clock):
        self.function, self.pinned, self.free, self.n, self.left = function, pinned, free, n, n - len(pinned)
        self.tolerance, self.clock = 0.0, clock
        self.start = self._grown(pinned)
        self.chosen, self.value, self.nodes = pinned, function.value(self.start) if self.left == 0 else -np.inf, 0
        self.bound = function.expand(self.start, free, self.left)[1].max() if self.left else self.value

    def improve(self, *starts):
        """Exchange one item at a time while that helps, from a greedy group and from each of `starts` (indices, n of them)."""
        for group in ([], *(list(np.setdiff1d(rows, self.pinned)) for rows in starts)) if self.left else ():
            while len(group) < self.left:
                group.append(self._best_addition(group)[0])
            value = self.value_of([*self.pinned, *group])
            for _ in range(MOST_PASSES):
                before = value
                for _ in range(self.left if self.clock.left() > 0 else 0):
                    # The item that came first leaves, and may come back.
                    item, value = self._best_addition(group[1:])
                    group = [*group[1:], item]
                if not value > before + self.tolerance:
                    break
            self.offer([*self.pinned, *group], value)

    @property
    def open(self):
        return self.bound > self.value + 2 * self.tolerance

    def narrow(self, w):
        """Drop the free items whose score no group makes up for; the unit of presolve.normal for the others, with the distances w."""
        u = self.function.u
        others = u[self.pinned].sum() + np.sort(u[self.free])[len(self.free) - self.left + 1 :].sum()
        keep = (u[self.free] + others + self.function.most >= self.value) | np.isin(self.free, self.chosen)
        self.free = self.free[keep]
        if len(self.free) == self.left:
            self.bound = self.value
        return normal(u[self.free], w[np.ix_(self.free, self.free)], self.clock)[2]

    def prove(self, most_nodes):
        """Search depth first until all is decided, the clock's limit or `most_nodes`."""
        stack = [(self.bound, self.start, [], self.free)] if self.left else []
        while stack and self.nodes < most_nodes and self.clock.left() > 0:
            bound, state, head, rest = stack.pop()
            if bound <= self.value + self.tolerance:
                continue
            self.nodes += 1
            if head:
                state = self.function.take(state, head[-1])
            left = self.left - len(head)
            order, bounds = self.function.expand(state, rest, left)
            if left == 1:
                best = int(bounds.argmax())
                self.offer([*self.pinned, *head, order[best]], bounds[best])
                continue
            open_ = np.flatnonzero(bounds[: len(order) - left + 1] > self.value + self.tolerance)
            for k in open_[np.argsort(bounds[open_], kind="stable")]:
                stack.append((bounds[k], state, [*head, order[k]], order[k + 1 :]))
        self.bound = max([self.value + self.tolerance, *(node[0] for node in stack)])

    def value_of(self, items):
        return float(self.function.value(self._grown(items)))

    def _best_addition(self, group):
        """(item, value of the group with it), the lowest index of several."""
        self.clock.check()
        rest = np.setdiff1d(self.free, np.array(group, dtype=int))
        order, bounds = self.function.expand(self._grown([*self.pinned, *group]), rest, 1)
        best = bounds.max()
        return int(order[bounds == best].min()), float(best)

    def _grown(self, items):
        state = self.function.start()
        for item in items:
            state = self.function.take(state, item)
        return state

    def offer(self, chosen, value):
        if value > self.value:
            self.chosen, self.value = np.sort(np.array(chosen, dtype=int)), float(value)
