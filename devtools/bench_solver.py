"""python3 dev.py bench solver: how fast selections are proven, beside HiGHS alone and, if installed, Gurobi."""

import argparse
import gzip
import os
import sys
import time
import tracemalloc
from collections import Counter
from pathlib import Path

# One thread, so that figures of different machines mean the same; numpy reads it at import.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
import numpy as np

from solver import linearised, select
from solver.clock import Clock
from solver.local_search import value_of
from solver.relaxation import shift_and_curvature

FAMILIES = ("clustered", "diffuse", "near ties")
SIZES = {
    16: (8,),
    32: (4, 16),
    64: (4, 7, 8, 16, 32),
    128: (4, 5, 8, 9, 12, 16, 20, 24, 32, 64),
    256: (4, 5, 6, 7, 8, 64, 96, 128),
    512: (4, 256),
}
SCHEDULES = ((128, 64, 32, 16, 8, 4), (64, 7, 4))
LARGE = [
    ("sum", 4096, 64, 0, "float64"),
    *(("sum", 10_000, n, 0, "float64") for n in (4, 20, 100)),
    ("sum", 10_000, 20, 0, "float32"),
    ("sum", 10_000, 220, 200, "float64"),
    ("max_min", 10_000, 20, 0, "float64"),
    ("log_det", 4096, 20, 0, "float64"),
]
WEIGHT = 1.5
OTHERS_UP_TO = 64
OTHERS_SECONDS = 5.0


def instance(items, family, seed):
    """u around 0.27 and b = 1 - cos, as CLIP and DINOv2 give them: [M], [M, M].

    clustered: about 1.3 sqrt(M) uneven clusters with near-duplicates; diffuse: none; near ties: means over independent
    patches, so that all distances are nearly the same.
    """
    rng = np.random.default_rng([seed, items])
    if family == "near ties":
        patches = rng.normal(size=(items, 64, 16)) + rng.normal(size=(1, 64, 16))
        features = (patches / np.linalg.norm(patches, axis=-1, keepdims=True)).reshape(items, -1) / 8
    else:
        clusters = int(1.3 * items**0.5)
        owner = rng.choice(clusters, items, p=rng.dirichlet(np.full(clusters, 2.0)))
        centres, own = rng.normal(size=(clusters, 64))[owner], rng.normal(size=(items, 64))
        features = (centres + 0.35 * own if family == "clustered" else own * np.linspace(1, 0.1, 64)) + 0.5 * rng.normal(size=64)
        features /= np.linalg.norm(features, axis=1, keepdims=True)
    pairwise = 1 - features @ features.T
    np.fill_diagonal(pairwise, 0)
    return rng.normal(0.27, 0.02, items), pairwise


def gurobi(unary, w, n, concave):
    """(objective, seconds) of Gurobi on the paper's program, or on the same made concave; None if it is not installed."""
    try:
        import gurobipy as gp
    except ImportError:
        return None
    with gp.Env(params={"OutputFlag": 0, "TimeLimit": OTHERS_SECONDS}) as env, gp.Model(env=env) as model:
        y = model.addMVar(len(unary), vtype="B")
        shift = shift_and_curvature(w)[0] if concave else 0.0
        total = w - shift * np.eye(len(unary))
        if concave:
            # On the plane sum y = n this takes a constant away, and all upward curvature across it.
            total -= max(0.0, np.linalg.eigvalsh(total)[-1]) * np.ones_like(w)
        model.addConstr(y.sum() == n)
        model.setObjective((unary + shift / 2) @ y + 0.5 * (y @ total @ y), gp.GRB.MAXIMIZE)
        started = time.perf_counter()
        model.optimize()
        return value_of(unary, w, np.flatnonzero(y.X > 0.5)), time.perf_counter() - started


def others(unary, pairwise, n, objective):
    """What else there is, as 'worse by % in s': HiGHS without and with the multiplied rows, Gurobi in both forms.

    HiGHS gets the first n items for a start, Gurobi none: neither has the local search that select begins with.
    """
    w = WEIGHT * pairwise
    found = []
    for products in (False, True):
        started = time.perf_counter()
        rows, _ = linearised.solve(unary, w, n, np.arange(n), Clock(OTHERS_SECONDS), products)
        found.append((value_of(unary, w, rows), time.perf_counter() - started))
    found += [gurobi(unary, w, n, concave) for concave in (False, True)]
    return ["-" if f is None else f"{100 * (objective - f[0]) / objective:.3f}% {f[1]:.1f}s" for f in found]


def single_rounds(seeds, time_limit):
    print(f"{'family':10}{'M':>5}{'n':>5}{'proven':>9}{'median s':>10}{'max s':>8}{'max gap':>10}   ", end="")
    print("worse by, in s:  " + "".join(f"{name:16}" for name in ("HiGHS plain", "HiGHS products", "Gurobi paper", "Gurobi concave")))
    for family in FAMILIES:
        for items, n in ((items, n) for items, sizes in SIZES.items() for n in sizes):
            found = [select(*instance(items, family, seed), n, WEIGHT, time_limit) for seed in range(seeds)]
            seconds, proven = [f.seconds for f in found], sum(f.status == "optimal" for f in found)
            row = f"{family:10}{items:5}{n:5}{proven:6}/{seeds:<2}{np.median(seconds):10.3f}{max(seconds):8.3f}"
            beside = others(*instance(items, family, 0), n, found[0].objective) if items <= OTHERS_UP_TO else []
            print(f"{row}{100 * max(f.relative_gap for f in found):9.3f}%{'':20}" + "".join(f"{text:16}" for text in beside), flush=True)


