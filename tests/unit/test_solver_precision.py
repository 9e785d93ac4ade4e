"""Numbers as they come: huge, tiny, shifted, almost equal."""

import itertools
import math
import warnings

import numpy as np
import pytest
from group_inference.solver import mean_weight, select, standard_distances, standard_scores
from hypothesis import given, settings
from hypothesis import strategies as st

from devtools.bench_solver import instance

OBJECTIVES = ("sum", "max_min", "log_det")


def value(unary, pairwise, chosen, weight):
    return sum(unary[i] for i in chosen) + weight * sum(pairwise[i, j] for i, j in itertools.combinations(chosen, 2))


def best_group(unary, pairwise, n, weight):
    return max(itertools.combinations(range(len(unary)), n), key=lambda group: value(unary, pairwise, group, weight))


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize(("unary", "pairwise", "weight", "named"), [
    (1.0, 1e300, 1e300, "pairwise .* lower the weight"),
    (1.0, 1e10, 1e300, "pairwise .* lower the weight"),
    (1.0, 1.7e308, 0.0, "pairwise .* scale the distances down"),
    (1.7e308, 1.0, 1.0, "unary .* scale the scores down"),
    (1e300, 1.0, 1.0, "unary .* scale the scores down"),
])  # fmt: skip
def test_what_leaves_the_range_of_numbers_is_named(unary, pairwise, weight, named, objective):
    u, b = instance(12, "clustered", 0)
    with pytest.raises(ValueError, match=named):
        select(unary * u / u.max(), pairwise * b / b.max(), 6, weight, objective=objective)


@settings(max_examples=120, deadline=None)
@given(
    st.sampled_from([0.0, 1e-320, 1e-300, 1e-9, 1.0, 1e9, 1e150, 1e290, 1e307]),
    st.sampled_from([0.0, 1e-320, 1e-300, 1e-9, 1.0, 1e9, 1e150, 1e290, 1e307]),
    st.sampled_from([0.0, 5e-324, 1e-300, 1.5, 1e12, 1e300, 1.7e308]),
    st.sampled_from([*OBJECTIVES, "highs"]),
    st.integers(0, 99),
)
def test_any_size_of_numbers_is_solved_or_refused(of_scores, of_distances, weight, objective, seed):
    u, b = instance(9, "diffuse", seed)
    u, b = u * of_scores, b * of_distances
    engine = "highs" if objective == "highs" else "auto"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found = select(u, b, 4, weight, time_limit=60, objective="sum" if engine == "highs" else objective, engine=engine)
    except ValueError as e:
        assert "leave the range of numbers" in str(e)
        return
    assert found.status == "optimal" and math.isfinite(found.bound) and found.gap >= 0
    if objective in ("sum", "highs"):
        best = value(u, b, best_group(u, b, 4, weight), weight)
        assert found.objective == pytest.approx(best, abs=1e-300 + 1e-9 * max(np.abs(u).max(), weight * np.abs(b).max()))


@pytest.mark.parametrize("scores", [[1e308, -1e308, 3e307, 0.0, 1e307], [1e-320, 2e-320, 3e-320, 0.0, 1e-319]])
def test_scales_of_extreme_scores_are_finite(scores):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        u, b = standard_scores(scores), standard_distances(np.abs(np.subtract.outer(scores, np.zeros(5))))
    assert np.isfinite(u).all() and np.isfinite(b).all()


@pytest.mark.parametrize("shift", [0.0, 1e3, -1e6])
@pytest.mark.parametrize("items", [20, 60])
def test_a_common_shift_changes_nothing(items, shift):
    unary, pairwise = instance(items, "clustered", 3)
    plain, shifted = select(unary, pairwise, 8, 1.5, time_limit=60), select(unary + shift, pairwise - shift, 8, 1.5, time_limit=60)
    assert sorted(shifted.indices) == sorted(plain.indices) and shifted.status == plain.status == "optimal"
    assert shifted.gap <= 1e-7


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("seed", range(4))
def test_a_score_that_stands_for_never_does_not_blunt_the_proof(seed, objective):
    unary, pairwise = instance(14, "diffuse", seed)
    barred = unary.copy()
    barred[[3, 7]] = -1e9
    kept = np.setdiff1d(np.arange(14), [3, 7])
    alone = select(unary[kept], pairwise[np.ix_(kept, kept)], 5, 0.01, time_limit=60, objective=objective)
    found = select(barred, pairwise, 5, 0.01, time_limit=60, objective=objective)
    if objective != "log_det":  # its scale is the mean distance of all
        assert [int(kept[i]) for i in alone.indices] == list(found.indices)
    assert found.status == "optimal" and found.gap <= 1e-8


