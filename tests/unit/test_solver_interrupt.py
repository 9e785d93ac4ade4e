"""The solver stops when its caller no longer wants the answer, wherever it is."""

import math
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from group_inference.solver import select

from devtools.bench_solver import instance

WORK, GRACE = 0.3, 1.0


class Unwanted(BaseException):
    """As the host's interruption: no Exception."""


def hard(items, objective):
    """Nothing is proven of it within the time that the tests wait."""
    unary, pairwise = instance(items, "near ties", 1)
    if objective == "sum":
        pairwise = np.abs(np.random.default_rng(0).normal(size=(items, items)))
    return unary, (pairwise + pairwise.T) / 2


@pytest.mark.parametrize(("engine", "objective", "items", "n"), [
    ("auto", "sum", 256, 64), ("auto", "sum", 1024, 4), ("auto", "sum", 1024, 300),
    ("highs", "sum", 64, 8), ("highs", "sum", 256, 64),
    ("auto", "max_min", 256, 32), ("auto", "max_min", 1024, 32), ("highs", "max_min", 256, 16), ("highs", "max_min", 1024, 32),
    ("auto", "log_det", 256, 64), ("auto", "log_det", 1024, 16), ("heuristic", "sum", 2048, 1024), ("heuristic", "log_det", 1024, 512),
    ("auto", "sum", 4096, 1024), ("auto", "max_min", 4096, 256),
])  # fmt: skip
def test_an_interruption_comes_through_at_once(engine, objective, items, n):
    unary, pairwise = hard(items, objective)
    taken = []
    # One step of numpy may wait for a core of a busy machine; not each time.
    while len(taken) < 3 and min(taken, default=math.inf) >= WORK + GRACE:
        started = time.perf_counter()

        def check(end=started + WORK):
            if time.perf_counter() > end:
                raise Unwanted

        with pytest.raises(Unwanted):
            select(unary, pairwise, n, 1.5, time_limit=600, engine=engine, objective=objective, check=check)
        taken.append(time.perf_counter() - started)
    assert min(taken) < WORK + GRACE


@pytest.mark.parametrize("n", [3, 4, 12])
def test_short_searches_ask_too(n):
    asked = []
    select(*instance(64, "clustered", 1), n, 1.5, check=lambda: asked.append(1))
    assert len(asked) > 100


def test_an_interruption_of_highs_leaves_it_usable():
    unary, pairwise = instance(64, "clustered", 1)
    calls = []

    def check():
        calls.append(1)
        if len(calls) == 300:
            raise ValueError("no longer wanted")

    with pytest.raises(ValueError, match="no longer wanted"):
        select(unary, pairwise, 8, 1.5, time_limit=600, engine="highs", check=check)
    few = select(unary[:12], pairwise[:12, :12], 6, 1.5, time_limit=60, engine="highs")
    assert few.status == "optimal" and few.objective == pytest.approx(select(unary[:12], pairwise[:12, :12], 6, 1.5).objective)


def test_python_may_end_right_after_an_interruption_of_highs():
    code = """
import time
from devtools.bench_solver import instance
from solver import select
end = time.perf_counter() + 0.5

def check():
    if time.perf_counter() > end:
        raise SystemExit(7)

select(*instance(64, "clustered", 0), 8, 1.5, 600, engine="highs", check=check)
"""
    ended = subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], capture_output=True, timeout=60)
    assert ended.returncode == 7, ended.stderr