def schedules(seeds):
    for schedule in SCHEDULES:
        for family in FAMILIES:
            totals, proven = [], 0
            for seed in range(seeds):
                (unary, pairwise), rows, total = instance(schedule[0], family, seed), np.arange(schedule[0]), 0.0
                for n in schedule[1:]:
                    found = select(unary[rows], pairwise[np.ix_(rows, rows)], n, WEIGHT)
                    rows, total, proven = rows[sorted(found.indices)], total + found.seconds, proven + (found.status == "optimal")
                totals.append(total)
            rounds = f"{proven}/{seeds * (len(schedule) - 1)} rounds proven"
            print(
                f"{family:10}{' '.join(map(str, schedule)):24}{rounds}   median {np.median(totals):.3f} s   max {max(totals):.3f} s",
                flush=True,
            )


def limits(seeds):
    """How far past its time limit a call runs."""
    cells = [(items, n, share) for items in (64, 128, 256) for n in (2, 4, 9, items // 2) for share in (0.0, 0.05, 0.1, 0.2)]
    over = [
        select(*instance(items, family, seed), n, WEIGHT, limit).seconds - limit
        for items, n, limit in cells
        for family in FAMILIES
        for seed in range(seeds)
    ]
    print(f"past a time limit of 0 to 0.2 s, M up to 256: at most {1000 * max(over):.0f} ms in {len(over)} calls", flush=True)


def large():
    """Memory is what numpy takes at its peak, beside the matrix that comes in, as a multiple of that one; the gap is gap_over_random."""
    print(
        f"{'objective':10}{'M':>6}{'n':>5}{'pinned':>8}  {'numbers':9}{'status':10}{'s':>8}{'processor s':>13}{'gap/random':>12}{'memory':>9}"
    )
    for objective, items, n, pinned, kind in LARGE:
        unary, pairwise = instance(items, "clustered", 0)
        pairwise = pairwise.astype(kind, copy=False)
        tracemalloc.start()
        started = time.process_time()
        found = select(unary, pairwise, n, WEIGHT, objective=objective, pinned=range(pinned))
        worked, peak = time.process_time() - started, tracemalloc.get_traced_memory()[1] / pairwise.nbytes
        tracemalloc.stop()
        row = f"{objective:10}{items:6}{n:5}{pinned:8}  {kind:9}{found.status:10}{found.seconds:8.2f}{worked:13.2f}"
        print(f"{row}{100 * found.gap_over_random:11.1f}%{peak:8.2f}x", flush=True)


def set_objectives(seeds):
    print(f"{'objective':10}{'engine':8}{'M':>5}{'n':>5}{'proven':>9}{'median s':>10}{'max s':>8}   decided by")
    for objective, engine in (("max_min", "auto"), ("max_min", "highs"), ("log_det", "auto")):
        for items, n in ((32, 8), (64, 4), (64, 8), (64, 16), (128, 4), (128, 8), (128, 64), (256, 8)):
            pools = [instance(items, family, seed) for family in FAMILIES for seed in range(seeds)]
            found = [select(*pool, n, WEIGHT, objective=objective, engine=engine) for pool in pools]
            seconds, proven = [f.seconds for f in found], sum(f.status == "optimal" for f in found)
            row = f"{objective:10}{engine:8}{items:5}{n:5}{proven:6}/{len(found):<2}{np.median(seconds):10.3f}{max(seconds):8.3f}   "
            print(row + ", ".join(f"{name} {count}" for name, count in Counter(f.engine for f in found).items()), flush=True)


def mdplib(folder):
    """GKD-c instances of the Maximum Diversity library: no u, Euclidean distances."""
    for path in sorted(folder.glob("*.txt.gz")):
        (items, n), *rows = [tuple(map(float, line.split())) for line in gzip.decompress(path.read_bytes()).decode().splitlines()]
        distances = np.zeros((int(items), int(items)))
        for i, j, distance in rows:
            distances[int(i), int(j)] = distances[int(j), int(i)] = distance
        found = select(np.zeros(int(items)), distances, int(n), 1.0, 10.0)
        print(f"{path.name:32}{found.status:8}{found.objective:14.5f}   {found.seconds:.3f} s", flush=True)


def main():
    parser = argparse.ArgumentParser(prog="dev.py bench solver", description=__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--time-limit", type=float, default=2.0)
    parser.add_argument("--mdplib", type=Path, help="folder with GKD-c instances of the Maximum Diversity library (*.txt.gz)")
    options = parser.parse_args()
    large()
    single_rounds(options.seeds, options.time_limit)
    schedules(options.seeds)
    limits(options.seeds)
    set_objectives(options.seeds)
    if options.mdplib:
        mdplib(options.mdplib)


if __name__ == "__main__":
    sys.exit(main())