def test_a_pair_that_stands_for_never_does_not_blunt_the_proof():
    unary, pairwise = instance(14, "diffuse", 1)
    apart = best_group(unary, pairwise, 5, 0.05)[:2]
    pairwise[apart, apart[::-1]] = -1e9
    found = select(unary, pairwise, 5, 0.05, time_limit=60)
    assert sorted(found.indices) == list(best_group(unary, pairwise, 5, 0.05)) and found.status == "optimal" and found.gap <= 1e-8


@pytest.mark.parametrize("engine", ["auto", "highs"])
@pytest.mark.parametrize("n", [4, 9, 11, 15])
def test_optimal_means_what_the_documentation_says(n, engine):
    for family in ("clustered", "diffuse"):
        unary, pairwise = instance(17, family, n)
        found = select(unary, pairwise, n, 1.5, time_limit=60, engine=engine)
        weighted = 1.5 * pairwise[np.triu_indices(17, 1)]
        spread = max(np.abs(unary - np.median(unary)).max(), np.abs(weighted - np.median(weighted)).max())
        assert found.status == "optimal" and 0 <= found.gap <= 1e-9 * n * spread


@pytest.mark.parametrize("engine", ["auto", "highs"])
def test_a_tight_simple_bound_is_a_proof(engine):
    """Whatever the time limit: quality alone, and distances that are all equal."""
    unary = np.random.default_rng(0).uniform(size=40)
    for pairwise in (np.zeros((40, 40)), np.ones((40, 40))):
        found = select(unary, pairwise, 9, 1.5, time_limit=0.0, engine=engine)
        assert found.status == "optimal" and found.engine == "bound" and found.gap <= 1e-9
    found = select(np.zeros(40), np.ones((40, 40)), 9, 1.5, time_limit=0.0, objective="max_min")
    assert found.status == "optimal" and found.engine == "bound"


def copied(items, times, noise, seed, deviation=3e-8):
    """(u, b) of `times` copies of each of `items`, as float32 features leave them; their scores deviate from each other."""
    rng = np.random.default_rng(seed)
    unary, pairwise = (np.repeat(values, times, axis=0) for values in instance(items, "clustered", seed))
    pairwise = np.repeat(pairwise, times, axis=1)
    off = rng.uniform(-noise, noise, pairwise.shape)
    off[pairwise == 0] = np.abs(off[pairwise == 0])
    pairwise = pairwise + (off + off.T) / 2
    np.fill_diagonal(pairwise, 0.0)
    return unary + rng.normal(size=len(unary)) * deviation, pairwise


@pytest.mark.parametrize("deviation", [3e-8, 0.02])
@pytest.mark.parametrize("noise", [6e-8, 5e-6])
@pytest.mark.parametrize("seed", range(3))
def test_equal_pictures_in_low_precision_are_copies_whatever_their_quality(seed, noise, deviation):
    unary, pairwise = copied(16, 4, noise, seed, deviation)
    found = select(unary, pairwise, 8, 1.5, time_limit=20)
    assert found.status == "optimal" and found.nodes < 3000
    assert found.gap <= 1.5 * 28 * 2 * noise + 1e-6


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 4), st.integers(2, 4), st.data(), st.sampled_from([0.0, 6e-8, 5e-6, 1e-5, 1e-4]), st.integers(0, 10**6))
def test_the_bound_holds_for_copies_in_low_precision(items, times, data, noise, seed):
    unary, pairwise = copied(items, times, noise, seed, (3e-8, 0.02)[seed % 2])
    n = data.draw(st.integers(1, min(6, items * times)))
    found = select(unary, pairwise, n, 1.5, time_limit=60)
    best = value(unary, pairwise, best_group(unary, pairwise, n, 1.5), 1.5)
    assert found.objective <= best + 1e-12 and found.bound >= best - 1e-12
    assert found.status == "optimal" and best - found.objective <= found.gap + 1e-12


