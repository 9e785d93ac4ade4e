"""The report: small however large the pool, and fast to write."""

import json
import time

import numpy as np
from group_inference.sampling.record import Round, Run


def run_of(candidates, size):
    """A run that halves its pool each round, with seeds as long as seeds get and two unary scorers."""
    random, seeds = np.random.default_rng(0), [2**64 - 1 - i for i in range(candidates)]
    run = Run({"seed": seeds[0], "lambda_score": 1.5})
    while len(seeds) > size:
        n = max(size, len(seeds) // 2)
        scores, kept = random.normal(size=len(seeds)), seeds[:n]
        distances = random.random((n, n))
        proof = {"objective": 1.0, "bound": 1.0, "gap": 0.0, "status": "optimal"}
        run.rounds.append(Round(0, 1.0, seeds, scores, distances, kept, **proof, seconds={"model": 1.0}, parts={"a": scores, "b": scores}))
        seeds = kept
    run.seeds = seeds
    return run


def test_it_is_small_and_fast_for_a_thousand_candidates():
    run = run_of(1024, 4)
    seconds = []
    for _ in range(5):
        started = time.perf_counter()
        text = run.to_json()
        seconds.append(time.perf_counter() - started)
    # An order of magnitude above what it takes, and one below what it took.
    assert len(text) <= 200_000 and min(seconds) < 0.1
    assert [r["pairwise"] is None for r in json.loads(text)["rounds"]] == [True, True, True] + [False] * 5


def test_numbers_have_six_digits_and_what_is_not_finite_is_null():
    run = run_of(4, 2)
    run.rounds[0].unary[:2] = np.nan, 1 / 3
    report = json.loads(run.to_json())
    assert report["rounds"][0]["unary"][:2] == [None, 0.333333] and report["settings"]["seed"] == 2**64 - 1
    assert np.allclose(report["rounds"][0]["pairwise"], run.rounds[0].pairwise, atol=1e-6)
