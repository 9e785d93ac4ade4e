"""Groups under a set function (set_functions.py): a greedy start, exchanges, and an exact search by bounds on continuations."""

import time

import numpy as np

MOST_PASSES = 10


class Growth:
    """The best n items that hold all of `pinned`, the others from `free` (arrays of indices).

    chosen, value: the incumbent, from `improve` on; bound: valid for every group, at most `tolerance` above value where
    `prove` returned True; nodes: how many heads `prove` looked at.
    """

    def __init__(self, function, pinned, free, n, tolerance):
        self.function, self.pinned, self.free, self.left, self.tolerance = function, pinned, free, n - len(pinned), tolerance
        self.start = self._grown(pinned)
        self.chosen, self.value, self.nodes = pinned, function.value(self.start) if self.left == 0 else -np.inf, 0
        self.bound = function.expand(self.start, free, self.left)[1].max() if self.left else self.value

    def improve(self, deadline, *starts):
        """Exchange one item at a time while that helps, from a greedy group and from each of `starts` (indices, n of them)."""
        for group in ([], *(list(np.setdiff1d(rows, self.pinned)) for rows in starts)) if self.left else ():
            while len(group) < self.left:
                group.append(self._best_addition(group)[0])
            value = self.value_of([*self.pinned, *group])
            for _ in range(MOST_PASSES):
                before = value
                for _ in range(self.left if time.perf_counter() < deadline else 0):
                    # The item that came first leaves, and may come back.
                    item, value = self._best_addition(group[1:])
                    group = [*group[1:], item]
                if value <= before + self.tolerance:
                    break
            self._offer([*self.pinned, *group], value)

    def prove(self, deadline, most_nodes):
        """Search depth first until all is decided (True), `deadline` (time.perf_counter) or `most_nodes`."""
        stack = [(self.bound, self.start, [], self.free)] if self.left else []
        while stack and self.nodes < most_nodes and time.perf_counter() < deadline:
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
                self._offer([*self.pinned, *head, order[best]], bounds[best])
                continue
            open_ = np.flatnonzero(bounds[: len(order) - left + 1] > self.value + self.tolerance)
            for k in open_[np.argsort(bounds[open_], kind="stable")]:
                stack.append((bounds[k], state, [*head, order[k]], order[k + 1 :]))
        self.bound = max([self.value + self.tolerance, *(node[0] for node in stack)])
        return not stack

    def value_of(self, items):
        return float(self.function.value(self._grown(items)))

    def _best_addition(self, group):
        """(item, value of the group with it), the lowest index of several."""
        rest = np.setdiff1d(self.free, np.array(group, dtype=int))
        order, bounds = self.function.expand(self._grown([*self.pinned, *group]), rest, 1)
        best = bounds.max()
        return int(order[bounds == best].min()), float(best)

    def _grown(self, items):
        state = self.function.start()
        for item in items:
            state = self.function.take(state, item)
        return state

    def _offer(self, chosen, value):
        if value > self.value:
            self.chosen, self.value = np.sort(np.array(chosen, dtype=int)), float(value)