def test_noise_is_no_score():
    rng = np.random.default_rng(0)
    noisy = (0.3 + rng.normal(size=16) * 3e-8).astype(np.float32)
    assert not standard_scores(noisy).any()
    equal = np.full((16, 16), np.float32(0.5)) + np.subtract.outer(noisy, noisy).astype(np.float32)
    assert not standard_distances((equal + equal.T) / 2).any()


def test_one_scale_does_not_collapse_where_most_are_alike():
    """Ten of twelve pictures nearly the same: 45 of 66 pairs are."""
    rng = np.random.default_rng(0)
    features = np.repeat(rng.normal(size=(3, 8)), (10, 1, 1), axis=0) + 0.01 * rng.normal(size=(12, 8))
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    distances = standard_distances(1 - features @ features.T)
    assert distances.max() < 10
    scores = standard_scores(np.concatenate([0.2 + 1e-4 * rng.normal(size=20), np.linspace(0.25, 0.4, 12)]))
    assert len(np.unique(scores[scores < 3])) > 24


def test_healthy_scales_are_as_they_were():
    rng = np.random.default_rng(1)
    scores, distances = rng.normal(0.27, 0.02, 64), instance(64, "diffuse", 1)[1]
    robust = lambda values: 1.4826 * np.median(np.abs(values - np.median(values)))
    assert np.abs(standard_scores(scores)).max() >= 0.8 * min(3, np.abs(scores - np.median(scores)).max() / robust(scores))
    pairs = distances[np.triu_indices(64, 1)]
    assert standard_distances(distances).max() == pytest.approx(pairs.max() / robust(pairs), rel=0.2)


@pytest.mark.parametrize("n", [2, 4, 8])
def test_lambda_means_the_same_in_every_objective(n):
    """Where all distances are equal, in value; where they grow together, in what that is worth against quality."""
    items, weight = 12, mean_weight(1.5, n)
    unary = np.random.default_rng(n).uniform(size=items)
    for distance in (0.2, 1.0, 7.0):
        equal = distance * (1 - np.eye(items))
        found = [select(unary, equal, n, weight, objective=objective) for objective in OBJECTIVES]
        for one in found:
            quality = unary[list(one.indices)].sum()
            assert (one.objective - quality) / n == pytest.approx(1.5 * distance, rel=1e-6)
    # A second, wider group of n beside the first, in a pool that has the same mean distance.
    slopes = []
    for objective in OBJECTIVES:
        worth = []
        for step in (-1e-4, 1e-4):
            apart = np.ones((2 * n, 2 * n)) - np.eye(2 * n)
            apart[:n, :n] += step * (1 - np.eye(n))
            apart[n:, n:] -= step * (1 - np.eye(n))
            first = select(np.zeros(2 * n), apart, n, weight, objective=objective, pinned=range(n))
            worth.append(first.objective)
        slopes.append((worth[1] - worth[0]) / 2e-4 / n)
    assert slopes == pytest.approx([1.5] * 3, rel=1e-3)


@pytest.mark.parametrize("seed", range(6))
def test_max_min_by_highs_finds_what_growing_finds(seed):
    unary, pairwise = instance(30, ("clustered", "diffuse", "near ties")[seed % 3], seed)
    unary = unary * (1, 20)[seed // 3]
    grown, by_distance = (select(unary, pairwise, 6, 1.5, time_limit=60, objective="max_min", engine=e) for e in ("auto", "highs"))
    assert grown.status == by_distance.status == "optimal" and by_distance.engine == "highs"
    assert by_distance.objective == pytest.approx(grown.objective, abs=1e-8)


def test_the_engine_is_the_part_that_decided():
    def engine(items, n, family="clustered", **options):
        return select(*instance(items, family, 0), n, 1.5, time_limit=60, **options).engine

    assert engine(8, 8) == "trivial" and engine(8, 1) == "bound" and engine(40, 4) == "enumeration"
    assert engine(64, 12) == "branch and bound" and engine(12, 6, engine="highs") == "highs"
    assert engine(400, 6, engine="highs") == "heuristic" and engine(30, 8, objective="max_min", engine="highs") == "highs"
    assert engine(30, 8, objective="log_det") == "branch and bound"
