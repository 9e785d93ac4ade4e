"""Without packages that not every platform has, the pack loads, does what it can and says the rest in a sentence."""

import itertools
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from group_inference.solver import select

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def no_highs(monkeypatch):
    monkeypatch.setitem(sys.modules, "highspy", None)


def instance(items, seed):
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(items, 6))
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    return rng.uniform(0.2, 0.35, items), 1 - features @ features.T


@pytest.mark.parametrize("objective", ["sum", "max_min"])
@pytest.mark.parametrize("items", [10, 12, 14])
def test_auto_proves_by_its_own_engines(no_highs, objective, items):
    for seed, n in itertools.product(range(3), range(5, items - 2)):
        unary, pairwise = instance(items, seed)
        found = select(unary, pairwise, n, 1.5, time_limit=60, objective=objective)
        pairs, rows = itertools.combinations(range(n), 2), np.array(list(itertools.combinations(range(items), n)))
        distances = np.stack([pairwise[rows[:, i], rows[:, j]] for i, j in pairs])
        difference = distances.sum(0) if objective == "sum" else distances.min(0) * len(distances)
        assert found.status == "optimal" and found.engine != "highs"
        assert found.objective == pytest.approx((unary[rows].sum(1) + 1.5 * difference).max())


@pytest.mark.parametrize(("items", "n", "objective"), [(10, 5, "sum"), (60, 12, "max_min")])
def test_auto_asks_highs_where_there_is_one(items, n, objective):
    """Shapes that reach it, so that the tests without it mean something."""
    assert any(select(*instance(items, seed), n, 1.5, time_limit=60, objective=objective).engine == "highs" for seed in range(4))


def test_what_highs_would_settle_ends_at_the_limit(no_highs):
    found = select(*instance(60, 0), 12, 1.5, time_limit=0.3, objective="max_min")
    assert (found.engine, found.status) == ("branch and bound", "gap") and found.seconds < 3


@pytest.mark.parametrize("objective", ["sum", "max_min"])
def test_highs_is_refused_in_a_sentence(no_highs, objective):
    with pytest.raises(ValueError, match="^engine highs needs the package highspy, which is not installed: pip install highspy, or use"):
        select(*instance(8, 0), 2, engine="highs", objective=objective)


def test_the_pack_loads_and_its_nodes_say_what_they_need():
    code = f"""
import asyncio, sys
sys.path.insert(0, {str(ROOT)!r})
from devtools.pack import load_host, load_pack
load_host("--cpu")
sys.modules["highspy"] = sys.modules["greenlet"] = None
load_pack()
import group_inference, torch
from comfy.samplers import sampler_object
pack = asyncio.run(group_inference.comfy_entrypoint())
asyncio.run(pack.on_load())
nodes = {{node.GET_SCHEMA().node_id: node for node in asyncio.run(pack.get_node_list())}}
from group_inference.scorers.color import ColorHistogram
pictures = torch.rand(12, 8, 8, 3, generator=torch.Generator().manual_seed(0))
for solver in ("auto", "highs"):
    try:
        print(len(nodes["QIPSelector"].execute([pictures], [6], [1.5], pairwise=(ColorHistogram("rgb"),), solver=[solver]).args[2]))
    except ValueError as e:
        print(e)
try:
    nodes["GroupSampler"].execute(sampler_object("euler"), 4, 2, 0.5)
except RuntimeError as e:
    print(e)
"""
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.splitlines()
    assert out == [
        "6",
        "solver highs needs the package highspy, which is not installed: pip install highspy, or set solver to auto.",
        "Sampling a group needs the package greenlet, which is not installed: pip install greenlet into ComfyUI's Python and start ComfyUI again.",
    ]
