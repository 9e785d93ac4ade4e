"""The incumbent: greedy growth, best swaps, a short tabu search. Deterministic: fixed counts, ties to the lower index."""

import numpy as np

NEIGHBOURS = 16
TABU_ITERATIONS = 200


def value_of(u, w, chosen):
    """The objective of the items `chosen`; u: [M], w: [M, M] symmetric with zero diagonal."""
    return float(u[chosen].sum() + w[np.ix_(chosen, chosen)].sum() / 2)


def greedy(u, w, n, clock):
    """n indices, sorted: the item with the most promising partners, then always the one that adds most."""
    inside = np.zeros(len(u), dtype=bool)
    inside[int((u + w.sum(1) * (n - 1) / max(1, len(u) - 1) / 2).argmax())] = True
    gain = u + w[:, inside].sum(1)
    for _ in range(n - 1):
        clock.check()
        new = int(np.where(inside, -np.inf, gain).argmax())
        inside[new] = True
        gain = gain + w[:, new]
    return np.flatnonzero(inside)


def improve(u, w, chosen, clock):
    """Best swaps until none helps: a (1 - O(1/n)) approximation for cosine-like distances (Cevallos et al., arXiv 1607.04557)."""
    inside = np.zeros(len(u), dtype=bool)
    inside[chosen] = True
    while not inside.all():
        clock.check()
        ins, outs = np.flatnonzero(inside), np.flatnonzero(~inside)
        # Anew each time: what a huge score has rounded away would not come back.
        gain = u + w[:, ins].sum(1)
        delta = gain[outs] - gain[ins, None] - w[np.ix_(ins, outs)]
        row, column = np.unravel_index(delta.argmax(), delta.shape)
        leaving, entering = ins[row], outs[column]
        rounding = 1e-12 * (abs(gain[leaving]) + abs(gain[entering]) + np.abs(w[[leaving, entering]][:, ins]).sum())
        if not delta[row, column] > rounding:
            break
        inside[[leaving, entering]] = False, True
    return np.flatnonzero(inside)


def tabu(u, w, chosen, clock, iterations=TABU_ITERATIONS):
    """The best of a walk of best swaps that may not be taken back for a while, over the most promising neighbours
    (constrained neighbourhood: Zhou, Hao and Duval, IEEE TEVC 21(5), 2017)."""
    inside = np.zeros(len(u), dtype=bool)
    inside[chosen] = True
    gain, value = u + w[:, inside].sum(1), value_of(u, w, chosen)
    best, best_value = chosen, value
    free_again = np.zeros(len(u), dtype=int)
    tenures = np.random.default_rng(0).integers(3, 11, size=iterations)
    for step in range(iterations if 0 < len(chosen) < len(u) else 0):
        clock.check()
        ins, outs = np.flatnonzero(inside), np.flatnonzero(~inside)
        ins = ins[np.argsort(gain[ins], kind="stable")[:NEIGHBOURS]]
        outs = outs[np.argsort(-gain[outs], kind="stable")[:NEIGHBOURS]]
        delta = gain[outs] - gain[ins, None] - w[np.ix_(ins, outs)]
        barred = (free_again[ins, None] > step) | (free_again[outs] > step)
        delta = np.where(barred & (value + delta <= best_value), -np.inf, delta)
        row, column = np.unravel_index(delta.argmax(), delta.shape)
        if not np.isfinite(delta[row, column]):
            continue
        leaving, entering = ins[row], outs[column]
        inside[[leaving, entering]] = False, True
        gain, value = gain + w[:, entering] - w[:, leaving], value + delta[row, column]
        free_again[[leaving, entering]] = step + tenures[step]
        if value > best_value:
            best, best_value = np.flatnonzero(inside), value
    return best


def incumbent(u, w, n, start, clock):
    """A good n-subset in a few milliseconds, sorted; no worse than what best swaps make of `start` (None for none), cut or filled to n."""
    best = improve(u, w, tabu(u, w, improve(u, w, greedy(u, w, n, clock), clock), clock), clock)
    if start is None:
        return best
    inside = np.zeros(len(u), dtype=bool)
    inside[start] = True
    while inside.sum() != n:
        clock.check()
        gain = u + w[:, inside].sum(1)
        grow = inside.sum() < n
        inside[int(np.where(inside == grow, -np.inf, gain if grow else -gain).argmax())] = grow
    return max(best, improve(u, w, np.flatnonzero(inside), clock), key=lambda rows: value_of(u, w, rows))
