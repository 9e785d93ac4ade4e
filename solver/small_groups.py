"""Groups of two, three and four, by enumeration with bounds: exact whatever the distances are."""

import numpy as np


class Enumeration:
    """The best group of 1 <= n <= 4 that is worth more than `floor`.

    best: its indices, None if there is none; best_value: its value or the floor; bound: valid for every group, equal to
    best_value up to `tolerance` where `run` returned True. A node is a head: the n - 2 items that the exact search for the
    best pair of others completes. Items stand in the order of their own bound and the others of a head come before its
    last item, so that a head is looked at only while its bound beats the best so far.
    """

    def __init__(self, u, w, n, floor, tolerance, clock):
        # An item is in no group better than itself and its n - 1 best partners, each with half of its own best partners.
        partner = -np.sort(-(w - np.diag(np.full(len(u), np.inf))), axis=1)[:, : n - 1]
        reach = u + partner.sum(1) / 2
        item_bound = np.sort(reach)[-n:].sum() - np.maximum(np.sort(reach)[-n] - reach, 0)
        self.order = np.argsort(-item_bound, kind="stable")
        self.item_bound = item_bound[self.order]
        self.u, self.w, self.n, self.tolerance, self.clock = u[self.order], w[np.ix_(self.order, self.order)], n, tolerance, clock
        self.best, self.best_value, self.bound, self.nodes = None, floor, np.inf, 0

    def run(self, most_nodes=np.inf):
        """Search until all is decided (True), the clock's limit or `most_nodes`."""
        if self.n == 1:
            self._offer([int(self.u.argmax())], self.u.max())
            self.bound = max(self.best_value, float(self.u.max()))
            return True
        discarded = -np.inf
        for last in range(self.n - 1, len(self.u)):
            self.clock.check()
            goal = self.best_value + self.tolerance
            if self.item_bound[last] <= goal:
                discarded = max(discarded, self.item_bound[last])
                break
            # What an item adds to a pair with another, at most: half of its best.
            share = self.w[:last, :last].max(1) / 2
            for second, head_bound in self._heads(last, share):
                goal = self.best_value + self.tolerance
                if head_bound <= goal:
                    discarded = max(discarded, head_bound)
                    break
                if self.nodes == most_nodes or self.clock.left() <= 0:
                    # Heads come in falling order: this one and the items from here on are open.
                    self.bound = max(self.best_value, discarded, self.item_bound[last])
                    return False
                self.nodes += 1
                self._complete([last] if second is None else [last, second], share)
        self.bound = max(self.best_value, discarded)
        return True

    def _heads(self, last, share):
        """(second item or None, bound) for the heads whose later item is `last`, best first."""
        if self.n < 4:
            yield None, self.item_bound[last]
            return
        # With second = j: u_k + w_lk + w_jk of the two others, and what the two share.
        gain = self.u[:last] + self.w[last, :last]
        both = gain + share + self.w[:last, :last]
        np.fill_diagonal(both, -np.inf)
        top = -np.partition(-both, 1, axis=1)[:, :2].sum(1)
        bound = self.u[last] + gain + top
        for j in np.argsort(-bound, kind="stable"):
            yield int(j), bound[j]

    def _complete(self, head, share):
        """The best pair of earlier items to go with a head, by looking at all that can still beat the best so far."""
        rest = np.arange(head[0])
        if len(head) > 1:
            rest = rest[rest != head[1]]
        if self.n == 2:
            value = self.u[head[0]] + self.u[rest] + self.w[head[0], rest]
            self._offer([*head, rest[int(value.argmax())]], value.max())
            return
        fixed = self.u[head].sum() + (self.w[head[0], head[1]] if len(head) > 1 else 0.0)
        gain = self.u[rest] + self.w[np.ix_(rest, head)].sum(1)
        reach = gain + share[rest]
        worth = fixed + reach + reach.max() > self.best_value
        rest, gain = rest[worth], gain[worth]
        if len(rest) < 2:
            return
        pairs = gain[:, None] + gain + self.w[np.ix_(rest, rest)]
        np.fill_diagonal(pairs, -np.inf)
        k, m = np.unravel_index(pairs.argmax(), pairs.shape)
        self._offer([*head, rest[k], rest[m]], fixed + pairs[k, m])

    def _offer(self, chosen, value):
        if value > self.best_value:
            self.best, self.best_value = np.sort(self.order[chosen]), float(value)
