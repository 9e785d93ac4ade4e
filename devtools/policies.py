"""Which policies bench groups compares: what this pack offers, and what can be done by finishing pictures and choosing."""

from dataclasses import replace
from itertools import product

import numpy as np

from .replay import BOTH, PAIRWISE, UNARY, Outcome, Policy

LATENT, PICTURES, TEXT = ("latent",), ("dinov2",), ("clip",)
SIZES = (16, 32, 64, 128, 256)
BUDGETS = (1.5, 2.4, 3.5, 6.0)
SHIPPED = {"kind": "balanced", "weight": 2.0}
# As tests/host/test_work.py counts it for a VAE at 1024 x 1024, with guidance.
SDXL_PRICE = 0.6


def plain(size):
    return Policy(f"plain {size}", size, size, rounds=())


def reference(size, most):
    """The paper's schedule with its 64 candidates, or as many as there are: best-of-N is given as many rows, or seconds, as it takes."""
    count = min(64, most)
    return Policy(f"{count} by half from 0 (paper)", count, size)


def best_of(size, most, outcome, costs, steps):
    """(best `size` of N finished pictures by both scorers and by the text score alone, {name: "equal rows" or "equal seconds"} of
    those that cost at most what the reference policy does, whose outcome this is)."""
    whole = lambda n: Outcome([], [n] * steps, [(n, BOTH)]).seconds(costs)
    equal_rows = min(most, max(size, outcome.rows // steps))
    equal_seconds = max((n for n in range(size, most + 1) if whole(n) <= outcome.seconds(costs)), default=size)
    name = lambda n, how="finished": f"best {size} of {n} {how}"
    counts = sorted({equal_rows, equal_seconds, *(n for n in (2 * size, 16, 32, most) if size < n <= most)})
    found = [Policy(name(n), n, size, rounds=((1.0, size, BOTH),)) for n in counts]
    alone = [Policy(name(n, "by text alone"), n, size, rounds=((1.0, size, TEXT),)) for n in sorted({equal_rows, equal_seconds, most})]
    both = {name(equal_rows): ["equal rows"]}
    both.setdefault(name(equal_seconds), []).append("equal seconds")
    return found + alone, {name: ", ".join(why) for name, why in both.items()}


def offered(size, most):
    """Schedules and objectives of this pack, and free schedules, from up to `most` candidates."""
    pools, largest = [m for m in SIZES if size < m <= most], min(64, most)
    starts = [(m, start) for m in pools for start in (0.0, 0.15, 0.25)]
    found = [Policy(f"{m} by half from {start:.0%}", m, size, start_percent=start) for m, start in starts if (m, start) != (largest, 0)]
    kinds = (("paper", 0.3), ("balanced", 1.5), ("balanced", 3.0), ("max_min", 1.5), ("max_min", 4.0), ("log_det", 1.5), ("log_det", 4.0))
    at_15 = lambda name, **more: Policy(f"{largest} by half from 15%, {name}", largest, size, start_percent=0.15, **more)
    found += [at_15(f"{kind} {weight:g}", kind=kind, weight=weight) for kind, weight in kinds]
    found.append(at_15("latent distance alone", scorers=LATENT))
    for m in (m for m in pools if m > 4 * size):
        free = ((0.05, 4 * size, LATENT), (0.15, 2 * size, PICTURES), (0.5, size, BOTH))
        few = ((0.05, 2 * size, LATENT), (0.25, size, BOTH))
        found += [Policy(written(m, rounds), m, size, rounds=rounds) for rounds in (free, few)]
    late = ((0.2, 2 * size, PICTURES), (0.5, size, BOTH))
    return found + [Policy(written(16, late), 16, size, rounds=late) for _ in range(2 * size < 16 <= most)]


def budgets(size, most, gone, price):
    """The schedule budget, looks at the price that they have here and as on SDXL, with the nodes' defaults and with the paper's objective;
    and without scorers."""
    prices, objectives = (("", price), (", looks as on SDXL", SDXL_PRICE)), (("", SHIPPED), (", paper 1.5", {}))
    ways = [(where + what, {"price": cost, **how}) for (where, cost), (what, how) in product(prices, objectives)]
    ways.append((", nothing connected", {"price": 0.0, "scorers": LATENT, **SHIPPED}))
    found = []
    for budget, (name, how) in product(BUDGETS, ways):
        policy = Policy(f"budget {budget:g}{name}", most, size, budget=budget, **how)
        try:
            start = policy.plan(gone).start
        except ValueError:  # too small a budget for looks this dear
            continue
        if start <= most:
            found.append(replace(policy, candidates=start))
    return found


def written(count, rounds):
    """A free schedule as one line, which `read` understands: '64: 5% 16 latent, 50% 4 clip+dinov2'."""
    return f"{count}: " + ", ".join(f"{100 * share:.3g}% {n} {'+'.join(names)}" for share, n, names in rounds)


def read(text):
    """The Policy that `written` wrote. Raises ValueError for anything else."""
    try:
        count, rounds = text.split(":")
        parts = [part.split() for part in rounds.split(",")]
        found = tuple((float(share.rstrip("%")) / 100, int(n), tuple(names.split("+"))) for share, n, names in parts)
    except ValueError as e:
        raise ValueError(f"The schedule '{text}' is not like '64: 5% 16 latent, 50% 4 clip+dinov2'.") from e
    unknown = {name for *_, names in found for name in names} - {*UNARY, *PAIRWISE}
    if unknown:
        raise ValueError(f"The schedule '{text}' asks {', '.join(sorted(unknown))}; there are {', '.join((*UNARY, *PAIRWISE))}.")
    return Policy(text, int(count), found[-1][1], rounds=found)


def random_schedule(rng, size, most):
    """A free schedule of one to three rounds that ends with `size`, for a search."""
    count = int(rng.choice([m for m in SIZES if size < m <= most] or [most]))
    rounds = int(rng.integers(1, 4))
    shares = np.sort(rng.choice(np.arange(1, 15), rounds, replace=False)) / 20
    keeps = np.sort(np.exp(rng.uniform(np.log(size), np.log(count), rounds - 1)).round().astype(int))[::-1]
    asked = [LATENT if share <= 0.1 and rng.random() < 0.7 else BOTH if share >= 0.25 else PICTURES for share in shares]
    found = tuple((float(share), int(n), names) for share, n, names in zip(shares, [*keeps, size], asked, strict=True))
    return Policy(written(count, found), count, size, rounds=found)
