"""Objectives of a group as a whole, where the sum over pairs would let one far item pay for twins.

Each grows a group item by item: `expand` orders the items that may still come and bounds every continuation, `take` adds one.
u: [M], b: [M, M] symmetric with zero diagonal and not weighted, n: size of the group, weight: lambda.
"""

import numpy as np

from .pieces import pieces
from .presolve import reach

RIDGE = 1e-6


class MaxMin:
    """sum of u + weight * n (n - 1) / 2 * the smallest distance in the group (p-dispersion: Erkut, EJOR 46, 1990).

    The factor makes it the paper's sum where all distances are equal, so that weight means the same, and never more.
    A state is (sum of u, smallest distance, each item's smallest distance to the group), distances times weight and factor;
    most: what they add at most.
    """

    def __init__(self, u, b, n, weight, clock):
        self.u, self.b = u, np.empty_like(b)
        for rows in pieces(len(u), clock):
            self.b[rows] = weight * b[rows] * (n * (n - 1) / 2)
        # n - 1 others of a group lie at least its smallest distance away from each member.
        self.most = float(np.sort(reach(u, self.b, n, clock)[1])[-n]) if n > 1 else 0.0

    def start(self):
        return 0.0, self.most, np.full(len(self.u), self.most)

    def value(self, state):
        return state[0] + state[1]

    def take(self, state, item):
        total, smallest, distance = state
        return total + self.u[item], min(smallest, distance[item]), np.minimum(distance, self.b[item])

    def expand(self, state, rest, left):
        """(order, bounds): rest sorted; no group that takes order[k] and otherwise later items is worth more than
        bounds[k], equal to the best such group for left = 1."""
        total, smallest, distance = state
        order = rest[np.argsort(distance[rest], kind="stable")]
        others = np.sort(self.u[rest])[len(rest) - left + 1 :].sum()
        bounds = total + self.u[order] + others + np.minimum(smallest, distance[order])
        return order, bounds


class LogDet:
    """sum of u + price * log det of the group's similarities exp(-b / mean b) + most (determinantal point process: Kulesza and
    Taskar, arXiv 1207.6083).

    price and most make it the paper's sum, in value and in slope, where all distances are equal to their mean, so that weight
    means the same: with x = exp(-1) the similarity of all pairs, log det is (n - 1) log(1 - x) + log(1 + (n - 1) x), and its
    slope in a common distance n (n - 1) x^2 / ((1 - x) (1 + (n - 1) x)) / mean b. Closer pairs cost more than in the sum.

    The similarities are positive definite for distances of negative type (Schoenberg, Trans. AMS 44, 1938); a ridge on the
    diagonal, 1e-6 or as much more as other distances need, keeps twins finite. A negative distance counts as 0. most: what
    distances add at most. A state is (value, rows of the Cholesky factor, what is left of each item's variance).
    """

    def __init__(self, u, b, n, weight, clock):
        b = np.maximum(b, 0.0)
        mean = b.sum() / max(1, len(u) * (len(u) - 1))
        kernel, ridge = np.exp(-b / mean) if mean > 0 else np.ones_like(b), RIDGE
        # Entries are at most 1, so a ridge as large as their number is enough.
        while True:
            clock.check()
            self.kernel = (kernel + ridge * np.eye(len(u))) / (1 + ridge)
            try:
                np.linalg.cholesky(self.kernel)
                break
            except np.linalg.LinAlgError:
                ridge *= 10
        x = np.exp(-1) / (1 + ridge)
        rest = 1 + (n - 1) * x
        self.price = weight * mean * (1 - x) * rest / (2 * x * x)
        self.most = weight * mean * n * (n - 1) / 2 - self.price * ((n - 1) * np.log(1 - x) + np.log(rest))
        self.u = u

    def start(self):
        return self.most, np.zeros((0, len(self.u))), self.kernel.diagonal()

    def value(self, state):
        return state[0]

    def take(self, state, item):
        value, rows, variance = state
        row = (self.kernel[item] - rows[:, item] @ rows) / np.sqrt(variance[item])
        # Rounding may leave a twin nothing or less; no item that is not one comes near the ridge.
        left = np.maximum(variance - row * row, RIDGE**2)
        return value + self._gain(variance)[item], np.vstack([rows, row]), left

    def expand(self, state, rest, left):
        """As MaxMin.expand. What an item adds never grows with the group (log det is submodular)."""
        gain = self._gain(state[2])[rest]
        falling = np.argsort(-gain, kind="stable")
        sums = np.concatenate([[0.0], np.cumsum(gain[falling])])
        ends = np.minimum(np.arange(len(rest)) + left, len(rest))
        return rest[falling], state[0] + sums[ends] - sums[:-1]

    def _gain(self, variance):
        return self.u + self.price * np.log(variance)
