"""Thousands of items: too many to prove or to copy, taken piece by piece. The same path on few items, where all groups can be counted."""

import itertools
import time
import tracemalloc

import numpy as np
import pytest
from group_inference.solver import objective as scales
from group_inference.solver import pieces, select, standard_distances, sum_of_distances
from group_inference.solver.objective import some_pairs
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from devtools.bench_solver import FAMILIES, instance

OBJECTIVES = ("sum", "max_min", "log_det")


def select_as_of_many(*program, side=3, **options):
    """`select`, for which a few items are too many to prove and to hold at once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(select.__globals__, "MOST_ITEMS_TO_PROVE", 0)
        patch.setattr(pieces, "SIDE", side)
        return select(*program, **options)


def not_symmetric(pairwise, seed):
    """As rounding leaves them, and with anything on the diagonal."""
    np.fill_diagonal(pairwise, 0)
    off = np.random.default_rng(seed).uniform(-2e-7, 2e-7, pairwise.shape) * np.abs(pairwise).max()
    return pairwise + off + np.diag(np.full(len(pairwise), np.nan))


@settings(max_examples=150, deadline=None)
@given(st.integers(2, 10), st.data(), st.sampled_from([*FAMILIES, "noise"]), st.sampled_from([0.0, 0.1, 1.5]), st.integers(0, 10**6))
def test_the_bound_holds_and_the_choice_is_that_of_few(items, data, family, weight, seed):
    unary, pairwise = instance(items, family if family in FAMILIES else "diffuse", seed)
    if family == "noise":
        pairwise = np.random.default_rng(seed).normal(size=(items, items))
        pairwise = pairwise + pairwise.T
    pairwise = not_symmetric(pairwise, seed).astype(data.draw(st.sampled_from([np.float32, np.float64])))
    roles = data.draw(st.lists(st.sampled_from(["free", "free", "pinned", "banned"]), min_size=items, max_size=items))
    pinned, banned = ([i for i, role in enumerate(roles) if role == name] for name in ("pinned", "banned"))
    assume(len(banned) < items)
    n = data.draw(st.integers(max(1, len(pinned)), items - len(banned)))
    side = data.draw(st.sampled_from([1, 3, 4, 10]))
    found = select_as_of_many(unary, pairwise, n, weight, side=side, pinned=pinned, banned=banned)
    few = select(unary, pairwise, n, weight, time_limit=60, pinned=pinned, banned=banned)

    true = (pairwise.astype(np.float64) + pairwise.T) / 2
    value = lambda group: unary[list(group)].sum() + weight * sum(true[i, j] for i, j in itertools.combinations(group, 2))
    groups = [c for c in itertools.combinations(range(items), n) if set(pinned) <= set(c) and not set(banned) & set(c)]
    best = max(map(value, groups))
    assert found.status == ("optimal" if len(groups) == 1 or len(pinned) == n else "heuristic")
    assert set(pinned) <= set(found.indices) and not set(banned) & set(found.indices) and len(set(found.indices)) == n
    assert found.objective == pytest.approx(value(found.indices), abs=1e-12) and found.objective <= best + 1e-12
    assert found.bound >= best - 1e-12 and few.bound <= found.bound + 1e-9
    quick = select(unary, pairwise, n, weight, engine="heuristic", pinned=pinned, banned=banned)
    assert (found.indices, found.objective, found.bound) == (quick.indices, quick.objective, quick.bound)
    assert found.gap_over_random == pytest.approx(quick.gap_over_random, rel=1e-6)


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 9), st.data(), st.sampled_from(FAMILIES), st.sampled_from(["max_min", "log_det"]), st.integers(0, 10**6))
def test_objectives_of_a_whole_group_too(items, data, family, objective, seed):
    unary, pairwise = instance(items, family, seed)
    n = data.draw(st.integers(1, items))
    pinned = data.draw(st.lists(st.integers(0, items - 1), max_size=n, unique=True))
    found = select_as_of_many(unary, pairwise, n, 1.5, objective=objective, pinned=pinned)
    proven = select(unary, pairwise, n, 1.5, time_limit=60, objective=objective, pinned=pinned)
    assert proven.status == "optimal" and set(pinned) <= set(found.indices)
    assert found.objective <= proven.objective + 1e-9 and found.bound >= proven.objective - 1e-9
    quick = select(unary, pairwise, n, 1.5, engine="heuristic", objective=objective, pinned=pinned)
    assert (found.indices, found.bound) == (quick.indices, quick.bound)


@pytest.mark.parametrize(("where", "what", "named"), [
    ((7, 2), np.nan, "not finite"), ((2, 7), np.nan, "not finite"), ((6, 7), -np.inf, "not finite"),
    ((2, 7), 0.5, "symmetric"), ((7, 2), 1e300, "lower the weight"), ((0, 7), -1e300, "lower the weight"),
])  # fmt: skip
def test_what_is_wrong_is_seen_in_any_piece(where, what, named):
    unary, pairwise = instance(8, "diffuse", 0)
    pairwise[where] = what
    with pytest.raises(ValueError, match=f"pairwise .*{named}"):
        select_as_of_many(unary, pairwise, 3, 1.5)


def test_what_came_in_is_left_as_it_was():
    for kind in (np.float32, np.float64):
        unary, pairwise = instance(40, "clustered", 0)
        pairwise = not_symmetric(pairwise, 0).astype(kind)
        before = unary.copy(), pairwise.copy()
        for objective in OBJECTIVES:
            for choose in (select, select_as_of_many):
                choose(unary, pairwise, 5, 1.5, objective=objective, pinned=[3], banned=[4])
        assert (unary == before[0]).all() and np.array_equal(pairwise, before[1], equal_nan=True)


@pytest.mark.parametrize("pinned", [0, 300])
def test_memory_for_one_copy_is_enough(pinned):
    items = 4096
    unary, pairwise = instance(items, "clustered", 0)
    tracemalloc.start()
    found = select(unary, pairwise, pinned + 20, 1.5, pinned=range(pinned))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.reset_peak()
    sum_of_distances([(0.5, pairwise)], np.arange(items))
    summed = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.status == "heuristic" and len(found.indices) == pinned + 20 and found.bound > found.objective
    # One piece of 1024 rows is a quarter more, and there are up to two or three.
    assert peak < 1.6 * pairwise.nbytes and summed < 1.8 * pairwise.nbytes


@pytest.mark.parametrize("objective", ["sum", "max_min"])
def test_the_clock_is_asked_throughout(objective):
    """In time of the processor: no more than a quarter of the whole between two questions."""
    unary, pairwise = instance(4096, "clustered", 0)
    shares = []
    while len(shares) < 3 and min(shares, default=1.0) > 0.25:
        asked = [time.process_time()]
        select(unary, pairwise, 20, 1.5, objective=objective, check=lambda asked=asked: asked.append(time.process_time()))
        asked.append(time.process_time())
        shares.append(max(np.diff(asked)) / (asked[-1] - asked[0]))
    assert min(shares) < 0.25


def test_log_det_of_too_many_is_refused_with_the_way_out():
    with pytest.raises(ValueError, match="log_det is for at most 4096 items, and here are 4097: choose another objective, or fewer"):
        select(np.zeros(4097), np.broadcast_to(np.float32(0), (4097, 4097)), 4, objective="log_det")


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 10**6))
def test_a_sum_of_distances_does_not_depend_on_its_pieces(items, side, seed):
    rng = np.random.default_rng(seed)
    parts = [(share, instance(items, "clustered", seed + k)[1]) for k, share in enumerate((1.0, 0.3, 7))]
    rows = np.sort(rng.permutation(items)[: rng.integers(1, items + 1)])
    among = [(share, b[np.ix_(rows, rows)]) for share, b in parts]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pieces, "SIDE", side)
        raw, standard = (sum_of_distances(parts, rows, how) for how in (False, True))
    assert (raw == sum(share * b for share, b in among)).all()
    assert (standard == sum(share * standard_distances(b) for share, b in among)).all()


def test_the_scale_of_many_is_that_of_a_sample():
    pairwise = instance(3000, "clustered", 0)[1]
    sampled = standard_distances(pairwise)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scales, "SIDE", 3000)
        assert sampled[0, 1] == pytest.approx(standard_distances(pairwise)[0, 1], rel=5e-3)
    first, second = some_pairs(3000)
    assert (first != second).all() and pairwise[first, second].mean() == pytest.approx(pairwise.sum() / 3000 / 2999, rel=5e-3)
    # One that differs from all others is not overlooked.
    alike = np.zeros((3000, 3000))
    alike[1234], alike[:, 1234], alike[1234, 1234] = 1.0, 1.0, 0.0
    assert standard_distances(alike)[1234, 0] > 1
