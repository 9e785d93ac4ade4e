"""python3 dev.py bench solver: how fast selections are proven, beside HiGHS alone and, if installed, Gurobi."""

import argparse
import gzip
import os
import sys
import time
from pathlib import Path

# One thread, so that figures of different machines mean the same; numpy reads it at import.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
import numpy as np

from solver import linearised, select
from solver.local_search import incumbent, value_of

FAMILIES = ("clustered", "diffuse", "near ties")
SIZES = (
    (16, 8),
    (32, 4),
    (32, 16),
    (64, 4),
    (64, 7),
    (64, 8),
    (64, 32),
    (128, 4),
    (128, 8),
    (128, 64),
    (256, 8),
    (256, 128),
    (512, 4),
    (512, 256),
)
SCHEDULES = ((128, 64, 32, 16, 8, 4), (64, 7, 4))
WEIGHT = 1.5
OTHERS_UP_TO = 64


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


def gurobi(unary, pairwise, n, concave, time_limit=5.0):
    """(objective, seconds) of Gurobi on the paper's program, or on the same made concave; None if it is not installed."""
    try:
        import gurobipy as gp
    except ImportError:
        return None
    with gp.Env(params={"OutputFlag": 0, "TimeLimit": time_limit}) as env, gp.Model(env=env) as model:
        y, w = model.addMVar(len(unary), vtype="B"), WEIGHT * pairwise
        shift = np.linalg.eigvalsh(w - w.max())[-1] if concave else 0.0
        total = w - (w.max() if concave else 0.0) - shift * np.eye(len(unary))
        model.addConstr(y.sum() == n)
        model.setObjective((unary + shift / 2) @ y + 0.5 * (y @ total @ y), gp.GRB.MAXIMIZE)
        started = time.perf_counter()
        model.optimize()
        return value_of(unary, w, np.flatnonzero(y.X > 0.5)), time.perf_counter() - started


def others(unary, pairwise, n, objective):
    """What else there is, as 'worse by % in s': HiGHS without and with the multiplied rows, Gurobi in both forms."""
    w = WEIGHT * pairwise
    found = []
    for products in (False, True):
        started = time.perf_counter()
        rows = linearised.solve(unary, w, n, incumbent(unary, w, n), 5.0, products).indices
        found.append((value_of(unary, w, rows), time.perf_counter() - started))
    found += [gurobi(unary, pairwise, n, concave) for concave in (False, True)]
    return ["-" if f is None else f"{100 * (objective - f[0]) / objective:+.3f}% {f[1]:.1f}s" for f in found]


def main():
    parser = argparse.ArgumentParser(prog="dev.py bench", description=__doc__)
    parser.add_argument("what", choices=["solver"])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--time-limit", type=float, default=1.5)
    parser.add_argument("--mdplib", type=Path, help="folder with GKD-c instances of the Maximum Diversity library (*.txt.gz)")
    options = parser.parse_args()
    print(
        f"{'family':10}{'M':>5}{'n':>5}{'proven':>8}{'median s':>10}{'max s':>8}{'max gap':>10}   HiGHS plain    HiGHS products  Gurobi paper   Gurobi concave"
    )
    for family in FAMILIES:
        for items, n in SIZES:
            found = [select(*instance(items, family, seed), n, WEIGHT, options.time_limit) for seed in range(options.seeds)]
            seconds, gaps = [f.seconds for f in found], [f.relative_gap for f in found]
            proven = sum(f.status == "optimal" for f in found)
            row = f"{family:10}{items:5}{n:5}{proven:5}/{len(found):<2}{np.median(seconds):10.3f}{max(seconds):8.3f}{100 * max(gaps):9.3f}%"
            beside = others(*instance(items, family, 0), n, found[0].objective) if items <= OTHERS_UP_TO else []
            print(row + "   " + "".join(f"{text:15}" for text in beside), flush=True)
    for schedule in SCHEDULES:
        for family in FAMILIES:
            totals, proven = [], 0
            for seed in range(options.seeds):
                (unary, pairwise), rows, total = instance(schedule[0], family, seed), np.arange(schedule[0]), 0.0
                for n in schedule[1:]:
                    round_ = select(unary[rows], pairwise[np.ix_(rows, rows)], n, WEIGHT)
                    rows, total, proven = rows[sorted(round_.indices)], total + round_.seconds, proven + (round_.status == "optimal")
                totals.append(total)
            rounds = options.seeds * (len(schedule) - 1)
            print(
                f"{family:10}{' '.join(map(str, schedule)):24}{proven}/{rounds} rounds proven   median {np.median(totals):.3f} s   max {max(totals):.3f} s"
            )
    for path in sorted(options.mdplib.glob("*.txt.gz")) if options.mdplib else []:
        (items, n), *rows = [tuple(map(float, line.split())) for line in gzip.decompress(path.read_bytes()).decode().splitlines()]
        distances = np.zeros((int(items), int(items)))
        for i, j, distance in rows:
            distances[int(i), int(j)] = distances[int(j), int(i)] = distance
        found = select(np.zeros(int(items)), distances, int(n), 1.0, 10.0)
        print(f"{path.name:32}{found.status:8}{found.objective:14.5f}   {found.seconds:.3f} s")


if __name__ == "__main__":
    sys.exit(main())
